"""What the web server is given answers like the product's logins and accounts, faults left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from core.adapters.zerodha import ZERODHA
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.logins import Logins
from core.errors import LoginFault, LoginRefused
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.web_world import LINK, SECRET, FakeAccounts, FakeLogins, account

pytestmark = pytest.mark.row("B1")


@dataclass(frozen=True)
class Given:
    """What the web server is given, and the secret part of one account's login page."""

    logins: FakeLogins | Logins
    accounts: FakeAccounts | Accounts
    link: str
    secret: str


@pytest.fixture(params=["fakes", "product"])
async def given(request: pytest.FixtureRequest) -> Given:
    """The fakes, and the product's own over a store in memory."""
    if request.param == "fakes":
        mine = account()
        return Given(FakeLogins(mine), FakeAccounts((mine,)), LINK, SECRET)
    engine = await MemoryEngine(ManualClock()).owned()
    one = await engine.connect(logged_in=False)
    offer = await engine.control.logins.offer(one.broker_id)
    link = str(offer.page_url).rpartition("/")[2]
    return Given(engine.wiring.logins, engine.wiring.accounts, link, "a secret")


def nonce_in(address: str) -> str:
    """Return the nonce that a login's address carries, whatever its broker calls it."""
    (nonce,) = parse_qs(urlsplit(address).query)["nonce"]
    return nonce


def query(nonce: str) -> Mapping[str, str]:
    """Return the query of a callback of Zerodha's."""
    return {"nonce": nonce, "request_token": "acode", "status": "success"}


async def test_login_goes_from_its_link_to_its_account(given: Given) -> None:
    """The link names the account, a start leads to the broker with a nonce, the callback back."""
    (mine,) = await given.accounts.all()
    assert (await given.logins.linked_account(given.link)).broker_id == mine.broker_id
    nonce = nonce_in(await given.logins.start(given.link))
    before = await given.logins.origin(ZERODHA, query(nonce))
    assert before is not None
    assert (before.account.broker_id, before.is_done) == (mine.broker_id, False)
    assert before.link == given.link
    done = await given.logins.callback(ZERODHA, query(nonce))
    assert done.broker_id == mine.broker_id
    after = await given.logins.origin(ZERODHA, query(nonce))
    assert after is not None
    assert after.is_done


async def test_strangers_link_and_nonce_are_nobodys(given: Given) -> None:
    """An unknown link is refused as unknown; an unknown nonce has no origin."""
    for ask in (given.logins.linked_account, given.logins.start):
        with pytest.raises(LoginRefused) as caught:
            await ask("nobodyslink-0123456789abcdefghij")
        assert caught.value.fault is LoginFault.ACCOUNT_UNKNOWN
    assert await given.logins.origin(ZERODHA, query("nobodysnonce-0123456789")) is None


async def test_nonce_serves_once(given: Given) -> None:
    """A second callback of one login is refused as used."""
    nonce = nonce_in(await given.logins.start(given.link))
    await given.logins.callback(ZERODHA, query(nonce))
    with pytest.raises(LoginRefused) as caught:
        await given.logins.callback(ZERODHA, query(nonce))
    assert caught.value.fault is LoginFault.NONCE_USED


async def test_credentials_are_the_accounts_own(given: Given) -> None:
    """They carry its id and its secret in the clear."""
    (mine,) = await given.accounts.all()
    credentials = await given.accounts.credentials(mine.broker_id)
    assert (credentials.broker_id, credentials.api_secret) == (mine.broker_id, given.secret)
    assert credentials.api_key == mine.api_key
