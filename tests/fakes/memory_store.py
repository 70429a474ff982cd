"""The store port in memory: as strict as the servers, without a process.

``tests/contract`` holds it to the same promises as the two servers. It behaves as the embedded one
where they differ: a single write that meets a transaction's write waits for it, one of many
documents is refused. What it leaves out: documents do not expire, and a commit is never unknown
unless a test asks for it.
"""

from __future__ import annotations

import asyncio
import uuid
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
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from core.adapters.mongo._transaction import COMMITS
from core.adapters.mongo.schema import COLLECTIONS, Collection
from core.adapters.single_writer.body import apply_in_turn
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    GivenUp,
    StaleWrite,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
)
from core.ports.store import Batch, BulkView, Change, Condition, Document, Tally
from tests.fakes.memory_documents import (
    changed,
    copied,
    kept,
    matches,
    refuse_broken,
    sort_rows,
    unique_keys,
)

__all__ = ["MemoryDatabase", "MemoryStore"]

T = TypeVar("T")
_Documents = Mapping[str, Document]
_Lock = tuple[str, str, tuple[Any, ...]]  # collection, index, key
_Operation = Callable[["_Attempt"], T]

_ATTEMPTS = 40


class _Conflict(TransactionConflict):
    """A write met another's write; ``holder`` is under way still, None when it has committed."""

    def __init__(self, holder: _Attempt | None) -> None:
        super().__init__("Another write was faster.")
        self.holder = holder


class MemoryDatabase:
    """What several stores share, as several processes share a server.

    A stored document is never written into: a change puts another one in its place. So a snapshot
    is a copy of references, and a document that is another object than in the snapshot has changed.

    Attributes:
        is_away: Set it, and every call raises ``StoreUnavailable``.
        lost_answers: So many commits take effect and raise ``StoreUnavailable``.
        on_commit: Called at each commit with the snapshot that it was worked out on and with what
            it made of it; ``committed`` holds what others have committed meanwhile as well.
    """

    def __init__(self, collections: Sequence[Collection] = COLLECTIONS) -> None:
        self.collections = {one.name: one for one in collections}
        self.committed: dict[str, _Documents] = {name: {} for name in self.collections}
        self.locks: dict[_Lock, _Attempt] = {}
        self.under_way: set[_Attempt] = set()
        self.is_away = False
        self.lost_answers = 0
        self.on_commit: Callable[[Mapping[str, _Documents], Mapping[str, _Documents]], None] | None
        self.on_commit = None

    @contextmanager
    def attempt(self, session: str = "") -> Iterator[_Attempt]:
        """Open a transaction; what it did not commit is undone at the end."""
        self.refuse_if_away()
        opened = _Attempt(self, session, dict(self.committed), dict(self.committed))
        self.under_way.add(opened)
        try:
            yield opened
        finally:
            opened.end()

    def refuse_if_away(self) -> None:
        """Raise when the store is away."""
        if self.is_away:
            raise StoreUnavailable("The store does not answer.")


