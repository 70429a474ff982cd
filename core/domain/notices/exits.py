"""Notices about exits: one that waits for the open, one that is not through, what is left over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

__all__ = ["ExitNotice", "ExitStuck", "ExitThrough", "ExitWaits", "LedgersLeft"]


@dataclass(frozen=True, slots=True)
class ExitWaits:
    """An exit or a stop is not sent now, because its instrument does not trade; posted once (R3).

    Attributes:
        broker_id: The account.
        order: What will be sent: ``Sell 10 NSE:SBIN MIS``.
        is_stop: Whether it is a stop.
        opens_at: When the instrument trades again; None when that is not known.
    """

    kind: ClassVar[str] = "exit_waits"
    broker_id: str
    order: str
    is_stop: bool = False
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExitStuck:
    """An exit is not through some time after it was wanted; once for each decision. A card (R3).

    Attributes:
        broker_id: The account.
        order: What is still to be closed: ``Sell 10 NSE:SBIN MIS``.
        reason: Why it is not through, as far as it is known.
        strategy: Whose position it is.
    """

    kind: ClassVar[str] = "exit_stuck"
    broker_id: str
    order: str
    reason: str
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class ExitThrough:
    """An exit that was reported as stuck is through: that message goes, its result is told.

    Attributes:
        broker_id: The account.
        position: Instrument and product.
    """

    kind: ClassVar[str] = "exit_through"
    broker_id: str
    position: str


@dataclass(frozen=True, slots=True)
class LedgersLeft:
    """A strategy that this program no longer has, or cannot read, holds overnight positions (D7).

    Attributes:
        broker_id: The account.
        strategy: Name of the strategy.
        positions: What it holds: instrument, product and signed quantity.
        reason: What is wrong with the strategy.
    """

    kind: ClassVar[str] = "ledgers_left"
    broker_id: str
    strategy: str
    positions: tuple[str, ...]
    reason: str = ""


ExitNotice: TypeAlias = ExitWaits | ExitStuck | ExitThrough | LedgersLeft
