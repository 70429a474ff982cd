"""When an instrument trades: its own session of the day, by its segment and its derivatives (R3).

A share with derivatives stops at 15:15, other shares at 15:30, futures and options at 15:40, and
special days have hours of their own (facts/kite.md 12): what is true of one instrument says nothing
of another. Nothing is sent outside these hours. Where it is not known what an instrument is, or
whether the day trades, the widest hours that are plausible hold, so that doubt keeps no exit back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.sessions import IST, SessionWindow, plausible_kinds, widest
from core.ports.calendar import Calendar
from core.ports.clock import Clock

__all__ = ["MarketHours"]

_LONGEST_BREAK = 15
"""Days; longer than any row of holidays."""
_REMEMBERED_S = 1.0
_LAST_MINUTE = timedelta(minutes=1)
"""The exchange ends the day's orders by its own clock, which may be ahead of this one."""


class MarketHours:
    """Answers for every instrument, from the calendar and the market clock.

    Args:
        calendar: Sessions by day.
        clock: Market time.
        listed: Returns what any broker's master says of an instrument, None where none has it.
    """

    def __init__(
        self,
        calendar: Calendar,
        clock: Clock,
        listed: Callable[[InstrumentId], Instrument | None] = lambda _name: None,
    ) -> None:
        self._calendar = calendar
        self._clock = clock
        self._listed = listed
        self._windows: dict[tuple[date, Segment, bool], SessionWindow | None] = {}
        self._asked_at = clock.monotonic()

    def window(
        self, name: InstrumentId, known: Instrument | None, day: date
    ) -> SessionWindow | None:
        """Return an instrument's session of a day; None when it does not trade on it.

        Args:
            name: The instrument.
            known: Its row of the broker's master, None where that has none.
            day: The day.
        """
        return widest(
            self._window(day, segment, has_derivatives=has_derivatives)
            for segment, has_derivatives in plausible_kinds(name, known)
        )

    def _window(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        # The calendar looks at a file each time it is asked, and each step of an order asks.
        now = self._clock.monotonic()
        if now - self._asked_at >= _REMEMBERED_S:
            self._windows.clear()
            self._asked_at = now
        key = (day, segment, has_derivatives)
        if key not in self._windows:
            self._windows[key] = self._ask(*key)
        return self._windows[key]

    def _ask(self, day: date, segment: Segment, has_derivatives: bool) -> SessionWindow | None:
        try:
            return self._calendar.exit_session(day, segment, has_derivatives=has_derivatives)
        except LookupError:  # before the first hours that the calendar holds
            return None

    def is_open(self, name: InstrumentId, known: Instrument | None) -> bool:
        """Return whether an instrument trades now."""
        now = self._clock.market_now()
        window = self.window(name, known, now.date())
        return window is not None and window.contains(now)

    def trades_now(self, name: InstrumentId) -> bool:
        """Return whether an instrument trades now, for those who know no master of it."""
        return self.is_open(name, self._listed(name))

    def is_ending(self, name: InstrumentId, known: Instrument | None) -> bool:
        """Return whether an instrument's session of today is in its last minute, or over."""
        now = self._clock.market_now()
        window = self.window(name, known, now.date())
        return window is not None and now >= window.close_at - _LAST_MINUTE

    def is_any_open(self) -> bool:
        """Return whether anything trades now that is handled here."""
        return any(self.is_open(InstrumentId(one, "ANY"), None) for one in ("NSE", "NFO"))

    def opens_at(self, name: InstrumentId, known: Instrument | None) -> datetime | None:
        """Return when an instrument trades next, market time; None when that is not known.

        It is now while its session lasts.
        """
        now = self._clock.market_now()
        for days in range(_LONGEST_BREAK):
            window = self.window(name, known, now.date() + timedelta(days=days))
            if window is not None and now < window.close_at:
                return max(now, window.open_at)
        return None

    def latest(
        self, name: InstrumentId, known: Instrument | None, now: datetime
    ) -> SessionWindow | None:
        """Return the newest session of an instrument that has begun; None when that is not known.

        Args:
            name: The instrument.
            known: Its row of the broker's master, None where that has none.
            now: Market time.
        """
        today = now.astimezone(IST).date()
        for days in range(_LONGEST_BREAK):
            window = self.window(name, known, today - timedelta(days=days))
            if window is not None and window.open_at <= now:
                return window
        return None
