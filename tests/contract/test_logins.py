"""Logins from the chat's link to a valid account, through real HTTP on every leg.

Ours is all real: web server, login service, vault, store (both kinds), adapters. The brokers are the
simulators, over sockets.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from core.adapters.fyers import FYERS
from core.adapters.paper.profile import PAPER_PROFILE
from core.adapters.zerodha import ZERODHA
from core.domain.account import AccountDraft, TokenStatus
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.engine.accounts.shared_links import SharedLinks
from core.errors import LoginRefused, UserError
from core.ports.store import Change
from tests.fakes.login_fixtures import login_world
from tests.fakes.login_world import (
    SECRETS,
    USERS,
    LoginWorld,
    assert_logged_out,
    query_of,
    with_query,
)
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.dates

pytest_plugins = ("tests.fakes.kite_fixtures",)
world = login_world

KITE = ZERODHA
TARGET = {KITE: "kite", FYERS: "fyers"}
EXCHANGE = {KITE: "/session/token", FYERS: "/api/v3/validate-authcode"}
CODE = {KITE: "request_token", FYERS: "auth_code"}
NONCE = {KITE: "nonce", FYERS: "state"}

both = pytest.mark.parametrize("kind", [KITE, FYERS], ids=str)


# --- the way that works ------------------------------------------------------------------------


@both
@pytest.mark.row("B1", "B2")
async def test_login_from_the_link_to_a_valid_account(
    world: LoginWorld, kind: BrokerProfile
) -> None:
    """Page, button, broker, callback: the account is valid, the page and the chat say so."""
    account = await world.add(kind)
    page = await world.page(account)
    shown = await world.http.get(page)
    assert shown.status_code == 200
    assert account.label in shown.text and f"Continue to {kind.label}" in shown.text

    done = await world.log_in(account)

    assert done.status_code == 200
    assert f"{account.label} is connected. Go back to Telegram." in done.text
    after = await world.accounts.get(account.broker_id)
    assert (after.token_status, after.user_id) == (TokenStatus.VALID, USERS[kind][0])
    assert str(after.user_name).title() == "Gita Hegde"
    assert await world.notices() == [
        {"kind": "login_done", "broker_id": account.broker_id, "user_name": after.user_name}
    ]
    assert world.logged_in == [account.broker_id]
    ended = await world.http.get(page)
    assert ended.status_code == 404 and "has ended" in ended.text


@both
@pytest.mark.row("B1")
async def test_page_names_the_user_expected(world: LoginWorld, kind: BrokerProfile) -> None:
    """From the second login on, the page says as whom to log in."""
    account = await world.add(kind)
    await world.log_in(account)
    shown = await world.http.get(await world.page(account))
    assert f"Log in as {USERS[kind][0]}" in shown.text


@both
@pytest.mark.row("B1")
async def test_looking_at_the_page_spends_nothing(world: LoginWorld, kind: BrokerProfile) -> None:
    """Link previews look with GET and HEAD as often as they like; a HEAD of a callback is none."""
    account = await world.add(kind)
    page = await world.page(account)
    for _ in range(3):
        assert (await world.http.get(page)).status_code == 200
        head = await world.http.head(page)
        assert (head.status_code, head.content) == (200, b"")
    assert await world.store.find("logins", {}) == []
    callback = await world.come_back(account)
    assert (await world.http.head(callback)).status_code == 404
    early = await world.http.get(callback, headers={"Sec-Purpose": "prefetch;prerender"})
    assert early.status_code == 503
    assert (await world.http.get(callback)).status_code == 200


@both
@pytest.mark.row("B1", "B11")
async def test_link_is_the_same_until_connected(world: LoginWorld, kind: BrokerProfile) -> None:
    """The link may be shared and opened again after a failed try; each press is a new nonce."""
    account = await world.add(kind)
    page = await world.page(account)
    first, second = await world.begin(account), await world.begin(account)
    assert first != second
    assert await world.page(account) == page
    await world.http.get(await world.at_broker(first, USERS[kind][0], "deny"))
    done = await world.http.get(await world.at_broker(second, USERS[kind][0]))
    assert done.status_code == 200


@pytest.mark.row("G2")
@pytest.mark.invariant("I12")
async def test_secrets_are_sealed_and_never_logged(
    world: LoginWorld, memory_store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """No raw document and no log line holds a secret, a token, a code; no page holds a secret.

    A paper account beside them, whose prices come through one of these logins, holds nothing.
    """
    caplog.set_level("INFO")
    for name in ("aiohttp", "core", "webhooks"):
        caplog.set_level("DEBUG", name)
    pages, canaries = [], []
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
    paper = await world.accounts.add(draft, nonce="try", fence=0, author="1")
    for kind in (KITE, FYERS):
        account = await world.add(kind, f"My {kind.label}")
        callback = await world.come_back(account)
        pages += [await world.http.get(callback), await world.http.get(callback)]
        credentials = await world.accounts.credentials(account.broker_id)
        assert credentials.access_token
        canaries += [SECRETS[kind], credentials.access_token]
        codes = [query_of(callback)[CODE[kind]], query_of(callback)[NONCE[kind]]]
        ours = [one for one in caplog.records if one.name != "httpx"]
        lines = "\n".join(f"{one.getMessage()} {one.exc_text}" for one in ours)
        assert f"GET /broker/callback/{kind} 200" in lines
        assert [code for code in codes if code in lines] == []
    assert [c for c in canaries if c in caplog.text] == []
    assert [c for c in canaries for page in pages if c in page.text] == []
    raw = repr(memory_store.database.committed)
    assert "gAAAA" in raw
    assert [c for c in canaries if c in raw] == []
    with pytest.raises(UserError):
        await world.logins.offer(paper.broker_id)
    nothing = await world.accounts.credentials(paper.broker_id)
    assert (nothing.api_key, nothing.api_secret, nothing.access_token) == ("", "", "")
    assert await world.store.find("logins", {"broker_id": paper.broker_id}) == []


# --- whose login it is -------------------------------------------------------------------------


@both
@pytest.mark.row("B1", "A9")
async def test_callback_cannot_land_on_another_account(
    world: LoginWorld, kind: BrokerProfile
) -> None:
    """A nonce reaches its own account only, whatever code or path it is brought with."""
    key = {KITE: "secondkitekey99", FYERS: "SECONDFY99-100"}[kind]
    mine, other = await world.add(kind, "Mine"), await world.add(kind, "Other", key=key)
    callback, foreign = await world.come_back(mine), await world.come_back(other)
    crossed = with_query(callback, **{CODE[kind]: query_of(foreign)[CODE[kind]]})
    assert (await world.http.get(crossed)).status_code == 409
    elsewhere = {KITE: "fyers", FYERS: "zerodha"}[kind]
    code = {CODE[FYERS]: "x", CODE[KITE]: "x", "s": "ok", "status": "success"}
    nonce = query_of(foreign)[NONCE[kind]]
    wrong = await world.http.get(
        f"{world.root}/broker/callback/{elsewhere}",
        params={**code, "nonce": nonce, "state": nonce},
    )
    assert wrong.status_code == 404
    for account in (mine, other):
        await assert_logged_out(world, account)
    assert (await world.http.get(foreign)).status_code == 200
    assert world.logged_in == [other.broker_id]


@both
@pytest.mark.row("A9")
async def test_one_key_two_users(world: LoginWorld, kind: BrokerProfile) -> None:
    """A family shares an app: each account keeps its own user, and no user counts twice."""
    first = await world.add(kind, "Gita")
    await world.log_in(first)
    second = await world.add(kind, "Ishan")
    twin = await world.log_in(second, USERS[kind][0])
    assert twin.status_code == 403
    assert f"{USERS[kind][0]} is connected already as Gita" in twin.text
    assert (await world.row(second))["user_id"] is None
    assert (await world.log_in(second, USERS[kind][1])).status_code == 200
    assert (await world.row(first))["user_id"] == USERS[kind][0]
    assert (await world.row(second))["user_id"] == USERS[kind][1]


# --- without a public address (B4) -------------------------------------------------------------


@both
@pytest.mark.row("B4")
@pytest.mark.parametrize("form", ["address", "query", "code", "address without nonce"])
async def test_paste(world: LoginWorld, kind: BrokerProfile, form: str) -> None:
    """Without a public address the user pastes where the browser landed, or only the code."""
    world.logins._public_url = None
    account = await world.add(kind)
    first = await world.logins.offer(account.broker_id)
    offer = await world.logins.offer(account.broker_id)
    assert offer.page_url is None and offer.direct_url != first.direct_url
    landed = await world.at_broker(str(offer.direct_url), USERS[kind][0])
    text = {
        "address": f"  {landed}\n",
        "query": landed.partition("?")[2],
        "code": query_of(landed)[CODE[kind]],
        "address without nonce": with_query(landed, **{NONCE[kind]: None}),
    }[form]
    done = await world.paste(text, account.broker_id)
    assert done.token_status is TokenStatus.VALID
    assert [one["kind"] for one in await world.notices()] == ["login_done"]
    with pytest.raises((LoginRefused, UserError)):
        await world.paste(text, account.broker_id)


@both
@pytest.mark.row("B4")
async def test_paste_without_a_question(world: LoginWorld, kind: BrokerProfile) -> None:
    """An address finds its account by the nonce in it, whichever broker's it is."""
    world.logins._public_url = None
    await world.add(FYERS if kind is KITE else KITE, "Other")
    account = await world.add(kind)
    offer = await world.logins.offer(account.broker_id)
    landed = await world.at_broker(str(offer.direct_url), USERS[kind][0])
    with pytest.raises(UserError, match="belongs to no login started here"):
        await world.paste(with_query(landed, **{NONCE[kind]: "guess"}), None)
    assert (await world.paste(landed, None)).broker_id == account.broker_id


