"""``python -m tests.bench.ticks``: from the last tick of a bar to the broker's door.

Four strategies of the same 48 instruments run each market minute over the Kite simulator, whose
clock runs fast; the store is in memory, so that what is measured is prices, bars and decision. The
peer in the same run is how it was without a stream: each strategy asks for the history of each of
its instruments.
"""

# ruff: noqa: ARG002 - the strategy port passes parameters

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from statistics import median
from typing import Any

from core.adapters.broker_http import BrokerTransport
from core.adapters.throttle import Bucket
from core.bootstrap import build
from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import IST, Schedule
from core.domain.target import (
    Context,
    DataNeed,
    Direction,
    Parameter,
    ParameterValue,
    Strategy,
    Target,
)
from core.engine.runs.market_data import MarketData, NoData
from core.ports.clock import Clock
from tests.bench.figure import Figure, table
from tests.fakes.deciding import InProcess
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, Life, World, _owner
from tests.faults.watch import Watch

INSTRUMENTS = 48
STRATEGIES = 4
SLOTS = 8
SPEED = 4.0
START = datetime(2026, 11, 23, 9, 41, 30, tzinfo=IST)
NAMES = tuple(InstrumentId("NSE", f"SHARE{number:02}") for number in range(INSTRUMENTS))


class Histories:
    """Counts the histories that every transport of this process asks for."""

    def __init__(self) -> None:
        self.count = 0
        self._send = BrokerTransport.send

    def install(self) -> None:
        """Count from now on."""
        counter = self

        async def send(self: BrokerTransport, request: Any, bucket: Bucket, **named: Any) -> Any:
            counter.count += bucket is Bucket.HISTORICAL
            return await counter._send(self, request, bucket, **named)

        BrokerTransport.send = send  # type: ignore[method-assign]


@dataclass
class Minutely:
    """Runs each minute; the first of them trades, long and flat in turn.

    Attributes:
        decided: Real time of each decision, by slot, and how many instruments had the closed bar.
    """

    name: str
    trades: bool = False
    title: str = "Minutely"
    description: str = "Runs each minute."
    product: Product = Product.MIS
    parameters: tuple[Parameter, ...] = ()
    decided: dict[datetime, tuple[float, int]] = field(default_factory=dict)

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        return NAMES

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(clock_time(9, 30), clock_time(14, 30), 1)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        closed = context.slot_at - timedelta(minutes=1)
        whole = sum(bool(rows) and rows[-1].start == closed for rows in context.bars.values())
        self.decided[context.slot_at] = (time.time(), whole)
        is_long = self.trades and context.slot_at.minute % 2 == 0
        direction = Direction.LONG if is_long else Direction.FLAT
        return [Target(NAMES[0], direction, context.slot_at, None, "its turn")]


@asynccontextmanager
async def lived(
    sandbox: Sandbox, registry: Mapping[str, Strategy], directory: Path
) -> AsyncIterator[Life]:
    """Run a controller on a store in memory over the sandbox, with streams."""
    world = World(sandbox, None, "bench", directory, 120.0, 7.0, has_streams=True)
    async with world.foundation() as foundation:
        system = build(foundation, registry, decisions=InProcess(registry))
        await _owner(foundation)
        await system.begin()
        services = {**system.services, "outbox": system.sender(world.told)}
        task = asyncio.create_task(system.supervisor.run(services))
        try:
            yield Life(world, system, foundation, Watch())
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await system.end()


async def measure(directory: Path) -> dict[str, Figure]:
    """Measure everything once."""
    histories = Histories()
    histories.install()
    sandbox = Sandbox(clock=f"{START.isoformat()}*{SPEED:g}")
    try:
        for number, name in enumerate(NAMES):
            share = {"symbol": name.symbol, "exchange_token": 90_000 + number}
            share |= {"name": name.symbol, "isin": f"INE{number:09}", "base_price": 500.0 + number}
            sandbox.ask("POST", "/instruments", share)
        made = [Minutely(f"minutely{n}", trades=n == 0) for n in range(STRATEGIES)]
        async with lived(sandbox, {one.name: one for one in made}, directory) as life:
            return await _figures(life, sandbox, made, histories)
    finally:
        sandbox.end()


