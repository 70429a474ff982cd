"""Bot tokens: `<bot id>:<secret>`."""

import re

from sandbox.telegram.errors import BotApiError

__all__ = ["bot_id_of"]

_TOKEN = re.compile(r"^([1-9]\d{0,18}):[A-Za-z0-9_-]+$")
_MAX_TOKEN = 80


def bot_id_of(token: str) -> int:
    """Give the bot's user id.

    Raises:
        BotApiError: 401, when no token can look like this.
    """
    match = _TOKEN.match(token)
    if match is None or len(token) > _MAX_TOKEN:
        raise BotApiError(401, "Unauthorized: invalid token specified")
    return int(match.group(1))
