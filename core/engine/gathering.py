"""How messages that pile up for a chat go out: few, in their order, what is urgent first (E5).

The messenger lets a chat have a message a second for long, and makes it wait that gets more. So
after a few the next ones wait a moment, and whatever has been posted by then goes in one message.
What is urgent waits for nothing and is gathered with its like alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from datetime import datetime
from typing import Any

from core.domain.notices.post import FIRED, Delivery, run_key
from core.domain.notices.runs import RunCard
from core.ports.clock import Clock
from core.ports.store import Document

__all__ = [
    "LARGEST_ROUND",
    "MANY",
    "URGENT",
    "Pace",
    "Rounds",
    "ended",
    "is_amendment",
    "is_edit",
    "is_message",
    "is_run",
    "is_urgent",
    "needless",
    "next_part",
    "settles_in",
    "weight",
]

URGENT = "!"
"""Before the first digit of any other ``seq``."""
_AT_ONCE = 5
MANY = 3
"""More than so many go together."""
_TOGETHER = 25
LARGEST_ROUND = 40
"""How many runs one card shows."""
_JOINED_FOR_S = 10.0
_SETTLES_IN_S = 0.3
_SETTLES_WITHIN_S = 1.5
"""The runs of one slot commit one after another: their cards wait for one another, not for long."""
_AMENDED_AFTER_S = 2.0
"""What ends on one account ends on the others within so long; nobody waits for a silent edit."""
_A_WEIGHT = 10
_FIRED = run_key(FIRED)


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

    def count(self, chat_id: int, weight: int = 1) -> None:
        """Count one that goes out now; what takes long to make counts for several."""
        now = self._clock.monotonic()
        self._free_at[chat_id] = max(self._free_at.get(chat_id, 0.0), now) + weight


class Rounds:
    """Which card shows the runs of a moment that is full: one for all of them, that others join."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[str, float, int]] = {}
        self._new: dict[int, tuple[frozenset[str], float, float]] = {}

    def place(self, chat_id: int, new: Sequence[Document]) -> str | None:
        """Return the key of the card for runs that no card shows yet; None: each has its own."""
        now = self._clock.monotonic()
        key, since, count = self._open.get(chat_id, ("", -_JOINED_FOR_S, 0))
        is_open = now - since < _JOINED_FOR_S and count + len(new) <= LARGEST_ROUND
        if not new or (not is_open and len(new) <= MANY):
            self._note(chat_id, new)
            return None
        self._new.pop(chat_id, None)
        if not is_open:
            key, since, count = f"runs:{new[0]['_id']}", now, 0
        self._open[chat_id] = key, since, count + min(len(new), LARGEST_ROUND)
        return key

    def wait(self, chat_id: int, row: Document) -> float:
        """Return how long a run that no card shows waits for others of its moment."""
        keys, first, last = self._new.get(chat_id, (frozenset(), 0.0, 0.0))
        if row["key"] not in keys:
            return 0.0
        return min(last + _SETTLES_IN_S, first + _SETTLES_WITHIN_S) - self._clock.monotonic()

    def _note(self, chat_id: int, new: Sequence[Document]) -> None:
        """Remember since when runs wait to be shown, and when the last of them came."""
        now, keys = self._clock.monotonic(), frozenset(str(row["key"]) for row in new)
        before, first, last = self._new.get(chat_id, (frozenset(), now, now))
        if not keys:
            self._new.pop(chat_id, None)
        elif not before & keys:
            self._new[chat_id] = keys, now, now
        else:
            self._new[chat_id] = keys, first, last if keys <= before else now


def is_edit(row: Document) -> bool:
    """Whether a row changes its card where it is, if there is one."""
    return bool(row["delivery"] == Delivery.EDIT.value)


def is_amendment(row: Document) -> bool:
    """Whether a row only puts a card right that the chat shows."""
    return bool(row["delivery"] == Delivery.AMEND.value)


def is_message(row: Document) -> bool:
    """Whether a row is a message of its own, which no later one changes."""
    return bool(row["delivery"] == Delivery.SEND.value)


def is_urgent(row: Document) -> bool:
    """Whether a row goes out before all that is not urgent."""
    return str(row["seq"]).startswith(URGENT)


def is_run(row: Document) -> bool:
    """Whether a row brings the card of a run up to date; a guard that fires has a card of it."""
    is_card = is_edit(row) and row["kind"] == RunCard.kind
    return is_card and not str(row["key"]).startswith(_FIRED)


def weight(row: Document) -> int:
    """Return for how many a row counts: a card of forty runs is made by reading forty runs."""
    return 1 + len(row["data"].get("run_ids", ())) // _A_WEIGHT


def needless(rows: Sequence[Document]) -> dict[str, str]:
    """Return the rows that need not be delivered, by id, each with the id of what shows the same.

    A card shows the present, so its newest edit is enough, and none is needed where it is about to
    be sent anew. What only puts a card right is needless beside either, before or behind it.
    """
    cards = (Delivery.EDIT.value, Delivery.REPLACE.value)
    newest = {row["key"]: row["_id"] for row in rows if row["delivery"] in cards}
    amended = {row["key"]: row["_id"] for row in rows if is_amendment(row)} | newest
    found = {}
    for row in rows:
        by = (amended if is_amendment(row) else newest).get(row["key"])
        if by != row["_id"] and (is_edit(row) or is_amendment(row)):
            found[str(row["_id"])] = str(by)
    return found


def settles_in(row: Document, now: datetime) -> float:
    """Return the seconds until a row that only puts a card right goes out; 0 for any other."""
    age = (now - row["created_at"]).total_seconds()
    return _AMENDED_AFTER_S - age if is_amendment(row) and 0 <= age < _AMENDED_AFTER_S else 0.0


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
    return found if len(found) > MANY else [rows[0]]


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