@dataclass(eq=False, slots=True)
class _Attempt:
    """One transaction: a snapshot, what it wrote over it, and the locks of what it wrote."""

    _database: MemoryDatabase
    session: str
    _base: Mapping[str, _Documents]
    _documents: dict[str, _Documents]
    _written: set[tuple[str, str]] = field(default_factory=set)
    _locks: set[_Lock] = field(default_factory=set)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False
    is_killed: bool = False

    def get(self, collection: str, key: str) -> Document | None:
        found = self._documents[collection].get(key)
        return None if found is None else dict(copied(found))

    def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        wanted = kept(where)
        rows = [row for row in self._named(collection, wanted) if matches(row, wanted)]
        sort_rows(rows, sort)
        return [copied(row) for row in rows[: limit or None]]

    def _named(self, collection: str, wanted: Document) -> Iterable[Document]:
        """Return what a filter's ``_id`` names, and take that out of the filter; else all."""
        documents, name = self._documents[collection], wanted.get("_id")
        if isinstance(name, str):
            named = {name}
        elif isinstance(name, dict) and list(name) == ["$in"]:
            named = {one for one in name["$in"] if isinstance(one, str)}
        else:
            return documents.values()
        del wanted["_id"]
        if len(named) == 1:
            return [documents[one] for one in named if one in documents]
        return [row for key, row in documents.items() if key in named]

    def insert(self, collection: str, document: Document) -> None:
        new = kept(document)
        if new["_id"] in self._documents[collection]:
            self._lock(collection, {("_id_", (new["_id"],))})
            raise _duplicate("_id_")
        self._write(collection, new["_id"], new)

    def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool,
        many: bool,
    ) -> int:
        rows = self.find(collection, where, limit=0 if many else 1)
        for row in rows:
            after = changed(row, change)
            if repr(after) != repr(row):  # setting what stands writes nothing, and meets nobody
                self._write(collection, row["_id"], after)
        if upsert and not rows:
            equal = {name: one for name, one in where.items() if not isinstance(one, Mapping)}
            self.insert(collection, changed(kept(equal), change, inserts=True))
            return 1
        return len(rows)

    def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        rows = self.find(collection, where)
        for row in rows:
            self._write(collection, row["_id"], None)
        return len(rows)

    def _write(self, collection: str, key: str, new: Document | None) -> None:
        old = self._documents[collection].get(key)
        schema = self._database.collections[collection]
        before = set(unique_keys(schema, old)) if old else set()
        after = set(unique_keys(schema, new)) if new else set()
        self._lock(collection, before | after | {("_id_", (key,))})
        committed = self._database.committed[collection]
        if committed.get(key) is not self._base[collection].get(key):
            raise _Conflict(None)
        if new is not None:
            refuse_broken(schema, new)
            self._refuse_duplicate(
                collection, key, {one for one in after - before if one[0] != "_id_"}
            )
        self._written.add((collection, key))
        self._documents[collection] = _with(self._documents[collection], key, new)

    def _lock(self, collection: str, keys: set[tuple[str, tuple[Any, ...]]]) -> None:
        locks = {(collection, name, key) for name, key in keys}
        for lock in locks:
            holder = self._database.locks.get(lock, self)
            if holder is not self:
                raise _Conflict(holder)
        self._locks |= locks
        self._database.locks.update(dict.fromkeys(locks, self))

    def _refuse_duplicate(
        self, collection: str, key: str, new: set[tuple[str, tuple[Any, ...]]]
    ) -> None:
        if not new:
            return
        schema = self._database.collections[collection]
        for row in self._documents[collection].values():
            for name, _ in new.intersection(unique_keys(schema, row)):
                if row["_id"] != key:
                    raise _duplicate(name)
        for row in self._database.committed[collection].values():
            is_own = (collection, row["_id"]) in self._written or row["_id"] == key
            if not is_own and new.intersection(unique_keys(schema, row)):
                raise _Conflict(None)  # committed since the snapshot: the next run sees it

    def commit(self) -> None:
        self._database.refuse_if_away()
        if self.is_killed:
            raise _Conflict(None)
        for collection, key in self._written:
            new = self._documents[collection].get(key)
            committed = self._database.committed
            committed[collection] = _with(committed[collection], key, new)
        if self._database.on_commit is not None:
            self._database.on_commit(self._base, self._documents)
        self.end()
        if self._database.lost_answers and self._written:
            self._database.lost_answers -= 1
            raise StoreUnavailable("It is not known whether the store committed.")

    def end(self) -> None:
        self.is_over = True
        self._database.under_way.discard(self)
        for lock in self._locks:
            self._database.locks.pop(lock, None)
        self._locks.clear()
        self.ended.set()

    def kill(self) -> None:
        self.is_killed = True
        self.end()


def _with(documents: _Documents, key: str, new: Document | None) -> _Documents:
    after = {**documents, key: new or {}}
    if new is None:
        del after[key]
    return after


def _duplicate(name: str) -> DuplicateKey:
    return DuplicateKey(f"A document with this key exists already ({name}).", name)


