"""Both broker adapters against the simulators, which share no code with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from core.adapters.brokers import build_brokers
from core.adapters.clock import MARKET_ZONE
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.instrument import InstrumentId, Product, Segment
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Ambiguous, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import Broker, BrokerClient, Credentials
from tests.fakes.brokers import roots_at
from tests.fakes.clock import running_from
from tests.fakes.sandbox_process import Sandbox

pytest_plugins = ("tests.faults.fixtures",)

pytestmark = pytest.mark.dates

SBIN = InstrumentId("NSE", "SBIN")
NOON = datetime(2026, 11, 23, 10, 0, tzinfo=MARKET_ZONE)
ORDER = OrderRequest("SCONTRACTAAAAAAAAAAA", SBIN, Side.BUY, 3, OrderType.MARKET, Product.MIS)
KINDS = [(ZERODHA, "kite"), (FYERS, "fyers")]


@pytest.fixture
def sandbox(simulators: Sandbox) -> Sandbox:
    """The sandbox as it was at its start."""
    return simulators


@dataclass(frozen=True)
class World:
    """One broker, one of its simulated users, and the simulator's control.

    Attributes:
        target: The simulator's name.
    """

    sandbox: Sandbox
    target: str
    broker: Broker
    credentials: Credentials
    user_id: str
    redirect_url: str

    async def answered(self, action: str = "allow", nonce: str = "NONCE1") -> dict[str, str]:
        """Log in by the broker's form and return the query of the callback."""
        address = self.broker.login.login_url(
            self.credentials, nonce=nonce, redirect_url=self.redirect_url
        )
        async with httpx.AsyncClient(trust_env=False) as person:
            form = {"user_id": self.user_id, "action": action}
            answer = await person.post(address, data=form)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def logged_in(self) -> Credentials:
        """Return credentials with a fresh token."""
        callback = self.broker.profile.callback
        query = await self.answered()
        nonce, code = callback.nonce_in(query), callback.code_in(query)
        assert nonce == "NONCE1"
        grant = await self.broker.login.exchange(
            self.credentials, code, redirect_url=self.redirect_url
        )
        assert grant.user_id == self.user_id
        return replace(self.credentials, access_token=grant.access_token)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BrokerClient]:
        """Yield a client of the logged-in account."""
        master = {row.id: row for row in await self.broker.instruments.load()}
        client = self.broker.connect(await self.logged_in(), master)
        try:
            yield client
        finally:
            await client.aclose()

    def fault(self, kind: str, path: str = "", method: str = "", **fields: Any) -> None:
        """Set a fault for this account's simulator."""
        match = {name: value for name, value in (("path", path), ("method", method)) if value}
        self.sandbox.fault(kind, self.target, match=match, **fields)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the order writes that the simulator received from this app."""
        rows: Any = self.sandbox.ask(
            "GET", "/ledger", broker=self.target, api_key=self.credentials.api_key
        )
        return list(rows["ledger"] if isinstance(rows, dict) else rows)


@pytest.fixture(params=KINDS, ids=[target for _, target in KINDS])
def world(request: pytest.FixtureRequest, sandbox: Sandbox) -> World:
    """Both brokers in turn."""
    profile, target = request.param
    brokers = build_brokers(
        running_from(NOON),
        roots_at(sandbox.url),
        deadline_s=2.0,
    )
    app = next(row for row in sandbox.ask("GET", "/accounts") if row["broker"] == target)
    return World(
        sandbox,
        target,
        brokers[profile],
        Credentials(f"{profile}_aaaaaaaaaa", app["api_key"], app["api_secret"]),
        app["user_id"],
        app["redirect_url"],
    )


async def until(
    look: Callable[[], Awaitable[BrokerOrder | None]], within_s: float = 8.0
) -> BrokerOrder:
    """Look until something is seen."""
    async with asyncio.timeout(within_s):
        while (seen := await look()) is None:
            await asyncio.sleep(0.1)
    return seen


def tagged(client: BrokerClient, tag: str, status: BrokerStatus | None = None) -> Any:
    """Return a look at the order with a tag, in a status when one is named."""

    async def look() -> BrokerOrder | None:
        for order in await client.orders():
            if order.tag == tag and status in {None, order.status}:
                return order
        return None

    return look


def acked(outcome: WriteOutcome) -> str:
    """Return the broker's id of an acknowledged write."""
    assert isinstance(outcome, Acked), outcome
    return outcome.broker_order_id


@pytest.mark.row("B2")
async def test_login_and_reads(world: World) -> None:
    """After the login dance the account's own user, funds, holdings and books can be read."""
    async with world.client() as client:
        assert (await client.profile()).user_id == world.user_id
        funds = await client.funds()
        assert funds.available > 0
        assert list(await client.orders()) == []
        assert list(await client.trades()) == []
        assert list(await client.positions()) == []
        book = world.sandbox.ask(
            "GET", "/accounts", broker=world.target, api_key=world.credentials.api_key
        )
        mine = next(row for row in book if row["api_key"] == world.credentials.api_key)
        held = {(h.instrument.symbol, h.quantity + h.t1_quantity) for h in await client.holdings()}
        expected = {(h["symbol"], h["quantity"] + h["t1_quantity"]) for h in mine["holdings"]}
        assert held == expected


