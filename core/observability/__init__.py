"""Logs: one JSON line an event, with every known secret taken out before it is written (I12)."""
