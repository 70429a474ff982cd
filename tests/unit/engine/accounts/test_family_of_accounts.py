"""One developer account, several broker users: which accounts are one, and which are two (A9, A10)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account, AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.sessions import IST
from core.errors import LoginFault, LoginRefused, UserError
from core.ports.broker import Credentials, LoginGrant
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("A9")
EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)
KEY = "familykey"
WAITS = "uses this key already and has not logged in yet"


class Family:
    """An engine, and who sits at the broker's page."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.control = engine.control

    async def add(
        self, name: str, key: str = KEY, broker: BrokerProfile = ZERODHA, user: str = ""
    ) -> Account:
        """Add an account; log it in as this user, if any."""
        draft = AccountDraft(broker, name, key, "a secret")
        account = await self.control.registration.add(self.engine.command(), draft)
        if user:
            await self.log_in(account, user)
        return await self.control.accounts.get(account.broker_id)

    async def log_in(self, account: Account, user: str) -> None:
        """Log in as a user of the broker."""
        login = self.engine.brokers[account.broker].login
        with pytest.MonkeyPatch.context() as patch:
            given = login.exchange

            async def exchange(
                credentials: Credentials, code: str, *, redirect_url: str
            ) -> LoginGrant:
                grant = await given(credentials, code, redirect_url=redirect_url)
                return replace(grant, user_id=user)

            patch.setattr(login, "exchange", exchange)
            await self.engine.log_in(account)

    async def users(self) -> dict[str, str | None]:
        """Return the user of each account, by its name."""
        return {one.display_name: one.user_id for one in await self.control.accounts.all()}


@pytest.fixture
async def family() -> Family:
    return Family(await MemoryEngine(market_clock(EARLY)).owned())


async def test_each_user_of_one_key_has_an_account_of_its_own(family: Family) -> None:
    """Side by side, each with its own login; the wizard says whose the key is already."""
    check = family.control.registration.check_key
    assert await check(KEY, ZERODHA.name) == ""
    first = await family.add("Gita", user="AB1234")
    hint = await check(KEY, ZERODHA.name)
    assert "Gita (AB1234)" in hint and "another user of that app" in hint
    await family.add("Ishan", user="CD5678")
    assert await family.users() == {"Gita": "AB1234", "Ishan": "CD5678"}
    tokens = [
        (await family.engine.wiring.accounts.credentials(one.broker_id)).access_token
        for one in await family.control.accounts.all()
    ]
    assert len(set(tokens)) == 2 and all(tokens)
    assert await check(KEY, FYERS.name) == "", "another broker's keys are others"
    assert "Ishan" in await check(KEY, ZERODHA.name, besides=first.broker_id)


@pytest.mark.row("A10")
async def test_two_of_a_key_that_nobody_can_tell_apart_are_refused(family: Family) -> None:
    """Until the first has logged in: asked in the wizard, and again as the account is added."""
    waits = await family.add("Gita")
    with pytest.raises(UserError, match=f"'Gita' {WAITS}"):
        await family.control.registration.check_key(KEY, ZERODHA.name)
    with pytest.raises(UserError, match=f"'Gita' {WAITS}"):
        await family.add("Ishan")
    await family.add("Same letters, other broker", broker=FYERS)
    await family.add("Other", key="another")
    assert "Ishan" not in await family.users()
    await family.control.registration.disconnect(family.engine.command(), waits.broker_id)
    await family.add("Ishan")
    assert (await family.users())["Ishan"] is None


@pytest.mark.row("A10")
async def test_a_user_is_connected_once_for_each_key(family: Family) -> None:
    """The second login of the same user says where he is connected, and leaves nothing behind."""
    first = await family.add("Gita", user="AB1234")
    second = await family.add("Twice")
    with pytest.raises(LoginRefused) as refused:
        await family.log_in(second, "AB1234")
    assert refused.value.fault is LoginFault.OTHER_USER
    assert refused.value.detail == "AB1234 is connected already as Gita"
    again = await family.control.accounts.get(second.broker_id)
    assert again.needs_login and again.user_id is None
    assert not (await family.control.accounts.get(first.broker_id)).needs_login
    await family.add("By another app", key="another", user="AB1234")
    await family.log_in(second, "CD5678")
    assert (await family.users())["Twice"] == "CD5678"


async def test_an_account_stays_its_users(family: Family) -> None:
    """A browser in which another member of the family is logged in connects nothing."""
    account = await family.add("Gita", user="AB1234")
    token = (await family.engine.wiring.accounts.credentials(account.broker_id)).access_token
    with pytest.raises(LoginRefused, match="CD5678 logged in, expected AB1234") as refused:
        await family.log_in(account, "CD5678")
    assert refused.value.fault is LoginFault.OTHER_USER
    after = await family.engine.wiring.accounts.credentials(account.broker_id)
    assert after.access_token == token


@pytest.mark.row("A10")
async def test_a_new_key_does_not_make_two_accounts_one(family: Family) -> None:
    """Not of one user, and not where the other one of the key has yet to log in."""
    await family.add("Gita", user="AB1234")
    other = await family.add("By another app", key="another", user="AB1234")
    renew, command = family.control.registration.renew_credentials, family.engine.command
    with pytest.raises(UserError, match="of the same user and key already"):
        await renew(command(), other.broker_id, KEY, "a secret")
    assert (await family.control.accounts.get(other.broker_id)).api_key == "another"
    waits = await family.add("Waits", key="third")
    with pytest.raises(UserError, match=f"'Waits' {WAITS}"):
        await renew(command(), other.broker_id, "third", "a secret")
    for one in (waits, other):  # its own key is no other account's: another secret for it
        await renew(command(), one.broker_id, one.api_key, "another secret")
    assert (await family.control.accounts.get(other.broker_id)).needs_login
