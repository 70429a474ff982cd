"""How messages that pile up for a chat go out: few, in their order, what is urgent first (E5).

The messenger lets a chat have a message a second for long, and makes it wait that gets more. So
after a few the next ones wait a moment, and whatever has been posted by then goes in one message.
What is urgent waits for nothing and is gathered with its like alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Any

from core.domain.notices.post import Delivery
from core.ports.clock import Clock
from core.ports.store import Document

__all__ = ["URGENT", "Pace", "ended", "is_edit", "is_message", "is_urgent", "next_part"]

URGENT = "!"
"""Before the first digit of any other ``seq``."""
_AT_ONCE = 5
_ALONE = 3
_TOGETHER = 25


class Pace:
    """How often a chat gets something: a few at once, then one a second.

    Cards and messages have a pace each. The messenger counts an edit as a message: a card that
    changes twenty times a second would let the message behind it wait for half a minute.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at: dict[int, float] = {}

    def wait(self, chat_id: int) -> float:
        """Return the seconds until another one is due."""
        return self._free_at.get(chat_id, 0.0) - self._clock.monotonic() - _AT_ONCE + 1

    def count(self, chat_id: int) -> None:
        """Count one that goes out now."""
        now = self._clock.monotonic()
        self._free_at[chat_id] = max(self._free_at.get(chat_id, 0.0), now) + 1


def is_edit(row: Document) -> bool:
    """Whether a row changes its card where it is, if there is one."""
    return bool(row["delivery"] == Delivery.EDIT.value)


def is_message(row: Document) -> bool:
    """Whether a row is a message of its own, which no later one changes."""
    return bool(row["delivery"] == Delivery.SEND.value)


def is_urgent(row: Document) -> bool:
    """Whether a row goes out before all that is not urgent."""
    return str(row["seq"]).startswith(URGENT)


def next_part(rows: Sequence[Document], quiet: Collection[str]) -> list[Document]:
    """Return what is delivered next, in one message where it is several.

    Args:
        rows: What waits for a chat, in its order.
        quiet: The ids of those that only change or remove what the chat shows: messages behind
            them need not wait.
    """
    found: list[Document] = []
    for row in rows:
        if row["_id"] in quiet:
            continue
        is_alike = not found or _kind(row) == _kind(found[0])
        if not is_message(row) or not is_alike or len(found) == _TOGETHER:
            break
        found.append(row)
    return found if len(found) > _ALONE else [rows[0]]


def _kind(row: Document) -> tuple[bool, bool]:
    """Return what messages must share: a repeat says that it is one."""
    return is_urgent(row), row["attempts"] > 0


async def ended(*calls: Awaitable[object]) -> list[Any]:
    """Wait for all calls, and raise when one has failed; none goes on behind the back of that.

    A claim that lands after what was claimed has been taken back would never be delivered.
    """
    ends = await asyncio.gather(*calls, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return ends
