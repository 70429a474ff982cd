"""A panic over sockets: four of six accounts cannot be closed, and the controller ends in the middle."""

from __future__ import annotations

import pytest

from core.domain.panic import PanicEnd
from tests.faults.beset import Beset, is_flat, panic_of
from tests.faults.life import FYERS, KITE, Life, World, another, living, until
from tests.faults.watch import Watch
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)


async def rests(life: Life) -> bool:
    """Whether a stop rests for each account's position."""
    stops = await life.rows(purpose="stop", state="ACCEPTED")
    return len(stops) == len(life.world.accounts)


@pytest.mark.row("R2")
@pytest.mark.invariant("I7")
@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_others_are_flat_while_four_are_named_and_a_restart_goes_on(
    world: World,
) -> None:
    """Hung, logged out, throttled, at the circuit: named as that; the rest closes over a restart."""
    beset = Beset(
        hung=another(world, "kite", 1),
        expired=another(world, "fyers", 2),
        limited=another(world, "kite", 3),
        circuit=another(world, "kite", 4),
    )
    world.order_deadline_s = 1.5
    first = Watch()
    async with living(world, first) as life:
        for who in (KITE, FYERS, *(vars(beset).values())):
            await life.connect(who)
        beset.hold_far(world)
        await life.enter(stop_percent="5")
        await until(lambda: rests(life))
        await life.refresh()
        beset.strike(world)
        await life.system.control.panic.start(
            life.command(), list(world.accounts), with_holdings=False
        )
        await until(lambda: life.rows(purpose="exit"))
        first.is_dead = True
    await world.bury()
    async with living(world) as life:
        await beset.are_named(life)
        assert all(is_flat(world, who) for who in (KITE, FYERS))
        assert (await panic_of(life)).is_running
        beset.end(world)
        expired = next(key for key, who in world.accounts.items() if who is beset.expired)
        await life.login(expired)

        async def is_over() -> bool:
            return not (await panic_of(life)).is_running

        await until(is_over)
        assert (await panic_of(life)).end is PanicEnd.FLAT
        assert all(is_flat(world, who) for who in world.accounts.values())
        await life.settled()
        assert world.told.kinds().count("panic_over") == 1
        await assert_invariants(life)
