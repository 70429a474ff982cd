"""Guards of the campaign: one that fires, one that is loosened, any on a day; what must hold."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from core.bootstrap import System
from core.domain.command import Command
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.result_guard import Guard, GuardScope, ScopeKind, Trail
from tests.campaign.world import SBIN, World

__all__ = ["any_guard", "guard_faults", "guard_fires", "guard_is_loosened"]

_STOP = Guard(stop=Decimal(100))
_COMMITS_WITHIN = timedelta(seconds=2)
"""How long after its time a shut day may be committed, with the store away in between."""


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
    fired = [row for row in world.rows("outbox") if row["kind"] == "guard_fired"]
    assert len(fired) == 1, f"the guard fired {len(fired)} times"
    (guard,) = world.rows("result_guards")
    assert guard["fired"] is not None and len(world.rows("shut_days")) == 1


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


async def any_guard(world: World, chance: random.Random) -> None:
    """A user sets some guard, small enough to fire on such a day."""
    broker_id = chance.choice(world.accounts)
    scope = chance.choice(
        [
            GuardScope(ScopeKind.ALL),
            GuardScope(ScopeKind.ACCOUNT, broker_id),
            GuardScope(ScopeKind.STRATEGY, broker_id, chance.choice(sorted(world.strategies))),
        ]
    )
    trail = Trail(Decimal(100), Decimal(20), Decimal(100), Decimal(50))
    guard = Guard(
        stop=Decimal(chance.choice([100, 150, 300, 800])),
        trail=chance.choice([None, trail]),
    )

    async def act(system: System, command: Command) -> object:
        version = (await system.control.guards.get(scope)).version
        return await system.control.guards.set(command, scope, guard, version)

    await world.ask("guard", act)


def guard_faults(world: World) -> Iterable[str]:
    """A guard fires once a day; after that nothing is entered under it, and nothing of it is held."""
    fired = Counter(
        row["data"]["scope"] for row in world.rows("outbox") if row["kind"] == "guard_fired"
    )
    shut = {row["scope"]: row["at"] for row in world.rows("shut_days")}
    if fired != Counter(list(shut)):
        yield f"guards told of firing {dict(fired)}, and shut {sorted(shut)}"
    for key, at in shut.items():
        scope = GuardScope.parse(key)
        for row in world.rows("orders"):
            sent = row["submitted_at"]
            is_covered = scope.covers(row["broker_id"], row["strategy"])
            if is_covered and row["purpose"] == "entry" and sent and sent - at > _COMMITS_WITHIN:
                yield f"{row['_id']} was entered {sent - at} after {key} was shut"
        for row in world.rows("ledgers"):
            if row["quantity"] and scope.covers(row["broker_id"], row["strategy"]):
                yield f"{row['_id']} holds {row['quantity']} although {key} is shut"
