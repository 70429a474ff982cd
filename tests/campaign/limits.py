"""What happens to limits while the process may end: one is set, one is reached, one is proved."""

from __future__ import annotations

import asyncio
from typing import Any

from core.bootstrap import System
from core.domain.command import Command
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from tests.campaign.world import SBIN, World

__all__ = ["limit_is_set", "loss_is_reached", "round_trip_is_made"]


async def _set(world: World, kind: LimitKind, rupees: int) -> None:
    scope = world.accounts[0]
    told = await world.ask(
        "limit",
        lambda system, command: system.control.limits.set(command, scope, kind, str(rupees)),
    )
    assert told == "done", told


def _limits(world: World, changes: int) -> dict[str, Any]:
    """Return the account's document; its record has a row for each change, in order."""
    row = world.database.committed["limits"][world.accounts[0]]
    record = sorted(one["version"] for one in world.rows("limit_changes"))
    assert record == list(range(1, changes + 1)), record
    assert row["version"] == changes
    return dict(row)


def _told(world: World, kind: str) -> int:
    return sum(1 for row in world.rows("outbox") if row["kind"] == kind)


async def limit_is_set(world: World) -> None:
    """Set before a signal: once, with its row in the record, and the signal enters nothing."""
    await _set(world, LimitKind.ORDER_VALUE, 1000)
    await asyncio.sleep(80)
    assert _limits(world, 1)["order_value"] == 1000
    assert not [row for row in world.rows("orders") if row["purpose"] == "entry"]


async def loss_is_reached(world: World) -> None:
    """The charges of what is held are beyond it: EXIT_ONLY, recorded and told once."""
    await _set(world, LimitKind.DAILY_LOSS, 1)
    world.wanted_modes[world.accounts[0]] = TradingMode.EXIT_ONLY
    await asyncio.sleep(60)
    row = _limits(world, 2)
    assert row["tripped"]["limit"] == 1 and row["tripped"]["result"] <= -1
    assert _told(world, "daily_loss_reached") == 1


async def round_trip_is_made(world: World) -> None:
    """Asked for once: bought and sold once and proved; or not bought, and that is said.

    It is not bought where the process ended between the commit and the send.
    """
    broker_id = world.accounts[0]
    await _set(world, LimitKind.DAILY_LOSS, 10000)
    await _set(world, LimitKind.ORDER_VALUE, 10000)

    async def begin(system: System, command: Command) -> object:
        return await system.control.round_trips.begin(command, broker_id, SBIN)

    told = await world.ask("round trip", begin)
    assert told == "done", told
    await asyncio.sleep(90)
    row = _limits(world, 4)
    bought = [trade.signed for trade in world.venue(broker_id).trades]
    assert row["trip"] is None and bought in ([], [1, -1]), bought
    assert bool(row.get("proved")) == bool(bought)
    assert _told(world, "round_trip_passed") == len(bought) // 2
    assert _told(world, "round_trip_failed") == (not bought)
