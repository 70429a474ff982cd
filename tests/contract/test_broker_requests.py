"""What the two SDKs put on the wire for each call, and how many requests a read takes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from core.adapters.brokers import build_brokers
from core.adapters.clock import MARKET_ZONE
from core.adapters.fyers import FYERS as FYERS_PROFILE
from core.adapters.zerodha import ZERODHA as ZERODHA_PROFILE
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import InstrumentId
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import NotSent
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import Broker, BrokerClient, Credentials, PreparesOrders
from tests.fakes.brokers import (
    BROKER_CASES,
    MASTER,
    SBIN,
    BrokerCase,
    market_order,
    master_of,
)
from tests.fakes.clock import ManualClock
from tests.faults.raw_http import Behaviour, RawServer, answer, json_answer, serving

pytestmark = pytest.mark.dates

KITE = next(case for case in BROKER_CASES if case.profile is ZERODHA_PROFILE)
FYERS = next(case for case in BROKER_CASES if case.profile is FYERS_PROFILE)
LIMIT, TRIGGER = Decimal("801.05"), Decimal("799.95")
CREDENTIALS = Credentials("id", "apikey", "secret", "tok")


@asynccontextmanager
async def connected(
    case: BrokerCase, behaviour: Behaviour
) -> AsyncIterator[tuple[RawServer, BrokerClient]]:
    async with serving(behaviour) as server:
        client = case.client(server.url)
        try:
            yield server, client
        finally:
            await client.aclose()


def order_of(kind: OrderType, **changes: Any) -> OrderRequest:
    """Return an order with the prices that its type needs."""
    prices: dict[str, Any] = {
        "limit_price": LIMIT if kind in {OrderType.LIMIT, OrderType.SL} else None,
        "trigger_price": TRIGGER if kind in {OrderType.SL, OrderType.SL_M} else None,
    }
    return replace(market_order(), order_type=kind, **prices, **changes)


@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
async def test_a_prepared_order_is_sent_as_any_other_and_alone_when_it_is_placed(
    case: BrokerCase,
) -> None:
    """Prepared twice it goes once; one that is changed since, or placed again, is built anew."""
    order = market_order()
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        assert isinstance(client, PreparesOrders)
        client.prepare(order)
        client.prepare(order)
        client.prepare(replace(order, instrument=InstrumentId("NSE", "NOBODY")))
        client.prepare(
            replace(order, order_type=OrderType.LIMIT)
        )  # without a price, which nobody can build
        assert server.received == []
        await client.place(order)
        await client.place(replace(order, quantity=2))
        await client.place(order)
    sent = [(request.method, request.target, request.body) for request in server.received]
    assert len(sent) == 3
    assert sent[0] == sent[2] != sent[1]
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        await client.place(order)
        await client.place(replace(order, quantity=2))
    assert [(r.method, r.target, r.body) for r in server.received] == sent[:2]


@pytest.mark.parametrize("kind", OrderType)
async def test_kite_order_carries_what_its_type_needs(kind: OrderType) -> None:
    """Market and stop-market orders always carry protection, the others never (kite.md 5.3)."""
    async with connected(KITE, json_answer(200, KITE.placed)) as (server, client):
        await client.place(order_of(kind))
        await client.modify("1001", order_of(kind, quantity=4))
    placed, modified = (dict(parse_qsl(request.body.decode())) for request in server.received)
    paths = [(request.method, request.target) for request in server.received]
    assert paths == [("POST", "/orders/regular"), ("PUT", "/orders/regular/1001")]
    assert placed["tag"] == market_order().client_order_id
    assert (placed["exchange"], placed["tradingsymbol"]) == ("NSE", "SBIN")
    assert (placed["transaction_type"], placed["quantity"]) == ("BUY", "1")
    assert (placed["product"], placed["order_type"]) == ("MIS", kind.value)
    assert modified["quantity"] == "4"
    is_protected = kind in {OrderType.MARKET, OrderType.SL_M}
    expected = "-1" if is_protected else None
    assert [form.get("market_protection") for form in (placed, modified)] == [expected, expected]
    assert placed.get("price") == ("801.05" if kind in {OrderType.LIMIT, OrderType.SL} else None)
    has_trigger = kind in {OrderType.SL, OrderType.SL_M}
    assert placed.get("trigger_price") == ("799.95" if has_trigger else None)


@pytest.mark.parametrize("kind", OrderType)
async def test_fyers_order_carries_what_its_type_needs(kind: OrderType) -> None:
    """Fyers numbers the types, takes 0 for an unused price, and reads a body on DELETE too."""
    async with connected(FYERS, json_answer(200, FYERS.placed)) as (server, client):
        await client.place(order_of(kind))
        await client.modify("1001", order_of(kind, quantity=4, side=Side.SELL))
        await client.cancel("1001")
    assert [(request.method, request.target) for request in server.received] == [
        ("POST", "/api/v3/orders/sync"),
        ("PATCH", "/api/v3/orders/sync"),
        ("DELETE", "/api/v3/orders/sync"),
    ]
    placed, modified, cancelled = (json.loads(request.body) for request in server.received)
    number = {"LIMIT": 1, "MARKET": 2, "SL-M": 3, "SL": 4}[kind.value]
    prices = {
        "limitPrice": 801.05 if number in {1, 4} else 0,
        "stopPrice": 799.95 if number in {3, 4} else 0,
    }
    assert placed == {
        "symbol": "NSE:SBIN-EQ",
        "side": 1,
        "productType": "INTRADAY",
        "validity": "DAY",
        "disclosedQty": 0,
        "offlineOrder": False,
        "stopLoss": 0,
        "takeProfit": 0,
        "isSliceOrder": False,
        "orderTag": market_order().client_order_id,
        "type": number,
        "qty": 1,
        **prices,
    }
    assert modified == {"id": "1001", "type": number, "qty": 4, **prices}
    assert cancelled == {"id": "1001"}


@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
async def test_impossible_order_is_not_sent(case: BrokerCase) -> None:
    """What a broker would refuse or mangle is refused here, and never leaves."""
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        outcomes = [
            await client.place(market_order(tag="far too long for a tag")),
            await client.place(market_order(tag="")),
            await client.place(replace(market_order(), order_type=OrderType.LIMIT)),
            await client.place(replace(market_order(), order_type=OrderType.SL_M)),
            await client.modify("1001", replace(market_order(), order_type=OrderType.LIMIT)),
        ]
        if case is KITE:
            outcomes.append(await client.cancel("../../session/token"))
        else:
            nobody = replace(market_order(), instrument=InstrumentId("NSE", "NOBODY"))
            outcomes.append(await client.place(nobody))
    assert all(isinstance(outcome, NotSent) for outcome in outcomes), outcomes
    assert server.received == []


async def test_cover_order_is_cancelled_under_its_own_variety() -> None:
    """An order placed by hand in another variety is addressed under that one."""
    row = {
        "order_id": "1001",
        "variety": "amo",
        "status": "AMO REQ RECEIVED",
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "order_type": "LIMIT",
        "transaction_type": "BUY",
        "product": "CNC",
        "quantity": 1,
    }
    async with connected(KITE, json_answer(200, KITE.placed)) as (server, client):
        server.script = [json_answer(200, {"status": "success", "data": [row]})]
        await client.orders()
        await client.cancel("1001")
    assert server.received[-1].target.startswith("/orders/amo/1001")


SBIN_TOKEN = int(MASTER[KITE.profile][SBIN].broker_token)


def _names(count: int) -> list[InstrumentId]:
    return [InstrumentId("NSE", f"S{number}") for number in range(count)]


async def test_kite_quotes_take_as_few_requests_as_allowed() -> None:
    """Five hundred instruments fit into a request."""
    async with connected(KITE, json_answer(200, {"status": "success", "data": {}})) as (
        server,
        client,
    ):
        assert await client.quotes(_names(500)) == {}
    (request,) = server.received
    assert len(parse_qs(urlsplit(request.target).query)["i"]) == 500


@pytest.mark.row("D10")
async def test_kite_quote_of_another_token_is_no_quote() -> None:
    """Under the name of SBIN comes the row of another instrument: it is left out."""
    for token, found in ((SBIN_TOKEN, 1), (SBIN_TOKEN + 1, 0)):
        row = {"instrument_token": token, "last_price": 97.0}
        told = json_answer(200, {"status": "success", "data": {"NSE:SBIN": row}})
        async with connected(KITE, told) as (_, client):
            assert len(await client.quotes([SBIN])) == found


async def test_fyers_quotes_take_as_few_requests_as_allowed() -> None:
    """Fifty symbols fit into a request; what the master lacks is not asked for."""
    names = _names(51)
    master = master_of(*((name, f"NSE:{name.symbol}-EQ", "1") for name in names))
    async with serving(json_answer(200, {"s": "ok", "d": []})) as server:
        client = FYERS.broker(server.url).connect(CREDENTIALS, master)
        assert await client.quotes([*names, SBIN]) == {}
        await client.aclose()
    asked = [
        parse_qs(urlsplit(request.target).query)["symbols"][0].split(",")
        for request in server.received
    ]
    assert [len(symbols) for symbols in asked] == [50, 1]


@pytest.mark.parametrize(
    ("case", "minutes", "days", "requests"),
    [(KITE, 1, 100, 2), (KITE, 5, 100, 1), (KITE, 1440, 2100, 2), (FYERS, 5, 150, 2)],
)
async def test_long_ranges_are_cut_to_what_the_broker_takes(
    case: BrokerCase, minutes: int, days: int, requests: int
) -> None:
    """A range beyond one request's span is fetched in pieces that leave no gap."""
    empty = {"status": "success", "s": "no_data", "candles": [], "data": {"candles": []}}
    start = datetime(2026, 1, 1, 3, 45, tzinfo=UTC)
    async with connected(case, json_answer(200, empty)) as (server, client):
        end = start + timedelta(days=days)
        assert list(await client.candles(SBIN, start=start, end=end, minutes=minutes)) == []
    pieces = [parse_qs(urlsplit(request.target).query) for request in server.received]
    assert len(pieces) == requests
    keys = ("from", "to") if case is KITE else ("range_from", "range_to")
    assert all(one[keys[1]] == two[keys[0]] for one, two in itertools.pairwise(pieces))
    if case is KITE:  # times without a zone are Indian
        assert pieces[0]["from"] == ["2026-01-01 09:15:00"]


