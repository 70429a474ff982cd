"""Notices about single orders; ``client_order_id`` names the order, which is read when shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = [
    "CancelRefused",
    "EntriesDropped",
    "EntryMissed",
    "ExternalOrder",
    "OrderNotice",
    "OrderRejected",
    "OrderResolved",
    "OrderRevived",
    "OrderUnresolved",
    "OrderUpdate",
]


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The broker refused an order, now or after it had accepted it."""

    kind: ClassVar[str] = "order_rejected"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderUnresolved:
    """An order was sent and its fate is unknown. A card, edited when it is resolved."""

    kind: ClassVar[str] = "order_unresolved"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderResolved:
    """The fate of an unresolved order became known."""

    kind: ClassVar[str] = "order_resolved"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderRevived:
    """Critical: an order that counted as finished filled or came back."""

    kind: ClassVar[str] = "order_revived"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """A step of a user's own order, of versions before its close had one card. A card."""

    kind: ClassVar[str] = "order_update"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class ExternalOrder:
    """An order that was not placed by Saarthi was seen at the broker and is kept (B08). A card.

    Attributes:
        broker_id: The account.
        client_order_id: The id under which it is kept.
    """

    kind: ClassVar[str] = "external_order"
    broker_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The broker refused several times to cancel an order that is in the way; posted once (B05)."""

    kind: ClassVar[str] = "cancel_refused"
    client_order_id: str


@dataclass(frozen=True, slots=True)
class EntriesDropped:
    """Entries that waited for a login were dropped after it: their signal is old (row B10).

    Attributes:
        broker_id: The account.
        orders: The client order ids of the entries.
    """

    kind: ClassVar[str] = "entries_dropped"
    broker_id: str
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryMissed:
    """An entry was not sent on one account, while others have entered on its signal (E1)."""

    kind: ClassVar[str] = "entry_missed"
    client_order_id: str


OrderNotice: TypeAlias = (
    OrderRejected
    | OrderUnresolved
    | OrderResolved
    | OrderRevived
    | OrderUpdate
    | ExternalOrder
    | CancelRefused
    | EntriesDropped
    | EntryMissed
)