@both
@pytest.mark.row("B4")
async def test_paste_of_something_else(world: LoginWorld, kind: BrokerProfile) -> None:
    """What is no redirect is answered with what is expected, and spends nothing."""
    world.logins._public_url = None
    account = await world.add(kind)
    landed = await world.at_broker(
        str((await world.logins.offer(account.broker_id)).direct_url), USERS[kind][0]
    )
    for text in ("", "hello there", "https://example.com/", "http://[", landed.partition("?")[0]):
        with pytest.raises(UserError):
            await world.paste(text, account.broker_id)
    with pytest.raises(LoginRefused, match="malformed"):
        await world.paste(with_query(landed, **{CODE[kind]: None}), account.broker_id)
    done = await world.paste(landed, None)
    assert done.broker_id == account.broker_id


# --- postbacks over the same server ------------------------------------------------------------


@both
@pytest.mark.row("G4")
async def test_simulated_broker_wakes_the_account(world: LoginWorld, kind: BrokerProfile) -> None:
    """A postback that the simulator itself signed and sent wakes the account of its order."""
    account = await world.add(kind)
    await world.log_in(account)
    body = {
        "broker": TARGET[kind],
        "api_key": account.api_key,
        "user_id": USERS[kind][0],
        "postback_url": world.root + kind.postback_path,
    }
    world.sandbox.ask("POST", "/accounts", body)
    token = (await world.accounts.credentials(account.broker_id)).access_token
    header = {"Authorization": f"{'token ' if kind is KITE else ''}{account.api_key}:{token}"}
    order: dict[str, Any] = {
        "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "quantity": 1,
        "product": "MIS", "order_type": "MARKET", "validity": "DAY", "market_protection": 2,
    }  # fmt: skip
    if kind is KITE:
        url = f"{world.sandbox.url('kite')}/orders/regular"
        placed = await world.http.post(url, data=order, headers=header)
    else:
        url = f"{world.sandbox.url('fyers')}/api/v3/orders/sync"
        fyers = {
            "symbol": "NSE:SBIN-EQ", "qty": 1, "type": 2, "side": 1, "productType": "INTRADAY",
            "limitPrice": 0, "stopPrice": 0, "validity": "DAY", "offlineOrder": False,
            "disclosedQty": 0,
        }  # fmt: skip
        placed = await world.http.post(url, json=fyers, headers=header)
    assert placed.status_code == 200, placed.text
    deadline = time.monotonic() + 60
    while not world.woken and time.monotonic() < deadline:
        await world.http.get(f"{world.root}/healthz")
    assert set(world.woken) == {account.broker_id}


