"""From the wish for a run to a healthy account's order at its broker: neighbours hung, or none."""

from __future__ import annotations

import itertools
import time
from functools import partial
from pathlib import Path
from statistics import median

from core.adapters.mongo.server import launch
from tests.bench.figure import Figure
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import FYERS, KITE, THIRD, Life, World, living, until
from tests.faults.pulse import PULSE

__all__ = ["isolation"]

SAMPLES = 10


async def isolation(directory: Path) -> dict[str, Figure]:
    """Measure one account alone, then the same account beside two whose brokers hang."""
    running = await launch(directory, uri=None, mongod=None, lookup_path=False)
    sandbox = Sandbox()
    try:
        world = World(sandbox, running.server.uri, "bench", directory, order_deadline_s=4.0)
        async with living(world) as life:
            healthy = await life.connect(KITE)
            await _samples(life, healthy, 2)  # warms the code up
            alone = await _samples(life, healthy, SAMPLES)
            for neighbour in (FYERS, THIRD):
                await life.connect(neighbour)
                match = {"api_key": neighbour.api_key}
                sandbox.fault("hang", neighbour.target, match=match, times=0)
            beside = await _samples(life, healthy, SAMPLES)
            sandbox.ask("DELETE", "/faults")
    finally:
        sandbox.end()
        await running.stop()
    peer = "the same with no neighbour"
    return {
        "order_beside_two_hung_accounts": Figure(
            median(beside) * 1e3, "ms", median(alone) * 1e3, peer
        )
    }


async def _samples(life: Life, healthy: str, count: int) -> list[float]:
    """Enter and leave in turn, and return how long each order took to reach the broker."""
    control, found = life.system.control, []
    for direction in itertools.islice(itertools.cycle(("LONG", "FLAT")), count):
        there = len(life.world.placed(KITE))
        await control.strategy_settings.set_parameter(life.command(), PULSE, "direction", direction)
        asked = time.time()
        run_id = await control.runs.file(life.command(), PULSE)
        await until(partial(life.system.run_requests.result, run_id), what=run_id)
        await life.holds(healthy, 1 if direction == "LONG" else 0)
        found.append(float(life.world.placed(KITE)[there]["real_at"]) - asked)
    return found
