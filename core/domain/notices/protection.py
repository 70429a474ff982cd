"""Notices about what protects a position: its stop, its exit, or nothing (rows R6, R7)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, TypeAlias

__all__ = ["ExitDenied", "ProtectionNotice", "StopRestored"]


@dataclass(frozen=True, slots=True)
class ExitDenied:
    """An exit may not go now; it is tried again until it may. Posted once for each cause.

    Attributes:
        broker_id: The account.
        instrument: What is to be closed.
        reason: Why, a sentence without its full stop.
        has_stop: Whether its stop still rests at the broker.
    """

    kind: ClassVar[str] = "exit_denied"
    broker_id: str
    instrument: str
    reason: str
    has_stop: bool


@dataclass(frozen=True, slots=True)
class StopRestored:
    """An exit came to nothing, so the stop that had made way for it is put back (R6).

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


ProtectionNotice: TypeAlias = ExitDenied | StopRestored
