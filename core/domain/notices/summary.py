"""The notice of the day's end: what it brought, what is open, what tomorrow needs (row E2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, TypeAlias

__all__ = ["DaySummary", "SummaryNotice"]


@dataclass(frozen=True, slots=True)
class DaySummary:
    """A trading day is over; posted once a day. What is held is read when it is shown.

    Attributes:
        day: The trading day, ``2026-11-27``.
        broker_ids: The accounts on which something was traded or is held; the tuples below have a
            value for each.
        trades: How many trades.
        booked: Rupees before charges of units that were closed.
        charges: Of the day's trades, estimated.
        unrealised: Rupees of units that are held, at the last price.
        by_orders: The accounts that could not be read: their figures are of Saarthi's orders alone.
        uncharged: The accounts whose charges are not known.
        opens_at: When the next session opens; None when the calendar does not know.
    """

    kind: ClassVar[str] = "day_summary"
    day: str
    broker_ids: tuple[str, ...]
    trades: tuple[int, ...]
    booked: tuple[Decimal, ...]
    charges: tuple[Decimal, ...]
    unrealised: tuple[Decimal, ...]
    by_orders: tuple[str, ...] = ()
    uncharged: tuple[str, ...] = ()
    opens_at: datetime | None = None


SummaryNotice: TypeAlias = DaySummary
