"""Sessions and square-off times by date, from the committed files.

A date outside the data, or one whose hours are not in it, raises ``LookupError``: unknown denies
entries (K04). Nothing here guesses from the weekday beyond what the files cover.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from core.adapters.calendar._data import (
    CalendarData,
    Coverage,
    DatedCutOff,
    DatedHours,
    SpecialSession,
    load,
)
from core.domain.account import BrokerType
from core.domain.instrument import Segment
from core.domain.sessions import IST, SessionWindow

__all__ = ["TradingCalendar"]

_SATURDAY = 5


class TradingCalendar:
    """The calendar port over the committed data (core.ports.calendar.Calendar)."""

    def __init__(self, data: CalendarData | None = None) -> None:
        """Read the package's own files unless ``data`` is given."""
        self._data = load() if data is None else data

    def session(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        """Return the day's continuous session, or None on a holiday or weekend.

        On a day with two parts the first alone is returned.

        Raises:
            LookupError: The data does not reach this date, or does not hold its hours.
        """
        market = self._covered(day, segment).market
        special = self._data.special.get((market, day))
        if special is not None:
            return _special_window(day, special)
        if day.weekday() >= _SATURDAY or (market, day) in self._data.holidays:
            return None
        hours = self._hours(day, segment, has_derivatives=has_derivatives)
        return _window(day, hours.open, hours.close, hours.note)

    def square_off(
        self, day: date, broker: BrokerType, segment: Segment, *, has_derivatives: bool
    ) -> time:
        """Return by when intraday positions must be flat at this broker: 15:00 for cash.

        Where the day itself is unknown, the latest known rule stands: exits never wait for data.

        Raises:
            LookupError: The date lies before the first rule.
        """
        coverage = self._data.coverage.get(segment)
        special = self._data.special.get((coverage.market, day)) if coverage else None
        if special is not None and special.square_off is not None:
            return special.square_off
        rows = [
            row
            for row in self._data.cut_offs
            if row.effective <= day
            and row.segment is segment
            and row.broker in {None, broker.value}
            and row.has_derivatives in {None, has_derivatives}
        ]
        if not rows:
            raise LookupError(f"The calendar holds no {segment.value} cut-off for {day}.")
        return max(rows, key=_cut_off_rank).at

    def known_until(self, segment: Segment) -> date | None:
        """Return the last date that the data reaches, or None for a segment without data."""
        coverage = self._data.coverage.get(segment)
        return coverage.last if coverage else None

    def next_session(self, after: datetime, segment: Segment) -> SessionWindow:
        """Return the first session that opens after a moment; days of unknown hours are skipped.

        Raises:
            LookupError: The data ends before one is found.
        """
        day = after.astimezone(IST).date()
        while True:
            self._covered(day, segment)
            window = self._known_session(day, segment)
            if window is not None and window.open_at > after:
                return window
            day += timedelta(days=1)

    def _known_session(self, day: date, segment: Segment) -> SessionWindow | None:
        try:
            return self.session(day, segment, has_derivatives=False)
        except LookupError:
            return None

    def _covered(self, day: date, segment: Segment) -> Coverage:
        coverage = self._data.coverage.get(segment)
        if coverage is None:
            raise LookupError(f"The calendar holds no {segment.value} holidays.")
        if not coverage.first <= day <= coverage.last:
            raise LookupError(
                f"The calendar's {segment.value} data reaches from {coverage.first} to "
                f"{coverage.last}; {day} is unknown."
            )
        return coverage

    def _hours(self, day: date, segment: Segment, *, has_derivatives: bool) -> DatedHours:
        rows = [
            row
            for row in self._data.hours
            if row.effective <= day
            and row.segment is segment
            and row.has_derivatives in {None, has_derivatives}
        ]
        return max(rows, key=_hours_rank)


def _hours_rank(row: DatedHours) -> tuple[date, bool]:
    return row.effective, row.has_derivatives is not None


def _cut_off_rank(row: DatedCutOff) -> tuple[date, bool, bool]:
    return row.effective, row.broker is not None, row.has_derivatives is not None


def _special_window(day: date, special: SpecialSession) -> SessionWindow:
    opens = _known(day, special.open, special.note)
    closes = _known(day, special.close, special.note)
    return _window(day, opens, closes, special.note)


def _known(day: date, at: time | None, note: str) -> time:
    if at is None:
        raise LookupError(f"{day}: {note}.")
    return at


def _window(day: date, opens: time, closes: time, note: str) -> SessionWindow:
    return SessionWindow(
        day, datetime.combine(day, opens, IST), datetime.combine(day, closes, IST), note
    )
