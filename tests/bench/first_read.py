"""How long the first read of a day holds the event loop, as after a start in the afternoon.

``python -m tests.bench.first_read --store mongod --orders 40000`` writes today's orders, evenly of fifty
accounts, opens the store as a controller does that takes the lease, reads the day of one account, then
those of the others, then compares memory with the store until it has seen all of it. The turns of the
loop are timed as in a controller (``core/adapters/loop_watch.py``).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.adapters.clock import SystemClock
from core.adapters.loop_watch import LoopWatch
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore
from core.adapters.single_writer import SingleWriterStore
from core.domain.sessions import trading_day
from core.engine.orders.journal import Journal
from core.engine.outbox import Outbox
from core.long_lived import collect_less
from core.ports.store import Document, Store
from tests.bench.packing import LEASE
from tests.bench.stored import BATCH
from tests.bench.stores import STORES, store_server
from tests.fakes.memory_store import MemoryStore
from tests.fakes.past import put_day

__all__ = ["Phase", "measure"]

ACCOUNTS, LOOKS = 50, 20


@dataclass(slots=True)
class Phase:
    """One part of what was measured.

    Attributes:
        longest_ms: The longest turn of the loop in it.
        seconds: All of it.
    """

    name: str
    seconds: float = 0.0
    longest_ms: float = 0.0


@dataclass(slots=True)
class _Timed:
    """Times phases by the turns of a watched loop."""

    watch: LoopWatch
    phases: list[Phase] = field(default_factory=list)

    async def __call__(self, name: str, call: Callable[[], Awaitable[object]]) -> None:
        await asyncio.sleep(0)
        self.watch._seconds = [type(one)() for one in self.watch._seconds]
        began = time.perf_counter()
        await call()
        await asyncio.sleep(0)
        taken = time.perf_counter() - began
        self.phases.append(Phase(name, taken, self.watch.lag().worst_ms))


async def _fill(store: Store, names: list[str], day: str, orders: int) -> None:
    for number, name in enumerate(names):
        made = MemoryStore()
        await put_day(
            made, name, day, orders // len(names) + (number < orders % len(names)), steps=0
        )
        rows: list[Document] = await made.find("orders", {})
        for first in range(0, len(rows), BATCH):
            await store.insert("orders", *rows[first : first + BATCH])
            await asyncio.sleep(0.005)  # the embedded server falls behind otherwise


async def measure(directory: Path, kind: str, orders: int, watch: LoopWatch) -> list[Phase]:
    """Fill a store and read its day."""
    clock, timed = SystemClock(), _Timed(watch)
    day = trading_day(clock.market_now())
    names = [f"zerodha_read{number:03d}" for number in range(ACCOUNTS)]
    async with store_server(kind, directory) as server:
        assert server is not None
        async with await MongoStore.connect(server.server.uri, "first_read") as base:
            await migrate(base)
            await _fill(base, names, day, orders)
            await base.insert("lease", dict(LEASE))
            collect_less()
            writer = SingleWriterStore(base, clock)
            await writer.hold("lease", {"_id": LEASE["_id"], "fence": LEASE["fence"]})
            journal = Journal(writer, clock, Outbox(clock))

            async def others() -> None:
                for name in names[1:]:
                    await journal.of_day(name, day)
                    await asyncio.sleep(0)

            async def compared() -> None:
                for _ in range(LOOKS):
                    await writer.differences("orders", most=500)

            await timed("the first account's day", lambda: journal.of_day(names[0], day))
            await timed("the others' days", others)
            await timed(f"{LOOKS} comparisons", compared)
            await writer.release()
    return timed.phases


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.first_read", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="mongod")
    parser.add_argument("--orders", type=int, default=40_000)
    chosen = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    watch = LoopWatch()
    with (
        tempfile.TemporaryDirectory(prefix="saarthi-first-read-") as made,
        asyncio.Runner(loop_factory=watch.new_loop) as runner,
    ):
        phases = runner.run(measure(Path(made), chosen.store, chosen.orders, watch))
    watch.close()
    for one in phases:
        sys.stdout.write(
            f"{chosen.store}, {chosen.orders} orders: {one.name}: {one.seconds:.2f} s, "
            f"loop busy for {one.longest_ms:.0f} ms at most\n"
        )


if __name__ == "__main__":
    main()
