"""Logins that end by the clock: one message for all accounts, and buttons that go with a login."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from core.adapters.fyers import FYERS
from core.domain.notices.logins import TokenWarning
from core.domain.notices.post import login_key
from core.domain.order import OrderState, Purpose
from core.domain.outcome import Refusal
from core.domain.sessions import IST
from tests.fakes.memory_engine import CHAT, MemoryEngine, market_clock
from tests.fakes.orders import order_in

EVENING = datetime(2026, 11, 23, 18, tzinfo=IST)


@pytest.mark.row("B6")
async def test_logins_that_end_in_the_morning_are_one_message() -> None:
    """Five accounts at 06:00: the warning alone, with all of them and why."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    accounts = [await engine.connect(f"No {number}") for number in range(4)]
    accounts.append(await engine.connect("Other", FYERS))
    await engine.clock.advance(15 * 3600)
    await engine.wiring.tokens.tick(engine.wiring.connections)
    assert await engine.notices(TokenWarning) == [
        TokenWarning(tuple(one.broker_id for one in accounts))
    ]
    ended = [await engine.control.accounts.get(one.broker_id) for one in accounts]
    assert all(one.parked_reason.endswith(", as each day") for one in ended)


@pytest.mark.row("B6")
async def test_login_that_is_renewed_ends_at_its_own_time() -> None:
    """Looks in between know from before when the first login ends."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    first, second = [await engine.connect(name, logged_in=False) for name in ("First", "Second")]
    await engine.become_writer()
    tokens, found = engine.wiring.tokens, []
    for account, hours in ((first, 15), (second, 1), (None, 23)):
        await tokens.tick(engine.wiring.connections)
        if account is not None:
            await engine.log_in(account)
        await tokens.tick(engine.wiring.connections)
        await engine.clock.advance(hours * 3600)
        await tokens.tick(engine.wiring.connections)
        found.append([one.needs_login for one in await engine.control.accounts.all()])
    assert found == [[True, True], [True, False], [True, True]]


@pytest.mark.row("B10")
async def test_the_message_that_asked_for_a_login_goes_with_it() -> None:
    """No login button of before is left to be tapped once the account is logged in.

    One message asks at a time: the caller learns which one asked before, to take it away.
    """
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    account = await engine.connect(logged_in=False)
    asked = engine.control.deliveries.asked_for_login
    told = [await asked(CHAT, account.broker_id, number) for number in (76, 77, 77)]
    assert told == [None, 76, None]
    assert await engine.card(login_key(account.broker_id)) == 77
    await engine.log_in(account)
    rows = await engine.store.find("outbox", {"chat_id": CHAT}, sort=[("seq", 1)])
    removed = [row for row in rows if row["key"] == login_key(account.broker_id)]
    assert [row["delivery"] for row in removed] == ["remove"]


@pytest.mark.row("B6", "B8")
async def test_logins_that_end_together_ring_once_and_a_login_rings_for_no_other() -> None:
    """Found by each account's own read: one new message, edited as accounts join and leave it."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    accounts = [await engine.connect(f"No {number}") for number in range(3)]
    tokens = engine.wiring.tokens
    for one in accounts:
        await tokens.mark_expired(one.broker_id, "the broker has ended its login")
        await engine.clock.advance(1)
    await engine.log_in(accounts[0])
    rows = await engine.store.find("outbox", {"kind": TokenWarning.kind}, sort=[("seq", 1)])
    assert [row["delivery"] for row in rows] == ["replace", "edit", "edit", "edit"]
    ids = [one.broker_id for one in accounts]
    assert [row["data"]["broker_ids"] for row in rows] == [ids[:1], ids[:2], ids, ids[1:]]
    await tokens.show_warning()
    assert len(await engine.notices(TokenWarning)) == 4, "nothing has changed since"


@pytest.mark.row("B8")
async def test_the_message_about_an_ended_login_names_the_exits_that_wait() -> None:
    """They are not sent before the login, and nobody would think of them."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    account = await engine.connect()
    held = order_in(OrderState.HELD, broker_id=account.broker_id, purpose=Purpose.EXIT)
    held = replace(held, held_for=Refusal.AUTH_REQUIRED)
    await engine.wiring.journal.add(engine.store, [held])
    await engine.wiring.tokens.mark_expired(account.broker_id, "a test")
    (warning,) = await engine.notices(TokenWarning)
    assert warning == TokenWarning((account.broker_id,), (held.client_order_id,))
