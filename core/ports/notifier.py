"""The notifier port: delivers one notice to one chat. Ordering and memory are the outbox's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.domain.bare_lines import BareLine
from core.domain.notices.post import Post

__all__ = [
    "Blocked",
    "Delivered",
    "Dropped",
    "GatheringNotifier",
    "Notifier",
    "TryLater",
    "Undeliverable",
]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The chat shows it; ``message_id`` is None when there was nothing to show (REMOVE).

    ``bare`` is what it says of unprotected positions: who keeps the card true has to know.
    """

    message_id: int | None
    bare: tuple[BareLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """An AMEND came to nothing: its message is gone, or cannot be edited any more."""

    reason: str


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
    ) -> Delivered | Dropped | TryLater | Blocked | Undeliverable:
        """Show the notice in the chat.

        Args:
            chat_id: The chat.
            post: What to show, and how.
            notice_id: Its short form is visible in the message, so that a repeat is recognisable.
            message_id: The card's present message, for EDIT, REPLACE, REMOVE and AMEND.
            is_repeat: An earlier attempt may have arrived: the message says so.
        """
        ...


@runtime_checkable
class GatheringNotifier(Notifier, Protocol):
    """A notifier that shows several notices in one message."""

    async def deliver_together(
        self, chat_id: int, posts: Sequence[Post], *, is_repeat: bool
    ) -> list[Delivered | Dropped | TryLater | Blocked | Undeliverable]:
        """Show notices that are no cards in as few messages as hold them.

        Args:
            chat_id: The chat.
            posts: What to show, in its order.
            is_repeat: An earlier attempt of all of them may have arrived: the message says so.

        Returns:
            What became of each of them.
        """
        ...
