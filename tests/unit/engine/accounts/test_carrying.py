"""An account that is carried over is carried once, whoever is faster (row A11)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.adapters.fyers import FYERS
from core.domain.legacy import LegacyLogin
from core.domain.mode import TradingMode
from core.engine.accounts.carrying import CarryPlan, carry, plan_of
from core.engine.workers.lease import fence_beside
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("A11")

LOGIN = LegacyLogin(
    "tokens/fyers",
    "AB1CD2EF3G-100",
    "CANARYSECRET1",
    "canary-token-000000000001",
    TEN - timedelta(hours=1),
    None,
    None,
)


async def planned(engine: MemoryEngine, name: str = "Main") -> CarryPlan:
    accounts = engine.wiring.accounts
    return await plan_of(
        engine.store, engine.clock, accounts, FYERS, LOGIN, name=name, mode=TradingMode.EXIT_ONLY
    )


async def test_two_that_planned_the_same_add_it_once() -> None:
    """Both looked before either wrote: the second finds the first one's account."""
    engine = MemoryEngine(market_clock(TEN))
    plans = [await planned(engine), await planned(engine, "Old")]
    assert [one.there for one in plans] == [None, None]
    accounts = engine.wiring.accounts
    done = [
        await carry(engine.store, engine.clock, accounts, one, fence=fence_beside) for one in plans
    ]
    assert [one.is_new for one in done] == [True, False]
    assert done[0].account == done[1].account
    assert len(await engine.store.find("broker_accounts", {})) == 1
    assert len(await engine.store.find("account_gates", {})) == 1


async def test_it_stays_once_its_user_is_known() -> None:
    """The old token names nobody; after the first login the account is the same one still."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    done = await carry(
        engine.store,
        engine.clock,
        engine.wiring.accounts,
        await planned(engine),
        fence=fence_beside,
    )
    await engine.log_in(done.account)
    again = await planned(engine, "Old")
    assert again.there is not None and again.there.broker_id == done.account.broker_id
