"""Notices about what protects a position: its stop, its exit, or nothing (rows R6, R7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, TypeAlias

__all__ = [
    "AlarmOver",
    "ExitDenied",
    "ProtectedAgain",
    "ProtectionNotice",
    "StopCancelled",
    "StopChanged",
    "StopHit",
    "StopRestored",
    "Unprotected",
]


@dataclass(frozen=True, slots=True)
class ExitDenied:
    """An exit may not go now; it is tried again until it may. Posted once for each cause.

    Attributes:
        broker_id: The account.
        instrument: What is to be closed.
        reason: Why, a sentence without its full stop.
        has_stop: Whether stops rest at the broker for all that is held.
    """

    kind: ClassVar[str] = "exit_denied"
    broker_id: str
    instrument: str
    reason: str
    has_stop: bool


@dataclass(frozen=True, slots=True)
class StopRestored:
    """An exit came to nothing, and the stop that had made way for it is back at the broker (R6).

    Attributes:
        broker_id: The account.
        instrument: What it protects.
        trigger_price: Its trigger, rupees.
        reason: Why the exit came to nothing.
    """

    kind: ClassVar[str] = "stop_restored"
    broker_id: str
    instrument: str
    trigger_price: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class StopChanged:
    """Somebody changed a stop at the broker: its trigger is kept for the day (R7).

    Attributes:
        broker_id: The account.
        instrument: What it protects.
        quantity: Its units now.
        old_trigger: Its trigger before, rupees.
        new_trigger: Its trigger now, rupees.
    """

    kind: ClassVar[str] = "stop_changed"
    broker_id: str
    instrument: str
    quantity: int
    old_trigger: Decimal
    new_trigger: Decimal


@dataclass(frozen=True, slots=True)
class StopCancelled:
    """A resting stop was cancelled by somebody else; the user is asked about it once (R7).

    Attributes:
        broker_id: The account.
        instrument: What it protected.
        product: In which product.
        trigger_price: Its trigger, rupees.
        reason: The broker's words, '' when a person cancelled it.
    """

    kind: ClassVar[str] = "stop_cancelled"
    broker_id: str
    instrument: str
    product: str
    trigger_price: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class StopHit:
    """A stop is hit and has not closed the position: it is closed at the market now (R7).

    Attributes:
        broker_id: The account.
        strategy: Whose position.
        instrument: What it protected.
        quantity: Signed units that are closed.
        trigger_price: Its trigger, rupees.
        how: What happened, a sentence without its full stop.
    """

    kind: ClassVar[str] = "stop_hit"
    broker_id: str
    strategy: str
    instrument: str
    quantity: int
    trigger_price: Decimal
    how: str


@dataclass(frozen=True, slots=True)
class Unprotected:
    """A position has neither a stop nor an exit at work for some seconds (R6).

    Attributes:
        broker_id: The account.
        strategy: Whose position.
        instrument: What is held.
        product: In which product.
        quantity: Signed units.
        why: Why, a sentence without its full stop.
        can_put_back: Whether a stop that was cancelled can be put back by a button.
    """

    kind: ClassVar[str] = "unprotected"
    broker_id: str
    strategy: str
    instrument: str
    product: str
    quantity: int
    why: str
    can_put_back: bool


@dataclass(frozen=True, slots=True)
class ProtectedAgain:
    """A position that was unprotected is not any more.

    Attributes:
        broker_id: The account.
        strategy: Whose position.
        instrument: What is held.
        quantity: Signed units.
        how: What protects or closes it, a sentence without its full stop.
        since: From when it was unprotected, market time; None in rows of versions before.
        was: Why it was, a sentence without its full stop.
    """

    kind: ClassVar[str] = "protected_again"
    broker_id: str
    strategy: str
    instrument: str
    quantity: int
    how: str
    since: datetime | None = None
    was: str = ""


@dataclass(frozen=True, slots=True)
class AlarmOver:
    """What an alarm was about is over: takes the place of its card, without a sound (R6).

    Attributes:
        broker_id: The account; '' for an alarm of none.
        alarm: The kind of the alarm's notice.
        subject: What it was about; '' for all of it.
        how: How it ended, a clause.
        since: From when it was so, market time; None where that is not told.
    """

    kind: ClassVar[str] = "alarm_over"
    broker_id: str
    alarm: str
    subject: str
    how: str
    since: datetime | None = None


ProtectionNotice: TypeAlias = (
    ExitDenied
    | StopRestored
    | StopChanged
    | StopCancelled
    | StopHit
    | Unprotected
    | ProtectedAgain
    | AlarmOver
)
