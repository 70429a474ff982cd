"""Everything that can go wrong in a login (product.md B3), through real HTTP on every leg."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile
from core.errors import LoginFault
from core.ports.store import Change
from tests.fakes.login_fixtures import login_world
from tests.fakes.login_world import (
    DEADLINE_S,
    USERS,
    LoginWorld,
    assert_logged_out,
    assert_told,
    query_of,
    with_query,
)

pytestmark = pytest.mark.dates

pytest_plugins = ("tests.fakes.kite_fixtures",)
world = login_world

KITE = ZERODHA
TARGET = {KITE: "kite", FYERS: "fyers"}
EXCHANGE = {KITE: "/session/token", FYERS: "/api/v3/validate-authcode"}
CODE = {KITE: "request_token", FYERS: "auth_code"}
NONCE = {KITE: "nonce", FYERS: "state"}

both = pytest.mark.parametrize("kind", [KITE, FYERS], ids=str)


@both
@pytest.mark.row("B3")
async def test_denied(world: LoginWorld, kind: BrokerProfile) -> None:
    """A user who says no at the broker sees that and may try again."""
    account = await world.add(kind)
    page = await world.page(account)
    callback = await world.at_broker(await world.begin(account), USERS[kind][0], "deny")
    answer = await world.http.get(callback)
    assert answer.status_code == 403
    assert "not allowed" in answer.text
    assert f'href="{page.removeprefix(world.root)}"' in answer.text
    await assert_told(world, account, LoginFault.DENIED)
    world.clock.ahead = timedelta(minutes=6)
    await world.logins.tick()
    assert await world.notices("login_silent") == []
    await assert_logged_out(world, account)


@both
@pytest.mark.row("B3")
async def test_unknown_key(world: LoginWorld, kind: BrokerProfile) -> None:
    """The broker's login page refuses the key: told at the POST, and nobody is sent there."""
    account = await world.add(kind)
    change = Change(set={"api_key": "WRONG12345-100" if kind is FYERS else "wrongkey12345"})
    await world.store.update("broker_accounts", {"_id": account.broker_id}, change)
    answer = await world.http.post(await world.page(account), follow_redirects=False)
    assert answer.status_code == 502
    assert "does not know the API key" in answer.text
    await assert_told(world, account, LoginFault.KEY_UNKNOWN)
    await assert_logged_out(world, account)


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_expired_nonce(world: LoginWorld, kind: BrokerProfile) -> None:
    """A callback later than ten minutes changes nothing; told once, however often it is loaded."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    world.clock.ahead = timedelta(minutes=10)
    for _ in range(3):
        answer = await world.http.get(callback)
        assert answer.status_code == 410
        assert "ten minutes" in answer.text
    await assert_told(world, account, LoginFault.NONCE_EXPIRED)
    await assert_logged_out(world, account)


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_reused_nonce_after_success(world: LoginWorld, kind: BrokerProfile) -> None:
    """A reload of the done page is friendly and changes nothing."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    await world.http.get(callback)
    before = await world.row(account)
    for _ in range(3):
        again = await world.http.get(callback)
        assert again.status_code == 409
        assert "already used" in again.text and "is connected" in again.text
    assert await world.row(account) == before
    assert world.logged_in == [account.broker_id]
    assert [one["kind"] for one in await world.notices()] == ["login_done", "login_reopened"]


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_reused_nonce_with_a_fresh_code(world: LoginWorld, kind: BrokerProfile) -> None:
    """A nonce that failed once is spent, whatever code comes with it."""
    account = await world.add(kind)
    fresh = query_of(await world.come_back(account))[CODE[kind]]
    callback = await world.come_back(account)
    first = await world.http.get(with_query(callback, **{CODE[kind]: "bogus"}))
    assert first.status_code == 409 and "did not take the code" in first.text
    again = await world.http.get(with_query(callback, **{CODE[kind]: fresh}))
    assert again.status_code == 409 and "already used" in again.text
    faults = [one["fault"] for one in await world.notices("login_failed")]
    assert faults == ["code_used", "nonce_used"]
    await assert_logged_out(world, account)


