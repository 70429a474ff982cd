"""Notices about positions that came to their end besides a strategy's own exit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, TypeAlias

from core.domain.order import Side

__all__ = ["ClosedBy", "PositionClosed", "ResultNotice"]


class ClosedBy(StrEnum):
    """Who closed a position; a strategy's plain exit is not here, its run's card shows it."""

    STOP = "stop"
    """A stop that rested at the broker."""
    GUARD = "guard"
    """An exit that Saarthi sent although the strategy still wants the position."""
    DAY_GUARD = "day_guard"
    """A guard on the day's result."""
    USER = "user"
    AFTER_PAUSE = "after_pause"
    """A strategy's exit that waited while the account was PAUSED."""
    LATE = "late"
    """A strategy's exit that was reported as not through."""


@dataclass(frozen=True, slots=True)
class PositionClosed:
    """A position is flat: what closed it, and its result.

    Attributes:
        strategy: Who held it, ``manual`` for what no strategy held.
        side: Of the closing orders.
        quantity: Units that they closed.
        price: Their average price, rupees.
        result: Rupees before charges; None where it is not known what the units had cost.
        charges: Of opening and closing the units, estimated; None where they are not known.
    """

    kind: ClassVar[str] = "position_closed"
    broker_id: str
    closed_by: ClosedBy
    strategy: str
    instrument: str
    product: str
    side: Side
    quantity: int
    price: Decimal
    result: Decimal | None = None
    charges: Decimal | None = None


ResultNotice: TypeAlias = PositionClosed
