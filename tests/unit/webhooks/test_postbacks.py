"""Postbacks are hints: verified where they can be, counted, and never applied (W01 to W06)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.adapters.brokers import PROFILES
from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.broker_profile import Postback
from core.errors import StoreUnavailable
from tests.fakes.clock import ManualClock
from tests.fakes.web_world import SECRET, FakeAccounts, account, running
from webhooks.guard import RateLimit, SlidingWindow
from webhooks.peers import Peers
from webhooks.postbacks import FaultyPeers, Postbacks
from webhooks.rated_log import RatedLog
from webhooks.seen_postbacks import SeenPostbacks

pytestmark = pytest.mark.dates

KITE, FY_PATH = "/postback/zerodha", "/postback/fyers"
MINE = account()
FAMILY = account(broker_id="zerodha_family1", user_id="CD5678", user_name="Chetan")
FY = account(FYERS, user_id="XA00001")
FY2 = account(FYERS, broker_id="fyers_second", user_id="XB00002")


def postback(secret: str = SECRET, **changes: Any) -> dict[str, Any]:
    """Return an order as Kite posts it, signed."""
    body: dict[str, Any] = {
        "user_id": "AB1234",
        "app_id": 1234,
        "order_id": "220303000308932",
        "order_timestamp": "2026-11-23 09:24:25",
        "status": "COMPLETE",
        "filled_quantity": 1,
    } | changes
    signed = f"{body['order_id']}{body['order_timestamp']}{secret}"
    return {"checksum": hashlib.sha256(signed.encode(errors="replace")).hexdigest()} | body


def book(*accounts: Account, **changes: Any) -> FakeAccounts:
    return FakeAccounts(accounts or (MINE, FY), **changes)


async def test_signed_postback_wakes_its_account() -> None:
    """A right checksum wakes the account of the user named, and no other."""
    async with running(accounts=book(MINE, FAMILY, FY)) as world:
        answer = await world.http.post(KITE, json=postback())
        assert (answer.status_code, answer.text) == (200, "ok")
        await world.http.post(KITE, json=postback(user_id="CD5678"))
    assert world.hints == [MINE.broker_id, FAMILY.broker_id]


async def test_raw_body_without_a_type() -> None:
    """Kite promises a raw JSON body, not a content type."""
    async with running(accounts=book()) as world:
        answer = await world.http.post(KITE, content=json.dumps(postback()))
    assert (answer.status_code, world.hints) == (200, [MINE.broker_id])


@pytest.mark.matrix("W01")
async def test_duplicates_are_one_hint_a_moment() -> None:
    """Five copies are answered 200 and wake the account once, and so does a copy that comes later."""
    async with running(accounts=book()) as world:
        for _ in range(5):
            assert (await world.http.post(KITE, json=postback())).status_code == 200
        await world.clock.advance(1)
        assert (await world.http.post(KITE, json=postback())).status_code == 200
        assert world.hints == [MINE.broker_id]
        await world.http.post(KITE, json=postback(filled_quantity=2))
    assert world.hints == [MINE.broker_id] * 2
    assert world.counts == {"zerodha_hinted": 2, "zerodha_repeated": 5}


@pytest.mark.row("G4")
@pytest.mark.matrix("W04")
async def test_captured_postback_drives_no_reads() -> None:
    """One that was captured wakes its account once a day; with other words in it a few times."""
    async with running(accounts=book()) as world:
        for _ in range(5):
            await world.http.post(KITE, json=postback())
            await world.clock.advance(5)
        assert len(world.hints) == 1
        for number in range(15):
            await world.http.post(KITE, json=postback(filled_quantity=number))
            await world.clock.advance(5)
        assert len(world.hints) == 10
        another = postback(order_id="220303000308933")
        await world.http.post(KITE, json=another)
        assert len(world.hints) == 11
        await world.clock.advance(2 * 86_400)
        answer = await world.http.post(KITE, json=postback(filled_quantity=99))
    assert (answer.status_code, len(world.hints)) == (200, 11)


@pytest.mark.row("G4")
async def test_fresh_signatures_wake_no_faster_than_the_floor() -> None:
    """Many orders at once, each signed rightly, are one look in a quarter of a second."""
    async with running(accounts=book()) as world:
        for number in range(20):
            await world.http.post(KITE, json=postback(order_id=str(number)))
        assert len(world.hints) == 1
        await world.clock.advance(0.25)
        await world.http.post(KITE, json=postback(order_id="20"))
    assert len(world.hints) == 2


def test_what_postbacks_have_said_is_bounded() -> None:
    """However many signatures come, only so many are remembered, the newest of them."""
    seen = SeenPostbacks(ManualClock())
    for number in range(20_100):
        assert seen.is_news(Postback("AB1234", signature=str(number)), b"body")
    assert len(seen._seen) == 20_000
    assert not seen.is_news(Postback("AB1234", signature="20099"), b"body")


@pytest.mark.row("G4")
@pytest.mark.parametrize(("path", "status"), [(KITE, 429), (FY_PATH, 200)])
async def test_address_that_sends_rubbish_is_not_listened_to(path: str, status: int) -> None:
    """After so many bodies that are none, an address is answered unread for a while, and only it."""
    good = postback() | {"clientId": "XA00001"}
    mine = {KITE: MINE, FY_PATH: FY}[path].broker_id
    async with running(accounts=book(), faults=RateLimit(requests=5, window_s=10)) as world:
        for content in (b"rubbish", b"A" * 70_000, b"[]", b"1", b"A" * 70_000):
            await world.http.post(path, content=content)
        answer = await world.http.post(path, json=good)
        assert (answer.status_code, world.hints) == (status, [])
        await world.http.post(path, json=good, headers={"X-Forwarded-For": "203.0.113.9"})
        assert world.hints == [mine]
        await world.clock.advance(10)
        await world.http.post(path, json=good | {"filled_quantity": 2})
    assert world.hints == [mine] * 2


@pytest.mark.row("G4")
@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_what_is_packed_is_not_unpacked(packing: str) -> None:
    """A kilobyte that unpacks to a megabyte costs nothing: even a right postback stays packed."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
    }
    pack = packers[packing]
    headers = {"Content-Encoding": packing, "Content-Type": "application/json"}
    async with running(accounts=book()) as world:
        right = pack(json.dumps(postback()).encode())
        answer = await world.http.post(KITE, content=right, headers=headers)
        assert (answer.status_code, world.hints) == (400, [])
        bomb = pack(b"0" * 1_000_000)
        assert (await world.http.post(KITE, content=bomb, headers=headers)).status_code == 400
        plain = await world.http.post(KITE, json=postback())
    assert (plain.status_code, len(world.hints)) == (200, 1)


