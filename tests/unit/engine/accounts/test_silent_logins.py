"""A login that was begun on its page and from which nothing came back (B3)."""

from __future__ import annotations

import pytest

from core.config import Settings
from core.domain.notices.logins import LoginSilent
from tests.fakes.brokers import roots_at
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("B3")


async def test_it_is_asked_about_after_five_minutes_and_not_before() -> None:
    """Once for an account, however often its page was posted, and however often it is looked at."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect(logged_in=False)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    for _ in range(2):
        await engine.control.logins.start(page.rpartition("/")[2])
    await engine.clock.advance(299)
    await engine.wiring.logins.tick()
    assert await engine.notices(LoginSilent) == []
    await engine.clock.advance(1)
    for _ in range(3):
        await engine.wiring.logins.tick()
    assert await engine.notices(LoginSilent) == [LoginSilent(account.broker_id)]


async def test_a_login_that_is_pasted_is_not_asked_about() -> None:
    """Without a page nobody knows when the user went to the broker: its address was only shown."""
    settings = Settings(public_url=None, roots=roots_at(lambda name: f"https://{name}.example"))
    engine = await MemoryEngine(ManualClock(), settings=settings).owned()
    account = await engine.connect(logged_in=False)
    assert (await engine.control.logins.offer(account.broker_id)).direct_url is not None
    await engine.clock.advance(400)
    await engine.wiring.logins.tick()
    assert await engine.notices(LoginSilent) == []
