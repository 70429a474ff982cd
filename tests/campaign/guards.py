"""What happens to guards while the process may end: one that fires, and one that is loosened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from core.bootstrap import System
from core.domain.command import Command
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.result_guard import Guard, GuardScope, ScopeKind
from tests.campaign.world import SBIN, World

__all__ = ["guard_fires", "guard_is_loosened"]

_STOP = Guard(stop=Decimal(100))


async def _set(world: World, guard: Guard, version: int) -> None:
    scope = GuardScope(ScopeKind.ACCOUNT, world.accounts[0])
    told = await world.ask(
        "guard", lambda system, command: system.control.guards.set(command, scope, guard, version)
    )
    assert told == "done", told


async def guard_fires(world: World) -> None:
    """A person holds some as well; the price falls through the guard's stop, and comes back.

    The strategy's next signal comes after that: it must not enter.
    """
    venue = world.venue(world.accounts[0])
    venue.by_hand(OrderRequest("", SBIN, Side.BUY, 5, OrderType.MARKET, Product.MIS))
    await asyncio.sleep(5)
    await _set(world, _STOP, 0)
    world.market.move(SBIN, world.clock.market_now() + timedelta(seconds=3), "0.98")
    await asyncio.sleep(160)
    assert any(row["kind"] == "guard_fired" for row in world.rows("outbox"))


async def guard_is_loosened(world: World) -> None:
    """Asked for, waited for, confirmed a second time: it is loosened once, whatever ended."""
    scope = GuardScope(ScopeKind.ACCOUNT, world.accounts[0])
    await _set(world, _STOP, 0)
    await _set(world, Guard(), 1)
    (row,) = world.rows("result_guards")
    assert row["pending"] is not None and row["stop"] == _STOP.stop
    waiting = row["pending"]["id"]

    async def confirm(system: System, command: Command) -> object:
        return await system.control.guards.confirm(command, scope, waiting)

    early = await world.ask("too early", confirm)
    assert "Too early" in early, early
    await asyncio.sleep(121)
    assert await world.ask("confirm", confirm) == "done"
    (row,) = world.rows("result_guards")
    assert (row["stop"], row["pending"], row["version"]) == (None, None, 2)
