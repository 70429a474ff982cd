"""Notices about what is held: what was done besides Saarthi, and where witnesses disagree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, TypeAlias

__all__ = [
    "ClosedByHand",
    "ContractEnds",
    "ExitUnproved",
    "IntradayLedgerVoid",
    "LedgersCrossed",
    "OrderUnlisted",
    "PositionConverted",
    "PositionDisputed",
    "PositionNotice",
    "UnownedPosition",
]


@dataclass(frozen=True, slots=True)
class ClosedByHand:
    """Fills that Saarthi did not send have closed units of strategies (R8).

    Attributes:
        broker_id: The account.
        instrument: What was held.
        product: In which product.
        strategies: Whose ledgers were reduced.
        units: How many units.
        price: The average price of the foreign fills; 0 when the broker did not say.
        left: The strategies' signed units after it.
        result: Rupees before charges, by the fills against the ledgers' averages; None when a price
            is not known.
        charges: Of opening and closing the units, estimated; None where they are not known.
    """

    kind: ClassVar[str] = "closed_by_hand"
    broker_id: str
    instrument: str
    product: str
    strategies: tuple[str, ...]
    units: int
    price: Decimal
    left: int
    result: Decimal | None = None
    charges: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PositionDisputed:
    """The broker's positions contradict the day's fills, or do so no more. A card (R8).

    Attributes:
        broker_id: The account.
        instrument: What is held.
        product: In which product.
        by_fills: Signed units by the fills.
        by_positions: Signed units that the broker shows.
        is_over: They agree again.
    """

    kind: ClassVar[str] = "position_disputed"
    broker_id: str
    instrument: str
    product: str
    by_fills: int
    by_positions: int
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class PositionConverted:
    """Units were moved to another product besides Saarthi: they are the user's own now (R8).

    Attributes:
        broker_id: The account.
        instrument: What is held.
        product: The product that they were in.
        into: The product that they are in.
        units: Signed units.
        strategies: Whose ledgers were reduced.
    """

    kind: ClassVar[str] = "position_converted"
    broker_id: str
    instrument: str
    product: str
    into: str
    units: int
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IntradayLedgerVoid:
    """Intraday ledgers of an earlier day were not flat; they ended with their day (R8).

    Attributes:
        broker_id: The account.
        ledgers: Strategy, instrument and units of each, as a text.
    """

    kind: ClassVar[str] = "intraday_ledger_void"
    broker_id: str
    ledgers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnownedPosition:
    """An exit or stop of ours filled beside a sale by hand: a position that nobody meant (R8).

    Attributes:
        broker_id: The account.
        instrument: What is held.
        product: In which product.
        units: Signed units outside Saarthi.
    """

    kind: ClassVar[str] = "unowned_position"
    broker_id: str
    instrument: str
    product: str
    units: int


@dataclass(frozen=True, slots=True)
class ExitUnproved:
    """An order of unknown fate that only a user can settle; posted once (R4).

    It is an exit, and the broker's answers may show the past; or the broker shows an order without
    our tag that could be this one.

    Attributes:
        broker_id: The account.
        client_order_id: The order.
    """

    kind: ClassVar[str] = "exit_unproved"
    broker_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderUnlisted:
    """The broker took an order and does not list it; posted once (R8).

    Attributes:
        broker_id: The account.
        client_order_id: The order.
    """

    kind: ClassVar[str] = "order_unlisted"
    broker_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class LedgersCrossed:
    """Opposite strategies closed against one another, without an order at the broker (D3).

    Attributes:
        broker_id: The account.
        instrument: What they held.
        product: In which product.
        units: How many units of each side.
        price: At which both were settled.
        strategies: Which.
    """

    kind: ClassVar[str] = "ledgers_crossed"
    broker_id: str
    instrument: str
    product: str
    units: int
    price: Decimal
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContractEnds:
    """A derivative that a strategy carries trades for the last time today; once for each ledger.

    Attributes:
        broker_id: The account.
        strategy: Whose position.
        instrument: The contract.
        product: In which product.
        quantity: Signed units.
        closes_at: When its trading ends, market time.
    """

    kind: ClassVar[str] = "contract_ends"
    broker_id: str
    strategy: str
    instrument: str
    product: str
    quantity: int
    closes_at: datetime


PositionNotice: TypeAlias = (
    ClosedByHand
    | PositionDisputed
    | PositionConverted
    | IntradayLedgerVoid
    | UnownedPosition
    | ExitUnproved
    | OrderUnlisted
    | LedgersCrossed
    | ContractEnds
)
