"""A view of one transaction that asks the store once for what many ask at the same moment.

Planning reads the same few things of each account. Asked one by one, a run on fifty accounts is
hundreds of round trips in one transaction; asked at once (``asyncio.TaskGroup`` around this view),
the same reads become one for each collection. Inside a transaction every read sees the same
snapshot and the transaction's own writes, so it changes nothing *what* is read: an answer is kept
until this transaction writes to its collection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from core.ports.store import Change, Document, StoreView

__all__ = ["ReadAhead"]

_Answer = list[Document]
_Values = tuple[tuple[str, str], ...]  # field and text, by field
_Shape = tuple[str, tuple[str, ...]]  # collection and fields


class ReadAhead:
    """A ``StoreView`` over one transaction's view; made anew whenever the transaction's body runs.

    Only reads by equal texts are put together and kept; all others go through as they are.
    """

    def __init__(self, view: StoreView) -> None:
        self._view = view
        self._kept: dict[_Shape, dict[_Values, _Answer]] = {}
        self._asked: dict[_Shape, dict[_Values, asyncio.Future[_Answer]]] = {}
        self._writes: Counter[str] = Counter()

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        rows = await self._look_up(collection, {"_id": key})
        return rows[0] if rows else None

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        """Return the matching documents."""
        if where and not (sort or limit) and all(map(_is_plain, where, where.values())):
            return await self._look_up(collection, where)
        return await self._view.find(collection, where, sort=sort, limit=limit)

    async def insert(self, collection: str, *documents: Document) -> None:
        """Insert documents; each carries its own ``_id``."""
        self._forget(collection, *(document.get("_id") for document in documents))
        await self._view.insert(collection, *documents)

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
        self._forget(collection, where.get("_id"))
        return await self._view.update(collection, where, change, upsert=upsert, many=many)

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete every matching document; return how many."""
        self._forget(collection, where.get("_id"))
        return await self._view.delete(collection, where)

    def _forget(self, collection: str, *keys: object) -> None:
        """Forget what a write of these documents may change; a key that is no text: all of it."""
        self._writes[collection] += 1
        by_key = (collection, ("_id",))
        for shape in [one for one in self._kept if one[0] == collection and one != by_key]:
            del self._kept[shape]
        if all(isinstance(key, str) for key in keys):
            for key in keys:
                self._kept.get(by_key, {}).pop((("_id", str(key)),), None)
        else:
            self._kept.pop(by_key, None)

    async def _look_up(self, collection: str, where: Mapping[str, str]) -> _Answer:
        values = tuple(sorted(where.items()))
        shape = (collection, tuple(name for name, _ in values))
        kept = self._kept.get(shape, {}).get(values)
        found = await self._ask(shape, values) if kept is None else kept
        return deepcopy(found)  # the caller may write into what it is given

    async def _ask(self, shape: _Shape, values: _Values) -> _Answer:
        """Ask the store, in one question with all who ask likewise at this moment."""
        waiting = self._asked.setdefault(shape, {})
        if values in waiting:
            return await asyncio.shield(waiting[values])
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        waiting[values] = answer
        if len(waiting) == 1:
            await asyncio.sleep(0)  # the others come to their question
            await self._answer(shape, self._asked.pop(shape))
        return await answer

    async def _answer(
        self, shape: _Shape, waiting: Mapping[_Values, asyncio.Future[_Answer]]
    ) -> None:
        """Ask for all of them, and give each its own."""
        collection, _ = shape
        before = self._writes[collection]
        try:
            rows = await self._view.find(collection, _question(list(waiting)))
        except BaseException:
            for answer in waiting.values():
                answer.cancel()
            raise
        found: dict[_Values, _Answer] = {values: [] for values in waiting}
        for row in rows:
            values = tuple((name, str(row[name])) for name in shape[1])
            if values in found:
                found[values].append(row)
        if self._writes[collection] == before:
            self._kept.setdefault(shape, {}).update(found)
        for values, answer in waiting.items():
            if not answer.done():
                answer.set_result(found[values])


def _is_plain(name: str, value: object) -> bool:
    """Whether a filter asks for a text in a field of the document itself."""
    return isinstance(value, str) and "." not in name


def _question(asked: Sequence[_Values]) -> Mapping[str, Any]:
    """Return a filter that finds what each of these finds, and perhaps more."""
    fields: dict[str, dict[str, None]] = {}
    for values in asked:
        for name, value in values:
            fields.setdefault(name, {})[value] = None
    # What is the same for all comes first: by that the embedded server chooses its index, and of
    # one that begins with several values it reads everything (facts/store.md 11).
    same = {name: next(iter(found)) for name, found in fields.items() if len(found) == 1}
    several = {name: {"$in": list(found)} for name, found in fields.items() if name not in same}
    return {**same, **several}
