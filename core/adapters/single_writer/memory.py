"""What is committed, as far as it is held in memory; read from the store below when first asked.

A reading of the store runs beside commits. What a commit touched meanwhile is newer in memory than
in the answer, so each reading learns what was touched and lets that stand.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from core.adapters.mongo.schema import COLLECTIONS, Collection
from core.adapters.single_writer.documents import points, shared
from core.adapters.single_writer.rules import RECENT, Cover, Rule, rule_of
from core.adapters.single_writer.shelf import Layer, Shelf, fields_of
from core.domain.sessions import trading_day
from core.long_lived import set_aside
from core.ports.clock import Clock
from core.ports.store import Document, StoreView, Tally, parts

__all__ = ["IDS_AT_ONCE", "Memory", "one_or_some"]

IDS_AT_ONCE = 100
"""The embedded server compares each document with each id: a thousand at once take it a second."""
_KNOWN = 4096
_TAKEN = 100
_Part = tuple[tuple[str, ...], tuple[Any, ...]]  # fields of a cover, and their values
_Touched = set[tuple[str, str]]


class Memory:
    """Committed documents, by collection.

    Args:
        base: Where they are read from.
        clock: For what is recent.
        collections: Their indexes.
    """

    def __init__(
        self,
        base: StoreView,
        clock: Clock,
        collections: Sequence[Collection] = COLLECTIONS,
    ) -> None:
        self._base = base
        self._clock = clock
        self.collections = {one.name: one for one in collections}
        self.with_unique = frozenset(
            one.name for one in collections if any(index.unique for index in one.indexes)
        )
        self._fields = {one.name: fields_of(one) for one in collections}
        self.shelves: dict[str, Shelf] = {}
        self._rules: dict[str, Rule] = {}
        self._parts: defaultdict[str, OrderedDict[_Part, None]] = defaultdict(OrderedDict)
        self._known: defaultdict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._readings: dict[int, _Touched] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._asked: dict[str, dict[str, None]] = {}

    # -- what is held ----------------------------------------------------------------------------

    def rule(self, collection: str) -> Rule:
        """Return how a collection is held."""
        found = self._rules.get(collection)
        if found is None:
            found = self._rules[collection] = rule_of(collection)
        return found

    def shelf(self, collection: str) -> Shelf:
        """Return the committed documents of a collection that are held."""
        found = self.shelves.get(collection)
        if found is None:
            fields = self._fields.get(collection, frozenset())
            found = self.shelves[collection] = Shelf(fields, self.rule(collection).asked)
        return found

    def layer(self, collection: str) -> Layer:
        """Return an empty layer for a collection."""
        return Layer(self._fields.get(collection, frozenset()))

    def knows(self, collection: str, key: str) -> bool:
        """Whether the document of an ``_id`` is held, or is known not to be there."""
        rule = self.rule(collection)
        if rule.is_foreign:
            return False
        return rule.is_whole or key in self.shelf(collection).docs or key in self._known[collection]

    def answers(self, collection: str, where: Mapping[str, Any]) -> bool:
        """Whether all documents that a filter matches are held."""
        rule = self.rule(collection)
        if rule.is_whole or rule.is_foreign:
            return rule.is_whole
        if _asks_for_none(where):
            return True
        keys = points(where["_id"]) if "_id" in where else None
        if keys is not None:
            return all(self.knows(collection, key) for key in keys)
        held = self._parts[collection]
        for cover in rule.covers:
            wanted = _parts_of(cover, where)
            if wanted and all(map(held.__contains__, wanted)):
                if cover.only is None:  # the others stay, whoever asks for them
                    for part in wanted:
                        held.move_to_end(part)
                return True
        return False

    def is_in_part(self, collection: str, key: str) -> bool:
        """Whether a document belongs to a part that is held."""
        row = self.shelf(collection).docs.get(key)
        if row is None:
            return False
        held = self._parts[collection]
        return any(
            (cover.fields, tuple(row.get(field) for field in cover.fields)) in held
            for cover in self.rule(collection).covers
        )

    def parts(self, collection: str) -> list[_Part]:
        """Return the parts of a collection that are held."""
        return list(self._parts[collection])

    def known(self, collection: str) -> list[str]:
        """Return the ids of which it is known, one by one, what stands there."""
        return list(self._known[collection])

    # -- reading ---------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read what is held from the start on, beside what is held, and take it in one step."""
        fresh = Memory(self._base, self._clock, tuple(self.collections.values()))
        await fresh.read_all()
        self.shelves, self._parts, self._known = fresh.shelves, fresh._parts, fresh._known

    async def read_all(self) -> None:
        """Read into an empty memory; nothing commits meanwhile."""
        for name in self.collections:
            rule = self.rule(name)
            if rule.is_whole:
                with self.reading() as touched:
                    rows = await self._base.find(name, {})
                    await self._take(name, self.shelf(name), rows, touched)
        for name in self.collections:
            for cover in self.rule(name).covers:
                if cover.only is not None:
                    await self._read_fixed(name, cover)

    async def _read_fixed(self, name: str, cover: Cover) -> None:
        *first, last = cover.fields
        wanted = {"$in": sorted(cover.only or ())}
        owners = list(self.shelf(cover.of_each).docs) if first else [""]
        for owner in owners:
            where = {**dict.fromkeys(first, owner), last: wanted}
            await self._fetch_parts(name, cover, _parts_of(cover, where))

    async def fetch(self, collection: str, where: Mapping[str, Any]) -> None:
        """Read what a filter asks for, where it can be held."""
        keys = points(where["_id"]) if "_id" in where else None
        if keys is not None:
            await self.fetch_keys(collection, keys)
            return
        for cover in self.rule(collection).covers:
            wanted = _parts_of(cover, where)
            if wanted and not self._is_of_old_day(cover, wanted):
                await self._fetch_parts(collection, cover, wanted)
                return

    def _is_of_old_day(self, cover: Cover, wanted: Sequence[_Part]) -> bool:
        if not cover.is_recent:
            return False
        at = cover.fields.index("day")
        oldest = trading_day(self._clock.market_now() - RECENT)
        return any(values[at] < oldest for _, values in wanted)

    async def _fetch_parts(self, collection: str, cover: Cover, wanted: Sequence[_Part]) -> None:
        async with self._turns[collection]:
            held, shelf = self._parts[collection], self.shelf(collection)
            new = [part for part in wanted if part not in held]
            if not new:
                return
            columns = zip(*(values for _, values in new), strict=True)
            where = {
                field: one_or_some(values)
                for field, values in zip(cover.fields, columns, strict=True)
            }
            with self.reading() as touched:
                rows = await self._base.find(collection, where)
                await self._take(collection, shelf, rows, touched)
                if self._parts[collection] is not held:
                    return  # everything was read anew meanwhile
                held.update(dict.fromkeys(new))
            set_aside(len(rows))
            same = [one for one in held if one[0] == cover.fields and cover.only is None]
            for old in same[: max(0, len(same) - cover.most)]:
                self._let_go(collection, old)

    async def has_sum(self, collection: str, where: Mapping[str, Any], tally: Tally) -> bool:
        """Have a sum of what a filter matches; whether all of that is held and added up."""
        if self.rule(collection).is_foreign:
            return False
        if not self.answers(collection, where):
            await self.fetch(collection, where)
        is_held = self.answers(collection, where)
        return (
            is_held
            and await self.shelf(collection).add_up(tally, where)
            and self.answers(collection, where)
        )

    async def fetch_keys(self, collection: str, keys: Iterable[str]) -> None:
        """Read documents by their ids, in one question with all who ask at this moment."""
        asked = self._asked.setdefault(collection, {})
        asked.update(dict.fromkeys(keys))
        async with self._turns[f"{collection}/ids"]:
            mine = self._asked.pop(collection, {})
            wanted = [key for key in mine if not self.knows(collection, key)]
            if not wanted:
                return
            for some in parts(wanted, IDS_AT_ONCE):
                where = {"_id": one_or_some(some)}
                with self.reading() as touched:
                    rows = await self._base.find(collection, where)
                    await self._take(collection, self.shelf(collection), rows, touched)
                # Before the next question: what is read anew meanwhile knows nothing of these.
                for key in some:
                    self._note(collection, key)

    @contextmanager
    def reading(self) -> Iterator[_Touched]:
        """Note what commits touch until the block ends."""
        touched: _Touched = set()
        self._readings[id(touched)] = touched  # by identity: two that are empty are equal
        try:
            yield touched
        finally:
            del self._readings[id(touched)]

    async def _take(
        self, collection: str, shelf: Shelf, rows: Sequence[Document], touched: _Touched
    ) -> None:
        """Put what was read into its places; a day of all accounts lets others go on meanwhile."""
        for number, row in enumerate(rows, 1):
            if not number % _TAKEN:
                await asyncio.sleep(0)
            key = row["_id"]
            if key not in shelf.docs and (collection, key) not in touched:
                shelf.put(key, shared(row))

    # -- keeping ---------------------------------------------------------------------------------

    def apply(self, layers: Mapping[str, Layer]) -> None:
        """Take over what was committed."""
        for collection, layer in layers.items():
            if self.rule(collection).is_foreign:
                continue
            shelf = self.shelf(collection)
            for key, new in layer.docs.items():
                for touched in self._readings.values():
                    touched.add((collection, key))
                if new is None:
                    shelf.drop(key)
                else:
                    shelf.put(key, new)
                self._note(collection, key)

    def _note(self, collection: str, key: str) -> None:
        """Note that an id is known; the oldest of what no part holds goes."""
        if self.rule(collection).is_whole:
            return
        known = self._known[collection]
        known[key] = None
        known.move_to_end(key)
        # What is touched during a reading stays until its part is held.
        while len(known) > _KNOWN and not self._readings:
            old, _ = known.popitem(last=False)
            self._drop_unless_held(collection, old)

    def _let_go(self, collection: str, part: _Part) -> None:
        """Hold a part no longer."""
        del self._parts[collection][part]
        where = dict(zip(*part, strict=True))
        shelf = self.shelf(collection)
        for key in list(shelf.candidates(where)):
            if key not in self._known[collection]:
                self._drop_unless_held(collection, key)

    def _drop_unless_held(self, collection: str, key: str) -> None:
        shelf = self.shelf(collection)
        row = shelf.docs.get(key)
        if row is None:
            shelf.drop(key)
            return
        if not self.is_in_part(collection, key):
            shelf.drop(key)


def _asks_for_none(where: Mapping[str, Any]) -> bool:
    """Whether a filter wants one of no values: it matches nothing, and nobody need be asked."""
    return any(type(one) is dict and one.get("$in") == [] for one in where.values())


def one_or_some(values: Sequence[Any]) -> Any:
    """Return what a filter wants of a field that has one of these values."""
    several = list(dict.fromkeys(values))
    return several[0] if len(several) == 1 else {"$in": several}


def _parts_of(cover: Cover, where: Mapping[str, Any]) -> list[_Part]:
    """Return the parts of a cover that hold what a filter asks for; none when it has no such."""
    plain = tuple(where.get(field) for field in cover.fields)
    if all(type(one) is str for one in plain):
        is_held = cover.only is None or plain[-1] in cover.only
        return [(cover.fields, plain)] if is_held else []
    values: list[tuple[Any, ...]] = [()]
    for field in cover.fields:
        several = points(where[field]) if field in where else None
        if not several:
            return []
        values = [(*one, value) for one in values for value in several]
    if cover.only is not None and any(value[-1] not in cover.only for value in values):
        return []
    return [(cover.fields, one) for one in values]
