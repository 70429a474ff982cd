"""Control: what users see and do, as small services for the bot and the web server."""
