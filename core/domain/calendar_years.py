"""How far the exchange calendar reaches and how sure it is: pure, so that it can be warned about.

A year is *published* when its holidays come from the exchange's own list, and *derived* when they
were worked out before that list existed. What is due to be said is a function of the years and of
today; saying each thing once is the caller's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

__all__ = [
    "CalendarYear",
    "Confidence",
    "DerivedYear",
    "EndsSoon",
    "Reminder",
    "known_until",
    "reminders",
]

_STEPS = (1, 7, 30)
_LIST_IS_OUT = timedelta(days=15)


class Confidence(StrEnum):
    """Where a year's holidays come from."""

    PUBLISHED = "published"
    """The exchange's list, later circulars included as far as they are known."""
    DERIVED = "derived"
    """Worked out from fixed dates and the moon; the exchange's list may differ by days."""


@dataclass(frozen=True, slots=True)
class CalendarYear:
    """One year of one market.

    Attributes:
        source: Which list, or how it was worked out.
        is_added: It was imported into the data directory and did not come with the program.
    """

    year: int
    confidence: Confidence
    source: str
    is_added: bool = False


@dataclass(frozen=True, slots=True)
class EndsSoon:
    """The last known day is near.

    Attributes:
        step: The number of days (30, 7 or 1) whose reminder this is.
    """

    until: date
    days_left: int
    step: int


@dataclass(frozen=True, slots=True)
class DerivedYear:
    """A derived year has begun or is about to, and its list should be out by now."""

    year: CalendarYear


Reminder = EndsSoon | DerivedYear


def known_until(years: Iterable[CalendarYear], today: date) -> date | None:
    """Return the last day of the unbroken run of known years that holds ``today``, else None."""
    known = {one.year for one in years}
    if today.year not in known:
        return None
    last = today.year
    while last + 1 in known:
        last += 1
    return date(last, 12, 31)


def reminders(years: Sequence[CalendarYear], today: date) -> tuple[Reminder, ...]:
    """Return what should have been said by ``today``; each is to be said once.

    Of the three steps towards the end the nearest alone is returned: who comes back after weeks
    wants one message. A derived year is named from mid-December, when the exchange's list is out.
    """
    found: list[Reminder] = []
    until = known_until(years, today)
    if until is not None:
        left = (until - today).days
        step = next((step for step in _STEPS if left <= step), None)
        if step is not None:
            found.append(EndsSoon(until, left, step))
    soon = (today + _LIST_IS_OUT).year
    found.extend(
        DerivedYear(one)
        for one in sorted(years, key=lambda each: each.year)
        if today.year <= one.year <= soon and one.confidence is Confidence.DERIVED
    )
    return tuple(found)