@both
@pytest.mark.row("B3", "G4")
async def test_unknown_nonce(world: LoginWorld, kind: BrokerProfile) -> None:
    """A login that nobody here started is refused, and strangers cannot write into the chat."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    for nonce in ("A" * 32, None):
        answer = await world.http.get(with_query(callback, **{NONCE[kind]: nonce}))
        assert answer.status_code == 404
        assert "not started here" in answer.text
        assert account.label not in answer.text
    assert await world.notices() == []
    kept = [row["_id"] for row in await world.store.find("commits", {})]
    assert [name for name in kept if not name.startswith(("add:", "begin:"))] == []
    assert (await world.http.get(callback)).status_code == 200


@both
@pytest.mark.row("B1", "B3")
async def test_callback_twice_at_once(world: LoginWorld, kind: BrokerProfile) -> None:
    """A browser that sends the redirect several times at once logs in once."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    answers = await asyncio.gather(*(world.http.get(callback) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
    assert world.logged_in == [account.broker_id]
    assert (await world.row(account))["token_status"] == "valid"
    assert len(await world.notices("login_done")) == 1


@both
@pytest.mark.row("B3")
async def test_account_disconnected_meanwhile(world: LoginWorld, kind: BrokerProfile) -> None:
    """An account that went while its person logged in stays gone."""
    account = await world.add(kind)
    page = await world.page(account)
    callback = await world.come_back(account)
    await world.accounts.wipe(account.broker_id, nonce="wipe")
    answer = await world.http.get(callback)
    assert answer.status_code == 404
    assert "not connected any more" in answer.text
    assert (await world.http.post(page)).status_code == 404
    await assert_told(world, account, LoginFault.ACCOUNT_UNKNOWN)
    row = await world.row(account)
    assert not row["live"] and row["access_token"] is None and row["token_status"] == "expired"


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_code_already_used(world: LoginWorld, kind: BrokerProfile) -> None:
    """A code that was spent before is refused by the broker; the login before it stays."""
    account = await world.add(kind)
    first = await world.come_back(account)
    assert (await world.http.get(first)).status_code == 200
    second = await world.come_back(account)
    before = await world.row(account)
    spent = query_of(first)[CODE[kind]]
    answer = await world.http.get(with_query(second, **{CODE[kind]: spent}))
    assert answer.status_code == 409
    assert "did not take the code" in answer.text
    await assert_told(world, account, LoginFault.CODE_USED)
    assert await world.row(account) == before


@both
@pytest.mark.row("B3")
async def test_wrong_secret(world: LoginWorld, kind: BrokerProfile) -> None:
    """A mistyped secret has its own page, which does not show it."""
    account = await world.add(kind, secret="mistypedsecret99")
    answer = await world.log_in(account)
    assert answer.status_code == 502
    assert "The API secret is wrong" in answer.text
    assert "mistypedsecret99" not in answer.text
    await assert_told(world, account, LoginFault.WRONG_SECRET)
    await assert_logged_out(world, account)


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_other_user(world: LoginWorld, kind: BrokerProfile) -> None:
    """The broker's cookie chose somebody else: refused, and the page says how to log out there."""
    account = await world.add(kind)
    await world.log_in(account)
    before = await world.row(account)
    right, wrong = USERS[kind]
    world.sandbox.fault("other_user", TARGET[kind], user_id=wrong)
    answer = await world.log_in(account)
    assert answer.status_code == 403
    for words in ("another user", "ogout", f"{wrong} logged in, expected {right}"):
        assert words in answer.text
    await assert_told(world, account, LoginFault.OTHER_USER)
    assert await world.row(account) == before


@pytest.mark.row("B3")
async def test_user_not_admitted_by_fyers(world: LoginWorld) -> None:
    """Fyers sends back a user whom the app does not admit, with its own words."""
    account = await world.add(FYERS)
    world.sandbox.fault("not_admitted", "fyers")
    answer = await world.log_in(account)
    assert answer.status_code == 403
    assert "may not use the app" in answer.text
    await assert_told(world, account, LoginFault.NOT_ADMITTED)
    await assert_logged_out(world, account)


@pytest.mark.row("B3")
async def test_user_not_admitted_by_kite(world: LoginWorld) -> None:
    """Kite keeps such a user on its own page; after five minutes the chat asks."""
    account = await world.add(KITE)
    address = await world.begin(account)
    world.sandbox.fault("not_admitted", "kite")
    form = {"user_id": USERS[KITE][0], "action": "allow"}
    assert (await world.http.post(address, data=form)).status_code == 403
    world.clock.ahead = timedelta(minutes=5, seconds=1)
    await world.logins.tick()
    assert await world.notices() == [{"kind": "login_silent", "broker_id": account.broker_id}]


