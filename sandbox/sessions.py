"""When the simulated exchange trades: dated sessions of the cash market and its holidays.

Stocks with derivatives trade continuously 09:15 to 15:30 until 2026-08-02 and 09:15 to 15:15 from
2026-08-03; indices are computed until 15:30. Weekdays are open except the listed holidays, which
cover 2021 and 2026; in other years only the fixed national holidays are known.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from sandbox.clock import IST

__all__ = [
    "is_trading_day",
    "next_open",
    "previous_trading_day",
    "session",
    "square_off_time",
    "within_session",
]

OPEN = time(9, 15)
CLOSE = time(15, 30)
CLOSE_BEFORE_AUCTION = time(15, 15)
AUCTION_SINCE = date(2026, 8, 3)
_SATURDAY = 5

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
        date(2021, 11, 5),
        date(2021, 11, 19),
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


def is_trading_day(day: date) -> bool:
    """Return whether the exchange opens on a day."""
    if day.weekday() >= _SATURDAY or (day.month, day.day) in _NATIONAL:
        return False
    return day not in _HOLIDAYS


def session(day: date, *, index: bool = False) -> tuple[datetime, datetime]:
    """Return open and close (exclusive) of a trading day, IST aware."""
    close = CLOSE if index or day < AUCTION_SINCE else CLOSE_BEFORE_AUCTION
    return datetime.combine(day, OPEN, IST), datetime.combine(day, close, IST)


def square_off_time(day: date) -> datetime:
    """Return when the broker closes intraday positions: 15:20, since the auctions 15:12."""
    cutoff = time(15, 20) if day < AUCTION_SINCE else time(15, 12)
    return datetime.combine(day, cutoff, IST)


def within_session(moment: datetime, *, index: bool = False) -> bool:
    """Return whether the market trades continuously at a moment."""
    local = moment.astimezone(IST)
    if not is_trading_day(local.date()):
        return False
    opened, closed = session(local.date(), index=index)
    return opened <= local < closed


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