async def test_candles_exclude_what_lies_outside() -> None:
    """Bars before the start, at or after the end, or told twice are left out."""
    start = datetime(2026, 11, 23, 9, 15, tzinfo=MARKET_ZONE)
    bars = [
        [(start + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S%z"), 1, 2, 0.5, 1.5, 7]
        for minute in (10, 5, 0, -5, 5)
    ]
    async with connected(
        KITE, json_answer(200, {"status": "success", "data": {"candles": bars}})
    ) as (_, client):
        end = start + timedelta(minutes=10)
        found = await client.candles(SBIN, start=start, end=end, minutes=5)
    assert [bar.start for bar in found] == [start, start + timedelta(minutes=5)]
    assert (found[0].high, found[0].low, found[0].volume) == (Decimal(2), Decimal("0.5"), 7)


# --- login -------------------------------------------------------------------------------------


def brokers() -> dict[BrokerProfile, Broker]:
    """Return both brokers at addresses that nothing listens on."""
    return build_brokers(
        ManualClock(),
        {
            "kite_api": "http://127.0.0.1:1",
            "kite_login": "https://kite.example/connect/login",
            "fyers_api": "https://fyers.example/",
            "fyers_masters": "https://masters.example",
        },
        deadline_s=1,
    )


@pytest.mark.row("B1")
def test_login_addresses_carry_the_nonce() -> None:
    """Kite's nonce travels in ``redirect_params``, Fyers' in ``state``; no secret travels."""
    kite, fyers = (
        urlsplit(
            broker.login.login_url(CREDENTIALS, nonce="N&1", redirect_url="https://me.example/cb")
        )
        for broker in brokers().values()
    )
    assert (kite.netloc, kite.path) == ("kite.example", "/connect/login")
    asked = dict(parse_qsl(kite.query))
    assert (asked["v"], asked["api_key"]) == ("3", "apikey")
    assert dict(parse_qsl(asked["redirect_params"])) == {"nonce": "N&1"}
    assert (fyers.netloc, fyers.path) == ("fyers.example", "/api/v3/generate-authcode")
    assert dict(parse_qsl(fyers.query)) == {
        "client_id": "apikey",
        "redirect_uri": "https://me.example/cb",
        "response_type": "code",
        "state": "N&1",
    }
    assert "secret" not in kite.query + fyers.query


@pytest.mark.row("B3")
@pytest.mark.parametrize(
    ("broker", "query", "expected"),
    [
        (
            ZERODHA_PROFILE,
            {"status": "success", "request_token": "T", "nonce": "N"},
            ("N", "T"),
        ),
        (ZERODHA_PROFILE, {"request_token": "T"}, ("", "T")),
        (ZERODHA_PROFILE, {}, ("", "")),
        (ZERODHA_PROFILE, {"status": "error", "nonce": "N"}, LoginFault.DENIED),
        (
            ZERODHA_PROFILE,
            {"status": "error", "message": "The user is not enabled for the app."},
            LoginFault.NOT_ADMITTED,
        ),
        (FYERS_PROFILE, {"s": "ok", "auth_code": "T", "state": "N"}, ("N", "T")),
        (FYERS_PROFILE, {"state": "N"}, ("N", "")),
        (FYERS_PROFILE, {"s": "error", "message": "denied"}, LoginFault.DENIED),
        (
            FYERS_PROFILE,
            {"s": "error", "message": "The user is not enabled for the app"},
            LoginFault.NOT_ADMITTED,
        ),
    ],
)
def test_callback_is_read(
    broker: BrokerProfile, query: dict[str, str], expected: tuple[str, str] | LoginFault
) -> None:
    """Success gives nonce and code, either may be missing; a refusal says which."""
    if isinstance(expected, LoginFault):
        with pytest.raises(LoginRefused) as caught:
            broker.callback.code_in(query)
        assert caught.value.fault is expected
    else:
        found = broker.callback.nonce_in(query), broker.callback.code_in(query)
        assert found == expected


@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ((200, {"status": "success", "s": "ok", "data": {}}), LoginFault.MALFORMED),
        ((503, {"s": "error"}), LoginFault.BROKER_DOWN),
        ((429, {"s": "error"}), LoginFault.BROKER_DOWN),
        (
            (
                403,
                {
                    "status": "error",
                    "s": "error",
                    "code": -1,
                    "error_type": "PermissionException",
                    "message": "The user is not enabled for the app.",
                },
            ),
            LoginFault.NOT_ADMITTED,
        ),
    ],
)
async def test_exchange_failures_are_told_apart(
    case: BrokerCase, reply: tuple[int, dict[str, object]], fault: LoginFault
) -> None:
    """Each way in which the exchange of a code can fail has its own name, free of secrets."""
    async with serving(json_answer(*reply)) as server:
        broker = case.broker(server.url, deadline_s=20.0)
        with pytest.raises(LoginRefused) as caught:
            await broker.login.exchange(CREDENTIALS, "code", redirect_url="https://me.example")
    assert caught.value.fault is fault
    assert "secret" not in str(caught.value)


