"""What two users do with limits, guards, panics and questions on a random day, at once and apart."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from core.bootstrap import System
from core.domain.command import Command
from core.domain.limits import LimitKind, shown
from core.domain.mode import TradingMode
from core.domain.result_guard import Guard, GuardScope, ScopeKind, Trail
from tests.campaign.venue import VenueOrder
from tests.campaign.world import World

__all__ = ["Users", "answer_question"]

_VALUES = {
    LimitKind.DAILY_LOSS: (40, 150, 600, 5000),
    LimitKind.ORDER_VALUE: (5000, 21000, 45000, 500000),
    LimitKind.POSITION_VALUE: (9000, 30000, 60000, 500000),
    LimitKind.OPEN_POSITIONS: (1, 1, 2, 3),
    LimitKind.ORDERS_MINUTE: (2, 4, 10, 50),
    LimitKind.ORDERS_DAY: (6, 15, 30, 300),
}
"""Some that bind, and one that does not."""
_AMOUNTS = (30, 80, 200, 800, 4000)


class Users:
    """Two users of one chat.

    Args:
        world: Where they act.
        chance: What they choose by.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._busy: set[asyncio.Task[None]] = set()

    def begin(self, act: Coroutine[Any, Any, None]) -> None:
        """Let a user do something beside whatever else goes on."""
        task = self._world.loop.create_task(act, name="w:user")
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def end(self) -> None:
        """Wait for what is under way, and set what can be set to NORMAL again."""
        while self._busy:
            await asyncio.gather(*self._busy)
        await self.back_to_normal()

    def _scope(self) -> str:
        return self._chance.choice(["all", *self._world.accounts, *self._world.accounts])

    # Limits

    def set_limits(self) -> None:
        """One user sets a number, now and then two do so at this very moment."""
        scope, kind = self._scope(), self._chance.choice(list(LimitKind))
        for _ in range(self._chance.choice([1, 1, 2])):
            self.begin(self._set_limit(scope, kind))

    async def _set_limit(self, scope: str, kind: LimitKind) -> None:
        world, value = self._world, self._chance.choice(_VALUES[kind])
        row = world.database.committed["limits"].get(scope) or {}
        seen = shown(kind, row.get(kind.value))
        is_removed = row.get(kind.value) is not None and self._chance.random() < 0.6

        async def act(system: System, command: Command) -> object:
            limits = system.control.limits
            if is_removed:
                return await limits.remove(command, scope, kind, seen)
            return await limits.set(command, scope, kind, str(value))

        world.note(f"limit {kind} of {scope}: {'none' if is_removed else value}")
        await world.ask("limit", act)

    # Guards

    def change_guard(self) -> None:
        """One user changes a guard, now and then two do so by the same look at it."""
        scope = self._guard_scope()
        for _ in range(self._chance.choice([1, 1, 2])):
            self.begin(self._change_guard(scope))

    def _guard_scope(self) -> GuardScope:
        broker_id = self._chance.choice(self._world.accounts)
        strategy = self._chance.choice(sorted(self._world.strategies))
        return self._chance.choice(
            [
                GuardScope(ScopeKind.ALL),
                GuardScope(ScopeKind.ACCOUNT, broker_id),
                GuardScope(ScopeKind.STRATEGY, broker_id, strategy),
            ]
        )

    def _guard(self) -> Guard:
        chance = self._chance
        stop = Decimal(chance.choice(_AMOUNTS)) if chance.random() < 0.7 else None
        target = Decimal(chance.choice(_AMOUNTS)) * 2 if chance.random() < 0.3 else None
        trail = None
        if chance.random() < 0.3:
            start = Decimal(chance.choice([20, 60]))
            trail = Trail(start, start / 4, Decimal(20), Decimal(chance.choice([5, 10])))
            target = None
        return Guard(stop, target, trail)

    async def _change_guard(self, scope: GuardScope) -> None:
        world, guard = self._world, self._guard()
        row = world.database.committed["result_guards"].get(scope.key) or {"version": 0}
        version, is_lock = row["version"], self._chance.random() < 0.25

        async def change(system: System, command: Command) -> object:
            guards = system.control.guards
            if is_lock:
                return await guards.lock(command, scope, version)
            return await guards.set(command, scope, guard, version)

        world.note(f"guard of {scope.key}: {'lock' if is_lock else guard}")
        await world.ask("lock" if is_lock else "guard", change)
        await self._confirm(scope)

    async def _confirm(self, scope: GuardScope) -> None:
        """Confirm what waits: at once in vain, and after two minutes."""
        for wait_s in (self._chance.uniform(0, 100), 121.0):
            waiting = (self._row(scope) or {}).get("pending")
            if waiting is None:
                return
            pending_id = waiting["id"]
            await asyncio.sleep(wait_s)
            await self._world.ask(
                "confirm",
                lambda system, command, which=pending_id: system.control.guards.confirm(  # type: ignore[misc]
                    command, scope, which
                ),
            )

    def _row(self, scope: GuardScope) -> Any:
        return self._world.database.committed["result_guards"].get(scope.key)

    # Panics

    def panic(self) -> None:
        """One user ends everything on some accounts, now and then the other one does so too."""
        accounts = self._world.accounts
        chosen = self._chance.choice([accounts, accounts[:1], accounts[-1:]])
        for _ in range(self._chance.choice([1, 1, 2])):
            self.begin(self._panic(chosen))

    async def _panic(self, chosen: list[str]) -> None:
        chance = self._chance
        await self._world.panic(chosen, with_holdings=chance.random() < 0.3)
        await asyncio.sleep(chance.uniform(10, 60))
        running = [row["_id"] for row in self._world.rows("panics") if not row["end"]]
        if running and chance.random() < 0.5:
            await self._world.ask(
                "stop the panic",
                lambda system, command: system.control.panic.stop(command, running[0]),
            )
        await self.back_to_normal()

    async def back_to_normal(self) -> None:
        """Set NORMAL again wherever it may be set; where not, EXIT_ONLY rather than PAUSED."""
        for who in (None, *self._world.accounts):
            if self._world.wanted_modes.get(who, TradingMode.NORMAL) is TradingMode.NORMAL:
                continue
            told = await self._world.set_mode(TradingMode.NORMAL, who)
            if told != "done" and self._world.wanted_modes.get(who) is TradingMode.PAUSED:
                await self._world.set_mode(TradingMode.EXIT_ONLY, who)

    # Questions

    def answer(self) -> None:
        """Say of each order of unknown fate what the broker's app shows of it."""
        for row in self._world.rows("orders"):
            if row["state"] == "UNRESOLVED":
                for _ in range(self._chance.choice([1, 1, 2])):
                    self.begin(self._answer(row["_id"]))

    async def _answer(self, client_order_id: str) -> None:
        await asyncio.sleep(self._chance.uniform(0, 8))
        if self._chance.random() < 0.3:
            await self._world.ask(
                "ask again",
                lambda system, _command: system.control.unresolved.ask_again(client_order_id),
            )
        await answer_question(self._world, client_order_id)


async def answer_question(world: World, client_order_id: str) -> None:
    """Let a user say the truth: linked to the broker's order that lost its tag, or not placed.

    Of an order that the broker shows with its tag nothing is said: the reads find it.
    """
    row = world.database.committed["orders"][client_order_id]
    venue = world.venue(row["broker_id"])
    placed = venue.of_tag(client_order_id)
    if placed is not None and (placed.shows_tag or placed.shown_at > world.loop.time()):
        return
    if placed is None and any(_may_come(one, client_order_id) for one in venue.writes):
        return
    found: VenueOrder | None = placed

    async def act(system: System, command: Command) -> object:
        unresolved = system.control.unresolved
        if found is None:
            return await unresolved.not_placed(command, client_order_id)
        return await unresolved.link(command, client_order_id, found.order_id)

    told = await world.ask("answer", act)
    world.answered += told == "done"


def _may_come(write: dict[str, Any], client_order_id: str) -> bool:
    """Whether a request arrived and is on its way to the exchange still."""
    return bool(write["applied"]) and write["tag"] == client_order_id
