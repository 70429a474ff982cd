"""The crash enumerator in memory: each scenario ends once at every call of every port.

One life without an end counts the calls. Then, for each of them, a controller dies there, another
one starts, and the umpire judges where it has come to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from tests.campaign.compared import compare
from tests.campaign.paper import asked_about
from tests.campaign.rest import come_to_rest
from tests.campaign.scenarios import SCENARIOS, opened
from tests.campaign.story import story_of
from tests.campaign.umpire import Umpire, Verdict
from tests.campaign.virtual import VirtualLoop, run_virtually
from tests.campaign.world import World
from tests.faults.watch import Rule

__all__ = ["crash_at", "moments_of", "played", "sampled"]

_RESTART_S = (1.0, 4.0, 0.2)
"""After how long the next controller starts: by turns, so that some find the horizon passed."""


async def _crash(
    name: str, rule: Rule | None, loop: VirtualLoop, arm: Callable[[World], None]
) -> tuple[Verdict, World]:
    """Live a scenario; the controller ends at the call that ``rule`` names."""
    # Each second moment with updates that are pushed beside the polling.
    world = await opened(name, loop, pushes=rule is not None and rule.k % 2 == 0)
    arm(world)
    umpire = Umpire(world)
    for broker_id in world.accounts:
        venue = world.venue(broker_id)
        for trade in venue.trades:
            umpire.filled(broker_id, trade)
        venue.on_fill = partial(umpire.filled, broker_id)
    life = world.life
    assert life is not None
    before = len(life.watch.moments)
    life.watch.rule = rule
    helpers = [
        loop.create_task(world.every(1.0, umpire.observe), name="w:umpire"),
        loop.create_task(compare(world), name="w:comparer"),
        loop.create_task(_revive(world, rule.k if rule else 0), name="w:reaper"),
    ]
    await SCENARIOS[name].live(world)
    if rule is None:
        world.moments = len(life.watch.moments) - before
    await come_to_rest(world, umpire.verdict)
    for helper in helpers:
        helper.cancel()
    verdict = umpire.judge()
    for broker_id in world.accounts:
        net = sum(world.venue(broker_id).net(key) for key in world.venue(broker_id).touched())
        if net not in SCENARIOS[name].ends:
            verdict.bad("positions wrong", f"{name} of {broker_id} ended at {net}")
    for broker_id in world.seats:
        for sentence in asked_about(world.rows("order_events"), broker_id):
            verdict.bad("invariants broken", sentence)
    return verdict, world


async def _revive(world: World, k: int) -> None:
    while True:
        await asyncio.sleep(0.1)
        life = world.life
        if life is not None and life.watch.is_dead:
            await world.restart(_RESTART_S[k % len(_RESTART_S)])


def moments_of(name: str) -> int:
    """Return how many calls a scenario makes when nothing ends it."""

    async def count(loop: VirtualLoop) -> int:
        _, world = await _crash(name, None, loop, _nothing)
        return world.moments

    return run_virtually(count, 7)


def crash_at(name: str, k: int) -> Verdict:
    """End a scenario at its k-th call and return what the umpire says; 0 ends nothing."""
    return played(name, Rule("*", "", k) if k else None)


def _nothing(_world: World) -> None:
    return None


def played(name: str, rule: Rule | None = None, arm: Callable[[World], None] = _nothing) -> Verdict:
    """Live a scenario with an end at some call and with what ``arm`` sets; judge it."""

    async def crash(loop: VirtualLoop) -> Verdict:
        verdict, world = await _crash(name, rule, loop, arm)
        if verdict.faults:
            verdict.story = story_of(world)
        return verdict

    return run_virtually(crash, 7)


def sampled(moments: int, wanted: int, seed: int) -> Sequence[int]:
    """Return ``wanted`` of the moments, evenly spread from a start that the seed chooses."""
    if wanted >= moments:
        return range(1, moments + 1)
    step = moments / wanted
    return [1 + (int(n * step) + seed) % moments for n in range(wanted)]
