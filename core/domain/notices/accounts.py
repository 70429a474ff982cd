"""Notices about an account and what is held there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

__all__ = [
    "AccountNotice",
    "AccountParked",
    "AccountReadable",
    "AccountUnreadable",
    "AddressRight",
    "AddressWrong",
    "Anomaly",
    "OrdersLeftResting",
    "PositionShrunk",
    "RowsUnread",
    "SoftwareStop",
    "SquareOffAlarm",
]


@dataclass(frozen=True, slots=True)
class AccountParked:
    """Nothing is sent for an account until the user acts at the broker (N17).

    Versions before the message about ended logins named what is held posted it for these too.

    Attributes:
        broker_id: The account.
        reason: Why, a sentence without its capital and full stop.
        waiting_exits: The client order ids of exits that were not sent.
    """

    kind: ClassVar[str] = "account_parked"
    broker_id: str
    reason: str
    waiting_exits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountUnreadable:
    """Orders or positions of an account cannot be read for a while; posted once, a card.

    Attributes:
        broker_id: The account.
        reason: What the last read said.
        since: When the first of these reads failed, market time.
    """

    kind: ClassVar[str] = "account_unreadable"
    broker_id: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class AccountReadable:
    """An account that could not be read can be read again.

    Attributes:
        broker_id: The account.
        seconds: How long it could not be read; 0 when that is not known.
    """

    kind: ClassVar[str] = "account_readable"
    broker_id: str
    seconds: int


@dataclass(frozen=True, slots=True)
class AddressWrong:
    """An account's requests do not leave from an address that its broker knows (A12).

    Attributes:
        broker_id: The account.
        trouble: What was found, a sentence without its full stop.
        seen: The address that the broker sees; '' when nothing can leave at all.
    """

    kind: ClassVar[str] = "address_wrong"
    broker_id: str
    trouble: str
    seen: str


@dataclass(frozen=True, slots=True)
class AddressRight:
    """An account that was stopped for its address enters again.

    Attributes:
        broker_id: The account.
        seen: The address that the broker sees; '' when it leaves by another way, unchecked.
    """

    kind: ClassVar[str] = "address_right"
    broker_id: str
    seen: str


@dataclass(frozen=True, slots=True)
class SquareOffAlarm:
    """Positions of a strategy are still open at the deadline of the square-off (D7).

    Attributes:
        broker_id: The account.
        strategy: Name of the strategy.
        positions: What is open: instrument and signed quantity.
        is_closed: None of them trades now.
    """

    kind: ClassVar[str] = "square_off_alarm"
    broker_id: str
    strategy: str
    positions: tuple[str, ...]
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class SoftwareStop:
    """The broker refused a stop, so that it is watched here and does not rest there (D9).

    Attributes:
        broker_id: The account.
        instrument: What the stop protects.
        reason: The broker's reason.
    """

    kind: ClassVar[str] = "software_stop"
    broker_id: str
    instrument: str
    reason: str


@dataclass(frozen=True, slots=True)
class PositionShrunk:
    """The broker holds less than the strategies' ledgers said; these were shrunk to match.

    Attributes:
        broker_id: The account.
        instrument: What is held.
        product: In which product.
        quantity: What the broker holds.
    """

    kind: ClassVar[str] = "position_shrunk"
    broker_id: str
    instrument: str
    product: str
    quantity: int


@dataclass(frozen=True, slots=True)
class OrdersLeftResting:
    """The user took an account over, and not all of the strategies' orders could be cancelled.

    Attributes:
        broker_id: The account.
        count: How many may still rest at the broker.
        reason: Why.
    """

    kind: ClassVar[str] = "orders_left_resting"
    broker_id: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class RowsUnread:
    """Rows of a broker's answer cannot be read and are left out; once a day for each kind.

    Attributes:
        broker_id: The account.
        what: What the rows are, in the singular: ``order``, ``trade``, ``position``, ``holding``.
        count: How many.
        reasons: What about them cannot be read: ``product 'XYZ'``.
        own: The client order ids of Saarthi's own orders among them.
    """

    kind: ClassVar[str] = "rows_unread"
    broker_id: str
    what: str
    count: int
    reasons: tuple[str, ...]
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An event that the state table does not allow: the account's entries are frozen.

    Attributes:
        broker_id: The account.
        text: The event.
    """

    kind: ClassVar[str] = "anomaly"
    broker_id: str
    text: str


AccountNotice: TypeAlias = (
    AccountParked
    | AccountUnreadable
    | AccountReadable
    | AddressWrong
    | AddressRight
    | SquareOffAlarm
    | SoftwareStop
    | PositionShrunk
    | OrdersLeftResting
    | RowsUnread
    | Anomaly
)
