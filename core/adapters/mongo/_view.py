"""Reads and writes of the store port against one database, alone or inside a transaction."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from bson import encode
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, PyMongoError

from core.adapters.mongo._errors import is_conflict, is_transient, mapped
from core.adapters.mongo._pipeline import send_together
from core.adapters.mongo.codec import CODEC, change_operators, operators, refuse_naive
from core.errors import DuplicateKey, StaleWrite, StoreError, TransactionConflict, Unmatched
from core.ports.store import Batch, Change, Condition, Document, Tally, parts

__all__ = ["Claim", "ClaimTaken", "DirectView", "TransactionView", "backoff_s"]

T = TypeVar("T")

_READ = 200
"""Documents in one part of an answer: the loop stands still while one is made into objects."""
_BATCH = 200  # documents in a command: the embedded server may take ten milliseconds for each
_ALIKE = 10  # documents that one update changes
_CONFLICT_ATTEMPTS = 40  # about two seconds, within which the other's transaction has ended


def backoff_s(attempt: int) -> float:
    """Return a jittered wait before the next attempt, at most a tenth of a second."""
    ceiling_us = min(4_000 * 2**attempt, 100_000)
    return secrets.randbelow(ceiling_us) / 1_000_000


async def _cancellable(call: Callable[[], Awaitable[T]]) -> T:
    """Await a call of the driver, and raise the cancellation that it swallowed, if it did.

    The driver writes to its socket under ``asyncio.wait_for``, which before Python 3.12 returns as
    if nothing had happened when a cancellation meets the end of the write (cpython 86296). A worker
    that is cancelled once would then go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        result = await call()
    except PyMongoError:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError from None
        raise
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


@dataclass(slots=True)
class MongoView:
    """The operations; how each call is run is decided by ``_run`` of the two kinds below."""

    _database: AsyncDatabase[Document]
    _session: AsyncClientSession | None

    async def _run(self, call: Callable[[], Awaitable[T]], *, again: bool = False) -> T:
        raise NotImplementedError

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        source = self._database[collection]
        return await self._run(lambda: source.find_one({"_id": key}, session=self._session))

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return the matching documents."""

        async def call() -> list[Document]:
            cursor = self._database[collection].find(
                where, session=self._session, limit=limit, batch_size=_READ
            )
            if sort:
                cursor = cursor.sort(list(sort))
            return await cursor.to_list()

        return await self._run(call)

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        """Return what the matching documents add up to under a heading (see the port)."""
        return tally.over(await self.find(collection, where), heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        for document in documents:
            if "_id" not in document:
                raise ValueError(f"A document for {collection} has no _id.")
            refuse_naive(document)
        target = self._database[collection]
        if len(documents) == 1:
            # A copy, because the driver may write into what it is given.
            await self._run(
                lambda: target.insert_one(dict(documents[0]), session=self._session), again=True
            )
        elif documents:
            await self._run(
                lambda: target.insert_many([dict(d) for d in documents], session=self._session)
            )

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        """Change one (or with ``many`` every) matching document; return how many matched."""
        target = self._database[collection]
        write = target.update_many if many else target.update_one
        operators = change_operators(change)
        result = await self._run(
            lambda: write(where, operators, upsert=upsert, session=self._session), again=not many
        )
        return 1 if result.upserted_id is not None else result.matched_count

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        target = self._database[collection]
        result = await self._run(lambda: target.delete_many(where, session=self._session))
        return result.deleted_count


class ClaimTaken(StoreError):
    """The document that a transaction begins with belongs to another."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The document that a transaction begins with: ``{_id: key, **fields, at: <a time>}``.

    A document of that id with other ``fields`` refuses it with ``ClaimTaken``.
    """

    collection: str
    key: str
    fields: Mapping[str, Any]

    def alone(self) -> _Write:
        """Return its write; the time is the server's."""
        update = {
            "q": {"_id": self.key, **self.fields},
            "u": {"$currentDate": {"at": True}},
            "upsert": True,
        }
        return _Write({"update": self.collection, "updates": [update]})

    def before(self, writes: Sequence[_Write], at: datetime | None) -> list[_Write]:
        """Return its write and these, in one command with what they insert into its collection.

        A command costs the embedded server as much as ten documents, and an upsert as two commands.

        Args:
            writes: The others.
            at: When the transaction was asked for; None where nobody says so.
        """
        for place, one in enumerate(writes):
            if one.command.get("insert") == self.collection:
                rows = one.command["documents"]
                mine = {"_id": self.key, **self.fields, "at": at or rows[0]["at"]}
                together = {"insert": self.collection, "documents": [mine, *rows]}
                return [_Write(together), *writes[:place], *writes[place + 1 :]]
        if at is None:
            return [self.alone(), *writes]
        mine = {"_id": self.key, **self.fields, "at": at}
        return [_Write({"insert": self.collection, "documents": [mine]}), *writes]


