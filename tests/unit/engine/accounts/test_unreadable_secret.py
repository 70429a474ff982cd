"""A login whose account's secret cannot be opened: the page says so, and the chat does (B3)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from bot.views.words import LOGIN_FAULT
from core.domain.notices.logins import LoginFailed
from core.errors import LoginFault, LoginRefused
from core.ports.store import Change
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine


@pytest.mark.row("B3")
@pytest.mark.matrix("A06")
async def test_secret_that_cannot_be_opened_is_told_as_that() -> None:
    """It was damaged while its user was at the broker: the login is refused, told, and spent.

    Not as one that worked: nothing was exchanged, and another login would change nothing.
    """
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect(logged_in=False)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    address = await engine.control.logins.start(page.rpartition("/")[2])
    nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
    await engine.store.update(
        "broker_accounts", {"_id": account.broker_id}, Change(set={"api_secret": "damaged"})
    )
    callback = account.broker.callback
    with pytest.raises(LoginRefused) as caught:
        await engine.control.logins.callback(
            account.broker, {callback.nonce: nonce, callback.code: "a code"}
        )
    assert caught.value.fault is LoginFault.SECRET_UNREADABLE
    (told,) = await engine.notices(LoginFailed)
    assert isinstance(told, LoginFailed)
    assert (told.broker_id, told.fault) == (account.broker_id, LoginFault.SECRET_UNREADABLE)
    (row,) = await engine.store.find("logins", {"_id": nonce})
    assert row["state"] == "spent"


@pytest.mark.row("B3")
@pytest.mark.matrix("A06")
async def test_nobody_is_sent_to_the_broker_with_a_secret_that_cannot_be_opened() -> None:
    """The page and the chat say why, once: no login at the broker could be completed."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect(logged_in=False)
    page = str((await engine.control.logins.offer(account.broker_id)).page_url)
    await engine.store.update(
        "broker_accounts", {"_id": account.broker_id}, Change(set={"api_secret": "damaged"})
    )
    for _ in range(2):
        with pytest.raises(LoginRefused) as caught:
            await engine.control.logins.start(page.rpartition("/")[2])
        assert caught.value.fault is LoginFault.SECRET_UNREADABLE
    (told,) = await engine.notices(LoginFailed)
    assert isinstance(told, LoginFailed) and told.fault is LoginFault.SECRET_UNREADABLE
    assert await engine.store.find("logins", {"state": "open"}) == []


@pytest.mark.row("B3")
def test_words_of_a_login_never_say_that_one_worked_which_does_not_count() -> None:
    """Whoever reads them knows whether they are logged in, and what to do next."""
    for fault, words in LOGIN_FAULT.items():
        assert "worked" not in words, fault
    assert "Key and secret" in LOGIN_FAULT[LoginFault.SECRET_UNREADABLE]
