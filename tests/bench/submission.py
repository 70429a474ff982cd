"""A journalled order submission through the gate, as a controller has it, beside a durable insert."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from core.adapters.clock import SystemClock
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import launch
from core.adapters.mongo.store import MongoStore
from core.adapters.single_writer import SingleWriterStore
from core.domain.instrument import InstrumentId
from core.domain.mode import TradingMode
from core.domain.order import Order, OrderRequest, OrderState, Purpose
from core.domain.outcome import Acked
from core.domain.sessions import trading_day
from core.engine.orders.gate import add_gate, new_gate
from core.engine.orders.gateway import Gateway, Ticket
from core.engine.orders.journal import Journal
from core.engine.outbox import Outbox
from core.engine.runs.settings import is_assigned
from core.ports.broker import BrokerClient
from core.ports.store import OUTSIDE
from tests.bench.figure import Figure
from tests.bench.stores import STORES, mongod_binary
from tests.fakes.brokers import market_order

__all__ = ["submission"]

ACCOUNT = "zerodha_bench00001"
WARM_UP, ORDERS = 20, 400
_LEASE = {"_id": "controller", "fence": 1}
DURABLE = WriteConcern("majority", j=True)


class _Acking:
    """A broker that takes every order at once."""

    async def place(self, order: OrderRequest) -> Acked:
        return Acked(f"b{order.client_order_id}")


def _order(number: int) -> Order:
    request = market_order(f"SA{number:018d}")
    return Order(
        request=replace(request, instrument=InstrumentId("NSE", f"SHARE{number}")),
        broker_id=ACCOUNT,
        strategy="bench",
        run_id="bench",
        purpose=Purpose.ENTRY,
        state=OrderState.SUBMITTED,
        day=trading_day(datetime.now(UTC)),
        created_at=datetime.now(UTC),
    )


async def submission(directory: Path) -> dict[str, Figure]:
    """Measure on both stores."""
    found: dict[str, Figure] = {}
    for store in STORES:
        found |= await _submission(directory / store, store)
    return found


async def _submission(directory: Path, kind: str) -> dict[str, Figure]:
    """Submit orders one after the other, an insert between each two."""
    mongod = mongod_binary() if kind == "mongod" else None
    running = await launch(directory, uri=None, mongod=mongod, lookup_path=False)
    try:
        async with (
            await MongoStore.connect(running.server.uri, "bench") as store,
            AsyncMongoClient[dict[str, Any]](running.server.uri) as client,
        ):
            await migrate(store)
            bare = client["bench"].get_collection("bare", write_concern=DURABLE)
            writer = SingleWriterStore(store, SystemClock())
            await store.insert("lease", {**_LEASE, OUTSIDE: 0})
            await writer.hold("lease", _LEASE)
            orders, inserts = await _alternate(await _execution(writer), bare)
            await writer.release()
    finally:
        await running.stop()
    return {
        f"order_submission_{kind}": Figure(
            median(orders) * 1e3, "ms", median(inserts) * 1e3, "one bare durable insert"
        ),
        f"order_submission_p99_{kind}": Figure(
            _p99(orders) * 1e3, "ms", _p99(inserts) * 1e3, "the p99 of bare durable inserts"
        ),
        f"orders_a_second_{kind}": Figure(
            len(orders) / sum(orders), "1/s", len(inserts) / sum(inserts), "bare durable inserts"
        ),
    }


def _p99(taken: list[float]) -> float:
    """Return what one in a hundred takes longer than."""
    return quantiles(taken, n=100, method="inclusive")[-1]


async def _execution(store: SingleWriterStore) -> Gateway:
    """Return an execution over a store with one account that may trade, and one owner."""
    gate = new_gate(ACCOUNT, TradingMode.NORMAL, fence=1, at=datetime.now(UTC), by="bench")
    await add_gate(store, {**gate, "enabled": True})
    await store.insert("users", {"_id": "1", "user_id": 1, "chat_id": 1, "role": "owner"})
    clock = SystemClock()
    outbox = Outbox(clock)
    return Gateway(
        store,
        clock,
        Journal(store, clock, outbox),
        outbox,
        fence=lambda: 1,
        is_assigned=is_assigned,
    )


async def _alternate(execution: Gateway, bare: Any) -> tuple[list[float], list[float]]:
    client = cast(BrokerClient, _Acking())
    orders, inserts = [], []
    for number in range(WARM_UP + ORDERS):
        started = time.perf_counter()
        after, _ = await execution.submit(client, Ticket(_order(number)))
        submitted = time.perf_counter()
        await bare.insert_one({"_id": number, "text": "x" * 200})
        inserted = time.perf_counter()
        if after.state is not OrderState.ACCEPTED:
            raise AssertionError(f"order {number} is {after.state}")
        if number >= WARM_UP:
            orders.append(submitted - started)
            inserts.append(inserted - submitted)
    return orders, inserts
