"""Notices: rendering of typed notices and their delivery through Telegram."""