@pytest.mark.matrix("W03")
async def test_user_who_is_no_account_of_ours() -> None:
    """Signed by our app for a user who is not connected: counted, nobody is woken."""
    async with running(accounts=book()) as world:
        answer = await world.http.post(KITE, json=postback(user_id="ZZ9999"))
        assert (answer.status_code, world.hints) == (200, [])
        foreign = await world.http.post(KITE, json=postback("another app's secret"))
        assert (foreign.status_code, world.hints) == (403, [])
    assert world.counts == {"zerodha_foreign": 1, "zerodha_forged": 1}


@pytest.mark.row("G4")
@pytest.mark.matrix("W04")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (postback("wrong secret"), 403),
        (postback() | {"order_id": "999"}, 403),
        (postback() | {"order_timestamp": "2026-11-23 09:24:26"}, 403),
        (postback() | {"checksum": "é" * 64}, 403),
        (postback() | {"checksum": ""}, 400),
        (postback() | {"checksum": None}, 400),
        (postback() | {"order_id": 220303000308932}, 400),
        ({key: value for key, value in postback().items() if key != "checksum"}, 400),
        ({}, 400),
        ([postback()], 400),
        ("text", 400),
        (None, 400),
    ],
)
async def test_bad_checksum_and_bad_body(body: Any, status: int) -> None:
    """What is not signed as it must be is refused and wakes nobody."""
    async with running(accounts=book()) as world:
        answer = await world.http.post(KITE, json=body)
    assert (answer.status_code, world.hints) == (status, [])


@pytest.mark.matrix("W04")
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"not json", "application/json", 400),
        (b"\xff\xfe\x00", "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"", "application/json", 400),
        (json.dumps(postback(order_id="\ud800")).encode(), "application/json", 400),
        (json.dumps(postback(user_id="\udc00")).encode(), "application/json", 400),
        (json.dumps(postback(other={"a": ["\ud800"]})).encode(), "application/json", 400),
        (json.dumps(postback()).encode(), "text/html", 415),
        (json.dumps(postback()).encode(), "multipart/form-data; boundary=x", 415),
        (b"x" * 1_000_000, "application/json", 413),
    ],
    ids=[
        "no json",
        "binary",
        "deep",
        "empty",
        "half",
        "half user",
        "half inside",
        "html",
        "multipart",
        "1 MB",
    ],
)
async def test_bodies_that_are_no_postback(content: bytes, kind: str, status: int) -> None:
    """Junk, a wrong type and a megabyte are refused quickly."""
    async with running(accounts=book()) as world:
        answer = await world.http.post(KITE, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, world.hints) == (status, [])


@pytest.mark.matrix("W04")
async def test_changed_body_under_a_right_checksum_is_only_a_hint() -> None:
    """The signature leaves fields free; whatever they say, the account is woken and no more."""
    async with running(accounts=book()) as world:
        before = replace(world.accounts, asked=1)
        lie = postback(status="REJECTED", filled_quantity=10**9)
        assert (await world.http.post(KITE, json=lie)).status_code == 200
    assert world.hints == [MINE.broker_id]
    assert world.accounts == before


@pytest.mark.matrix("W06")
@pytest.mark.parametrize("path", [KITE, FY_PATH])
async def test_broker_gets_its_200_whatever_happens_here(path: str) -> None:
    """A store that is away or a hint that fails is no business of the broker's."""
    body = postback() | {"clientId": "XA00001"}
    async with running(accounts=book(trouble=StoreUnavailable("away"))) as world:
        assert (await world.http.post(path, json=body)).status_code == 200
        assert world.hints == []
    async with running(accounts=book(), hint_fails=True) as world:
        assert (await world.http.post(path, json=body)).status_code == 200
        assert len(world.hints) == 1


