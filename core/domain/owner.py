"""Who is served by the bot, as the chat and the doctor show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["BotOwner", "Way"]


class Way(StrEnum):
    """How a user came to be served; the values are stored."""

    LISTED = "listed"
    PAIRING = "pairing"


@dataclass(frozen=True, slots=True)
class BotOwner:
    """Somebody who is served.

    Attributes:
        chat_id: Their private chat, None before they wrote.
        name: What Telegram calls them, or empty.
        seen_at: When they first wrote since the controller started last.
    """

    user_id: int
    way: Way
    chat_id: int | None = None
    name: str = ""
    seen_at: datetime | None = None
