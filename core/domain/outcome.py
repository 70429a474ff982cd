"""What is known after a write to a broker: four outcomes (reliability.md 2.3.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Acked", "Ambiguous", "NotSent", "Refusal", "Refused", "WriteOutcome"]


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


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker's parsed answer proves that nothing was placed, changed or cancelled.

    Attributes:
        message: The broker's words.
        retry_after_s: Seconds to wait, for THROTTLED, when the broker said so.
    """

    kind: Refusal
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte of the request left: no connection, no resource, refused by our own adapter."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Anything else. The request may have taken effect; only the day's orders show it."""

    reason: str


WriteOutcome = Acked | Refused | NotSent | Ambiguous
