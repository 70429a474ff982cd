"""Runs of an account whose worker takes its turns by itself, over a store that counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from core.domain.target import Direction
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, RunBench

__all__ = ["Laned"]


class Laned(RunBench):
    """An account whose worker runs, over a store that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.store = CountedStore()
        registry = {self.strategy.name: self.strategy}
        self.engine = MemoryEngine(market_clock(TEN), registry, self.store)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Laned]:
        """Let the worker run, as the pool does."""
        await self.opened()
        await self.engine.become_writer()
        pool = self.engine.wiring.pool
        pool._workers[self.account.broker_id] = self.worker
        task = asyncio.create_task(self.worker.run())
        await self.until(lambda: self.worker.snapshot.funds is not None)
        await self.until(self.is_calm)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, is_so: Callable[[], object]) -> None:
        """Let everybody go on until something is so, threads that read files too."""
        async with asyncio.timeout(150):
            while not is_so():
                await asyncio.sleep(0.001)

    def rows(self) -> list[Mapping[str, Any]]:
        """Return the orders as they are stored."""
        return list(self.store.database.committed["orders"].values())

    def is_calm(self) -> bool:
        """Whether the worker waits, and all that it had to note is noted."""
        worker = self.worker
        is_waiting = worker.turn_since is None and not worker._wake.is_set()
        return is_waiting and not worker.lock.locked() and self.engine.writer._worker is None

    async def holding(self, stop: Decimal | None = None) -> None:
        """Let a run enter, and all come to rest."""
        self.strategy.want(Direction.LONG, stop=stop)
        await self.run()
        await self.until(lambda: "FILLED" in [row["state"] for row in self.rows()])
        await self.until(self.is_calm)

    async def warmed(self) -> None:
        """Warm the next run as the scheduler does a second before its slot."""
        reads = self.broker.reads
        await self.engine.wiring.runner.warm(self.strategy.name)
        await self.until(lambda: self.worker.executor.looks._read is not None)
        await self.until(lambda: self.broker.reads > reads)
        await asyncio.sleep(0)
