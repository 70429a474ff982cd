"""Nobody is sent to a broker's page that would refuse the key: the chat is told at once (B3)."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.notices.logins import LoginFailed
from core.domain.sessions import IST
from core.errors import LoginFault, LoginRefused
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.scripted_broker import ScriptedLogin

pytestmark = pytest.mark.row("B3")

EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)


async def test_unknown_key_is_told_at_once_and_on_one_card() -> None:
    """No nonce is minted; the card names the fault; the right key lets the same link go on."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    account = await engine.connect(logged_in=False)
    login = engine.brokers[ZERODHA].login
    assert isinstance(login, ScriptedLogin)
    login.unknown_keys.add(account.api_key)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    link = page.rpartition("/")[2]
    for _ in range(3):
        with pytest.raises(LoginRefused) as caught:
            await engine.control.logins.start(link)
        assert caught.value.fault is LoginFault.KEY_UNKNOWN
    assert await engine.store.find("logins", {}) == []
    assert login.asked == 1, "a link in other hands must not use up the rate of the app's orders"
    told = await engine.notices(LoginFailed)
    assert {one.fault for one in told if isinstance(one, LoginFailed)} == {LoginFault.KEY_UNKNOWN}
    await engine.control.registration.renew_credentials(
        engine.command(), account.broker_id, "therightkey", "secret"
    )
    assert "nonce=" in await engine.control.logins.start(link)


async def test_key_is_asked_about_again_after_a_minute() -> None:
    """A broker that did not know a new app a moment ago may know it now."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    account = await engine.connect(logged_in=False)
    login = engine.brokers[ZERODHA].login
    assert isinstance(login, ScriptedLogin)
    login.unknown_keys.add(account.api_key)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    with pytest.raises(LoginRefused):
        await engine.control.logins.start(page.rpartition("/")[2])
    login.unknown_keys.clear()
    await engine.clock.advance(61.0)
    assert "nonce=" in await engine.control.logins.start(page.rpartition("/")[2])


async def test_refused_key_is_told_once_until_that_changes() -> None:
    """However often the page is posted, one row; known in between, or another key, is told anew."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    account = await engine.connect(logged_in=False)
    login = engine.brokers[ZERODHA].login
    assert isinstance(login, ScriptedLogin)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    link = page.rpartition("/")[2]

    async def post(times: int) -> int:
        for _ in range(times):
            with pytest.raises(LoginRefused):
                await engine.control.logins.start(link)
            await engine.clock.advance(20.0)
        return len(await engine.store.find("outbox", {}))

    login.unknown_keys.add(account.api_key)
    assert await post(10) == 1
    assert login.asked > 1, "the broker was asked again, and said the same"
    login.unknown_keys.clear()
    await engine.clock.advance(61.0)
    await engine.control.logins.start(link)
    login.unknown_keys.add(account.api_key)
    await engine.clock.advance(61.0)
    assert await post(5) == 2
    await engine.control.registration.renew_credentials(
        engine.command(), account.broker_id, "anotherkey", "secret"
    )
    told = len(await engine.store.find("outbox", {}))
    login.unknown_keys.add("anotherkey")
    assert await post(5) == told + 1
