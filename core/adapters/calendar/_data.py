"""The calendar's committed files, read and typed.

Five CSV files lie beside this module:

* ``years.csv``: per market the years that are known, how sure they are (``published`` or
  ``derived``) and where they come from. A year that is not there is unknown on every date.
* ``holidays.csv``: weekdays without a session.
* ``special_sessions.csv``: days with hours of their own, weekends and holidays among them. Empty
  hours mean that a session is announced or likely, but its hours are not in the data.
* ``session_times.csv``: ordinary hours since a date, per (segment, has_derivatives).
* ``square_off.csv``: when intraday positions must be flat, since a date, per (segment,
  has_derivatives). A broker whose times differ says so in its profile.

In the last two, ``any`` matches everything; of the rows that match, the one with the latest date
counts, and on one date the more particular. A user's own file is added by ``added.py``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from core.domain.broker_profile import CutOff
from core.domain.calendar_years import CalendarYear, Confidence
from core.domain.instrument import Segment

__all__ = [
    "EQUITY",
    "MARKETS",
    "CalendarData",
    "DatedHours",
    "SpecialSession",
    "load",
    "read",
]

_ANY = "any"
EQUITY = "equity"
MARKETS: Mapping[Segment, str] = {
    Segment.CASH: EQUITY,
    Segment.INDEX: EQUITY,
    Segment.DERIVATIVES: EQUITY,
    Segment.COMMODITY: "commodity",
}
"""Whose holidays a segment keeps; those of currency are not in the data."""


@dataclass(frozen=True, slots=True)
class SpecialSession:
    """One day's own hours; all three times are None when they are not known."""

    open: time | None
    close: time | None
    square_off: time | None
    note: str


@dataclass(frozen=True, slots=True)
class DatedHours:
    """Ordinary hours since ``effective``; ``has_derivatives`` None matches both."""

    effective: date
    segment: Segment
    has_derivatives: bool | None
    open: time
    close: time
    note: str


@dataclass(frozen=True, slots=True)
class CalendarData:
    """All files together; years, holidays and special sessions by market and date."""

    years: Mapping[tuple[str, int], CalendarYear]
    holidays: Mapping[tuple[str, date], str]
    special: Mapping[tuple[str, date], SpecialSession]
    hours: tuple[DatedHours, ...]
    cut_offs: tuple[CutOff, ...]


@cache
def load() -> CalendarData:
    """Read the committed files, once a process."""
    return read(files(__package__))


def read(directory: Traversable) -> CalendarData:
    """Read the five files of a directory.

    Raises:
        ValueError: A date, time, confidence or segment in them is malformed.
    """
    return CalendarData(
        years={(row["market"], int(row["year"])): _year(row) for row in _rows(directory, "years")},
        holidays={
            (row["market"], _date(row["date"])): row["name"] for row in _rows(directory, "holidays")
        },
        special={
            (row["market"], _date(row["date"])): SpecialSession(
                _time_or_none(row["open"]),
                _time_or_none(row["close"]),
                _time_or_none(row["square_off"]),
                row["note"],
            )
            for row in _rows(directory, "special_sessions")
        },
        hours=tuple(_hours(row) for row in _rows(directory, "session_times")),
        cut_offs=tuple(_cut_off(row) for row in _rows(directory, "square_off")),
    )


def _rows(directory: Traversable, name: str) -> Iterator[dict[str, str]]:
    text = directory.joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines(), strict=True)


def _year(row: dict[str, str]) -> CalendarYear:
    return CalendarYear(int(row["year"]), Confidence(row["confidence"]), row["source"])


def _hours(row: dict[str, str]) -> DatedHours:
    return DatedHours(
        _date(row["effective"]),
        Segment(row["segment"]),
        _flag(row["has_derivatives"]),
        time.fromisoformat(row["open"]),
        time.fromisoformat(row["close"]),
        row["note"],
    )


def _cut_off(row: dict[str, str]) -> CutOff:
    return CutOff(
        Segment(row["segment"]),
        time.fromisoformat(row["time"]),
        _date(row["effective"]),
        _flag(row["has_derivatives"]),
    )


def _date(text: str) -> date:
    return date.fromisoformat(text)


def _time_or_none(text: str) -> time | None:
    return time.fromisoformat(text) if text else None


def _flag(text: str) -> bool | None:
    return {_ANY: None, "yes": True, "no": False}[text]
