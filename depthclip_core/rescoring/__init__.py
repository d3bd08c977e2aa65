"""Saved depth maps under any protocol, and why two numbers of the same maps differ.

A protocol is a composition of switches (`compositions`). `scores` scores maps under many of them
at once; `differences` splits the gap between two, switch by switch; `search` finds those that give
reported numbers.
"""
