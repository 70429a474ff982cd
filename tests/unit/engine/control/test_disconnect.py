"""Disconnecting an account: out at the broker, secrets gone, history kept, no account any more (A8)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.views.accounts import disconnect_question
from core.adapters.fyers import FYERS
from core.domain.broker import BrokerStatus
from core.domain.order import Purpose
from core.errors import (
    BrokerReadError,
    LoginFault,
    LoginRefused,
    NotFound,
    ReadFault,
    StoreUnavailable,
)
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("A8")


async def disconnect(engine: MemoryEngine, broker_id: str) -> None:
    await engine.control.registration.disconnect(engine.command(), broker_id)


async def document(engine: MemoryEngine, broker_id: str) -> dict[str, Any]:
    return dict(await engine.store.get("broker_accounts", broker_id) or {})


async def a_gone_desk() -> Desk:
    """Return an account that held ten with a stop, disconnected."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    await disconnect(desk.engine, desk.broker_id)
    return desk


async def test_the_question_names_what_hangs_on_the_account() -> None:
    """The position and the order that rests, each by its instrument, as the account has them."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    exposure = await desk.engine.control.views.exposure(desk.broker_id)
    question = disconnect_question(exposure, is_last=True)
    assert "1 open position" in question and "1 working order" in question
    assert question.count("SBIN") == 2 and "800" in question


async def test_it_is_logged_out_and_its_secrets_are_wiped() -> None:
    """At the broker the session is over; neither key nor secret nor token is left in the store."""
    desk = await a_desk()
    before = await document(desk.engine, desk.broker_id)
    assert before["api_key"] and before["api_secret"] and before["access_token"]
    await disconnect(desk.engine, desk.broker_id)
    after = await document(desk.engine, desk.broker_id)
    assert desk.at.is_logged_out
    secrets = {name: after.get(name) for name in ("api_key", "api_secret", "access_token")}
    assert not any(secrets.values())
    assert after["disconnected_at"] == desk.clock.now()


async def test_a_logout_that_the_broker_did_not_confirm_is_told() -> None:
    """The account is disconnected all the same; the health view says what is not known."""
    desk = await a_desk()

    async def unheard() -> None:
        raise BrokerReadError(ReadFault.UNREACHABLE, "502")

    desk.at.logout = unheard  # type: ignore[method-assign]
    await disconnect(desk.engine, desk.broker_id)
    assert await desk.engine.control.accounts.all() == ()
    health = await desk.engine.control.health.read()
    assert any("did not confirm the logout" in one for one in health.troubles)


@pytest.mark.parametrize("act", ["wipe", "replace_credentials"])
async def test_its_client_is_closed_when_the_store_refuses(
    monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Nothing was changed, nobody was logged out, and no connection is left open."""
    desk = await a_desk()
    closed: list[str] = []

    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    async def close() -> None:
        closed.append(desk.broker_id)

    monkeypatch.setattr(desk.engine.wiring.accounts, act, refuse)
    monkeypatch.setattr(desk.at, "aclose", close)
    registration, command = desk.engine.control.registration, desk.engine.command()
    done = (
        registration.disconnect(command, desk.broker_id)
        if act == "wipe"
        else registration.renew_credentials(command, desk.broker_id, "newkey0123456789", "x")
    )
    with pytest.raises(StoreUnavailable):
        await done
    assert closed == [desk.broker_id]
    assert not desk.at.is_logged_out


async def test_its_history_stays_and_nothing_of_it_is_looked_after() -> None:
    """Orders and account remain as they were; the stop rests, and no strategy holds anything."""
    desk = await a_gone_desk()
    assert await desk.states(Purpose.ENTRY) == ["FILLED"]
    (row,) = await desk.engine.store.find("broker_accounts", {})
    assert (row["_id"], row["display_name"], row["live"]) == (desk.broker_id, "Main", False)
    assert await desk.units() == 0
    (stop,) = desk.at.resting()
    assert stop.status is BrokerStatus.WORKING
    with pytest.raises(NotFound):
        await desk.turns(1)


async def test_it_is_no_account_any_more() -> None:
    """Not listed, not reachable, its login page ended, and nothing can be sent through its gate."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    account = await engine.connect()
    other = await engine.connect("Other", FYERS)
    await engine.wiring.tokens.mark_expired(account.broker_id, "a test")
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    await disconnect(engine, account.broker_id)
    listed: Sequence[Any] = await engine.control.accounts.all()
    assert [one.broker_id for one in listed] == [other.broker_id]
    with pytest.raises(NotFound):
        await engine.control.accounts.get(account.broker_id)
    with pytest.raises(LoginRefused) as refused:
        await engine.control.logins.linked_account(page.rpartition("/")[2])
    assert refused.value.fault is LoginFault.ACCOUNT_UNKNOWN
    left = await engine.store.find("login_links", {"broker_id": account.broker_id})
    assert left == []
    gate = await engine.store.get("account_gates", account.broker_id)
    assert gate is None or not (gate["enabled"] or gate["drain"])


@pytest.mark.row("A6")
async def test_the_mark_passes_on_and_the_first_account_has_it() -> None:
    """Exactly one of the accounts there are is the default: the first, a chosen one, the heir."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    first, second, third = [await engine.connect(name) for name in ("First", "Second", "Third")]

    async def marked() -> list[str]:
        return [one.display_name for one in await engine.control.accounts.all() if one.is_default]

    assert (first.is_default, await marked()) == (True, ["First"])
    await engine.control.accounts.set_default(engine.command(), second.broker_id)
    assert await marked() == ["Second"]
    await disconnect(engine, second.broker_id)
    assert await marked() == ["First"]
    await disconnect(engine, third.broker_id)
    await disconnect(engine, first.broker_id)
    assert await marked() == []
    again = await engine.connect("Again")
    assert again.is_default
