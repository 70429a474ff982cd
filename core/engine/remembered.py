"""What was read from documents, remembered as long as these stay what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.ports.store import Document, SharedRow, Store

__all__ = ["Remembered", "Unchanged"]

T = TypeVar("T")
_MOST = 4_000
_AT_ONCE = 100


class Remembered(Generic[T]):
    """Reads documents into frozen values; the same document is read once.

    The orders of a day are looked at in every turn of an account, and reading one costs thirty
    times what comparing it with the one of before costs.
    """

    def __init__(self, read: Callable[[Document], T]) -> None:
        self._read = read
        self._known: dict[str, tuple[Document, T]] = {}

    async def ahead(self, rows: Sequence[Document]) -> bool:
        """Read documents that were not read yet; return whether others went on meanwhile."""
        new = [row for row in rows if type(row) is SharedRow and row.meaning is None]
        for number, row in enumerate(new, 1):
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
            self(row)
        return len(new) >= _AT_ONCE

    def __call__(self, row: Document) -> T:
        """Return what a document says; it must not be written into afterwards."""
        if type(row) is SharedRow:
            meaning = row.meaning
            if meaning is None or meaning[0] is not self:
                meaning = row.meaning = (self, self._read(row))
            found: T = meaning[1]
            return found
        key = row["_id"]
        known = self._known.get(key)
        # Equal is not enough: 1 is True, and Decimal("1.0") is Decimal("1.00"). But a document
        # comes from the store's adapter, which gives the very values that it gave before.
        if known is not None and known[0] == row:
            return known[1]
        value = self._read(row)
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (row, value)
        return value


class _AllBut:
    """Every collection but one."""

    def __init__(self, collection: str) -> None:
        self._collection = collection

    def __contains__(self, name: object) -> bool:
        return name != self._collection


class Unchanged(Generic[T]):
    """Reads something out of a collection again only when that was written; the same object then.

    Two hundred accounts are listed several times a second by what looks whether there is anything
    to do, and seldom one of them changes. Where a store does not know what was written, it is read
    each time.

    Args:
        store: Where the collection is.
        collection: Its name.
        read: Reads it outside of any transaction; what it returns is shared by all who ask.
    """

    def __init__(self, store: Store, collection: str, read: Callable[[], Awaitable[T]]) -> None:
        self._store = store
        self._others = _AllBut(collection)
        self._read = read
        self._known: tuple[int, T] | None = None

    async def __call__(self) -> T:
        """Return what stands there."""
        # Asked for before the read: what is written during it makes the next one read again.
        number = self._store.changes(self._others)
        known = self._known
        if known is not None and known[0] == number:
            return known[1]
        found = await self._read()
        self._known = None if number is None else (number, found)
        return found
