"""What breaks on purpose: proxies, killers, crash plans. Nothing shipped knows of these."""
