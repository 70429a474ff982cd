"""Telegram's edge: polling, the stored inbox, rate limits, the menu and authorization."""
