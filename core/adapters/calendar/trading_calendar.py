"""Sessions and square-off times by date, from the committed files and what the user added.

A date outside the data, or one whose hours are not in it, raises ``LookupError``: unknown denies
entries (K04). Only ``exit_session`` goes on there, because a position must not be left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

from core.adapters.calendar._data import (
    MARKETS,
    CalendarData,
    DatedHours,
    SpecialSession,
    load,
)
from core.adapters.calendar.added import NATIONAL_HOLIDAYS, add, read_file
from core.domain.broker_profile import BrokerProfile, CutOff
from core.domain.calendar_years import CalendarYear
from core.domain.instrument import Segment
from core.domain.sessions import IST, SessionWindow
from core.errors import ConfigurationError

__all__ = ["TradingCalendar"]

_SATURDAY = 5
_ASSUMED = "the calendar does not know this day: regular hours, for exits alone"
_log = logging.getLogger(__name__)

_Stamp = tuple[int, int] | None


class TradingCalendar:
    """The calendar port over dated data (core.ports.calendar.Calendar).

    With ``added`` it follows that file: days that ``saarthi calendar import`` puts there count at
    once, without a restart.
    """

    def __init__(self, data: CalendarData | None = None, *, added: Path | None = None) -> None:
        """Read the package's own files unless ``data`` is given, and the user's file.

        Raises:
            ConfigurationError: The user's file has mistakes.
        """
        self._own = load() if data is None else data
        self._added = added
        self._stamp = _stamp(added)
        self._merged = self._merge()

    def session(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        """Return the day's continuous session, or None on a holiday or weekend.

        On a day with two parts the first alone is returned.

        Raises:
            LookupError: The data does not reach this date, or does not hold its hours.
        """
        data = self._data()
        market = _market(data, day, segment)
        special = data.special.get((market, day))
        # Before weekends and holidays: Muhurat and other special sessions are held on these.
        if special is not None:
            return _special_window(day, special)
        if day.weekday() >= _SATURDAY or (market, day) in data.holidays:
            return None
        hours = _hours(data, day, segment, has_derivatives=has_derivatives)
        return _window(day, hours.open, hours.close, hours.note)

    def exit_session(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        """Return the session, or on a weekday that is not known the regular one, assumed.

        Days on which the exchanges close every year are believed to be closed in any year.
        """
        try:
            return self.session(day, segment, has_derivatives=has_derivatives)
        except LookupError:
            data = self._data()
        is_closed = (MARKETS.get(segment, ""), day) in data.holidays
        if is_closed or day.weekday() >= _SATURDAY or (day.month, day.day) in NATIONAL_HOLIDAYS:
            return None
        hours = _hours(data, day, segment, has_derivatives=has_derivatives)
        return _window(day, hours.open, hours.close, _ASSUMED, is_assumed=True)

    def square_off(
        self, day: date, broker: BrokerProfile, segment: Segment, *, has_derivatives: bool
    ) -> time:
        """Return by when intraday positions must be flat at this broker: 15:00 for cash.

        Where the day itself is unknown, the latest known rule holds: exits never wait for data.

        Raises:
            LookupError: The date lies before the first rule.
        """
        data = self._data()
        special = data.special.get((MARKETS.get(segment, ""), day))
        if special is not None and special.square_off is not None:
            return special.square_off
        rules = [
            (rule, is_brokers_own)
            for rules, is_brokers_own in ((data.cut_offs, False), (broker.cut_offs, True))
            for rule in rules
            if rule.effective <= day
            and rule.segment is segment
            and rule.has_derivatives in {None, has_derivatives}
        ]
        if not rules:
            raise LookupError(f"The calendar holds no {segment.value} cut-off for {day}.")
        return max(rules, key=_cut_off_rank)[0].at

    def years(self, segment: Segment) -> Sequence[CalendarYear]:
        """Return the years that are known, oldest first; none for a segment without data."""
        market = MARKETS.get(segment)
        found = [year for (name, _), year in self._data().years.items() if name == market]
        return sorted(found, key=lambda year: year.year)

    def next_session(self, after: datetime, segment: Segment) -> SessionWindow:
        """Return the first session that opens after a moment; days of unknown hours are skipped.

        Raises:
            LookupError: The data ends before one is found.
        """
        day = after.astimezone(IST).date()
        while True:
            _market(self._data(), day, segment)
            window = self._known_session(day, segment)
            if window is not None and window.open_at > after:
                return window
            day += timedelta(days=1)

    def _known_session(self, day: date, segment: Segment) -> SessionWindow | None:
        try:
            return self.session(day, segment, has_derivatives=False)
        except LookupError:
            return None

    def _data(self) -> CalendarData:
        """Return the data, read anew when the user's file is another than the last time.

        A file that became unusable is logged once and changes nothing: what was known stays.
        """
        stamp = _stamp(self._added)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._merged = self._merge()
            except ConfigurationError as error:
                _log.error("the calendar's added days are left as they were: %s", error)
            else:
                _log.info("the calendar's added days were read anew")
        return self._merged

    def _merge(self) -> CalendarData:
        if self._added is None:
            return self._own
        return add(self._own, read_file(self._added, self._own))


def _stamp(path: Path | None) -> _Stamp:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _market(data: CalendarData, day: date, segment: Segment) -> str:
    """Return whose holidays count on a day; raises ``LookupError`` when it is not known."""
    market = MARKETS.get(segment)
    if market is None:
        raise LookupError(f"The calendar holds no {segment.value} holidays.")
    if (market, day.year) not in data.years:
        raise LookupError(f"The calendar's {segment.value} data does not hold {day.year}: {day}.")
    return market


def _hours(data: CalendarData, day: date, segment: Segment, *, has_derivatives: bool) -> DatedHours:
    rows = [
        row
        for row in data.hours
        if row.effective <= day
        and row.segment is segment
        and row.has_derivatives in {None, has_derivatives}
    ]
    if not rows:
        raise LookupError(f"The calendar holds no {segment.value} hours for {day}.")
    return max(rows, key=_hours_rank)


def _hours_rank(row: DatedHours) -> tuple[date, bool]:
    return row.effective, row.has_derivatives is not None


def _cut_off_rank(rule: tuple[CutOff, bool]) -> tuple[date, bool, bool]:
    cut_off, is_brokers_own = rule
    return cut_off.effective, is_brokers_own, cut_off.has_derivatives is not None


def _special_window(day: date, special: SpecialSession) -> SessionWindow:
    opens = _known(day, special.open, special.note)
    closes = _known(day, special.close, special.note)
    return _window(day, opens, closes, special.note)


def _known(day: date, at: time | None, note: str) -> time:
    if at is None:
        raise LookupError(f"{day}: {note}.")
    return at


def _window(
    day: date, opens: time, closes: time, note: str, *, is_assumed: bool = False
) -> SessionWindow:
    opens_at, closes_at = (datetime.combine(day, at, IST) for at in (opens, closes))
    return SessionWindow(day, opens_at, closes_at, note, is_assumed)
