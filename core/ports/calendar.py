"""The calendar port: dated data on when exchanges trade and when brokers square off."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Protocol

from core.domain.account import BrokerType
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

    def square_off(
        self, day: date, broker: BrokerType, segment: Segment, *, has_derivatives: bool
    ) -> time:
        """Return by when intraday positions must be flat at this broker: 15:00 for cash."""
        ...

    def next_session(self, after: datetime, segment: Segment) -> SessionWindow:
        """Return the first session that opens after a moment.

        Raises:
            LookupError: The calendar's data ends before one is found.
        """
        ...
