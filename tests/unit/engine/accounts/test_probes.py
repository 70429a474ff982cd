"""Every login is looked at, at the start and before the session: one that fails ends no other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from core.bootstrap import build, services
from core.domain.account import Account
from core.domain.sessions import IST
from core.errors import NotFound, StoreUnavailable
from tests.fakes.deciding import InProcess
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("B8")

EARLY = datetime(2026, 11, 23, 8, 45, tzinfo=IST)


async def test_an_account_that_fails_ends_no_other_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store goes away for one of three logins that ended: the others are seen to have ended."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    accounts = [await engine.connect(f"No {number}") for number in range(3)]
    for account in accounts:
        engine.at_broker(account).is_logged_out = True
    tokens = engine.wiring.tokens
    mark = tokens.mark_expired

    async def marked(broker_id: str, *given: Any, **named: Any) -> bool:
        if broker_id == accounts[0].broker_id:
            raise StoreUnavailable("away")
        return await mark(broker_id, *given, **named)

    monkeypatch.setattr(tokens, "mark_expired", marked)
    with pytest.raises(StoreUnavailable):
        await tokens.probe_all(engine.wiring.connections)
    now = [await engine.control.accounts.get(one.broker_id) for one in accounts]
    assert [one.needs_login for one in now] == [False, True, True]


async def test_an_account_that_was_disconnected_meanwhile_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no error, and the others are looked at."""
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    gone, stays = [await engine.connect(name) for name in ("Gone", "Stays")]
    engine.at_broker(stays).is_logged_out = True
    connections = engine.wiring.connections
    client = connections.client

    async def found(account: Account) -> Any:
        if account.broker_id == gone.broker_id:
            raise NotFound("That account is not connected any more.")
        return await client(account)

    monkeypatch.setattr(connections, "client", found)
    await engine.wiring.tokens.probe_all(connections)
    assert (await engine.control.accounts.get(stays.broker_id)).needs_login


async def test_every_login_is_looked_at_before_the_first_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the start of the controller, hours before the look that precedes the session."""

    async def no_ticks(_ticks: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(services, "run_ticks", no_ticks)
    engine = await MemoryEngine(market_clock(EARLY.replace(hour=7))).owned()
    account = await engine.connect()
    engine.at_broker(account).is_logged_out = True
    await engine.clock.advance(60)
    system = build(engine.foundation, {}, decisions=InProcess({}), brokers=engine.brokers)
    working = asyncio.ensure_future(system.services["schedule"]())
    async with asyncio.timeout(150):
        while system.scheduler.last_tick_at is None and not working.done():
            await asyncio.sleep(0.001)
    assert (await system.accounts.get(account.broker_id)).needs_login
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
