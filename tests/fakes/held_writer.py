"""The single writer's store over a store in memory, in a test's hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from core.adapters.single_writer import SingleWriterStore
from core.ports.store import Change, StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.counted_store import CountedStore

__all__ = ["LEASE", "THEN", "Held"]

LEASE = {"_id": "controller", "fence": 7}
THEN = datetime.fromtimestamp(0, UTC)


@dataclass
class Held:
    """A writer over a store in memory, whose commits a test can hold up."""

    base: CountedStore = field(default_factory=CountedStore)
    writer: SingleWriterStore = field(init=False)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.writer = SingleWriterStore(self.base, ManualClock(THEN))

    async def opened(self) -> Held:
        """Take the lease."""
        await self.base.insert("lease", dict(LEASE))
        await self.writer.hold("lease", LEASE)
        self.base.commands.clear()
        return self

    async def add(self, key: str, amount: int = 1, nonce: str | None = None) -> int:
        """Add to a counter in a transaction; return what it then is."""

        async def body(view: StoreView) -> int:
            await view.update("chats", {"_id": key}, Change(inc={"n": amount}), upsert=True)
            row = await view.get("chats", key)
            return int(row["n"]) if row else -1

        return await self.writer.transaction(body, nonce=nonce or f"add {next(self._numbers)}")

    async def count(self, key: str) -> int:
        """Return a counter as it is stored."""
        row = await self.base.get("chats", key)
        return int(row["n"]) if row else 0
