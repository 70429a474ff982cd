"""What one transaction's body sees: the commits before it, and over them its own writes.

"Before it" includes what is committed at this moment or is about to be: such commits go out in
their order, and when one fails, whatever was worked out upon it runs again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from core.adapters.mongo.codec import change_operators
from core.adapters.single_writer.documents import (
    changed,
    differ,
    handed,
    kept,
    matches,
    shared,
    sort_rows,
    unique_keys,
)
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.shelf import Layer, Shelf
from core.errors import DuplicateKey, StaleWrite, StoreError, TransactionConflict, Unmatched
from core.ports.store import Batch, BulkView, Change, Condition, Document, StoreView, Tally

__all__ = ["BodyView", "Layers", "apply_in_turn", "seen", "total_of"]

Layers = Mapping[str, Layer]
_Sum = tuple[Mapping[str, Any], Tally, Hashable]
T = TypeVar("T")
_UNREAD: Any = object()


def seen(shelves: Sequence[Shelf], where: Mapping[str, Any]) -> list[Document]:
    """Return what a filter matches in shelves that lie over one another, the lowest first."""
    found: list[Document] = []
    for depth, shelf in enumerate(shelves):
        docs = shelf.docs
        above = [one.docs for one in shelves[depth + 1 :] if one.docs]
        exact = shelf.exactly(where)
        if exact is not None:
            for key in exact:
                row = docs[key]
                if row is not None and not (above and any(key in one for one in above)):
                    found.append(row)
            continue
        for key in shelf.candidates(where):
            row = docs[key]
            if row is None or (above and any(key in one for one in above)):
                continue
            if matches(row, where):
                found.append(row)
    return found


def total_of(
    shelves: Sequence[Shelf], where: Mapping[str, Any], tally: Tally, heading: Hashable
) -> dict[Hashable, int] | None:
    """Return what a filter's documents add up to in shelves that lie over one another.

    None where the lowest has no such sum.
    """
    lowest, *above = shelves
    found = lowest.sums.under(tally, where, heading)
    if found is None:
        return None
    newest = {key: row for shelf in above for key, row in shelf.docs.items()}
    for key, new in newest.items():
        for row, sign in ((lowest.docs.get(key), -1), (new, 1)):
            if row is None or not matches(row, where):
                continue
            for place, number in tally.over([row], heading).items():
                found[place] = found.get(place, 0) + sign * number
    return {place: number for place, number in found.items() if number}


class BodyView:
    """A ``StoreView`` for one run of a body.

    Args:
        memory: What is committed.
        base: The store below, for what memory does not hold.
        pending: Returns the layers of the commits under way, the first first.
        moves: Returns a number that rises whenever what a body sees has changed.
        changed_at: Returns that number of a collection's last change.

    Attributes:
        layers: What this body wrote.
        failure: The first failure, as it was raised to the body.
        is_over: Whether the transaction has left the body's hands.
    """

    def __init__(
        self,
        memory: Memory,
        base: StoreView,
        pending: Callable[[], Sequence[Layers]],
        moves: Callable[[], int],
        changed_at: Callable[[str], int],
    ) -> None:
        self._memory = memory
        self._base = base
        self._pending = pending
        self._moves = moves
        self._began = moves()
        self._changed_at = changed_at
        self._uncovered: set[str] = set()
        self.layers: dict[str, Layer] = {}
        self.failure: StoreError | None = None
        self.is_over = False
        self._read: dict[tuple[str, str], Document | None] = {}
        self._found: list[tuple[str, Mapping[str, Any], frozenset[int]]] = []
        self._added_up: list[tuple[str, _Sum, dict[Hashable, int]]] = []
        self._from_below: dict[tuple[str, str], Document] = {}
        self._answered: dict[str, dict[tuple[Any, ...], list[Document]]] = {}

    # -- the port --------------------------------------------------------------------------------

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        row = await self._look_up(collection, key)
        return None if row is None else handed(row)

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return the matching documents."""
        if not sort and not limit:
            # Asked before, in the same words: a run asks some of it five times of each account.
            known = self._answered.get(collection, {}).get(_question(where))
            if known is not None:
                self._check()
                return [handed(row) for row in known]
        rows = await self._rows(collection, kept(where), sort, limit)
        return [handed(row) for row in rows]

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        """Return what the matching documents add up to under a heading (see the port)."""
        self._check()
        asked = kept(where)
        if await self._below(self._memory.has_sum(collection, asked, tally)):
            question = (asked, tally, heading)
            before = total_of(self._others(collection), *question)
            found = total_of(self._shelves(collection), *question)
            if before is not None and found is not None:
                self._added_up.append((collection, question, before))
                return found
        return tally.over(await self._rows(collection, asked), heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        self._check()
        for document in documents:
            if "_id" not in document:
                raise ValueError(f"A document for {collection} has no _id.")
        for document in [kept(one) for one in documents]:
            self._add(collection, document)

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
        self._check()
        asked = kept(where)
        rows = await self._rows(collection, asked)
        if not rows:
            change_operators(change)  # refuses what no document takes
        for row in rows if many else rows[:1]:
            after = changed(row, change)
            if not _is_same(row, after):
                self._refuse_duplicate(collection, after, row)
                self._write(collection, row["_id"], after)
        if upsert and not rows:
            equal = {name: one for name, one in asked.items() if not isinstance(one, dict)}
            self._add(collection, changed(equal, change, inserts=True))
            return 1
        return len(rows) if many else min(1, len(rows))

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        rows = await self._rows(collection, kept(where))
        for row in rows:
            self._write(collection, row["_id"], None)
        return len(rows)

    async def apply(self, collection: str, batch: Batch) -> None:
        """Carry out a batch (see the port)."""
        gone = [await self.delete(collection, {"_id": key}) for key in batch.removals]
        found = [await self.update(collection, {"_id": key}, one) for key, one in batch.changes]
        if 0 in gone or 0 in found:
            raise self._failed(StaleWrite(collection))
        await self.insert(collection, *batch.inserts)

    # -- reading ---------------------------------------------------------------------------------

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        """Carry out a condition's change and batches (see the port)."""
        await apply_in_turn(self, condition, batches)

    def _check(self) -> None:
        if self.is_over:
            raise StoreError("A view was used after its transaction.")
        if self.failure is not None:
            raise self.failure

    def _shelves(self, collection: str) -> list[Shelf]:
        """Return what lies over one another, the lowest first."""
        found: list[Shelf] = [self._memory.shelf(collection)]
        found += [layers[collection] for layers in self._pending() if collection in layers]
        if collection in self.layers:
            found.append(self.layers[collection])
        return found

    def _top(self, collection: str, key: str) -> Document | None:
        own = self.layers.get(collection)
        if own is not None and key in own.docs:
            return own.docs[key]
        return self._stands(collection, key)

    def _is_above(self, collection: str, key: str) -> bool:
        own = self.layers.get(collection)
        if own is not None and key in own.docs:
            return True
        return any(collection in one and key in one[collection].docs for one in self._pending())

    async def _look_up(self, collection: str, key: str) -> Document | None:
        self._check()
        own = self.layers.get(collection)
        if own is not None and key in own.docs:
            return own.docs[key]
        read: Document | None = self._read.get((collection, key), _UNREAD)
        if read is not _UNREAD:  # whatever has moved since makes the body run again
            return read
        memory = self._memory
        if self._is_at_hand(collection, key):
            return self._note(collection, key, self._stands(collection, key))
        if not memory.rule(collection).is_foreign:
            await self._below(memory.fetch_keys(collection, [key]))
        if self._is_at_hand(collection, key):
            return self._note(collection, key, self._top(collection, key))
        began = self._moves()
        row: Document | None = await self._below(self._base.get(collection, key))
        if self._moves() != began and self._is_above(collection, key):
            return self._note(collection, key, self._top(collection, key))
        if row is not None:
            self._from_below[collection, key] = row
        return row

    def _is_at_hand(self, collection: str, key: str) -> bool:
        return self._memory.knows(collection, key) or self._is_above(collection, key)

    def _note(self, collection: str, key: str, row: Document | None) -> Document | None:
        own = self.layers.get(collection)
        if own is None or key not in own.docs:
            self._read.setdefault((collection, key), row)
        return row

    async def _rows(
        self,
        collection: str,
        where: Mapping[str, Any],
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return what a filter matches, not copied."""
        self._check()
        memory = self._memory
        one = where.get("_id")
        if type(one) is str and not memory.rule(collection).is_foreign:
            row = await self._look_up(collection, one)
            return [] if row is None or not matches(row, where) else [row]
        question = _question(where)
        known = self._answered.get(collection, {}).get(question)
        if known is not None:  # whatever has moved since makes the body run again
            rows = [*known]
            sort_rows(rows, sort)
            return rows[: limit or None]
        if not memory.answers(collection, where) and not memory.rule(collection).is_foreign:
            await self._below(memory.fetch(collection, where))
        if memory.answers(collection, where):
            rows = seen(self._shelves(collection), where)
            self._remember(collection, where, rows)
            self._answered.setdefault(collection, {})[question] = [*rows]
        else:
            rows = await self._rows_below(collection, where, sort, limit)
        sort_rows(rows, sort)
        return rows[: limit or None]

    async def _below(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except StoreError as error:
            self.failure = error
            raise

    async def _rows_below(
        self,
        collection: str,
        where: Mapping[str, Any],
        sort: Sequence[tuple[str, int]],
        limit: int,
    ) -> list[Document]:
        """Ask the store, and lay over its answer what is not committed yet."""
        self._uncovered.add(collection)
        while True:
            over = sum(len(one.docs) for one in self._shelves(collection)[1:])
            asked, began = limit + over if limit else 0, self._moves()
            below = await self._below(self._base.find(collection, where, sort=sort, limit=asked))
            if self._changed_at(collection) <= began:
                break  # what landed meanwhile may be in the answer or not
        held, *written = self._shelves(collection)
        hidden = {key for one in written for key in one.docs}
        rows = []
        for row in below:
            key = row["_id"]
            if key in hidden:
                continue
            known = held.docs.get(key)
            if known is not None and not matches(known, where):
                continue
            if known is not None:
                self._note(collection, key, known)
            else:
                self._from_below[collection, key] = row
            rows.append(row if known is None else known)
        return rows + seen(written, where)

    def _remember(
        self, collection: str, where: Mapping[str, Any], rows: Iterable[Document]
    ) -> None:
        if collection in self.layers:
            others = seen(self._others(collection), where)
            self._found.append((collection, where, frozenset(map(id, others))))
        else:
            self._found.append((collection, where, frozenset(map(id, rows))))
        for row in rows:
            self._note(collection, row["_id"], row)

    # -- writing ---------------------------------------------------------------------------------

    def _add(self, collection: str, document: Document) -> None:
        if self._top(collection, document["_id"]) is not None:
            raise self._failed(_duplicate("_id_"))
        self._refuse_duplicate(collection, document, None)
        self._write(collection, document["_id"], document)

    def _write(self, collection: str, key: str, new: Document | None) -> None:
        layer = self.layers.get(collection)
        if layer is None:
            layer = self.layers[collection] = self._memory.layer(collection)
        base = self._from_below.get((collection, key))
        base = self._top(collection, key) if base is None else base
        self._answered.pop(collection, None)
        layer.write(key, None if new is None else shared(new), base)

    def _refuse_duplicate(self, collection: str, after: Document, before: Document | None) -> None:
        """Raise when a unique index holds the same key already, as far as memory shows."""
        if collection not in self._memory.with_unique:
            return
        schema = self._memory.collections[collection]
        stands = (
            {} if before is None else {one.name: key for one, key in unique_keys(schema, before)}
        )
        for index, key in unique_keys(schema, after):
            if stands.get(index.name) == key:
                continue
            where = {path: value for (path, _), value in zip(index.keys, key, strict=True)}
            for row in seen(self._shelves(collection), where):
                is_in = index.where is None or matches(row, index.where)
                if row["_id"] != after["_id"] and is_in:
                    raise self._failed(_duplicate(index.name))

    def _failed(self, error: StoreError) -> StoreError:
        self.failure = error
        return error

    # -- the end ---------------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Whether all that this body read still stands."""
        if self._moves() == self._began:
            return True
        if any(self._changed_at(one) > self._began for one in self._uncovered):
            return False
        for collection, key in self._from_below:
            is_foreign = self._memory.rule(collection).is_foreign
            if not is_foreign and self._stands(collection, key) is not None:
                return False
        for (collection, key), row in self._read.items():
            if self._stands(collection, key) is not row:
                return False
        if any(
            total_of(self._others(collection), *question) != before
            for collection, question, before in self._added_up
        ):
            return False
        return all(
            frozenset(map(id, seen(self._others(collection), where))) == rows
            for collection, where, rows in self._found
        )

    def _others(self, collection: str) -> list[Shelf]:
        own = self.layers.get(collection)
        return [one for one in self._shelves(collection) if one is not own]

    def _stands(self, collection: str, key: str) -> Document | None:
        """Return what stands at an id, without what this body wrote."""
        for layers in reversed(self._pending()):
            layer = layers.get(collection)
            if layer is not None and key in layer.docs:
                return layer.docs[key]
        return self._memory.shelf(collection).docs.get(key)


def _duplicate(name: str) -> DuplicateKey:
    return DuplicateKey(f"A document with this key exists already ({name}).", name)


def _question(where: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a filter as a key: equal ones ask the same."""
    if all(type(one) is str for one in where.values()):
        return tuple(where.items())
    return tuple((name, one if type(one) is str else (repr(one),)) for name, one in where.items())


def _is_same(before: Document, after: Document) -> bool:
    """Whether setting what stands wrote nothing."""
    return before.keys() == after.keys() and not any(
        one is not before[name] and differ(before[name], one) for name, one in after.items()
    )


async def apply_in_turn(
    view: BulkView, condition: Condition, batches: Sequence[tuple[str, Batch]]
) -> None:
    """Do what ``apply_all`` does, one write after another."""
    if await view.update(condition.collection, condition.where, condition.change) != 1:
        raise Unmatched(condition.collection)
    for collection, batch in batches:
        try:
            await view.apply(collection, batch)
        except DuplicateKey as error:
            error.collection = collection
            raise
        except TransactionConflict as error:
            error.met = collection, tuple(key for key, _ in batch.changes)
            raise
