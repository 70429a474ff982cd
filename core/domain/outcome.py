"""What is known after a write to a broker: four outcomes (reliability.md 2.3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Acked", "Ambiguous", "Cause", "NotSent", "Refusal", "Refused", "WriteOutcome"]


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker took the request (not: the exchange accepted it).

    Attributes:
        broker_order_id: The broker's id, an opaque string.
    """

    broker_order_id: str


class Refusal(StrEnum):
    """Why a broker provably did not take a request."""

    REJECTED = "rejected"
    AUTH_REQUIRED = "auth_required"
    THROTTLED = "throttled"
    PERMISSION = "permission"
    """The app may not do this, or the source address is not registered. Not a dead login."""


class Cause(StrEnum):
    """Why a broker rejected an order, as far as its words say (row R3)."""

    PRODUCT = "product"
    """The product is blocked in this instrument: intraday, most often."""
    INSTRUMENT = "instrument"
    """The instrument is banned, suspended or expired."""
    MARGIN = "margin"
    HOLDING = "holding"
    """Not enough shares, or they are not released for sale."""
    BAND = "band"
    """The price is beyond the circuit limits."""
    FREEZE = "freeze"
    """More units than the exchange takes in one order."""
    TRIGGER = "trigger"
    """The trigger of a stop is on the wrong side of the price."""
    CLOSED = "closed"
    """The market is closed."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker's parsed answer proves that nothing was placed, changed or cancelled.

    Attributes:
        message: The broker's words.
        retry_after_s: Seconds to wait, for THROTTLED, when the broker said so.
        cause: Why, of a rejected order, where its words say so.
        largest: The largest quantity of one order that the words name.
    """

    kind: Refusal
    message: str
    retry_after_s: float | None = None
    cause: Cause | None = None
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte of the request left: no connection, no resource, refused by our own adapter."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Anything else. The request may have taken effect; only the day's orders show it."""

    reason: str


WriteOutcome = Acked | Refused | NotSent | Ambiguous