# --- a link for the holder ------------------------------------------------------------------------


@both
@pytest.mark.row("B11")
async def test_holder_logs_in_by_a_link_alone(world: LoginWorld, kind: BrokerProfile) -> None:
    """Page, broker, callback, without the chat; another user is refused and led back to the link."""
    account = await world.add(kind)
    links = SharedLinks(world.store, world.clock, world.accounts, world.root)
    _, address = await links.make(Command("share", 1, 1), account.broker_id, 7)
    holder, other = USERS[kind][:2]

    async def opened(user_id: str) -> httpx.Response:
        at_broker = await world.http.post(address)
        assert at_broker.status_code == 303
        return await world.http.get(await world.at_broker(at_broker.headers["Location"], user_id))

    done = await opened(holder)
    assert f"{account.label} is connected. You can close this page." in done.text
    again = await world.http.get(address)
    assert "There is nothing to do." in again.text and "<form" not in again.text
    gone = Change(set={"token_status": "expired"})
    await world.store.update("broker_accounts", {"_id": account.broker_id}, gone)
    refused = await opened(other)
    assert refused.status_code == 403
    assert f'href="{address.removeprefix(world.root)}"' in refused.text
    (link,) = await links.open_links(account.broker_id)
    await links.revoke(account.broker_id, link.link)
    assert (await world.http.get(address)).status_code == 404
    assert (await world.http.post(address)).status_code == 404
