"""What a carried account is: the default one, enabled, in the mode that was asked for (row A11)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.adapters.fyers import FYERS
from core.domain.legacy import LegacyLogin
from core.domain.mode import TradingMode
from core.engine.accounts.carrying import CarryPlan, carry, plan_of
from core.engine.workers.lease import fence_beside
from core.errors import UserError
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN
from tests.unit.engine.accounts.test_carrying import LOGIN

pytestmark = pytest.mark.row("A11")


async def planned(
    engine: MemoryEngine, login: LegacyLogin = LOGIN, mode: TradingMode = TradingMode.EXIT_ONLY
) -> CarryPlan:
    """Return the plan of carrying a login over as *Main*."""
    accounts = engine.wiring.accounts
    return await plan_of(engine.store, engine.clock, accounts, FYERS, login, name="Main", mode=mode)


@pytest.mark.parametrize("mode", [TradingMode.EXIT_ONLY, TradingMode.NORMAL])
async def test_it_takes_the_default_mark_and_has_the_asked_mode(mode: TradingMode) -> None:
    """Enabled, beside what is here already; its secrets are sealed."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    before = await engine.connect("Before")
    assert before.is_default
    plan = await planned(engine, mode=mode)
    assert plan.default == before
    accounts = engine.wiring.accounts
    done = await carry(engine.store, engine.clock, accounts, plan, fence=fence_beside)
    found = done.account
    assert (found.is_default, found.enabled, found.trading_mode) == (True, True, mode)
    assert [one.is_default for one in await accounts.all()] == [True, False]
    (row,) = await engine.store.find("broker_accounts", {"_id": found.broker_id})
    assert LOGIN.access_token not in repr(row)
    assert LOGIN.api_secret not in repr(row)
    assert (await accounts.credentials(found.broker_id)).access_token == LOGIN.access_token


async def test_a_name_that_is_taken_is_refused_before_anything_is_written() -> None:
    """Said with what is expected; nothing was added."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    await engine.connect("Main")
    with pytest.raises(UserError, match="called 'Main' already"):
        await planned(engine)
    assert len(await engine.wiring.accounts.all()) == 1


async def test_another_user_of_the_same_app_is_another_account() -> None:
    """A family shares one developer account (A9): the same user is here already, another is not."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    accounts = engine.wiring.accounts
    first = replace(LOGIN, user_id="XA00001")
    done = await carry(
        engine.store, engine.clock, accounts, await planned(engine, first), fence=fence_beside
    )
    again = await planned(engine, first)
    assert again.there == done.account
    for user_id, is_here in (("XA00001", True), (None, True), ("XB00002", False)):
        login = replace(LOGIN, user_id=user_id)
        found = await accounts.same_as(engine.store, FYERS.name, login.api_key, login.user_id)
        assert (found is not None) is is_here
