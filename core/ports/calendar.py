"""The calendar port: dated data on when exchanges trade and when brokers square off."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Protocol

from core.domain.broker_profile import BrokerProfile
from core.domain.calendar_years import CalendarYear
from core.domain.instrument import Segment
from core.domain.sessions import SessionWindow

__all__ = ["Calendar"]


class Calendar(Protocol):
    """Sessions by date. A date beyond the data is unknown, and unknown denies entries (K04)."""

    def session(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        """Return the day's continuous session, or None on a holiday or weekend.

        Raises:
            LookupError: The calendar's data does not reach this date.
        """
        ...

    def exit_session(
        self, day: date, segment: Segment, *, has_derivatives: bool
    ) -> SessionWindow | None:
        """Return the session in which exits, stops and square-offs are looked after.

        It is ``session`` on every day that is known. On a weekday that is not, it is the regular
        session, marked ``is_assumed``: a position is not left alone because data ended (K04).
        """
        ...

    def square_off(
        self, day: date, broker: BrokerProfile, segment: Segment, *, has_derivatives: bool
    ) -> time:
        """Return by when intraday positions must be flat at this broker: 15:00 for cash."""
        ...

    def next_session(self, after: datetime, segment: Segment) -> SessionWindow:
        """Return the first session that opens after a moment.

        Raises:
            LookupError: The calendar's data ends before one is found.
        """
        ...

    def years(self, segment: Segment) -> Sequence[CalendarYear]:
        """Return the years that are known, oldest first; none for a segment without data."""
        ...
