"""The side towards Telegram: polling, the inbox, rate limits, the menu and authorization."""
