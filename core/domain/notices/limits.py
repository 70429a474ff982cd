"""Notices about limits, and about what has to pass before live entries (R1, F8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, TypeAlias

__all__ = [
    "DailyLossBlind",
    "DailyLossReached",
    "LimitNotice",
    "RoundTripFailed",
    "RoundTripPassed",
]


@dataclass(frozen=True, slots=True)
class DailyLossReached:
    """The day's result is at or beyond the limit of daily loss: accounts are in EXIT_ONLY (R1).

    Attributes:
        broker_id: The account, '' when the limit is that of all together.
        result: After charges, in rupees.
        limit: In rupees.
        rearm_at: Market time from which a user may set NORMAL.
        stopped: The accounts that were in NORMAL until now.
    """

    kind: ClassVar[str] = "daily_loss_reached"
    broker_id: str
    result: Decimal
    limit: Decimal
    rearm_at: datetime
    stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DailyLossBlind:
    """The day's result of an account is unknown, so its daily loss cannot be judged (R1).

    Attributes:
        why: Why, a sentence without its full stop; '' when it can be judged again.
        result: The last one of today, in rupees, by which it is judged meanwhile; None without one.
    """

    kind: ClassVar[str] = "daily_loss_blind"
    broker_id: str
    why: str
    result: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RoundTripPassed:
    """A round trip of the smallest size has passed: the account may enter from now on (F8).

    Attributes:
        broker_id: The account.
        instrument: What was bought and sold again.
        quantity: Units.
        bought: Average price, rupees.
        sold: Average price, rupees.
    """

    kind: ClassVar[str] = "round_trip_passed"
    broker_id: str
    instrument: str
    quantity: int
    bought: Decimal
    sold: Decimal


@dataclass(frozen=True, slots=True)
class RoundTripFailed:
    """The buy of a round trip came to nothing: nothing is held, the account is not proved (F8).

    Attributes:
        broker_id: The account.
        instrument: What was to be bought.
        reason: Why, a clause.
    """

    kind: ClassVar[str] = "round_trip_failed"
    broker_id: str
    instrument: str
    reason: str


LimitNotice: TypeAlias = DailyLossReached | DailyLossBlind | RoundTripPassed | RoundTripFailed
