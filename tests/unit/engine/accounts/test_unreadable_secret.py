"""A login whose account's secret cannot be opened: the page says so, and the chat does (B3)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from core.domain.notices.logins import LoginFailed
from core.errors import LoginFault, LoginRefused
from core.ports.store import Change
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine


@pytest.mark.row("B3")
@pytest.mark.matrix("A06")
async def test_secret_that_cannot_be_opened_is_told_in_the_chat_too() -> None:
    """It was damaged while its user was at the broker: the login is refused, told, and spent."""
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
    assert caught.value.fault is LoginFault.NOT_SAVED
    (told,) = await engine.notices(LoginFailed)
    assert isinstance(told, LoginFailed)
    assert (told.broker_id, told.fault) == (account.broker_id, LoginFault.NOT_SAVED)
    (row,) = await engine.store.find("logins", {"_id": nonce})
    assert row["state"] == "spent"
