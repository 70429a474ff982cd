"""How long a login that was begun at its page may take (row B1)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from core.domain.broker_profile import BrokerProfile
from core.errors import LoginFault, LoginRefused
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("B1")


async def begun(engine: MemoryEngine) -> tuple[BrokerProfile, dict[str, str]]:
    """Post an account's login page; return its broker and the query of the callback to come."""
    account = await engine.connect(logged_in=False)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    address = await engine.control.logins.start(page.rpartition("/")[2])
    nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
    callback = account.broker.callback
    return account.broker, {callback.nonce: nonce, callback.code: "a code"}


async def test_login_may_take_ten_minutes_and_no_longer() -> None:
    """Second factors take their time: in the last second it counts, at ten minutes it is over."""
    engine = await MemoryEngine(ManualClock()).owned()
    broker, query = await begun(engine)
    await engine.clock.advance(599)
    account = await engine.control.logins.callback(broker, query)
    assert not account.needs_login

    engine = await MemoryEngine(ManualClock()).owned()
    broker, query = await begun(engine)
    await engine.clock.advance(600)
    with pytest.raises(LoginRefused) as refused:
        await engine.control.logins.callback(broker, query)
    assert refused.value.fault is LoginFault.NONCE_EXPIRED
