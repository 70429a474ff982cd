"""An account whose secrets cannot be opened can be left, and mended (rows A7, A8, case A06)."""

from __future__ import annotations

import pytest

from bot.views.accounts import disconnect_question
from core.adapters.fyers import FYERS
from core.domain.account import Account, TokenStatus
from core.ports.store import Change
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.matrix("A06")


async def restarted(*others: str, damaged: str = "") -> tuple[MemoryEngine, Account]:
    """Return an account that is logged in, after a start with one of its secrets damaged."""
    first = await MemoryEngine(market_clock(TEN)).owned()
    for name in others:
        await first.connect(name, FYERS)
    account = await first.connect("Second", FYERS)
    if damaged:
        change = Change(set={damaged: "damaged"})
        await first.store.update("broker_accounts", {"_id": account.broker_id}, change)
    await first.clock.advance(60)
    again = MemoryEngine(first.clock, store=first.store, brokers=first.brokers, key=first.key)
    return again, account


@pytest.mark.row("A8")
@pytest.mark.parametrize("damaged", ["api_secret", "access_token"])
async def test_it_is_disconnected_and_what_is_not_known_is_told(damaged: str) -> None:
    """Nobody can log it out without its token; whoever wants it gone is not held up by that."""
    engine, account = await restarted(damaged=damaged)
    worker = engine.wiring.new_worker(account.broker_id)
    engine.wiring.pool._workers[account.broker_id] = worker
    exposure = await engine.control.views.exposure(account.broker_id)
    assert "may be incomplete" in disconnect_question(exposure, is_last=True)
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    assert await engine.control.accounts.all() == ()
    health = await engine.control.health.read()
    assert any("did not confirm the logout" in one for one in health.troubles)


@pytest.mark.row("A8")
async def test_it_is_logged_out_where_the_masters_cannot_be_had() -> None:
    """Without the broker's list of instruments nothing can be traded; a logout needs none."""
    engine, account = await restarted()
    engine.brokers[FYERS].master.trouble = "503"
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    assert engine.at_broker(account).is_logged_out
    assert await engine.control.accounts.all() == ()


@pytest.mark.row("B9")
async def test_it_takes_no_view_of_the_others_along() -> None:
    """The morning's readiness, the dashboard and the question before a disconnect: each says why."""
    engine, account = await restarted("Other", damaged="access_token")
    other, _ = every = await engine.control.accounts.all()
    for one in every:
        worker = engine.wiring.new_worker(one.broker_id)
        engine.wiring.pool._workers[one.broker_id] = worker
    lines = {one.account.broker_id: one for one in await engine.control.health.readiness()}
    assert lines[other.broker_id].is_ready
    assert not lines[account.broker_id].is_ready
    assert "secret cannot be read" in lines[account.broker_id].note
    assert await engine.control.views.look(account.broker_id)
    board = await engine.control.views.dashboard(account.broker_id)
    assert board.funds is None


@pytest.mark.row("A7")
@pytest.mark.parametrize("damaged", ["api_secret", "access_token"])
async def test_new_key_and_secret_mend_it(damaged: str) -> None:
    """That is what the chat advises; the account stays and logs in again."""
    engine, account = await restarted(damaged=damaged)
    await engine.control.registration.renew_credentials(
        engine.command(), account.broker_id, account.api_key, "another secret"
    )
    found = await engine.wiring.accounts.credentials(account.broker_id)
    assert (found.api_secret, found.access_token) == ("another secret", "")
    await engine.log_in(account)
    after = await engine.control.accounts.get(account.broker_id)
    assert after.token_status is TokenStatus.VALID