@pytest.mark.matrix("W06")
async def test_store_that_hangs_delays_no_answer() -> None:
    """A store that does not answer holds no answer to the broker back: the client would wait for ever."""

    class Hanging(FakeAccounts):
        async def all(self) -> tuple[Account, ...]:
            await asyncio.Event().wait()
            raise AssertionError

    async with running(accounts=Hanging()) as world:
        for path in (KITE, FY_PATH):
            assert (await world.http.post(path, json=postback())).status_code == 200


@pytest.mark.matrix("W06")
async def test_flood_asks_the_store_once() -> None:
    """Hundreds of postbacks at once, forged ones among them, cost one look at the accounts."""
    limits = httpx.Limits(max_connections=50)
    async with running(accounts=book()) as world:
        base = f"http://127.0.0.1:{world.port}"
        async with httpx.AsyncClient(
            base_url=base, limits=limits, timeout=50, trust_env=False
        ) as http:
            good = [http.post(KITE, json=postback()) for _ in range(100)]
            bad = [http.post(KITE, json=postback("wrong")) for _ in range(100)]
            answers = await asyncio.gather(*good, *bad)
    assert [one.status_code for one in answers] == [200] * 100 + [403] * 100
    assert world.accounts.asked == 1
    assert world.hints == [MINE.broker_id]


@pytest.mark.matrix("W06")
async def test_accounts_are_looked_at_again() -> None:
    """A new account is known after a few seconds; a store that went away leaves the last view."""
    async with running(accounts=book()) as world:
        await world.http.post(KITE, json=postback())
        world.accounts.accounts = (FAMILY,)
        await world.clock.advance(6)
        await world.http.post(KITE, json=postback(user_id="CD5678"))
        assert world.hints == [MINE.broker_id, FAMILY.broker_id]
        world.accounts.trouble = StoreUnavailable("away")
        await world.clock.advance(6)
        assert (await world.http.post(KITE, json=postback("wrong"))).status_code == 403
        await world.http.post(KITE, json=postback(user_id="CD5678", filled_quantity=2))
    assert world.hints[2:] == [FAMILY.broker_id]


@pytest.mark.matrix("A06")
async def test_damaged_secret_of_one_account() -> None:
    """An account whose secret cannot be opened loses its postbacks; the others keep theirs."""
    accounts = book(MINE, FAMILY, secrets={MINE.broker_id: "damaged", FAMILY.broker_id: "other"})
    async with running(accounts=accounts) as world:
        assert (await world.http.post(KITE, json=postback())).status_code == 403
        answer = await world.http.post(KITE, json=postback("other", user_id="CD5678"))
    assert (answer.status_code, world.hints) == (200, [FAMILY.broker_id])


@pytest.mark.row("G4")
@pytest.mark.parametrize(
    ("content", "hinted"),
    [
        (b'{"clientId": "XA00001", "status": 2}', ["fyers_abc123"]),
        (b'{"clientId": "ZZ99999", "status": 2}', []),
        (b'{"id": "123", "status": 2}', ["fyers_abc123", "fyers_second"]),
        (b"not json", []),
        (b"[]", []),
        (b"", []),
    ],
)
async def test_fyers_is_always_answered_200(content: bytes, hinted: list[str]) -> None:
    """Unsigned, so never trusted; answered 200, or Fyers bars the address for half an hour."""
    async with running(accounts=book(MINE, FY, FY2)) as world:
        answer = await world.http.post(FY_PATH, content=content)
    assert (answer.status_code, world.hints) == (200, hinted)


@pytest.mark.row("G4")
async def test_strangers_do_not_set_the_pace_of_reading() -> None:
    """Unsigned hints wake an account at most once in two seconds, and in the long run six times a minute."""
    async with running(accounts=book(FY)) as world:
        for number in range(20):
            await world.http.post(FY_PATH, json={"clientId": "XA00001", "status": number})
            await world.clock.advance(0.25)
        assert len(world.hints) == 3
        for number in range(20, 60):
            await world.http.post(FY_PATH, json={"clientId": "XA00001", "status": number})
            await world.clock.advance(3)
        assert len(world.hints) <= 3 + 5 + 12
        await world.clock.advance(600)
        world.hints.clear()
        for _ in range(5):
            await world.http.post(FY_PATH, json={"clientId": "XA00001", "status": "the same"})
            await world.clock.advance(60)
    assert len(world.hints) == 1


async def test_secret_is_in_no_representation() -> None:
    """What is remembered of an account shows no secret, and neither does the log."""
    hints: list[str] = []
    clock = ManualClock()
    faults = FaultyPeers(Peers(), SlidingWindow(RateLimit(), clock))
    log = RatedLog(logging.getLogger(__name__), clock)
    postbacks = Postbacks(book(), PROFILES, hints.append, clock, faults, log)
    senders = await postbacks._senders()
    assert senders is not None
    assert SECRET not in repr(senders) and "zerodha_abc123" in repr(senders)
