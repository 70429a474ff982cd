"""Notices about the exchange calendar (K04)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["CalendarEnds", "CalendarNotice", "DayUnknown", "YearDerived"]


@dataclass(frozen=True, slots=True)
class CalendarEnds:
    """The known days end soon; posted once at each of 30, 7 and 1 days before.

    Attributes:
        until: The last known day, ISO.
        days_left: Days from today to it.
    """

    kind: ClassVar[str] = "calendar_ends"
    until: str
    days_left: int


@dataclass(frozen=True, slots=True)
class YearDerived:
    """A year's holidays are worked out, and the exchange's list should be out; posted once a year.

    Attributes:
        year: The year.
        source: How it was worked out.
    """

    kind: ClassVar[str] = "year_derived"
    year: int
    source: str


@dataclass(frozen=True, slots=True)
class DayUnknown:
    """The calendar does not know today or its hours: strategies enter nothing; posted once a day.

    Attributes:
        day: The day, ISO.
        reason: What is not known.
        exit_hours: From when to when exits go on, '' when nothing is squared off either.
    """

    kind: ClassVar[str] = "day_unknown"
    day: str
    reason: str
    exit_hours: str = ""


CalendarNotice: TypeAlias = CalendarEnds | YearDerived | DayUnknown
