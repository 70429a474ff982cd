"""The store port: documents, flat filters and transactions.

The journal, the accounts and the chat's state all live behind this one port, because what must
hold together (an order row, its audit row, its notice) must be able to share one transaction.

Contract, for every implementation:

* *Durability.* A write or transaction that returned survives ``kill -9`` of the server and of the
  controller (write concern majority, journalled).
* *Isolation.* Transactions are snapshot isolated. A read inside one does **not** protect what was
  read (write skew); whoever relies on a value writes it (reliability.md 2.3).
* *Filters are flat*: ``{"field": value}`` (a field that holds a list matches each value in it),
  ``{"field": {"$in": [...]}}`` or ``$nin``, ranges with ``$gt``, ``$gte``, ``$lt``, ``$lte``, and
  ``$ne``. No ``$and``, ``$or``, ``$expr`` or ``$regex``: the embedded server scans the collection
  for these (facts/store.md 4).
* *Values.* ``str``, ``int``, ``bool``, ``None``, ``Decimal`` (kept exactly), aware ``datetime``
  (UTC, kept to the millisecond), ``bytes``, and lists and dicts of these. Floats only where no
  money is meant.
* *Nothing is retried behind the caller's back*, except a transaction's body (see ``transaction``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    Awaitable,
    Callable,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NoReturn, Protocol, TypeVar

__all__ = [
    "OUTSIDE",
    "Batch",
    "BulkView",
    "Change",
    "Condition",
    "Document",
    "ServedStore",
    "SharedRow",
    "Store",
    "StoreView",
    "Tally",
    "parts",
]

Document = dict[str, Any]
"""What is read is for reading: to change it, take a copy (``SharedRow`` says why)."""
T = TypeVar("T")


class SharedRow(dict[str, Any]):
    """A document that a store keeps and shares with all who read it; none may write into it.

    The same object is the same content, so what was made of it once is kept beside it
    (``core.engine.remembered``).

    Attributes:
        meaning: What was made of it, with who has made it; None at first.
    """

    __slots__ = ("meaning",)

    meaning: tuple[object, Any] | None

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a document that was read is shared: write into a copy of it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = clear = update = setdefault = _refuse


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does to each matched document.

    Attributes:
        set: Fields to set (dotted names reach into sub-documents).
        inc: Numbers to add.
        set_on_insert: Fields set only when an upsert inserts.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    inc: Mapping[str, int] = field(default_factory=dict)
    set_on_insert: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What documents add up to; made once, for a store keeps sums by it.

    Attributes:
        of: Returns what one document adds, by itself: a heading, a place below it, a number.
    """

    of: Callable[[Document], Iterable[tuple[Hashable, Hashable, int]]]

    def over(self, rows: Iterable[Document], heading: Hashable) -> dict[Hashable, int]:
        """Return what documents add up to under a heading, by place; no place with nothing."""
        found: Counter[Hashable] = Counter()
        for row in rows:
            for name, place, number in self.of(row):
                if name == heading:
                    found[place] += number
        return {place: number for place, number in found.items() if number}


OUTSIDE: Final = "outside"
"""Field of the document given to ``ServedStore.hold``: how often others wrote beside the holder."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Writes of one collection, carried out in this order: removals, changes, inserts.

    Attributes:
        removals: Ids of documents that are there.
        changes: What to do to documents that are there, by id.
        inserts: New documents, each with its own ``_id``.
    """

    removals: list[str] = field(default_factory=list)
    changes: list[tuple[str, Change]] = field(default_factory=list)
    inserts: list[Document] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Condition:
    """A change of one document that is there, on which other writes depend.

    Attributes:
        collection: Where the document is; with more than its id in ``where``, one that holds few.
        where: The filter that it matches.
        change: What is done to it.
        at: When the transaction was asked for, where that is known: what remembers that it is
            committed is kept from then on.
    """

    collection: str
    where: Mapping[str, Any]
    change: Change
    at: datetime | None = None


def parts(things: Sequence[T], size: int = 50) -> Iterator[Sequence[T]]:
    """Return parts of what is to be removed, each small enough for one command.

    The embedded server takes ten milliseconds a document, and an answer at most five seconds.
    """
    for first in range(0, len(things), size):
        yield things[first : first + size]