@pytest.mark.row("B2")
@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
async def test_profile_says_who_logged_in(case: BrokerCase) -> None:
    """It is read with the new token; what the exchange itself names as the user does not count."""
    who = {"user_id": "AB1234", "user_name": "Asha", "fy_id": "AB1234", "name": "Asha"}
    other = {"access_token": "newtoken", "user_id": "ZZ0000", "fy_id": "ZZ0000"}
    fine = {"status": "success", "s": "ok"}
    async with serving(json_answer(200, {**fine, "data": who})) as server:
        server.script = [json_answer(200, {**fine, **other, "data": other})]
        broker = case.broker(server.url, deadline_s=20.0)
        grant = await broker.login.exchange(CREDENTIALS, "code", redirect_url="https://me.example")
    assert (grant.access_token, grant.user_id, grant.user_name) == ("newtoken", "AB1234", "Asha")
    exchanged, asked = server.received
    assert (exchanged.method, asked.method) == ("POST", "GET")
    assert "profile" in asked.target
    sent = {name.lower(): value for name, value in asked.headers.items()}
    assert "newtoken" in sent["authorization"]


# --- masters -----------------------------------------------------------------------------------


@pytest.mark.row("D10")
@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (answer(404, b"", "text/plain"), ReadFault.UNREACHABLE),
        (answer(503, b"", "text/plain"), ReadFault.UNREACHABLE),
        (answer(200, b"<html>", "text/html"), ReadFault.MALFORMED),
        (answer(200, b"", "text/csv"), ReadFault.MALFORMED),
    ],
)
async def test_missing_master_is_an_error(
    case: BrokerCase, behaviour: Behaviour, fault: ReadFault
) -> None:
    """A master that cannot be had is an error, never an empty one."""
    async with serving(behaviour) as server:
        with pytest.raises(BrokerReadError) as caught:
            await case.broker(server.url).instruments.load()
    assert caught.value.fault is fault


@pytest.mark.invariant("I11")
async def test_new_login_does_not_forget_the_rate() -> None:
    """A client made after a login is paced by what the one before it sent."""
    clock = ManualClock()
    async with serving(json_answer(200, KITE.placed)) as server:
        broker = KITE.broker(server.url, clock=clock, deadline_s=4.0)
        for token in ("first", "second"):
            client = broker.connect(replace(CREDENTIALS, access_token=token), {})
            outcomes = await asyncio.gather(*(client.cancel("1001") for _ in range(5)))
            await client.aclose()
    assert len(server.received) == 8
    assert sum(isinstance(outcome, NotSent) for outcome in outcomes) == 2
