"""Moments at which a program that trades by the day may stumble, and how to live at one.

All of them are worked out from today, so that they stay ahead of it. A process and all its children
live at a moment by libfaketime (Debian's ``faketime``), which moves the date and leaves the
monotonic clock alone: deadlines and asyncio go by that. The store's servers are started without it
and stay on the machine's day.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from core.adapters.calendar import TradingCalendar
from core.domain.calendar_years import known_until
from core.domain.instrument import Segment
from core.domain.sessions import IST

__all__ = ["MOMENTS", "Moment", "environment", "library"]

NEW_YORK = ZoneInfo("America/New_York")
_SHIM = Path(__file__).with_name("shim")
_SATURDAY, _SUNDAY = 5, 6
_CALENDAR = TradingCalendar()


@dataclass(frozen=True, slots=True)
class Moment:
    """When and in which zone of the machine; ``at`` gives the moment that follows a given one."""

    name: str
    zone: ZoneInfo
    at: Callable[[datetime], datetime]


def _days_after(now: datetime) -> Iterator[date]:
    for number in range(1, 3 * 366):
        yield now.date() + timedelta(days=number)


def _first(now: datetime, is_one: Callable[[date], bool]) -> date:
    return next(day for day in _days_after(now) if is_one(day))


def _new_years_eve(now: datetime) -> datetime:
    return datetime.combine(date(now.year, 12, 31), time(23, 50), IST)


def _sunday_night(now: datetime) -> datetime:
    return datetime.combine(_first(now, lambda day: day.weekday() == _SUNDAY), time(3, 0), IST)


def _is_holiday(day: date) -> bool:
    window = _CALENDAR.exit_session(day, Segment.CASH, has_derivatives=True)
    return day.weekday() < _SATURDAY and window is None


def _holiday(now: datetime) -> datetime:
    return datetime.combine(_first(now, _is_holiday), time(11, 0), IST)


def _past_the_calendar(now: datetime) -> datetime:
    """The first weekday that the shipped calendar does not know, in the middle of the session."""
    end = known_until(_CALENDAR.years(Segment.CASH), now.date()) or now.date()
    day = _first(now, lambda day: day > end and day.weekday() < _SATURDAY)
    return datetime.combine(day, time(10, 30), IST)


def _spring_forward(now: datetime) -> datetime:
    """Half a minute before the hour that New York leaves out."""

    def skips_an_hour(day: date) -> bool:
        noon, before = (
            datetime.combine(one, time(12), NEW_YORK) for one in (day, day - timedelta(days=1))
        )
        return (noon.utcoffset() or timedelta()) > (before.utcoffset() or timedelta())

    return datetime.combine(_first(now, skips_an_hour), time(1, 59, 30), NEW_YORK)


MOMENTS = (
    Moment("new-years-eve", IST, _new_years_eve),
    Moment("sunday-night", IST, _sunday_night),
    Moment("holiday", IST, _holiday),
    Moment("past-the-calendar", IST, _past_the_calendar),
    Moment("new-york-spring", NEW_YORK, _spring_forward),
)


def library() -> Path | None:
    """Return libfaketime where Debian puts it, None when it is not installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def environment(moment: Moment, faketime: Path) -> dict[str, str]:
    """Return an environment in which it is ``moment`` now.

    The clock is moved by a fixed number of seconds, so that a parent and the children which it
    starts later agree.
    """
    now = datetime.now(UTC)
    ahead = round((moment.at(now.astimezone(moment.zone)) - now).total_seconds())
    return os.environ | {
        "LD_PRELOAD": str(faketime),
        "FAKETIME": f"{ahead:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(_SHIM),
        # Files are of another time there, so what was compiled here or there is of no use to both.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": moment.zone.key,
    }
