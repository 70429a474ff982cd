"""Notices about Saarthi itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

__all__ = [
    "ClockRight",
    "ClockWrong",
    "InstrumentsOld",
    "KeysInDanger",
    "KeysSafe",
    "MemoryDiffered",
    "OwnerRemoved",
    "PollerTrouble",
    "ServiceCrashed",
    "Started",
    "SystemNotice",
    "Text",
    "Undelivered",
]


@dataclass(frozen=True, slots=True)
class PollerTrouble:
    """Reading Telegram fails, or another program reads with the same token (T06).

    Attributes:
        text: The trouble, a sentence.
    """

    kind: ClassVar[str] = "poller_trouble"
    text: str


@dataclass(frozen=True, slots=True)
class InstrumentsOld:
    """A broker's instruments of today cannot be loaded; posted once a day (D10).

    Attributes:
        broker: The broker, as users read it.
        reason: Why, a clause.
        known: Of when those are that exits go on with, '' when there are none.
    """

    kind: ClassVar[str] = "instruments_old"
    broker: str
    reason: str
    known: str


@dataclass(frozen=True, slots=True)
class Started:
    """The controller started and holds the lease.

    Attributes:
        unknown_orders: How many orders were on their way when it stopped.
        watched: The instruments whose stops it watches, as they rest at no broker.
    """

    kind: ClassVar[str] = "started"
    unknown_orders: int = 0
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceCrashed:
    """A service raised, and the supervisor restarts it.

    Attributes:
        service: Its name.
        error: Why, a clause; in rows of versions before, the name of an exception's class.
    """

    kind: ClassVar[str] = "service_crashed"
    service: str
    error: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Notices that could not be delivered to this chat; the newest of them follow (row H5).

    Attributes:
        since: When the oldest was written, market time.
        following: How many messages follow.
        left_out: How many older ones do not.
        refused: The kinds of those that cannot be shown at all.
    """

    kind: ClassVar[str] = "undelivered"
    since: datetime
    following: int
    left_out: int
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockWrong:
    """This computer's clock differs from the brokers' by more than 2 s; said once (K02).

    Attributes:
        offset_s: Seconds by which the brokers' clocks are ahead; negative when they are behind.
    """

    kind: ClassVar[str] = "clock_wrong"
    offset_s: int


@dataclass(frozen=True, slots=True)
class ClockRight:
    """This computer's clock agrees with the brokers' again (K02)."""

    kind: ClassVar[str] = "clock_right"


@dataclass(frozen=True, slots=True)
class KeysInDanger:
    """The key file is not what the next start needs; the keys in memory are used meanwhile (A06).

    Attributes:
        trouble: What is wrong and what to do, sentences.
    """

    kind: ClassVar[str] = "keys_in_danger"
    trouble: str


@dataclass(frozen=True, slots=True)
class KeysSafe:
    """The key file holds what the next start needs again (A06)."""

    kind: ClassVar[str] = "keys_safe"


@dataclass(frozen=True, slots=True)
class MemoryDiffered:
    """What the controller kept of its store was not what the store holds; entries were stopped.

    Attributes:
        collection: Where.
        documents: How many differed.
    """

    kind: ClassVar[str] = "memory_differed"
    collection: str
    documents: int


@dataclass(frozen=True, slots=True)
class OwnerRemoved:
    """A user is served no more; told to those who are (G1).

    Attributes:
        user_id: Who is not served any more.
        name: What Telegram calls them, or empty.
        by: Who removed them.
    """

    kind: ClassVar[str] = "owner_removed"
    user_id: int
    name: str
    by: str


@dataclass(frozen=True, slots=True)
class Text:
    """A plain sentence. Not posted any more: earlier versions stored such notices."""

    kind: ClassVar[str] = "text"
    text: str


SystemNotice: TypeAlias = (
    PollerTrouble
    | InstrumentsOld
    | Started
    | ServiceCrashed
    | Undelivered
    | ClockWrong
    | ClockRight
    | KeysInDanger
    | KeysSafe
    | MemoryDiffered
    | OwnerRemoved
    | Text
)