async def test_market_order_fills_and_shows_everywhere(world: World) -> None:
    """A market order is acknowledged, filled, traded and held, under our own names."""
    async with world.client() as client:
        order_id = acked(await client.place(ORDER))
        filled = await until(tagged(client, ORDER.client_order_id, BrokerStatus.COMPLETE))
        assert filled.broker_order_id == order_id
        assert (filled.instrument, filled.side, filled.product) == (SBIN, Side.BUY, Product.MIS)
        assert filled.filled_quantity == 3
        trades = await client.trades()
        assert sum(trade.quantity for trade in trades) == 3
        assert {trade.broker_order_id for trade in trades} == {order_id}
        (position,) = await client.positions()
        assert (position.instrument, position.quantity) == (SBIN, 3)
        assert position.average_price == filled.average_price
        assert position.day_buy_quantity == 3
    (row,) = world.ledger()
    assert row["tag"] == ORDER.client_order_id


async def test_resting_order_is_changed_and_cancelled(world: World) -> None:
    """A limit order rests, takes a new price and quantity, and is cancelled once."""
    async with world.client() as client:
        price = (await client.quotes([SBIN]))[SBIN].last_price
        low = (price * Decimal("0.97")).quantize(Decimal("0.1"))
        resting = replace(ORDER, order_type=OrderType.LIMIT, limit_price=low)
        order_id = acked(await client.place(resting))
        await until(tagged(client, ORDER.client_order_id))
        changed = replace(resting, quantity=5, limit_price=low - Decimal("0.5"))
        assert acked(await client.modify(order_id, changed)) == order_id
        order = await until(tagged(client, ORDER.client_order_id))
        assert (order.quantity, order.limit_price) == (5, low - Decimal("0.5"))
        assert order.status is BrokerStatus.WORKING
        assert acked(await client.cancel(order_id)) == order_id
        await until(tagged(client, ORDER.client_order_id, BrokerStatus.CANCELED))
        again = await client.cancel(order_id)
        assert isinstance(again, Refused)
        assert again.kind is Refusal.REJECTED


async def test_stop_order_waits_for_its_trigger(world: World) -> None:
    """A stop rests as working, with its trigger and without a limit price of its own."""
    async with world.client() as client:
        price = (await client.quotes([SBIN]))[SBIN].last_price
        trigger = (price * Decimal("1.02")).quantize(Decimal("0.1"))
        stop = replace(ORDER, order_type=OrderType.SL_M, trigger_price=trigger)
        acked(await client.place(stop))
        order = await until(tagged(client, ORDER.client_order_id))
        assert order.status is BrokerStatus.WORKING
        assert order.trigger_price == trigger


@pytest.mark.row("D10")
async def test_master_names_and_prices(world: World) -> None:
    """The master loads without a login and names shares and indices as Kite does."""
    rows = {row.id: row for row in await world.broker.instruments.load()}
    assert rows[SBIN].segment is Segment.CASH
    assert rows[InstrumentId("NSE", "NIFTY 50")].segment is Segment.INDEX
    if world.broker.exchange_facts is not None:
        facts = await world.broker.exchange_facts.load()
        assert (facts[SBIN].freeze_quantity, facts[SBIN].isin) == (99_999, "INE062A01020")
        future = next(row for row in rows.values() if row.id.symbol.startswith("NIFTY26"))
        assert facts[future.id].freeze_quantity == 1755
    async with world.client() as client:
        nobody = InstrumentId("NSE", "NOBODY")
        quotes = await client.quotes([SBIN, InstrumentId("NSE", "NIFTY 50"), nobody])
        assert set(quotes) == {SBIN, InstrumentId("NSE", "NIFTY 50")}
        assert quotes[SBIN].last_price > 0
        assert quotes[SBIN].at is not None
        with pytest.raises(BrokerReadError) as caught:
            await client.candles(nobody, start=NOON, end=NOON + timedelta(hours=1), minutes=5)
        assert caught.value.fault is ReadFault.REFUSED


async def test_candles_are_cut_to_the_range(world: World) -> None:
    """Bars come oldest first, start within the range, and are Indian."""
    start = NOON.replace(hour=9, minute=15)
    async with world.client() as client:
        bars = await client.candles(SBIN, start=start, end=NOON, minutes=5)
        assert [bar.start for bar in bars] == [start + timedelta(minutes=5 * n) for n in range(9)]
        assert all(bar.low <= bar.open <= bar.high for bar in bars)
        with pytest.raises(BrokerReadError):
            await client.candles(SBIN, start=start, end=NOON, minutes=7)


@pytest.mark.row("B3")
async def test_denied_login_says_so(world: World) -> None:
    """A person who says no is told so."""
    with pytest.raises(LoginRefused) as caught:
        world.broker.profile.callback.code_in(await world.answered("deny"))
    assert caught.value.fault is LoginFault.DENIED