class _View:
    """The port's operations; how each is run is decided by ``_run`` of the two kinds below."""

    async def _run(self, operation: _Operation[T], *, again: bool = False) -> T:
        raise NotImplementedError

    async def get(self, collection: str, key: str) -> Document | None:
        return await self._run(lambda attempt: attempt.get(collection, key))

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        return await self._run(lambda attempt: attempt.find(collection, where, sort, limit))

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        return tally.over(await self.find(collection, where), heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        for document in documents:
            if "_id" not in document:
                raise ValueError(f"A document for {collection} has no _id.")
            changed({}, Change(set=document))  # refuses what a change would refuse
        for document in documents:
            await self._insert_one(collection, document, again=len(documents) == 1)

    async def _insert_one(self, collection: str, document: Document, *, again: bool) -> None:
        await self._run(lambda attempt: attempt.insert(collection, document), again=again)

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        changed({}, change, inserts=True)
        return await self._run(
            lambda attempt: attempt.update(collection, where, change, upsert=upsert, many=many),
            again=not many,
        )

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        return await self._run(lambda attempt: attempt.delete(collection, where))

    async def apply(self, collection: str, batch: Batch) -> None:
        gone = [await self.delete(collection, {"_id": key}) for key in batch.removals]
        found = [await self.update(collection, {"_id": key}, one) for key, one in batch.changes]
        if 0 in gone or 0 in found:
            raise StaleWrite(collection)
        await self.insert(collection, *batch.inserts)

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        await apply_in_turn(self, condition, batches)


@dataclass(eq=False, slots=True)
class _TransactionView(_View):
    """Each operation belongs to one transaction; the first failure breaks it."""

    _attempt: _Attempt
    failure: StoreError | None = None

    async def _run(self, operation: _Operation[T], *, again: bool = False) -> T:
        del again  # the whole transaction runs again instead
        await asyncio.sleep(0)
        if self._attempt.is_over and not self._attempt.is_killed:
            raise StoreError("A view was used after its transaction.")
        if self.failure is not None:
            raise self.failure
        try:
            self._attempt._database.refuse_if_away()
            if self._attempt.is_killed:
                raise _Conflict(None)
            return operation(self._attempt)
        except StoreError as error:
            self.failure = error
            raise


class MemoryStore(_View):
    """One process' store over a database.

    Args:
        database: Shared with other stores; a new one when none is given.
        sessions: Transactions that can run at once; further ones wait.
        patience_s: Longest wait for another's write, and for a body to end.
    """

    def __init__(
        self,
        database: MemoryDatabase | None = None,
        *,
        sessions: int = 16,
        patience_s: float = 60.0,
    ) -> None:
        self.database = database or MemoryDatabase()
        self.session_ids = tuple(uuid.uuid4().hex for _ in range(sessions))
        self._free: asyncio.LifoQueue[str] = asyncio.LifoQueue()
        for session in self.session_ids:
            self._free.put_nowait(session)
        self._patience_s = patience_s

    async def _run(self, operation: _Operation[T], *, again: bool = False) -> T:
        await asyncio.sleep(0)
        until = asyncio.get_running_loop().time() + self._patience_s
        while True:
            with self.database.attempt() as attempt:
                try:
                    value = operation(attempt)
                except _Conflict as conflict:
                    if not again:
                        raise
                    met = conflict
                else:
                    attempt.commit()
                    return value
            await _wait_for(met, until)

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        until = asyncio.get_running_loop().time() + self._patience_s
        try:
            async with asyncio.timeout_at(until):
                session = await self._free.get()
        except TimeoutError as error:
            raise StoreUnavailable("Every session of the store is busy.") from error
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return await self._once(body, nonce, session, until)
                except _Conflict as conflict:
                    met = conflict
                await _wait_for(met, until)
            raise met
        finally:
            self._free.put_nowait(session)

    async def _once(
        self, body: Callable[[BulkView], Awaitable[T]], nonce: str, session: str, until: float
    ) -> T:
        """Run the body once and commit; a ``_Conflict`` asks for another run."""
        with self.database.attempt(session) as attempt:
            if attempt.get(COMMITS, nonce) is not None:
                raise AlreadyDone("This was done before.")
            attempt.insert(COMMITS, {"_id": nonce})
            view = _TransactionView(attempt)
            try:
                async with asyncio.timeout_at(until) as limit:
                    value = await body(view)
            except Exception as error:
                if isinstance(error, TimeoutError) and limit.expired():
                    raise StoreUnavailable("The transaction did not end in time.") from error
                if isinstance(view.failure, _Conflict) and not isinstance(error, GivenUp):
                    raise view.failure from error
                raise
            if view.failure is not None:
                raise view.failure
            attempt.commit()
            return value

    def wake(self) -> None:
        return

    async def ping(self) -> None:
        self.database.refuse_if_away()

    def changes(self, others: Container[str]) -> int | None:
        del others
        return None

    def contended(self, collection: str) -> frozenset[str]:
        del collection
        return frozenset()

    def server_kind(self) -> str:
        return "memory"

    async def hold(self, collection: str, where: Mapping[str, Any]) -> None:
        del collection, where  # what it holds is the truth itself

    async def release(self) -> None:
        return

    async def differences(self, collection: str | None = None, *, most: int = 0) -> list[str]:
        del collection, most
        return []

    async def kill_sessions(self, ids: Sequence[str]) -> None:
        for attempt in list(self.database.under_way):
            if attempt.session in ids:
                attempt.kill()


async def _wait_for(met: _Conflict, until: float) -> None:
    """Return when the other has ended; raise the conflict when it does not by then."""
    try:
        async with asyncio.timeout_at(until):
            await (met.holder.ended.wait() if met.holder else asyncio.sleep(0))
    except TimeoutError:
        raise met from None
