"""An account of a broker that this program does not know: it alone says so, the others go on."""

from __future__ import annotations

import pytest

from bot.views.words import token_state
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.command import Command
from core.engine.accounts.connections import Connections
from core.engine.accounts.masters import Masters
from core.errors import BrokerReadError, LoginFault, LoginRefused
from core.ports.store import Change
from tests.fakes.login_fixtures import login_world
from tests.fakes.login_world import LoginWorld

pytest_plugins = ("tests.fakes.kite_fixtures",)
world = login_world

REASON = "this version of Saarthi does not know the broker 'gone'"


async def of_another_version(world: LoginWorld) -> Account:
    """Return an account that was logged in and is now stored as some other program's broker."""
    account = await world.add(ZERODHA, "Old")
    page = await world.page(account)
    assert (await world.log_in(account)).status_code == 200
    change = Change(set={"broker_type": "gone"})
    await world.store.update("broker_accounts", {"_id": account.broker_id}, change)
    link = {"_id": page.rsplit("/", 1)[1], "broker_id": account.broker_id}
    await world.store.insert("login_links", link)
    return await world.accounts.get(account.broker_id)


async def test_account_says_what_is_wrong(world: LoginWorld) -> None:
    """It is listed, parked with the reason, and asks for no login, since none can help."""
    account = await of_another_version(world)
    assert (account.label, account.parked_reason) == ("gone - Old", REASON)
    assert not account.needs_login and token_state(account) == "not supported"


async def test_nothing_is_sent_for_it(world: LoginWorld) -> None:
    """It has no client, no instruments and no login; each says why instead of breaking."""
    account = await of_another_version(world)
    masters = Masters(world.brokers, world.clock)
    with pytest.raises(BrokerReadError, match=REASON):
        await Connections(world.brokers, world.accounts, masters).client(account)
    with pytest.raises(BrokerReadError, match="no instruments of gone"):
        await masters.instruments(account.broker)
    with pytest.raises(LoginRefused) as refused:
        await world.logins.start((await world.page(account)).rsplit("/", 1)[1])
    assert refused.value.fault is LoginFault.ACCOUNT_UNKNOWN


async def test_other_accounts_go_on(world: LoginWorld) -> None:
    """Another account logs in, and both can be renamed and disconnected."""
    gone = await of_another_version(world)
    account = await world.add(FYERS)
    assert (await world.log_in(account)).status_code == 200
    assert {one.label for one in await world.accounts.all()} == {"gone - Old", "Fyers - Main"}
    await world.accounts.set_default(Command("default", 1, 1), account.broker_id)
    await world.accounts.rename(Command("rename", 1, 1), gone.broker_id, "Older")
    await world.accounts.wipe(gone.broker_id, nonce="wipe")
    assert [one.label for one in await world.accounts.all()] == ["Fyers - Main"]
