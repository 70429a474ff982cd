"""The steps that bring a ledger to its goal; ``core.domain.converge`` says which is next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.order import Order, OrderState, Side

__all__ = [
    "Cancel",
    "GiveUpStop",
    "PlaceExit",
    "PlaceStop",
    "ResizeStop",
    "Step",
    "StopGone",
    "StopPassed",
    "Wait",
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; ``until`` is when to look again, None for the next event."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel this order and wait for its final state.

    Attributes:
        behind: The exit that a stop makes way for: the stop stays while that exit may not go (R6).
        going: The orders that are cancelled before that exit goes, by client order id.
    """

    order: Order
    reason: str
    behind: PlaceExit | None = None
    going: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaceExit:
    """Send an exit of ``quantity`` units."""

    side: Side
    quantity: int
    attempt: int


@dataclass(frozen=True, slots=True)
class PlaceStop:
    """Rest a stop of ``quantity`` units at the broker.

    ``is_restored``: it takes the place of one that was cancelled for an exit that came to nothing.
    """

    side: Side
    quantity: int
    trigger_price: Decimal
    attempt: int
    is_restored: bool = False


@dataclass(frozen=True, slots=True)
class GiveUpStop:
    """The broker refused the newest stop: it does not rest, and the user is notified (D9)."""

    order: Order


@dataclass(frozen=True, slots=True)
class ResizeStop:
    """Change a resting stop to cover ``quantity`` units besides what has filled, at this trigger.

    Only ever to fewer units or another trigger: a stop that has to cover more is cancelled and
    placed anew, through the gate like every order.
    """

    order: Order
    quantity: int
    trigger_price: Decimal


@dataclass(frozen=True, slots=True)
class StopGone:
    """Somebody else cancelled the stop: it is not placed again, and a user is asked (R7).

    ``by_person``: a person at the broker did, and not the broker itself.
    """

    order: Order
    by_person: bool


@dataclass(frozen=True, slots=True)
class StopPassed:
    """The price is through the stop, which has not closed the position: close it now (R7).

    ``how``: what happened, a sentence without its full stop.
    """

    order: Order
    how: str


Step = Wait | Cancel | PlaceExit | PlaceStop | ResizeStop | GiveUpStop | StopGone | StopPassed


def cancelled(order: Order, reason: str) -> Step:
    """Cancel an order once; while its cancel is on the way, wait."""
    return Wait() if order.state is OrderState.PENDING_CANCEL else Cancel(order, reason)
