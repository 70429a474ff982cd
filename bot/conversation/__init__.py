"""The conversation: visits, nonces, prompts, and dispatch of commands and buttons."""
