"""A store with a long past: how a start's queries and the server's memory grow with the journal.

``python -m tests.bench.stored --orders 200000`` fills the embedded store (``--mongod PATH``: that
one) in small batches, since sustained bulk inserts hang the embedded server (facts/store.md 11), and
times what a start asks, beside the same question without an index.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import launch
from core.adapters.mongo.store import MongoStore
from core.domain.order import UNKNOWN_STATES, OrderState
from core.engine.orders.documents import order_row
from core.engine.orders.journal import count_unknown
from core.errors import StoreUnavailable
from core.ports.store import Document
from tests.fakes.orders import order_in

__all__ = ["account_of", "fill", "memory_mb", "past_orders"]

ACCOUNTS = 10
A_DAY = 40  # orders of an account
BATCH = 100
SAMPLES = 3


def account_of(number: int) -> str:
    """Return the id of an account."""
    return f"zerodha_stored{number:05d}"


def past_orders(count: int, accounts: int = ACCOUNTS) -> Iterator[Document]:
    """Return filled orders of the days before today, evenly of all accounts, as rows."""
    at = datetime.now(UTC)
    for number in range(count):
        account, turn = number % accounts, number // accounts
        day = date.fromordinal(at.toordinal() - 1 - turn // A_DAY)
        order = order_in(
            OrderState.FILLED,
            client_order_id=f"SA{number:018d}",
            broker_id=account_of(account),
            run_id=f"orb|{day}|{turn % A_DAY}",
            day=day.isoformat(),
            created_at=at - timedelta(days=1 + turn // A_DAY),
        )
        yield order_row(replace(order, broker_order_id=f"b{number}", filled_quantity=1))


async def fill(store: MongoStore, rows: Iterator[Document], collection: str = "orders") -> float:
    """Write rows in small batches; return how many seconds it took."""
    began, batch = time.perf_counter(), []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            await store.insert(collection, *batch)
            batch = []
            await asyncio.sleep(0.005)  # the embedded server falls behind otherwise
    if batch:
        await store.insert(collection, *batch)
    return time.perf_counter() - began


def memory_mb(pid: int | None) -> float:
    """Return the resident memory of a process, in megabytes."""
    if pid is None:
        return 0.0
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def _seconds(ask: Callable[[], Awaitable[Any]]) -> float:
    """Return the median time of a question; infinite when the store gives up."""
    found = []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        try:
            await ask()
        except StoreUnavailable:
            return float("inf")
        found.append(time.perf_counter() - began)
    return median(found)


async def measure(directory: Path, orders: int, mongod: Path | None) -> None:
    """Fill a store, and time what a start asks of it."""
    running = await launch(directory, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with await MongoStore.connect(running.server.uri, "stored") as store:
            await migrate(store)
            accounts = [account_of(number) for number in range(ACCOUNTS)]
            empty = memory_mb(running.server.pid)
            took = await fill(store, past_orders(orders))
            full = memory_mb(running.server.pid)
        began = time.perf_counter()
        await running.stop()
        running = await launch(directory, uri=None, mongod=mongod, lookup_path=False)
        async with await MongoStore.connect(running.server.uri, "stored") as store:
            await migrate(store)
            after = await _seconds(lambda: count_unknown(store, accounts))
            started = time.perf_counter() - began
            before = await _seconds(lambda: store.find("orders", _BY_STATE))
        sys.stdout.write(
            f"{running.server.kind}, {orders} orders ({took:.0f} s to fill): unknown orders by "
            f"state alone {before:.3f} s, by account {after:.3f} s; "
            f"stopped, started and asked in {started:.1f} s; "
            f"server {empty:.0f} -> {full:.0f} MB\n"
        )
    finally:
        await running.stop()


_BY_STATE = {"state": {"$in": [state.value for state in UNKNOWN_STATES]}}


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stored", description=__doc__)
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--mongod", type=Path, help="this mongod instead of the embedded server")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-stored-") as made:
        asyncio.run(measure(Path(made), chosen.orders, chosen.mongod))


if __name__ == "__main__":
    main()
