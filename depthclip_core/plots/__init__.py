"""Figures: functions of (ax, data) in one style, without computation."""
