"""Guards over the engine in memory: set one, move the price, look."""

from __future__ import annotations

from decimal import Decimal

from core.domain.result_guard import Guard, GuardScope, ScopeKind
from core.engine.safeguards.guard_store import StoredGuard, guard_at, put_guard
from tests.fakes.desk import STRATEGY, Desk
from tests.fakes.memory_engine import MemoryEngine

__all__ = ["account_scope", "look", "set_guard", "stored", "strategy_scope"]

ALL = GuardScope(ScopeKind.ALL)


def account_scope(desk: Desk) -> GuardScope:
    """Return the scope of the desk's account."""
    return GuardScope(ScopeKind.ACCOUNT, desk.broker_id)


def strategy_scope(desk: Desk, strategy: str = STRATEGY) -> GuardScope:
    """Return the scope of a strategy on the desk's account."""
    return GuardScope(ScopeKind.STRATEGY, desk.broker_id, strategy)


async def set_guard(engine: MemoryEngine, scope: GuardScope, guard: Guard) -> None:
    """Set a guard, past what a user is asked."""
    before = await guard_at(engine.store, scope)
    version = before.version + 1
    changed = StoredGuard(scope, guard, version, engine.clock.now(), "1", state=before.state)
    await put_guard(engine.store, changed)


async def stored(engine: MemoryEngine, scope: GuardScope) -> StoredGuard:
    """Return a guard as it is stored."""
    return await guard_at(engine.store, scope)


async def look(desk: Desk, price: str | None = None, times: int = 1) -> None:
    """Let the account be read, time pass, and everybody look at the prices."""
    for _ in range(times):
        if price is not None:
            desk.at.price = Decimal(price)
        await desk.clock.advance(3)
        await desk.turns(1)
        await desk.engine.wiring.price_watch.tick()
