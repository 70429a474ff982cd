"""Panics, questions and two users at once, while the process may end; and a clock that is set back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from core.bootstrap import System
from core.domain.command import Command
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.result_guard import Guard, GuardScope, ScopeKind
from tests.campaign.users import answer_question
from tests.campaign.world import World

__all__ = ["clock_is_set_back", "one_hangs", "question_is_linked", "two_users_at_once"]

_LONGEST_S = 90


async def one_hangs(world: World) -> None:
    """Of two accounts one hangs for a minute: the other is flat meanwhile, and it follows."""
    first, second = world.accounts
    troubles = world.client(second).troubles
    troubles.read("*", "hangs", 60)
    for _ in range(4):
        troubles.write("cancel", "lost request")
    await world.panic([first, second])
    until = world.loop.time() + 45
    while _held(world, first):
        assert world.loop.time() < until, "the account that answers waits for the one that hangs"
        await asyncio.sleep(1.0)
    assert _held(world, second), "the account was to hang"
    await asyncio.sleep(60)


def _held(world: World, broker_id: str) -> int:
    venue = world.venue(broker_id)
    return sum(abs(venue.net(key)) for key in venue.touched())


async def _at_once(world: World, *acts: Coroutine[Any, Any, Any]) -> list[Any]:
    """Let users act beside one another; the end of a controller ends none of them."""
    return await asyncio.gather(*(world.loop.create_task(act, name="w:user") for act in acts))


async def question_is_linked(world: World) -> None:
    """The answer of an entry and its tag are lost: a user links it, and says so twice."""
    world.client(world.accounts[0]).troubles.write("place", "lost tag")
    for _ in range(_LONGEST_S):
        await asyncio.sleep(1.0)
        asked = [row["_id"] for row in world.rows("orders") if row["state"] == "UNRESOLVED"]
        for client_order_id in asked:
            await _at_once(world, *(answer_question(world, client_order_id) for _ in range(2)))


async def two_users_at_once(world: World) -> None:
    """Two users change one limit and one guard by the same look; each change is there once."""
    broker_id = world.accounts[0]
    scope = GuardScope(ScopeKind.ACCOUNT, broker_id)

    async def limit(rupees: int, system: System, command: Command) -> object:
        kind = LimitKind.ORDER_VALUE
        return await system.control.limits.set(command, broker_id, kind, str(rupees))

    async def guard(stop: int, system: System, command: Command) -> object:
        return await system.control.guards.set(command, scope, Guard(Decimal(stop)), 0)

    told = await _at_once(
        world,
        *(world.ask("limit", partial(limit, rupees)) for rupees in (90_000, 80_000)),
        *(world.ask("guard", partial(guard, stop)) for stop in (4000, 3000)),
    )
    assert told[:2] == ["done", "done"], told
    assert sorted(one == "done" for one in told[2:]) == [False, True], told
    limits = world.database.committed["limits"][broker_id]
    changes = sorted(world.rows("limit_changes"), key=lambda row: str(row["_id"]))
    assert [row["version"] for row in changes] == [1, 2]
    assert changes[1]["old"] == changes[0]["new"]
    assert changes[1]["new"] == str(limits["order_value"])
    (one,) = world.rows("result_guards")
    assert one["version"] == 1 and one["stop"] == (4000 if told[2] == "done" else 3000)
    await asyncio.sleep(20)


async def clock_is_set_back(world: World) -> None:
    """After a daily loss the clock is set back: it stays EXIT_ONLY, and a panic still ends."""
    broker_id = world.accounts[0]
    kind = LimitKind.DAILY_LOSS

    async def limit(system: System, command: Command) -> object:
        return await system.control.limits.set(command, broker_id, kind, "1")

    assert await world.ask("limit", limit) == "done"
    while "tripped" not in (world.database.committed["limits"].get(broker_id) or {}):
        await asyncio.sleep(1.0)
    world.note("the clock is set back")
    world.clock.step(timedelta(minutes=-10))
    told = await world.set_mode(TradingMode.NORMAL, broker_id)
    assert "Not set" in told, told
    await world.panic([broker_id])
    await asyncio.sleep(60)
