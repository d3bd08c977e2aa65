"""Damaged and odd input of every kind, tried in child processes with bounded time and memory."""
