"""The notifier port: delivers one notice to one chat. Ordering and memory are the outbox's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.domain.notices.post import Post

__all__ = ["Blocked", "Delivered", "Notifier", "TryLater", "Undeliverable"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The chat shows it; ``message_id`` is None when there was nothing to show (REMOVE)."""

    message_id: int | None


@dataclass(frozen=True, slots=True)
class TryLater:
    """Not now: flood limit, outage, time-out. ``retry_after_s`` counts for this chat alone.

    ``may_have_arrived`` is true where it is not known, as after a time-out: the next is a repeat.
    """

    retry_after_s: float
    reason: str
    may_have_arrived: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """The user blocked the bot, or the chat is gone: goes to the dead letters."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """Telegram refuses this very text and will again: goes to the dead letters, loudly."""

    reason: str


class Notifier(Protocol):
    """Renders and sends. Never raises for anything Telegram does; never sleeps on a flood limit."""

    async def deliver(
        self,
        chat_id: int,
        post: Post,
        *,
        notice_id: str,
        message_id: int | None,
        is_repeat: bool,
    ) -> Delivered | TryLater | Blocked | Undeliverable:
        """Show the notice in the chat.

        Args:
            chat_id: The chat.
            post: What to show, and how.
            notice_id: Its short form is visible in the message, so that a repeat is recognisable.
            message_id: The card's present message, for EDIT, REPLACE and REMOVE.
            is_repeat: An earlier attempt may have arrived: the message says so.
        """
        ...
