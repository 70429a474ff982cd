"""Runs on pushed prices over the simulator, and what becomes of them when the stream does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.instrument import InstrumentId
from core.engine.runs.day_bars import DayBars
from core.engine.runs.live_prices import LivePrices
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, Life, World, living, until
from tests.faults.pulse import PULSE

SBIN = InstrumentId("NSE", "SBIN")
FAST = "2026-11-23T10:00:00*60"


async def has_run(life: Life, more: int) -> None:
    """Wait until the strategy has run so many slots more."""
    seen: set[object] = {await slot_of(life)}

    async def enough() -> bool:
        seen.add(await slot_of(life))
        return len(seen) > more

    await until(enough, what=f"{more} slots")


async def slot_of(life: Life) -> object:
    row = await life.foundation.store.get("strategies", PULSE)
    return row and row.get("last_slot_at")


@pytest.mark.row("D10")
async def test_slots_run_on_what_is_pushed_and_go_on_without_it(tmp_path: Path) -> None:
    """History for the start alone; ticks that stop are noticed and said once, and runs go on."""
    sandbox = Sandbox(clock=FAST)
    try:
        world = World(sandbox, None, "pushed", tmp_path, has_streams=True)
        async with living(world) as life:
            await life.connect(KITE)
            settings = life.system.control.strategy_settings
            await settings.set_enabled(life.command(), PULSE, enabled=True)
            reader = life.system.runner._bars
            days: DayBars = reader._days
            live: LivePrices = reader._live

            async def is_pushed() -> bool:
                return live.is_live(SBIN)

            async def is_not() -> bool:
                return not live.is_live(SBIN)

            async def is_said() -> bool:
                return "prices_polled" in world.told.kinds()

            await until(is_pushed, what="pushed prices")

            async def asks_nothing() -> bool:
                before = days.requests
                await has_run(life, 3)
                return days.requests == before

            # The minute in which the stream began is a gap.
            await until(asks_nothing, what="three slots without a request")
            asked = days.requests
            fault = sandbox.fault("stop_ticks", times=0)
            await until(is_not, what="notice of the silence")
            await until(is_said, what="its message")
            await has_run(life, 1)
            assert days.requests > asked
            sandbox.ask("DELETE", f"/faults/{fault}")
            await until(is_pushed, what="prices again")
            assert sandbox.ask("POST", "/sockets/drop", {"broker": "kite"})["dropped"]
            await until(is_pushed, what="prices on a new connection")
            assert world.told.kinds().count("prices_polled") == 1
    finally:
        sandbox.end()
