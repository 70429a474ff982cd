"""What it costs to pack a finished day, and how long that holds the event loop.

``python -m tests.bench.packing --store mongod --orders 40000`` writes one finished day's orders, each
with two steps and a trade, evenly of fifty accounts, and packs it as a controller does that holds the
lease (decision 0042), without the minutes between its steps. ``--lots 200`` ends after so many lots.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from core.adapters.clock import SystemClock
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore
from core.adapters.single_writer import SingleWriterStore
from core.domain.sessions import trading_day
from core.engine.orders.journal import LOT
from core.engine.runs.finished_days import FinishedDays
from core.ports.store import Document, Store
from tests.bench.stored import BATCH
from tests.bench.stores import STORES, cpu_of, store_server
from tests.fakes.memory_store import MemoryStore
from tests.fakes.past import TABLES, put_day

__all__ = ["Packed", "pack"]

ACCOUNTS, AGO = 50, timedelta(days=12)
_NAP_S = 0.002
LEASE = {"_id": "controller", "fence": 1, "holder": "bench"}


@dataclass
class Packed:
    """What was measured.

    Attributes:
        orders: Moved.
        seconds: All steps together.
        late_ms: How late the loop was at most in each step, the first first.
        held: The most orders that memory held after a step.
        cpu_s: Of controller and store.
        grown_mb: By how much the controller's memory peaked above what it was before.
    """

    orders: int = 0
    seconds: float = 0.0
    late_ms: list[float] = field(default_factory=list)
    held: int = 0
    cpu_s: tuple[float, float] = (0.0, 0.0)
    grown_mb: float = 0.0


@dataclass
class _Accounts:
    names: Sequence[str]
    since: datetime

    async def ids(self) -> list[str]:
        return list(self.names)

    async def first_at(self) -> datetime:
        return self.since


class _Shut:
    def is_any_open(self) -> bool:
        return False


async def _fill(store: Store, names: Sequence[str], day: str, orders: int) -> None:
    """Write the rows of one account, then of the others, a hundred at a time."""
    for number, name in enumerate(names):
        made = MemoryStore()
        count = orders // len(names) + (number < orders % len(names))
        await put_day(made, name, day, count, steps=1)
        for table in TABLES:
            rows: list[Document] = await made.find(table, {})
            for first in range(0, len(rows), BATCH):
                await store.insert(table, *rows[first : first + BATCH])
                await asyncio.sleep(0.005)  # the embedded server falls behind otherwise


async def pack(directory: Path, kind: str, orders: int, lots: int) -> Packed:
    """Fill a store and pack it; ``lots`` 0 is all of it."""
    clock, found = SystemClock(), Packed()
    since = clock.now() - AGO
    names = [f"zerodha_packed{number:03d}" for number in range(ACCOUNTS)]
    async with store_server(kind, directory) as server:
        assert server is not None
        uri, pid = server.server.uri, server.server.pid
        async with await MongoStore.connect(uri, "packing") as base:
            await migrate(base)
            await _fill(base, names, trading_day(clock.market_at(since)), orders)
            await base.insert("lease", dict(LEASE))
            writer = SingleWriterStore(base, clock)
            await writer.hold("lease", {"_id": LEASE["_id"], "fence": LEASE["fence"]})
            days = FinishedDays(
                writer, clock, cast(Any, _Accounts(names, since)), cast(Any, _Shut())
            )
            before, cpu = _peak_mb(), (time.process_time(), cpu_of(pid))
            began = time.perf_counter()
            while not lots or found.orders < lots * LOT:
                found.late_ms.append(await _late_ms(days.step()))
                memory = writer._memory
                found.held = max(found.held, len(memory.shelf("orders").docs))
                moved = await base.database["past_orders"].count_documents({}) * LOT
                if moved == found.orders:
                    break
                found.orders = moved
            found.seconds = time.perf_counter() - began
            found.cpu_s = time.process_time() - cpu[0], cpu_of(pid) - cpu[1]
            found.grown_mb = _peak_mb() - before
            await writer.release()
    return found


async def _late_ms(step: Coroutine[Any, Any, None]) -> float:
    """Return by how much a sleep of two milliseconds was too long at most while a step ran."""
    task, worst = asyncio.create_task(step), 0.0
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(_NAP_S)
        worst = max(worst, time.perf_counter() - began - _NAP_S)
    await task
    return worst * 1e3


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.packing", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="mongod")
    parser.add_argument("--orders", type=int, default=40_000)
    parser.add_argument("--lots", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-packing-") as made:
        found = asyncio.run(pack(Path(made), chosen.store, chosen.orders, chosen.lots))
    late = sorted(found.late_ms)
    sys.stdout.write(
        f"{chosen.store}, {chosen.orders} orders of one day, {found.orders} of them packed in "
        f"{found.seconds:.1f} s: loop late by {found.late_ms[0]:.0f} ms in the first step, "
        f"{late[-1]:.0f} ms at most, {late[len(late) // 2]:.0f} ms in the median step; "
        f"{found.held} orders in memory at most, {found.grown_mb:.0f} MB more; CPU "
        f"{found.cpu_s[0]:.1f} / {found.cpu_s[1]:.1f} s of controller and store\n"
    )


if __name__ == "__main__":
    main()