@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_code_serves_once(world: World) -> None:
    """A code that was spent, and one that never was, are told apart from a wrong secret."""
    code = world.broker.profile.callback.code_in(await world.answered())
    wrong = replace(world.credentials, api_secret="wrongsecret")
    for credentials, spent, fault in (
        (wrong, code, LoginFault.WRONG_SECRET),
        (world.credentials, "neverissued", LoginFault.CODE_USED),
    ):
        with pytest.raises(LoginRefused) as caught:
            await world.broker.login.exchange(credentials, spent, redirect_url=world.redirect_url)
        assert caught.value.fault is fault
    await world.logged_in()


@pytest.mark.row("B3")
async def test_login_while_the_broker_is_down(world: World) -> None:
    """A broker in trouble is no fault of the person's."""
    code = world.broker.profile.callback.code_in(await world.answered())
    path = "/session/token" if world.target == "kite" else "/api/v3/validate-authcode"
    world.fault("html", path)
    with pytest.raises(LoginRefused) as caught:
        await world.broker.login.exchange(world.credentials, code, redirect_url=world.redirect_url)
    assert caught.value.fault is LoginFault.BROKER_DOWN


@pytest.mark.matrix("A01", "A03")
async def test_expired_token_is_a_login_problem(world: World) -> None:
    """After the token's end reads and orders say that a login is needed, and nothing else."""
    async with world.client() as client:
        world.sandbox.ask(
            "POST",
            "/tokens/expire",
            {"broker": world.target, "api_key": world.credentials.api_key},
        )
        outcome = await client.place(ORDER)
        assert isinstance(outcome, Refused)
        assert outcome.kind is Refusal.AUTH_REQUIRED
        for read in (client.orders, client.profile, lambda: client.quotes([SBIN])):
            with pytest.raises(BrokerReadError) as caught:
                await read()
            assert caught.value.fault is ReadFault.AUTH_REQUIRED


async def test_logout_ends_the_session(world: World) -> None:
    """After a logout the token is dead at the broker."""
    async with world.client() as client:
        await client.logout()
        with pytest.raises(BrokerReadError) as caught:
            await client.profile()
        assert caught.value.fault is ReadFault.AUTH_REQUIRED


@pytest.mark.matrix("N08")
async def test_refused_order_carries_the_broker_s_words(world: World) -> None:
    """An order beyond the funds is rejected, at once or in the book, with a reason."""
    async with world.client() as client:
        outcome = await client.place(replace(ORDER, quantity=90_000))
        if isinstance(outcome, Acked):
            order = await until(tagged(client, ORDER.client_order_id, BrokerStatus.REJECTED))
            assert order.message
        else:
            assert isinstance(outcome, Refused)
            assert outcome.kind is Refusal.REJECTED
            assert outcome.message


@pytest.mark.matrix("N01", "N14")
@pytest.mark.invariant("I1")
@pytest.mark.parametrize("kind", ["reset_after", "malformed", "hang", "drip"])
async def test_lost_answer_is_found_by_tag_and_placed_once(world: World, kind: str) -> None:
    """An order whose answer was lost is ambiguous, stands in the book once, under its tag."""
    async with world.client() as client:
        world.fault(kind, method="POST", effect=True)
        assert isinstance(await client.place(ORDER), Ambiguous)
        await until(tagged(client, ORDER.client_order_id))
        assert len([o for o in await client.orders() if o.tag == ORDER.client_order_id]) == 1
    assert len([row for row in world.ledger() if row["tag"] == ORDER.client_order_id]) == 1


@pytest.mark.matrix("N17")
@pytest.mark.invariant("I14")
async def test_refused_address_is_a_permission_problem(world: World) -> None:
    """An order from an address that is not registered is no login problem and no rejection."""
    account = {
        "broker": world.target,
        "api_key": "guardedkey000001" if world.target == "kite" else "GUARDED01-100",
        "api_secret": "guardedsecret",
        "user_id": "GU1234",
        "user_name": "Guarded",
        "cash": 100_000,
        "redirect_url": world.redirect_url,
        "allowed_ips": ["203.0.113.7"],
    }
    world.sandbox.ask("POST", "/accounts", account)
    credentials = Credentials("id", account["api_key"], account["api_secret"])  # type: ignore[arg-type]
    guarded = replace(world, credentials=credentials, user_id="GU1234")
    async with guarded.client() as client:
        outcome = await client.place(ORDER)
        assert isinstance(outcome, Refused)
        assert outcome.kind is Refusal.PERMISSION
        assert list(await client.orders()) == []


@pytest.mark.matrix("A01")
async def test_code_201_is_ambiguous(world: World) -> None:
    """Fyers' "sent, not acknowledged" proves nothing."""
    if world.target != "fyers":
        return
    async with world.client() as client:
        world.fault("code_201")
        assert isinstance(await client.place(ORDER), Ambiguous)
