"""A store in memory that counts what it is asked: each command is a round trip to a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from core.adapters.single_writer.body import apply_in_turn
from core.ports.store import Batch, BulkView, Change, Condition, Document, Tally
from tests.fakes.memory_store import MemoryStore

__all__ = ["CountedStore"]

T = TypeVar("T")


@dataclass(slots=True)
class _CountedView:
    """Counts what goes through it, by operation and collection."""

    _view: BulkView
    _commands: Counter[str]

    async def get(self, collection: str, key: str) -> Document | None:
        self._commands[f"get {collection}"] += 1
        return await self._view.get(collection, key)

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        self._commands[f"find {collection}"] += 1
        return await self._view.find(collection, where, sort=sort, limit=limit)

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        return tally.over(await self.find(collection, where), heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        self._commands[f"insert {collection}"] += 1
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
        self._commands[f"update {collection}"] += 1
        return await self._view.update(collection, where, change, upsert=upsert, many=many)

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        self._commands[f"delete {collection}"] += 1
        return await self._view.delete(collection, where)

    async def apply(self, collection: str, batch: Batch) -> None:
        for name in ("removals", "changes", "inserts"):
            if getattr(batch, name):
                self._commands[f"{name} {collection}"] += 1
        await self._view.apply(collection, batch)

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        await apply_in_turn(self, condition, batches)


class CountedStore(MemoryStore):
    """``commands`` holds how often each was asked, those inside transactions too.

    A transaction adds ``claim commits`` and ``commit`` to what its body asks.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Counter[str] = Counter()

    async def get(self, collection: str, key: str) -> Document | None:
        self.commands[f"get {collection}"] += 1
        return await super().get(collection, key)

    async def find(
        self, collection: str, where: Mapping[str, Any], **options: Any
    ) -> list[Document]:
        self.commands[f"find {collection}"] += 1
        return await super().find(collection, where, **options)

    async def insert(self, collection: str, *documents: Document) -> None:
        self.commands[f"insert {collection}"] += 1
        await super().insert(collection, *documents)

    async def update(
        self, collection: str, where: Mapping[str, Any], change: Change, **options: Any
    ) -> int:
        self.commands[f"update {collection}"] += 1
        return await super().update(collection, where, change, **options)

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        self.commands[f"delete {collection}"] += 1
        return await super().delete(collection, where)

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        async def counted(view: BulkView) -> T:
            self.commands["claim commits"] += 1
            return await body(_CountedView(view, self.commands))

        try:
            return await super().transaction(counted, nonce=nonce)
        finally:
            self.commands["commit"] += 1
