"""``python -m tests.bench.updates [--mongod PATH]``: order updates beside polling, in one run.

From the moment at which a price that fills a resting order is set at the simulator, to the fill in
the journal; and the requests of accounts that do nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from core.adapters.broker_http import BrokerTransport
from core.adapters.mongo.server import launch
from core.domain.order import Order, OrderState
from core.engine.orders.journal import Journal
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, Life, Simulated, World, another, living, until

FILLS = 20
ACCOUNTS = 20
IDLE_S = 120.0


class Requests:
    """Counts the requests of every transport of this process."""

    def __init__(self) -> None:
        self.count = 0
        self._send = BrokerTransport.send

    def install(self) -> None:
        """Count from now on."""
        counter = self

        async def send(self: BrokerTransport, *arguments: Any, **named: Any) -> Any:
            counter.count += 1
            return await counter._send(self, *arguments, **named)

        BrokerTransport.send = send  # type: ignore[method-assign]


@asynccontextmanager
async def lived(directory: Path, mongod: Path | None, *, has_streams: bool) -> AsyncIterator[Life]:
    """Run a controller on a store server and a sandbox of its own."""
    running = await launch(directory / "store", uri=None, mongod=mongod, lookup_path=False)
    sandbox = Sandbox()
    try:
        world = World(
            sandbox, running.server.uri, "bench", directory, 120.0, 7.0, has_streams=has_streams
        )
        async with living(world) as life:
            yield life
    finally:
        sandbox.end()
        await running.stop()


class WatchedJournal:
    """Sees the commits of this process's journals."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[float] | None = None
        self._apply = Journal.apply

    def install(self) -> None:
        """Look from now on."""
        watch = self

        async def apply(self: Journal, *arguments: Any, **named: Any) -> Order:
            after = await watch._apply(self, *arguments, **named)
            waiting = watch._waiting
            if after.state is OrderState.FILLED and waiting and not waiting.done():
                waiting.set_result(time.perf_counter())
            return after

        Journal.apply = apply  # type: ignore[method-assign]

    def next_fill(self) -> asyncio.Future[float]:
        """Return the moment of the next committed fill."""
        self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting


async def fills(life: Life, who: Simulated, journal: WatchedJournal) -> list[float]:
    """Let a user's resting order fill, again and again; return seconds until the journal knew."""
    sandbox, store, found = life.world.sandbox, life.foundation.store, []
    market = sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": None})
    price = float(int(market["last_price"]) - 2)
    for number in range(FILLS + 2):
        sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": price + 2})
        order = {"symbol": "SBIN", "side": "BUY", "quantity": 1, "product": "MIS"}
        order |= {"order_type": "LIMIT", "price": price}
        where = {"broker": who.target, "user_id": who.user_id}
        answer = sandbox.ask("POST", "/orders", {**where, **order})
        seen = {"broker_order_id": str(answer["order_id"])}

        async def known(state: str, seen: dict[str, str] = seen) -> bool:
            return bool(await store.find("orders", {**seen, "state": state}))

        await until(partial(known, OrderState.ACCEPTED.value))
        # At no fixed place in a pause of the worker.
        await asyncio.sleep(0.3 + 0.137 * (number % 9))
        filled = journal.next_fill()
        began = time.perf_counter()
        await asyncio.to_thread(
            sandbox.ask, "POST", "/market", {"symbol": "SBIN", "last_price": price - 1}
        )
        async with asyncio.timeout(60):
            found.append(await filled - began)
    return found[2:]


async def idle(life: Life, requests: Requests) -> float:
    """Connect accounts that do nothing; return requests a second of one of them."""
    for number in range(ACCOUNTS):
        target = ("kite", "fyers")[number % 2]
        await life.connect(another(life.world, target, number))
    await asyncio.sleep(20)  # the first reads of the last of them
    before, began = requests.count, time.perf_counter()
    await asyncio.sleep(IDLE_S)
    return (requests.count - before) / (time.perf_counter() - began) / ACCOUNTS


async def measure(directory: Path, mongod: Path | None) -> None:
    """Measure everything once, and print each figure when it is known."""
    requests, journal = Requests(), WatchedJournal()
    requests.install()
    journal.install()
    for has_streams, name in ((True, "updates"), (False, "polling")):
        async with lived(directory / name, mongod, has_streams=has_streams) as life:
            await life.connect(KITE)
            took = [one * 1e3 for one in await fills(life, KITE, journal)]
        p95 = quantiles(took, n=20)[-1]
        _say(f"{name}: fill to journal p50 {median(took):.1f} ms, p95 {p95:.1f} ms, n {FILLS}")
        async with lived(directory / f"{name}-idle", mongod, has_streams=has_streams) as life:
            rate = await idle(life, requests)
        _say(f"{name}: idle {rate:.3f} requests/s an account, {ACCOUNTS} accounts, {IDLE_S:.0f} s")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.updates", description=__doc__)
    parser.add_argument("--mongod", type=Path, help="instead of the embedded server")
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
        asyncio.run(measure(Path(made), parser.parse_args().mongod))
