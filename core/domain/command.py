"""A command: one wish of a user, and the id that makes it take effect at most once (I9)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Command"]


@dataclass(frozen=True, slots=True)
class Command:
    """One wish of a user.

    Whatever carries it out writes under a nonce made of ``id``, so that a repeated command raises
    ``AlreadyDone`` and changes nothing.

    Attributes:
        id: Unique to the wish: a button's nonce, or ``bot_id:update_id`` of a message.
        user_id: Telegram user.
        chat_id: Where to answer.
    """

    id: str
    user_id: int
    chat_id: int