@dataclass(frozen=True, slots=True)
class _Write:
    """A command that writes.

    Attributes:
        command: With its name as first key.
        expected: How many documents it has to find.
        refusal: What is raised when it finds others; None: as many as it finds are right.
    """

    command: Document
    expected: int = 0
    refusal: StoreError | None = None

    @property
    def changes(self) -> tuple[str, tuple[str, ...]] | None:
        """The collection and the ids that it changes, where it names them."""
        changes = self.command.get("updates", ())
        ids = tuple(key for one in changes for key in _ids_in(one["q"]))
        return (self.command["update"], ids) if ids else None


def _ids_in(where: Mapping[str, Any]) -> Sequence[str]:
    """Return the ids that a filter names, in its operator or not."""
    inside: Mapping[str, Any] = where["$and"][0] if "$and" in where else where
    named = inside.get("_id")
    if isinstance(named, str):
        return (named,)
    return named["$in"] if isinstance(named, Mapping) else ()


def _writes(collection: str, batch: Batch) -> Iterator[_Write]:
    """Return a batch's commands.

    The driver's own bulk writes look at each of them in Python, which took a third of the CPU of a
    commit.
    """
    stale = StaleWrite(collection)
    for keys in parts(batch.removals, _BATCH):
        these = {"_id": {"$in": list(keys)}}
        removal = {"delete": collection, "deletes": [{"q": these, "limit": 0}]}
        yield _Write(removal, len(keys), stale)
    for changes in parts(batch.changes, _BATCH):
        updates = list(_updates(changes))
        yield _Write({"update": collection, "updates": updates}, len(changes), stale)
    for documents in parts(batch.inserts, _BATCH):
        yield _Write({"insert": collection, "documents": list(documents)})


def _updates(changes: Sequence[tuple[str, Change]]) -> Iterator[Document]:
    """Return what carries changes out, ten as one where neighbours are given the same.

    An update costs the embedded server 0.28 ms however many documents it changes: fifty goals of
    one run take it 14 ms one by one, 8 in tens and 9 as one, for it compares each document with
    each id. Only neighbours: where values are unique, the order of changes matters.
    """
    written = [(key, operators(change)) for key, change in changes]
    # By its bytes: decimals that are equal need not be the same, nor need True and 1.
    for _, equal in groupby(written, key=lambda one: encode(one[1], codec_options=CODEC)):
        for same in parts(list(equal), _ALIKE):
            keys, what = [key for key, _ in same], same[0][1]
            if len(keys) == 1:
                yield {"q": {"_id": keys[0]}, "u": what}
            else:
                yield {"q": {"_id": {"$in": keys}}, "u": what, "multi": True}


@dataclass(slots=True)
class DirectView(MongoView):
    """Each operation is on its own, outside of any transaction.

    A single-document write that met another transaction's write is tried again: the server proved
    that it changed nothing. Nothing else is.
    """

    async def _run(self, call: Callable[[], Awaitable[T]], *, again: bool = False) -> T:
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                return await _cancellable(call)
            except PyMongoError as error:
                if not (again and is_conflict(error)) or attempt == _CONFLICT_ATTEMPTS - 1:
                    raise mapped(error) from error
            await asyncio.sleep(backoff_s(attempt))
        raise AssertionError("the last attempt returns or raises")


