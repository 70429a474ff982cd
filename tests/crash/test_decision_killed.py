"""``kill -9`` of a strategy's process in the middle of its decision; the controller lives on."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from core.bootstrap import strategy_processes
from core.domain.order import OrderState
from tests.faults.life import KITE, Life, World, living, until
from tests.faults.pulse import PULSE, REGISTRY_AT
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)


async def waits(life: Life, file: str) -> None:
    """Let the strategy wait in its decisions for a file; for none with ''."""
    settings = life.system.control.strategy_settings
    await settings.set_parameter(life.command(), PULSE, "waits_for", file)


async def killed_in_the_middle(life: Life, file: Path) -> str:
    """Run the strategy, and kill its process while it decides; return what came of the run."""
    begun = file.with_suffix(".waits")
    begun.unlink(missing_ok=True)

    async def has_begun() -> bool:
        return begun.exists()

    running = asyncio.create_task(life.run("LONG"))
    await until(has_begun, what="a decision")
    os.kill(int(begun.read_text()), signal.SIGKILL)
    return await life.system.run_requests.result(await running) or ""


@pytest.mark.matrix("S02")
@pytest.mark.invariant("I1", "I2", "I9")
async def test_killed_decision_changes_nothing_and_the_next_one_works(
    world: World, tmp_path: Path
) -> None:
    """Its run decides nothing and is said once a day; the next run has a new process and enters."""
    file = tmp_path / "go"
    async with living(world, decisions=strategy_processes(REGISTRY_AT)) as life:
        broker_id = await life.connect(KITE)
        await waits(life, str(file))
        lines = {await killed_in_the_middle(life, file) for _ in range(2)}
        assert lines == {"its process ended while it decided (signal 9, SIGKILL)"}
        store = life.foundation.store
        for collection in ("runs", "orders", "goals", "pinned_bars"):
            assert await store.find(collection, {}) == [], collection
        await life.settled()
        assert life.world.told.kinds().count("run_failed") == 1
        file.touch()
        await life.enter()
        (row,) = await life.rows()
        assert row["state"] == OrderState.FILLED.value
        await life.holds(broker_id, 1)
        await assert_invariants(life)
