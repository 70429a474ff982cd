"""The crash enumerator: the controller ends at the k-th port call, whichever that is.

One clean run counts the moments. Then, for a sample of them (all with ``-m nightly``), a controller stops
dead there: no call goes out or comes back any more, which is what a kill looks like from outside. The
next controller must end where the invariants hold. The real ``kill -9`` is in ``test_kill.py``.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path

import pymongo
import pytest

from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, Life, World, living
from tests.faults.watch import Rule, Watch
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

IDS = ("I1", "I2", "I3", "I4", "I5", "I8", "I9")


async def scenario(life: Life) -> None:
    """Enter with a stop, then exit: placements, a cancel, runs, notices."""
    (broker_id,) = life.world.accounts
    await life.ready(broker_id)
    await life.enter(stop_percent="5")
    await life.run("FLAT")
    await life.holds(broker_id, 0)
    await life.settled()


async def begun(simulators: Sandbox, uri: str, tmp_path: Path) -> World:
    """Return a new world in which one account is connected."""
    simulators.ask("POST", "/reset")
    name = f"test_{uuid.uuid4().hex[:12]}"
    world = World(simulators, uri, name, tmp_path / name)
    async with living(world) as life:
        await life.connect(KITE)
        await life.settled()
    return world


async def cut_short(world: World, k: int) -> None:
    """Live the scenario until the k-th moment, and stop dead there."""
    watch = Watch(Rule("*", "", k))
    watch.act = watch.die

    async def live() -> None:
        async with living(world, watch) as life:
            await scenario(life)

    playing = asyncio.create_task(live())
    dying = asyncio.create_task(watch.struck.wait())
    await asyncio.wait({playing, dying}, return_when=asyncio.FIRST_COMPLETED)
    for task in (playing, dying):
        task.cancel()
    await asyncio.gather(playing, dying, return_exceptions=True)
    await world.bury()


async def enumerate_crashes(
    simulators: Sandbox, uri: str, tmp_path: Path, sample: int | None
) -> None:
    """Count the moments of the scenario, then crash at some or all of them."""
    watch = Watch()
    worlds = [await begun(simulators, uri, tmp_path)]
    async with living(worlds[0], watch) as life:
        await scenario(life)
        moments = len(watch.moments)
    chosen = range(1, moments + 1)
    for k in random.sample(chosen, sample) if sample else chosen:
        world = await begun(simulators, uri, tmp_path)
        worlds.append(world)
        await cut_short(world, k)
        async with living(world) as life:
            try:
                await assert_invariants(life)
            except AssertionError as error:
                raise AssertionError(f"crash at moment {k} of {moments}: {error}") from error
        with pymongo.MongoClient[dict[str, object]](uri) as client:
            client.drop_database(world.db)


@pytest.mark.matrix("C01", "C02", "C05", "C07", "C10")
@pytest.mark.invariant(*IDS)
async def test_crash_at_some_moments(
    simulators: Sandbox, embedded_store_uri: str, tmp_path: Path
) -> None:
    """Two moments by chance (the seed is printed): the invariants hold after each."""
    await enumerate_crashes(simulators, embedded_store_uri, tmp_path, 2)


@pytest.mark.matrix("C01", "C02", "C05", "C07", "C10")
@pytest.mark.invariant(*IDS)
@pytest.mark.nightly
@pytest.mark.timeout(1800)
async def test_crash_at_every_moment(
    simulators: Sandbox, embedded_store_uri: str, tmp_path: Path
) -> None:
    """Every moment: the invariants hold after each."""
    await enumerate_crashes(simulators, embedded_store_uri, tmp_path, None)
