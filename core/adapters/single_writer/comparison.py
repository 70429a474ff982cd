"""Compares what is held in memory with the store, while commits go on (decision 22).

It asks in small questions, and a caller says about how many documents to compare at a time: a
question for a whole day's orders stands in the way of everything else at the embedded server, which
also takes a time that grows with the square of how many ids it is asked for at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from core.adapters.single_writer.documents import matches
from core.adapters.single_writer.memory import IDS_AT_ONCE, Memory, one_or_some
from core.adapters.single_writer.shelf import Layer
from core.ports.store import Document, StoreView, parts

__all__ = ["Comparison"]

_OWNER = "broker_id"
_ACCOUNTS = "broker_accounts"
_VALUES_AT_ONCE = 20
_FEW = 200
"""So many documents are asked for in one question, whatever they have in common."""
_COMPARED = 500
"""So many are compared before others go on."""
_RANGES = 10
"""Into so many questions at the most a whole collection is divided."""
_QUESTION = 20
"""What a question costs beside its documents, in documents."""
_CLOCKS_APART = timedelta(hours=1)

_Pending = Callable[[], Iterable[Mapping[str, Layer]]]
_Where = Mapping[str, Any]


class Comparison:
    """Asks the store below for what is held."""

    def __init__(self, memory: Memory, base: StoreView) -> None:
        self._memory = memory
        self._base = base
        self._reached: defaultdict[str, int] = defaultdict(int)

    def _questions(self, collection: str) -> list[_Where]:
        """Return filters for all that is held of a collection, or is known not to be there."""
        memory = self._memory
        if memory.rule(collection).is_whole:
            return list(self._by_id_range(collection))
        found: list[_Where] = []
        asked: defaultdict[tuple[tuple[str, ...], tuple[Any, ...]], list[Any]] = defaultdict(list)
        for fields, values in memory.parts(collection):
            asked[fields, values[:-1]].append(values[-1])
        for (fields, first), last in asked.items():
            for some in parts(last, _VALUES_AT_ONCE):
                where = dict(zip(fields, (*first, one_or_some(some)), strict=True))
                count = self._count(collection, where) if len(some) == 1 and not first else 0
                found += self._by_owner(collection, where, count)
        known = memory.known(collection)
        found += [{"_id": {"$in": list(keys)}} for keys in parts(known, IDS_AT_ONCE)]
        return found

    def _by_id_range(self, collection: str) -> Iterator[_Where]:
        """Return questions for all of a collection, each for the ids between two that are held."""
        ids = sorted(self._memory.shelf(collection).docs)
        # Not into more: the embedded server looks at every document for each of them.
        ends = ids[:: max(_FEW, len(ids) // _RANGES)][1:]
        if not ends:
            yield {}
            return
        yield {"_id": {"$lte": ends[0]}}
        yield from ({"_id": {"$gt": after, "$lte": until}} for after, until in pairwise(ends))
        yield {"_id": {"$gt": ends[-1]}}

    def _by_owner(self, collection: str, where: _Where, count: int) -> Iterator[_Where]:
        """Return a question, or where its answer is long one for some accounts each."""
        memory = self._memory
        names = (*where, _OWNER)
        indexes = memory.collections[collection].indexes if collection in memory.collections else ()
        has_index = any(
            tuple(field for field, _ in one.keys[: len(names)]) == names and one.where is None
            for one in indexes
        )
        if count <= _FEW or not has_index or _OWNER in where:
            yield where
            return
        owners = {
            *memory.shelf(_ACCOUNTS).docs,
            *map(str, memory.shelf(collection).values_of(_OWNER)),
        }
        some: list[str] = []
        weight = 0
        for owner in sorted(owners):
            size = self._count(collection, {**where, _OWNER: owner})
            if some and (len(some) == _VALUES_AT_ONCE or weight + size > _FEW):
                yield {**where, _OWNER: one_or_some(some)}
                some, weight = [], 0
            some.append(owner)
            weight += size
        if some:
            yield {**where, _OWNER: one_or_some(some)}

    def _count(self, collection: str, where: _Where) -> int:
        """Return how many documents are held that a filter matches, without a look at each."""
        count = self._memory.shelf(collection).count(where)
        return len(self._held(collection, where)) if count is None else count

    def _held(self, collection: str, where: _Where) -> dict[str, Document]:
        shelf, found = self._memory.shelf(collection), {}
        for key in shelf.candidates(where):
            row = shelf.docs[key]
            if row is not None and matches(row, where):
                found[key] = row
        return found

    def _next(self, collection: str, most: int) -> list[_Where]:
        """Return the questions after the last ones, for about ``most`` documents; 0 is all."""
        every = self._questions(collection)
        if not most or not every:
            return every
        begin, weight, found = self._reached[collection] % len(every), 0, []
        for where in (*every[begin:], *every[:begin]):
            found.append(where)
            weight += _QUESTION + len(self._held(collection, where))
            if weight >= most:
                break
        self._reached[collection] = begin + len(found)
        return found

    async def differences(
        self, collection: str, most: int, now: datetime, pending: _Pending
    ) -> list[str]:
        """Return in what the next ``most`` documents differ from the store; 0 is all of them."""
        if self._memory.rule(collection).is_foreign:
            return []
        questions = self._next(collection, most)
        found = await self._differences(collection, questions, now, pending)
        if not found:
            return []
        # A difference is there the second time too.
        again = await self._differences(collection, questions, now, pending)
        return [line for line in found if line in again]

    async def _differences(
        self, collection: str, questions: Iterable[_Where], now: datetime, pending: _Pending
    ) -> list[str]:
        """Return in what memory differs from the store's answers.

        What was written during the reading says nothing: the answer may be of before or of after.
        That is what has landed since it began, and what ``pending`` names when it has ended. What
        has expired there by its index is forgotten here, and no difference.
        """
        found: dict[str, None] = {}
        shelf = self._memory.shelf(collection)
        for where in questions:
            if self._memory.shelf(collection) is not shelf:
                break  # everything was read anew meanwhile
            found.update(dict.fromkeys(await self._differing(collection, where, now, pending)))
        return list(found)

    async def _differing(
        self, collection: str, where: _Where, now: datetime, pending: _Pending
    ) -> list[str]:
        memory, found = self._memory, []
        shelf = memory.shelf(collection)
        if "$in" in where.get("_id", ()):
            keys = [key for key in where["_id"]["$in"] if not memory.is_in_part(collection, key)]
            if not keys:
                return []
            where = {"_id": one_or_some(keys)}
        held = self._held(collection, where)
        with memory.reading() as touched:
            rows = {row["_id"]: row for row in await self._base.find(collection, where)}
            if missing := [key for key in held if key not in rows]:
                rows |= await self._by_id(collection, missing)
            for number, key in enumerate(sorted(held.keys() | rows.keys())):
                if not number % _COMPARED:
                    await asyncio.sleep(0)
                    if memory.shelf(collection) is not shelf:
                        return []
                    under_way = [one[collection].docs for one in pending() if collection in one]
                ours, theirs = held.get(key, shelf.docs.get(key)), rows.get(key)
                if ours == theirs or shelf.docs.get(key) is not ours:
                    continue
                if (collection, key) in touched or any(key in one for one in under_way):
                    continue
                if ours is not None and theirs is None and self._has_expired(collection, ours, now):
                    shelf.drop(key)
                else:
                    found.append(f"{collection}/{key}: {_fields_of(ours, theirs)}")
        return found

    async def _by_id(self, collection: str, keys: Iterable[str]) -> dict[str, Document]:
        rows: dict[str, Document] = {}
        for some in parts(list(keys), IDS_AT_ONCE):
            found = await self._base.find(collection, {"_id": one_or_some(some)})
            rows.update({row["_id"]: row for row in found})
        return rows

    def _has_expired(self, name: str, row: Document, now: datetime) -> bool:
        collections = self._memory.collections
        for index in collections[name].indexes if name in collections else ():
            since = row.get(index.keys[0][0]) if index.keep_s is not None else None
            # The server removes by its own clock, which may go before this one.
            kept = timedelta(seconds=index.keep_s or 0) - _CLOCKS_APART
            if isinstance(since, datetime) and now >= since + kept:
                return True
        return False


def _fields_of(ours: Document | None, theirs: Document | None) -> str:
    """Name what differs; the values may be secrets."""
    if ours is None or theirs is None:
        return "is not in memory" if ours is None else "is not in the store"
    names = sorted(ours.keys() | theirs.keys())
    return ", ".join(name for name in names if ours.get(name) != theirs.get(name))