class StoreView(Protocol):
    """Reads and writes, either on their own or inside one transaction.

    Raises:
        DuplicateKey: A unique index refused the write.
        StoreUnavailable: The server cannot be reached or cannot write.
    """

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        ...

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return the matching documents; ``sort`` is (field, 1 or -1); ``limit`` 0 means all."""
        ...

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        """Return what the matching documents add up to under a heading, by place.

        The same as a tally of ``find``; the writer's store answers from a sum that each commit
        moves, where ``where`` is of plain texts. A place that adds up to nothing is left out.
        """
        ...

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        ...

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        """Change one (or with ``many`` every) matching document; return how many matched.

        An upsert that inserted counts as 1.
        """
        ...

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        ...


class BulkView(StoreView, Protocol):
    """A transaction's view that takes many writes at once; every store's transactions have it."""

    async def apply(self, collection: str, batch: Batch) -> None:
        """Carry out a batch.

        Raises:
            StaleWrite: A document that is to be changed or removed is not there.
        """
        ...

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        """Carry out the condition's change and then batches by collection, in one go.

        Raises:
            Unmatched: No document matches the condition.
            StaleWrite: A document that is to be changed or removed is not there.
            DuplicateKey: A unique index refused; its ``collection`` says where.
            TransactionConflict: Somebody else writes one of the documents; ``met`` says of which
                batch, where the server says it.
        """
        ...


class Store(StoreView, Protocol):
    """A store view that can also open transactions."""

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        """Run ``body`` in one transaction and commit it at most once.

        ``body`` may run several times (write conflicts), so it must have no effect outside the view
        it is given. An exception from ``body`` aborts the transaction and is raised unchanged.
        After a write conflict only ``GivenUp`` is; the body runs again otherwise.
        ``nonce`` names this commit: it is inserted (unique) with it, so that after an unknown
        commit result, or when the server forgot that it had committed, the adapter reads it back
        and never applies the body twice. A nonce that was committed by an earlier call raises
        :class:`core.errors.AlreadyDone` without changing anything.

        Raises:
            AlreadyDone: This nonce was committed before this call.
            TransactionConflict: Every attempt met a write conflict.
            StoreUnavailable: The outcome could not be learned or the server is away; after this the
                caller must treat what it wanted to record as *unknown* and send nothing.
        """
        ...

    def changes(self, others: Container[str]) -> int | None:
        """Return a number that is the same as before while nothing was written.

        Writes that are under way count.

        Args:
            others: Collections whose writes do not count.

        Returns:
            None while it is not known what was written.
        """
        ...


class ServedStore(Store, Protocol):
    """A store as a controller holds it: with its server, and the sessions its lease records."""

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Ids of the sessions that every transaction of this store runs on; they never change."""
        ...

    async def kill_sessions(self, ids: Sequence[str]) -> None:
        """End sessions of a controller that is gone, and roll back what they hold open."""
        ...

    def wake(self) -> None:
        """Have the server ready for a commit that comes in a moment; returns at once.

        It changes nothing, and nobody hears what comes of it.
        """
        ...

    async def ping(self) -> None:
        """Return when the server answers.

        Raises:
            StoreUnavailable: It does not.
        """
        ...

    async def hold(self, collection: str, where: Mapping[str, Any]) -> None:
        """Be the only one who writes from now on: the caller has just taken the lease.

        Every commit from here on matches and writes the document that ``where`` names, and fails
        once it is another's. A process that writes beside the holder raises that document's
        ``outside`` in, or after, its write, so that the holder reads its state anew.

        Raises:
            LeaseLost: There is no such document.
        """
        ...

    async def release(self) -> None:
        """End ``hold``, when all that is under way is committed."""
        ...

    async def differences(self, collection: str | None = None, *, most: int = 0) -> list[str]:
        """Compare what the holder keeps with what the store has; there is no difference, ever.

        What differed is read anew.

        Args:
            collection: Compare this one; None compares all.
            most: Compare about so many of its documents, those that follow the ones that were
                compared by the call before; 0 compares all.

        Returns:
            A line for each document that differs, with the names of its fields.
        """
        ...

    def contended(self, collection: str) -> frozenset[str]:
        """Return the ids of documents that somebody else kept locked lately, as far as is known.

        Whoever writes such a document with many others makes all of them wait.
        """
        ...

    def server_kind(self) -> str:
        """Return what is behind the store: ``embedded`` or ``mongod``."""
        ...
