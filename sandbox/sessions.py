"""When the simulated exchange trades: dated sessions of each segment, special days and holidays.

Segments: ``auction`` is a share with derivatives, whose continuous trading ends at 15:15 since the
closing auctions of 2026-08-03; ``cash`` is any other share (to 15:30); ``index`` is computed to
15:30; ``derivatives`` trade to 15:30, since 2026-08-03 to 15:40. All start at 09:15.

Weekdays are open except the listed holidays, which cover 2021 and 2026; in other years only the
fixed national holidays are known. Special sessions (Muhurat, a Saturday, a Sunday with the budget)
have the same hours in every segment. The control port can add sessions and close days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sandbox.clock import IST

__all__ = [
    "AUCTION_SINCE",
    "SEGMENTS",
    "Cutoffs",
    "SessionError",
    "broker_day",
    "change_day",
    "is_before_start_of_day",
    "is_trading_day",
    "next_open",
    "previous_trading_day",
    "restore_days",
    "segment_session",
    "session",
    "special_hours",
    "square_off_time",
    "takes_after_market_orders",
    "within_segment",
    "within_session",
]

OPEN = time(9, 15)
CLOSE = time(15, 30)
CLOSE_BEFORE_AUCTION = time(15, 15)
CLOSE_OF_DERIVATIVES = time(15, 40)
PURGED_AFTER_MIDNIGHT = timedelta(hours=5, minutes=10)
CARRIED_AFTER_MIDNIGHT = timedelta(hours=6)
AFTER_MARKET_FROM = time(15, 45)
AFTER_MARKET_UNTIL = time(9, 0)
AFTER_MARKET_UNTIL_DERIVATIVES = time(9, 10)
AUCTION_SINCE = date(2026, 8, 3)
SEGMENTS = ("auction", "cash", "index", "derivatives")
_SATURDAY = 5
_BEFORE_SPECIAL_CLOSE = timedelta(minutes=15)

_HOLIDAYS = frozenset(
    {
        date(2021, 1, 26),
        date(2021, 3, 11),
        date(2021, 3, 29),
        date(2021, 4, 2),
        date(2021, 4, 14),
        date(2021, 4, 21),
        date(2021, 5, 13),
        date(2021, 7, 21),
        date(2021, 8, 19),
        date(2021, 9, 10),
        date(2021, 10, 15),
        date(2021, 11, 4),
        date(2021, 11, 5),
        date(2021, 11, 19),
        date(2026, 1, 15),
        date(2026, 1, 26),
        date(2026, 3, 3),
        date(2026, 3, 26),
        date(2026, 3, 31),
        date(2026, 4, 3),
        date(2026, 4, 14),
        date(2026, 5, 1),
        date(2026, 5, 28),
        date(2026, 6, 26),
        date(2026, 9, 14),
        date(2026, 10, 2),
        date(2026, 10, 20),
        date(2026, 11, 10),
        date(2026, 11, 24),
        date(2026, 12, 25),
    }
)
_NATIONAL = {(1, 26), (8, 15), (10, 2)}
_WHOLE_DAY = (OPEN, CLOSE)
_SPECIAL: dict[date, tuple[time, time]] = {
    date(2021, 11, 4): (time(18, 15), time(19, 15)),
    date(2022, 10, 24): (time(18, 15), time(19, 15)),
    date(2023, 11, 12): (time(18, 15), time(19, 15)),
    date(2024, 1, 20): _WHOLE_DAY,
    date(2024, 11, 1): (time(18, 0), time(19, 0)),
    date(2025, 2, 1): _WHOLE_DAY,
    date(2025, 10, 21): (time(13, 45), time(14, 45)),
    date(2026, 2, 1): _WHOLE_DAY,
}
"""Muhurat evenings, budgets and drills on a weekend. The hours of Muhurat on 2026-11-08 were not
published when this was written: the day is closed unless the control port opens it."""


@dataclass(frozen=True)
class Cutoffs:
    """When a broker squares off intraday positions in each segment, since a date."""

    since: date
    auction: time
    cash: time
    derivatives: time


_changed: dict[date, tuple[time, time] | None] = {}


class SessionError(ValueError):
    """Hours that no session can have; the message says why."""


def change_day(day: date, opens: time | None, closes: time | None) -> None:
    """Give a day a session of its own in every segment, or close it with None.

    Raises:
        SessionError: Only one of the two times, or they are the wrong way round.
    """
    if opens is None and closes is None:
        _changed[day] = None
        return
    if opens is None or closes is None or opens >= closes:
        raise SessionError("a session needs an opening and a later closing time")
    _changed[day] = (opens, closes)


def restore_days() -> None:
    """Undo every change of a day."""
    _changed.clear()


def broker_day(moment: datetime) -> date:
    """Return the day whose orders and positions a broker shows: it ends at about 05:10."""
    return (moment.astimezone(IST) - PURGED_AFTER_MIDNIGHT).date()


def is_before_start_of_day(moment: datetime) -> bool:
    """Return whether yesterday is purged while what is carried has not been loaded yet."""
    local = moment.astimezone(IST)
    midnight = datetime.combine(local.date(), time.min, IST)
    return midnight + PURGED_AFTER_MIDNIGHT <= local < midnight + CARRIED_AFTER_MIDNIGHT


def special_hours(day: date) -> tuple[time, time] | None:
    """Return opening and closing time of a special session, None on an ordinary or closed day."""
    return _changed[day] if day in _changed else _SPECIAL.get(day)


def is_trading_day(day: date) -> bool:
    """Return whether the exchange opens on a day."""
    if day in _changed or day in _SPECIAL:
        return special_hours(day) is not None
    if day.weekday() >= _SATURDAY or (day.month, day.day) in _NATIONAL:
        return False
    return day not in _HOLIDAYS


def session(day: date, *, index: bool = False) -> tuple[datetime, datetime]:
    """Return open and close (exclusive) of a trading day, IST aware; of shares, or of indices."""
    ordinary = (OPEN, CLOSE if index or day < AUCTION_SINCE else CLOSE_BEFORE_AUCTION)
    opens, closes = special_hours(day) or ordinary
    return datetime.combine(day, opens, IST), datetime.combine(day, closes, IST)


def segment_session(segment: str, day: date) -> tuple[datetime, datetime]:
    """Return open and close (exclusive) of a segment on a trading day, IST aware."""
    opened, closed = session(day, index=segment != "auction")
    if segment == "derivatives" and special_hours(day) is None and day >= AUCTION_SINCE:
        closed = datetime.combine(day, CLOSE_OF_DERIVATIVES, IST)
    return opened, closed


def square_off_time(day: date, cutoffs: Sequence[Cutoffs], segment: str = "auction") -> datetime:
    """Return when a broker closes intraday positions; before the end of a special session."""
    rules = [rule for rule in cutoffs if rule.since <= day]
    cutoff = datetime.combine(day, getattr(rules[-1], segment), IST)
    opened, closed = segment_session(segment, day)
    return cutoff if opened < cutoff < closed else closed - _BEFORE_SPECIAL_CLOSE


def within_segment(segment: str, moment: datetime) -> bool:
    """Return whether a segment trades continuously at a moment."""
    local = moment.astimezone(IST)
    if not is_trading_day(local.date()):
        return False
    opened, closed = segment_session(segment, local.date())
    return opened <= local < closed


def within_session(moment: datetime, *, index: bool = False) -> bool:
    """Return whether shares trade continuously at a moment, or whether indices are computed."""
    return within_segment("index" if index else "auction", moment)


def takes_after_market_orders(segment: str, moment: datetime) -> bool:
    """Return whether Zerodha takes an order for the next session: from 15:45 to the morning."""
    local = moment.astimezone(IST)
    if not is_trading_day(local.date()):
        return True
    if special_hours(local.date()):
        return not within_segment(segment, moment)
    until = AFTER_MARKET_UNTIL_DERIVATIVES if segment == "derivatives" else AFTER_MARKET_UNTIL
    return not until <= local.time() < AFTER_MARKET_FROM


def next_open(moment: datetime) -> datetime:
    """Return the first session start at or after a moment."""
    day = moment.astimezone(IST).date()
    while not (is_trading_day(day) and session(day)[0] >= moment):
        day += timedelta(days=1)
    return session(day)[0]


def previous_trading_day(day: date) -> date:
    """Return the last trading day before a day."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day
