"""Accounts: their documents, logins, tokens, modes and broker connections."""