async def _figures(
    life: Life, sandbox: Sandbox, made: Sequence[Minutely], histories: Histories
) -> dict[str, Figure]:
    broker_id = await life.connect(KITE)
    settings, clock = life.system.control.strategy_settings, life.foundation.clock
    await settings.assign(life.command(), made[0].name, broker_id)
    for one in made:
        await settings.set_enabled(life.command(), one.name, enabled=True)
    began = histories.count
    # The first slots fill what was before the stream.
    await _slots(made, 3)
    first, since = histories.count - began, len(made[0].decided)
    await _slots(made, since + SLOTS)
    later = histories.count - began - first
    slots = sorted(made[0].decided)[since : since + SLOTS]
    decisions = [
        (one.decided[slot][0] - clock.real_at(slot).timestamp()) * 1e3
        for one in made
        for slot in slots
        if slot in one.decided
    ]
    whole = min(one.decided[slot][1] for one in made for slot in slots if slot in one.decided)
    doors = await _doors(sandbox, clock, slots)
    data = life.system.runner._market_data
    _say(f"decisions {len(decisions)} of {len(slots) * STRATEGIES}, least with the bar {whole}")
    _say(f"decision p50 {median(decisions):.1f} ms, worst {max(decisions):.1f} ms after the close")
    _say(f"door p50 {median(doors):.1f} ms, worst {max(doors):.1f} ms, orders {len(doors)}")
    _say(f"histories: {first} for the start, {later} in {SLOTS} slots")
    asked, took, lost = await _as_before(data, clock, histories)
    _say(f"asked by each strategy: {asked} histories in {took:.1f} s, {lost} of 4 lost their slot")
    name = f"each of {STRATEGIES} strategies asks for {INSTRUMENTS} histories"
    return {
        "bar to decision": Figure(median(decisions), "ms", took * 1e3, name),
        "bar to the broker's door": Figure(median(doors), "ms", took * 1e3, name),
        "histories a slot": Figure(later / SLOTS, "", STRATEGIES * INSTRUMENTS, name),
        "histories of the start": Figure(first, "", STRATEGIES * INSTRUMENTS, name),
    }


async def _slots(made: Sequence[Minutely], number: int) -> None:
    """Wait until each strategy has decided so many slots."""
    async with asyncio.timeout(600):
        while min(len(one.decided) for one in made) < number:
            await asyncio.sleep(0.1)


async def _doors(sandbox: Sandbox, clock: Clock, slots: Sequence[datetime]) -> list[float]:
    """Return how long after the close of its bar each entry or exit was at the broker's door."""
    await asyncio.sleep(1)
    found = []
    for entry in sandbox.ask("GET", "/ledger"):
        at = float(entry["real_at"])
        gaps = [(at - clock.real_at(slot).timestamp()) * 1e3 for slot in slots]
        after = [gap for gap in gaps if gap >= 0]
        if entry["action"] == "place" and after and min(after) < 60_000 / SPEED:
            found.append(min(after))
    return found


async def _as_before(
    data: MarketData, clock: Clock, histories: Histories
) -> tuple[int, float, int]:
    """Let each strategy ask for its histories; return how many, for how long, how many in vain."""
    before, began, lost = histories.count, time.perf_counter(), 0

    async def ask() -> None:
        nonlocal lost
        now = clock.market_now()
        try:
            await data.candles(NAMES, start=now.replace(hour=9, minute=15), end=now, minutes=1)
        except NoData:
            lost += 1

    await asyncio.gather(*(ask() for _ in range(STRATEGIES)))
    return histories.count - before, time.perf_counter() - began, lost


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as at:
        sys.stdout.write(table(asyncio.run(measure(Path(at)))))