@both
@pytest.mark.row("B3")
@pytest.mark.invariant("I13")
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "hang"},
        {"kind": "http", "status": 503},
        {"kind": "html"},
        {"kind": "reset_before"},
        {"kind": "drip", "delay_s": 0.2},
    ],
    ids=lambda fault: str(fault["kind"]),
)
async def test_broker_down(world: LoginWorld, kind: BrokerProfile, fault: dict[str, Any]) -> None:
    """However the broker is down, the page says so within the deadline and offers to try again."""
    account = await world.add(kind)
    page = await world.page(account)
    callback = await world.come_back(account)
    world.sandbox.fault(**fault, target=TARGET[kind], match={"path": EXCHANGE[kind]})
    began = time.monotonic()
    answer = await world.http.get(callback)
    assert time.monotonic() - began < 2 * DEADLINE_S + 30
    assert answer.status_code == 502
    assert "does not answer" in answer.text
    assert f'href="{page.removeprefix(world.root)}"' in answer.text
    await assert_told(world, account, LoginFault.BROKER_DOWN)
    await assert_logged_out(world, account)
    assert (await world.log_in(account)).status_code == 200


@both
@pytest.mark.row("B3")
async def test_malformed_callback(world: LoginWorld, kind: BrokerProfile) -> None:
    """A callback without its code changes nothing and spends nothing."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    bare = callback.partition("?")[0]
    twice = f"{callback}&{NONCE[kind]}=other"
    long = with_query(callback, **{CODE[kind]: "x" * 5000})
    for address in (bare, f"{bare}?", twice, long, with_query(callback, **{CODE[kind]: None})):
        answer = await world.http.get(address)
        assert answer.status_code == 400
        assert "missing in the answer" in answer.text
    assert (await world.http.get(callback)).status_code == 200


@both
@pytest.mark.row("B3")
@pytest.mark.matrix("A05")
async def test_save_fails(world: LoginWorld, kind: BrokerProfile) -> None:
    """A login that cannot be saved is no login; the user is asked again, and then it works."""
    account = await world.add(kind)
    callback = await world.come_back(account)
    world.store.failing = "login:"
    answer = await world.http.get(callback)
    assert answer.status_code == 503
    assert "could not be saved" in answer.text
    await assert_told(world, account, LoginFault.NOT_SAVED)
    await assert_logged_out(world, account)
    world.store.failing = ""
    assert (await world.log_in(account)).status_code == 200


@both
@pytest.mark.row("B3")
async def test_store_away(world: LoginWorld, kind: BrokerProfile) -> None:
    """Without the store every page still says what is wrong, and the nonce survives."""
    account = await world.add(kind)
    page = await world.page(account)
    callback = await world.come_back(account)
    world.store.is_away = True
    assert (await world.http.get(f"{world.root}/healthz")).status_code == 503
    for answer in (await world.http.get(page), await world.http.post(page)):
        assert answer.status_code == 503 and "cannot do this now" in answer.text
    answer = await world.http.get(callback)
    assert answer.status_code == 503 and "could not be saved" in answer.text
    world.store.is_away = False
    assert (await world.http.get(callback)).status_code == 200


@pytest.mark.row("B3")
async def test_silence_is_asked_about_once(world: LoginWorld) -> None:
    """Five minutes after a POST without a callback the chat asks, once for an account."""
    account = await world.add(KITE)
    await world.begin(account)
    await world.begin(account)
    await world.logins.tick()
    assert await world.notices() == []
    world.clock.ahead = timedelta(minutes=5, seconds=1)
    await world.logins.tick()
    await world.new_logins().tick()
    assert await world.notices() == [{"kind": "login_silent", "broker_id": account.broker_id}]


@pytest.mark.row("B3")
async def test_no_silence_once_connected(world: LoginWorld) -> None:
    """A button pressed twice leaves a nonce over; when the other came back nobody is asked."""
    account = await world.add(KITE)
    await world.begin(account)
    await world.log_in(account)
    gone = await world.add(FYERS, "Gone")
    await world.begin(gone)
    await world.accounts.wipe(gone.broker_id, nonce="wipe")
    world.clock.ahead = timedelta(minutes=6)
    await world.logins.tick()
    assert await world.notices("login_silent") == []
