"""Both broker adapters against the simulators, which share no code with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.address_probe import EchoProbe
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product, Segment
from core.domain.money import rupees
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Ambiguous, Refusal, Refused
from core.domain.price_check import at_circuit
from core.domain.route import Route
from core.engine.orders.circuit import with_limits
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.address_probe import Sighted, Sighting
from core.ports.broker import Credentials, NamesBands
from tests.fakes.broker_world import NOON, SimulatedBroker, simulated, tagged, until
from tests.fakes.clock import RunningClock
from tests.fakes.sandbox_process import Sandbox

pytest_plugins = ("tests.faults.fixtures",)

pytestmark = pytest.mark.dates

SBIN = InstrumentId("NSE", "SBIN")
ORDER = OrderRequest("SCONTRACTAAAAAAAAAAA", SBIN, Side.BUY, 3, OrderType.MARKET, Product.MIS)


@pytest.fixture
def sandbox(simulators: Sandbox) -> Sandbox:
    """The sandbox as it was at its start."""
    return simulators


@pytest.fixture(params=["kite", "fyers"])
def world(request: pytest.FixtureRequest, sandbox: Sandbox) -> SimulatedBroker:
    """Both brokers in turn."""
    return simulated(sandbox, request.param)


@pytest.mark.row("B2")
async def test_login_and_reads(world: SimulatedBroker) -> None:
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


@pytest.mark.row("D10")
async def test_master_names_and_prices(world: SimulatedBroker) -> None:
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


@pytest.mark.row("R3")
@pytest.mark.parametrize(("end", "side"), [("upper", Side.BUY), ("lower", Side.SELL)])
async def test_a_price_at_its_circuit_limit_is_seen(
    world: SimulatedBroker, end: str, side: Side
) -> None:
    """Kite's quotes name the limits, Fyers names them for one instrument; in between none is asked."""
    async with world.client() as client:
        before = await with_limits(client, {SBIN: side}, await client.quotes([SBIN]))
        assert at_circuit(side, before[SBIN]) == ""
        stands = {"symbol": "SBIN", "circuit": end}
        limit = Decimal(str(world.sandbox.ask("POST", "/market/circuit", stands)["last_price"]))
        quotes = await client.quotes([SBIN])
        seen = (await with_limits(client, {SBIN: side}, quotes))[SBIN]
        assert f"{end} circuit limit of {rupees(limit)}" in at_circuit(side, seen)
        other = Side.BUY if side is Side.SELL else Side.SELL
        assert at_circuit(other, seen) == ""
        named = seen.upper_circuit if side is Side.BUY else seen.lower_circuit
        assert named == limit
        if isinstance(client, NamesBands):
            assert quotes[SBIN].upper_circuit is quotes[SBIN].lower_circuit is None
            with pytest.raises(BrokerReadError) as caught:
                await client.price_band(InstrumentId("NSE", "NOBODY"))
            assert caught.value.fault is ReadFault.REFUSED


async def test_candles_are_cut_to_the_range(world: SimulatedBroker) -> None:
    """Bars come oldest first, start within the range, and are Indian."""
    start = NOON.replace(hour=9, minute=15)
    async with world.client() as client:
        bars = await client.candles(SBIN, start=start, end=NOON, minutes=5)
        assert [bar.start for bar in bars] == [start + timedelta(minutes=5 * n) for n in range(9)]
        assert all(bar.low <= bar.open <= bar.high for bar in bars)
        with pytest.raises(BrokerReadError):
            await client.candles(SBIN, start=start, end=NOON, minutes=7)


@pytest.mark.row("B3")
async def test_denied_login_says_so(world: SimulatedBroker) -> None:
    """A person who says no is told so."""
    with pytest.raises(LoginRefused) as caught:
        world.broker.profile.callback.code_in(await world.answered("deny"))
    assert caught.value.fault is LoginFault.DENIED


@pytest.mark.row("B3")
@pytest.mark.matrix("A04")
async def test_code_serves_once(world: SimulatedBroker) -> None:
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
async def test_login_while_the_broker_is_down(world: SimulatedBroker) -> None:
    """A broker in trouble is no fault of the person's."""
    code = world.broker.profile.callback.code_in(await world.answered())
    path = "/session/token" if world.target == "kite" else "/api/v3/validate-authcode"
    world.fault("html", path)
    with pytest.raises(LoginRefused) as caught:
        await world.broker.login.exchange(world.credentials, code, redirect_url=world.redirect_url)
    assert caught.value.fault is LoginFault.BROKER_DOWN


@pytest.mark.matrix("N08")
async def test_refused_order_carries_the_broker_s_words(world: SimulatedBroker) -> None:
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
async def test_lost_answer_is_found_by_tag_and_placed_once(
    world: SimulatedBroker, kind: str
) -> None:
    """An order whose answer was lost is ambiguous, stands in the book once, under its tag."""
    async with world.client() as client:
        world.fault(kind, method="POST", effect=True)
        assert isinstance(await client.place(ORDER), Ambiguous)
        await until(tagged(client, ORDER.client_order_id))
        assert len([o for o in await client.orders() if o.tag == ORDER.client_order_id]) == 1
    assert len([row for row in world.ledger() if row["tag"] == ORDER.client_order_id]) == 1


@pytest.mark.matrix("N17")
@pytest.mark.row("A12")
@pytest.mark.invariant("I14")
async def test_refused_address_is_a_permission_problem(world: SimulatedBroker) -> None:
    """An order from an address that is not registered is no login problem and no rejection.

    From the registered one it is taken, and that is the one that the account is seen at.
    """
    account = {
        "broker": world.target,
        "api_key": "guardedkey000001" if world.target == "kite" else "GUARDED01-100",
        "api_secret": "guardedsecret",
        "user_id": "GU1234",
        "user_name": "Guarded",
        "cash": 100_000,
        "redirect_url": world.redirect_url,
        "allowed_ips": ["203.0.113.7", "127.0.0.7"],
    }
    world.sandbox.ask("POST", "/accounts", account)
    credentials = Credentials("id", account["api_key"], account["api_secret"])  # type: ignore[arg-type]
    guarded = replace(world, credentials=credentials, user_id="GU1234")
    async with guarded.client() as client:
        outcome = await client.place(ORDER)
        assert isinstance(outcome, Refused)
        assert outcome.kind is Refusal.PERMISSION
        assert list(await client.orders()) == []
    route = Route("127.0.0.7")
    echo = EchoProbe(RunningClock(), f"{world.sandbox.url('control')}/address")
    assert await echo.look(route) == Sighting(Sighted.SEEN, "127.0.0.7")
    at_home = replace(guarded, credentials=replace(credentials, route=route))
    async with at_home.client() as client:
        assert isinstance(await client.place(ORDER), Acked)


@pytest.mark.matrix("A01")
async def test_code_201_is_ambiguous(world: SimulatedBroker) -> None:
    """Fyers' "sent, not acknowledged" proves nothing."""
    if world.target != "fyers":
        return
    async with world.client() as client:
        world.fault("code_201")
        assert isinstance(await client.place(ORDER), Ambiguous)
