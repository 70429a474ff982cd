"""Reads of the writer's store outside of transactions: from memory, where that holds the answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from core.adapters.single_writer.body import seen, total_of
from core.adapters.single_writer.documents import handed, kept, sort_rows
from core.adapters.single_writer.fence import Fence
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.of_server import OfServer
from core.ports.store import Document, Tally

__all__ = ["Reads"]


class Reads(OfServer):
    """What only looks; ``_ready`` returns when memory is what the store holds."""

    _fence: Fence | None
    _memory: Memory

    async def _ready(self) -> None:
        raise NotImplementedError

    async def get(self, collection: str, key: str) -> Document | None:
        """Return the document whose ``_id`` is ``key``, or None."""
        if self._fence is None:
            return await self.base.get(collection, key)
        await self._ready()
        memory = self._memory
        if not memory.knows(collection, key) and not memory.rule(collection).is_foreign:
            await memory.fetch_keys(collection, [key])
        if not memory.knows(collection, key):
            return await self.base.get(collection, key)
        row = memory.shelf(collection).docs.get(key)
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
        if self._fence is None:
            return await self.base.find(collection, where, sort=sort, limit=limit)
        await self._ready()
        asked = kept(where)
        memory = self._memory
        if not memory.answers(collection, asked):
            if not memory.rule(collection).is_foreign:
                await memory.fetch(collection, asked)
            if not memory.answers(collection, asked):
                return await self.base.find(collection, where, sort=sort, limit=limit)
        rows = seen([memory.shelf(collection)], asked)
        sort_rows(rows, sort)
        return [handed(row) for row in rows[: limit or None]]

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        """Return what the matching documents add up to under a heading (see the port)."""
        if self._fence is not None:
            await self._ready()
            asked, memory = kept(where), self._memory
            if await memory.has_sum(collection, asked, tally):
                found = total_of([memory.shelf(collection)], asked, tally, heading)
                if found is not None:
                    return found
        return tally.over(await self.find(collection, where), heading)
