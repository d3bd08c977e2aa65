"""Figures: functions of (ax, data) in one style. Nothing is computed here."""
