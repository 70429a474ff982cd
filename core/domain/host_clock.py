"""How wrong this computer's clock is, by the ``Date`` of the brokers' answers (case K02). Pure.

An offset is how far a broker's clock was ahead of ours at one answer. ``Date`` has whole seconds,
and an answer takes its time, so one offset is right to about a second: three in a row must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

__all__ = [
    "DENIED_FROM",
    "READINGS",
    "WRONG_FROM",
    "Offsets",
    "certain_offset",
    "is_right",
    "offset_at",
    "words",
]

WRONG_FROM = timedelta(seconds=2)
DENIED_FROM = timedelta(seconds=30)
READINGS = 3
_SLOWEST = timedelta(seconds=1)
_HALF_SECOND = timedelta(seconds=0.5)
_NONE = timedelta(0)
_MINUTES_FROM, _HOURS_FROM = timedelta(minutes=3), timedelta(hours=3)

Offsets = Mapping[str, Sequence[timedelta]]


def offset_at(date: datetime, sent_at: datetime, answered_at: datetime) -> timedelta | None:
    """Return the offset that one answer shows; None when it took too long to show one.

    Args:
        date: The answer's ``Date``.
        sent_at: Our market time when the request left.
        answered_at: Our market time when the head of the answer was there.
    """
    # Measured on both sides of the broker's stamp, so a slow machine only widens the span, and a
    # wide one is not used.
    took = answered_at - sent_at
    if not _NONE <= took <= _SLOWEST:
        return None
    return date + _HALF_SECOND - (sent_at + took / 2)


def certain_offset(offsets: Offsets) -> timedelta:
    """Return the largest offset that three readings in a row of one broker agree on."""
    found = _NONE
    for readings in offsets.values():
        newest = list(readings)[-READINGS:]
        same_side = all(one > _NONE for one in newest) or all(one < _NONE for one in newest)
        if len(newest) == READINGS and same_side:
            least = min(newest, key=abs)
            found = max(found, least, key=abs)
    return found


def is_right(offsets: Offsets) -> bool:
    """Whether every broker's newest readings, three of each, are near ours."""
    enough = any(len(readings) >= READINGS for readings in offsets.values())
    return enough and all(
        abs(one) < WRONG_FROM for readings in offsets.values() for one in list(readings)[-READINGS:]
    )


def words(offset: timedelta) -> str:
    """Return ``40 s slow`` or ``5 min fast``, as it is for this computer's clock."""
    size = abs(offset)
    seconds = int(size.total_seconds())
    amount = f"{seconds} s"
    if size >= _HOURS_FROM:
        amount = f"{seconds // 3600} h"
    elif size >= _MINUTES_FROM:
        amount = f"{seconds // 60} min"
    return f"{amount} {'slow' if offset > _NONE else 'fast'}"
