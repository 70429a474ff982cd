"""Exchange sessions and the slots of a schedule. Pure: dates and times in, dates and times out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.domain.instrument import Instrument, InstrumentId, Segment

__all__ = [
    "IST",
    "Kind",
    "Schedule",
    "SessionWindow",
    "plausible_kinds",
    "slots_of",
    "trading_day",
    "widest",
]

IST = ZoneInfo("Asia/Kolkata")

Kind = tuple[Segment, bool]
"""What decides an instrument's hours and cut-off: its segment, and whether it has derivatives."""

_CASH: tuple[Kind, ...] = ((Segment.CASH, True), (Segment.CASH, False))
_KINDS: dict[str, tuple[Kind, ...]] = {
    "NSE": _CASH,
    "BSE": _CASH,
    "NFO": ((Segment.DERIVATIVES, False),),
    "BFO": ((Segment.DERIVATIVES, False),),
    "CDS": ((Segment.CURRENCY, False),),
    "BCD": ((Segment.CURRENCY, False),),
    "MCX": ((Segment.COMMODITY, False),),
    "NCO": ((Segment.COMMODITY, False),),
}


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """Continuous trading of one segment on one day, aware IST datetimes.

    Attributes:
        is_assumed: The calendar does not know the day: these are the regular hours, good for
            exits alone.
    """

    day: date
    open_at: datetime
    close_at: datetime
    note: str = ""
    is_assumed: bool = False

    def contains(self, moment: datetime) -> bool:
        """Return whether the market trades continuously at ``moment``."""
        return self.open_at <= moment < self.close_at


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a strategy runs: every ``every_minutes`` from ``first`` to ``last``, IST.

    Attributes:
        first: First slot of the day.
        last: No slot after this time (the square-off slot comes besides).
        square_off: When the strategy wants to be flat; the calendar's cut-off may be earlier.
            None for a strategy that holds overnight.
        entry_grace_s: Market seconds after which a late slot enters nothing any more.
        entry_until: The last slot that may enter; None where the strategy names none. The strategy
            keeps to it by itself: this is for what users are told.
    """

    first: time
    last: time
    every_minutes: int
    square_off: time | None = time(15, 0)
    entry_grace_s: int = 60
    entry_until: time | None = None


def plausible_kinds(name: InstrumentId, known: Instrument | None) -> tuple[Kind, ...]:
    """Return what an instrument may be: its kind by the master, else all that its exchange trades.

    A master may be missing, and a contract leaves it at its end; what is held of it still has to be
    closed, so doubt must not close its hours early.
    """
    if known is not None:
        return ((known.segment, known.has_derivatives),)
    return _KINDS.get(name.exchange, (*_CASH, (Segment.DERIVATIVES, False)))


def widest(windows: Iterable[SessionWindow | None]) -> SessionWindow | None:
    """Return one window from the earliest open to the latest close; None when none is open."""
    found = [window for window in windows if window is not None]
    if not found:
        return None
    last = max(found, key=lambda window: window.close_at)
    return replace(last, open_at=min(window.open_at for window in found))


def slots_of(schedule: Schedule, window: SessionWindow) -> tuple[datetime, ...]:
    """Return the slots of one day inside the session, oldest first, square-off not included."""
    slot = datetime.combine(window.day, schedule.first, IST)
    last = datetime.combine(window.day, schedule.last, IST)
    step = timedelta(minutes=schedule.every_minutes)
    found = []
    while slot <= last:
        if window.contains(slot):
            found.append(slot)
        slot += step
    return tuple(found)


def trading_day(moment: datetime) -> str:
    """Return the IST date of a market moment as ``YYYY-MM-DD``."""
    return moment.astimezone(IST).date().isoformat()
