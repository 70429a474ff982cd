"""Slots are met to the moment where prices are pushed, and no strategy waits for another's run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Quote
from core.domain.target import Context, Target
from core.domain.ticks import PriceTick
from core.engine.runs.plan import RunRequest
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient, RunBench

pytestmark = pytest.mark.row("D2", "D10")


@asynccontextmanager
async def scheduled(engine: MemoryEngine) -> AsyncIterator[None]:
    """Run the scheduler until the block ends."""
    task = asyncio.create_task(engine.wiring.scheduler.run())
    try:
        await engine.clock.wait_for_sleepers()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def has_looked(engine: MemoryEngine) -> None:
    """Wait until the scheduler has ended its look and sleeps again."""
    await engine.clock.wait_for_sleepers()
    for _ in range(150):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("shown_s", "within_s"), [(None, 0.15), (0.0, 0.06), (0.03, 0.09), (0.4, 0.15)]
)
async def test_slot_is_decided_as_its_bar_closes(shown_s: float | None, within_s: float) -> None:
    """By what was heard, once the last ticks would have come; no look and no request is before it.

    How long they take is what the last minute has shown, and a tenth of a second at the most.
    """
    bench = await RunBench().opened()
    engine = bench.engine
    live, clock = engine.wiring.price_parts.live, engine.clock
    settings = engine.control.strategy_settings
    await settings.set_enabled(engine.command(), bench.strategy.name, enabled=True)
    await engine.wiring.strategies.mark_slot(bench.strategy.name, TEN)
    live.is_streaming = True
    decided: list[float] = []
    decide = bench.strategy.decide

    def late_s() -> float:
        return (clock.market_now() - TEN - timedelta(minutes=5)) / timedelta(seconds=1)

    def noted(context: Context) -> Sequence[Target]:
        decided.append(late_s())
        return decide(context)

    bench.strategy.decide = noted  # type: ignore[method-assign]
    async with scheduled(engine):
        for second in range(300):
            now = clock.market_now()
            live.hear([PriceTick(SBIN, Decimal(815), now, now, now, 100 + second)])
            live.take({SBIN: Quote(SBIN, Decimal(815))}, asked_at=now)
            if shown_s is not None:
                live.ends.hear(clock.monotonic(), shown_s, 0.0)
            for _ in range(2 if second < 299 else 1):
                await clock.advance(0.5)
                await has_looked(engine)
        await clock.wait_for_sleepers(2)  # the scheduler, and the slot that it waits for
        assert decided == []
        last = None
        while not decided:
            # Time passes for who waits for it alone: what is worked on takes none.
            if clock.sleepers > 1:
                await clock.advance(0.01)
            if last is None and late_s() >= max(0.001, min(shown_s or 0, 0.1) - 0.005):
                # The bar's last tick, as late as any has come.
                at = TEN + timedelta(minutes=5, seconds=-1)
                last = PriceTick(SBIN, Decimal(820), clock.market_now(), at, at, 1000)
                live.hear([last])
            await asyncio.sleep(0.001)
        assert 0 <= decided[0] <= within_s
        bars = bench.strategy.seen[-1].bars[SBIN]
        assert bars[-1].start == TEN and bars[-1].volume > 250
        assert bars[-1].close == 820


async def test_no_strategy_waits_for_the_run_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose run does not end loses its own slots alone."""
    slow, quick = Obedient(), Obedient()
    slow.name, quick.name = "slow", "quick"
    registry = {one.name: one for one in (slow, quick)}
    engine = await MemoryEngine(market_clock(TEN - timedelta(seconds=1)), registry).owned()
    await engine.connect()
    for name in registry:
        settings = engine.control.strategy_settings
        await settings.set_enabled(engine.command(), name, enabled=True)
        await engine.wiring.strategies.mark_slot(name, TEN - timedelta(minutes=5))
    ran: list[str] = []

    async def run(request: RunRequest) -> str:
        ran.append(request.run_id)
        if request.strategy == "slow":
            await asyncio.Event().wait()
        return "done"

    monkeypatch.setattr(engine.wiring.runner, "run", run)
    async with scheduled(engine):
        for moment in (TEN, TEN + timedelta(minutes=5)):
            await engine.clock.advance_to(moment)
            while not any(f"quick|{moment:%Y-%m-%dT%H:%M}" == one for one in ran):
                await engine.clock.advance(0.5)
                await has_looked(engine)
    assert len([one for one in ran if one.startswith("slow")]) == 1
