"""A disconnection and a new connection of the same user go around no safeguard (rows R1, R5)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.account import Account
from core.domain.account_day import AccountDay
from core.domain.day_result import DayResult
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.result_guard import Guard, GuardScope, ScopeKind
from core.domain.sessions import trading_day
from core.engine.orders.gate import gate_at
from core.engine.orders.limits import limits_at
from core.engine.orders.shut import why_shut
from core.engine.safeguards.guard_store import guard_at
from core.errors import UserError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine


async def opened() -> tuple[MemoryEngine, Account]:
    engine = await MemoryEngine(ManualClock()).owned()
    return engine, await engine.connect()


async def again(engine: MemoryEngine, account: Account) -> Account:
    """Disconnect an account, and connect the same user."""
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    return await engine.connect("Again")


def scope_of(account: Account) -> GuardScope:
    return GuardScope(ScopeKind.ACCOUNT, account.broker_id)


async def lose(engine: MemoryEngine, account: Account, rupees: int) -> None:
    day = AccountDay(account.broker_id, DayResult(realised=Decimal(-rupees)))
    await engine.wiring.loss_limit.judge({account.broker_id: day})
    await engine.wiring.result_guards.judge({account.broker_id: day})


@pytest.mark.row("R5")
async def test_locked_guard_stays_locked_and_its_day_stays_shut() -> None:
    """It cannot be loosened on the new account either, and nothing is entered there today."""
    engine, account = await opened()
    guards = engine.control.guards
    guard = Guard(stop=Decimal(1000))
    await guards.set(engine.command(), scope_of(account), guard, 0)
    await guards.lock(engine.command(), scope_of(account), 1)
    await lose(engine, account, 1200)
    after = await again(engine, account)
    found = await guard_at(engine.store, scope_of(after))
    assert found.guard == guard and found.state.fired is not None
    with pytest.raises(UserError, match="locked until"):
        await guards.set(engine.command(), scope_of(after), Guard(), found.version)
    day = trading_day(engine.clock.market_now())
    assert "stop of -₹1,000" in await why_shut(engine.store, after.broker_id, "orb", day)


@pytest.mark.row("R1")
async def test_daily_loss_that_was_reached_stands_with_its_limits() -> None:
    """It is in EXIT_ONLY for its five minutes, and until the limit is raised."""
    engine, account = await opened()
    limits = engine.control.limits
    await limits.set(engine.command(), account.broker_id, LimitKind.DAILY_LOSS, "1000")
    await limits.set(engine.command(), account.broker_id, LimitKind.ORDERS_DAY, "20")
    await lose(engine, account, 1200)
    before = await limits_at(engine.store, account.broker_id)
    after = await again(engine, account)
    kept = await limits_at(engine.store, after.broker_id)
    assert before.tripped is not None
    assert kept.limits == before.limits
    assert kept.tripped == replace(before.tripped, scope=after.broker_id)
    gate = await gate_at(engine.store, after.broker_id)
    assert gate is not None and gate.account_mode is TradingMode.EXIT_ONLY
    assert after.trading_mode is TradingMode.EXIT_ONLY
    with pytest.raises(UserError, match="Not set"):
        await engine.control.modes.set(engine.command(), TradingMode.NORMAL, after.broker_id)


@pytest.mark.row("R1")
async def test_account_of_long_ago_leaves_nothing_behind() -> None:
    """After more than a week it is a new account like any other."""
    engine, account = await opened()
    limits = engine.control.limits
    await limits.set(engine.command(), account.broker_id, LimitKind.DAILY_LOSS, "1000")
    await lose(engine, account, 1200)
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    await engine.clock.advance(8 * 24 * 3600)
    after = await engine.connect("Again")
    assert (await limits_at(engine.store, after.broker_id)).limits.daily_loss is None
    assert after.trading_mode is TradingMode.NORMAL
