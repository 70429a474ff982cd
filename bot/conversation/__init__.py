"""The conversation: dispatch of commands and buttons, open questions, single-use buttons."""