@dataclass(slots=True)
class TransactionView(MongoView):
    """Each operation belongs to one transaction; the first failure breaks it.

    A server ends a transaction at its first failed operation, so a body that catches an error and
    goes on would write outside of what it thinks it writes in. Hence every later call raises the
    first failure again.

    A session takes one operation at a time, so calls made at once wait for one another. A view that
    is used after its transaction raises, because its session may be in another's by then.

    Attributes:
        claim: The write that the transaction begins with; it is sent with the first operation.
        failure: The first failure, as it was raised to the body.
        is_worth_rerun: Whether that failure was transient.
        is_over: Whether the transaction has left the body's hands.
    """

    claim: Claim | None = None
    failure: StoreError | None = None
    is_worth_rerun: bool = False
    is_over: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def _run(self, call: Callable[[], Awaitable[T]], *, again: bool = False) -> T:
        del again  # the whole transaction runs again instead
        async with self._turn:
            await self._send_claim()
            return await self._call(call)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        if self.is_over:
            raise StoreError("A view was used after its transaction.")
        if self.failure is not None:
            raise self.failure
        try:
            return await _cancellable(call)
        except PyMongoError as error:
            self.failure = mapped(error)
            self.is_worth_rerun = is_transient(error)
            raise self.failure from error

    async def apply(self, collection: str, batch: Batch) -> None:
        """Carry out a batch (see the port)."""
        await self._write(list(_writes(collection, batch)))

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        """Carry out a condition's change and batches in one go (see the port)."""
        change = operators(condition.change)
        where = dict(condition.where)
        # In an operator the embedded server looks through the collection at once, which has a
        # document or two. By several fields it first asks each way in which an index could serve,
        # and takes twice as long.
        update = {"q": {"$and": [where]} if len(where) > 1 else where, "u": change}
        first = _Write(
            {"update": condition.collection, "updates": [update]},
            1,
            Unmatched(condition.collection),
        )
        rest = (one for collection, batch in batches for one in _writes(collection, batch))
        await self._write([first, *rest], condition.at)

    async def claimed(self) -> None:
        """Send what the transaction begins with, if no operation has."""
        async with self._turn:
            await self._send_claim()

    async def _send_claim(self) -> None:
        if self.claim is not None and not self.is_over:
            await self._together([])

    async def _write(self, writes: Sequence[_Write], at: datetime | None = None) -> None:
        if writes:
            async with self._turn:
                await self._together(writes, at)

    async def _together(self, writes: Sequence[_Write], at: datetime | None = None) -> None:
        """Send writes in one go, after the claim if that was not sent yet."""
        claim, self.claim = self.claim, None
        every = claim.before(writes, at) if claim is not None else writes
        answers: list[Document] = []

        def call() -> Awaitable[None]:
            if self._session is None:
                raise StoreError("A view of a transaction has a session.")
            commands = [one.command for one in every]
            return send_together(self._database, self._session, commands, answers)

        try:
            await self._call(call)
        except DuplicateKey as error:
            refused = every[len(answers)]
            if claim is not None and not answers and _place_of(error) == 0:
                self.failure = ClaimTaken("The nonce is there with another mark.")
                raise self.failure from error
            error.collection = str(next(iter(refused.command.values())))
            raise
        except TransactionConflict as error:
            cause = error.__cause__
            if isinstance(cause, PyMongoError) and is_conflict(cause):
                error.met = every[len(answers)].changes
            raise
        for one, answer in zip(every, answers, strict=True):
            if one.refusal is not None and answer["n"] != one.expected:
                raise one.refusal


def _place_of(error: DuplicateKey) -> int:
    """Return which of a command's documents was refused."""
    cause = error.__cause__
    refused = cause.details.get("writeErrors") if isinstance(cause, BulkWriteError) else None
    return int(refused[0]["index"]) if refused else 0
