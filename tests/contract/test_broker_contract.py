"""What every broker client promises, the scripted one of the unit tests as well.

A unit test that passes over the scripted broker says something of the product only as far as that
broker answers like the others: here the same tests run against it, against both adapters, and against
paper accounts as far as these have what is asked about.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Refusal, Refused
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from tests.fakes.broker_world import (
    NOON,
    Scripted,
    SimulatedBroker,
    acked,
    simulated,
    tagged,
    until,
)
from tests.fakes.paper import OnPaper
from tests.fakes.scripted_broker import ScriptedBroker

pytest_plugins = ("tests.faults.fixtures",)

pytestmark = pytest.mark.dates

Place = SimulatedBroker | Scripted | OnPaper
WithLogin = SimulatedBroker | Scripted
SBIN = InstrumentId("NSE", "SBIN")
NOBODY = InstrumentId("NSE", "NOBODY")
ORDER = OrderRequest("SCONTRACTAAAAAAAAAAA", SBIN, Side.BUY, 3, OrderType.MARKET, Product.MIS)


@pytest.fixture(params=["kite", "fyers", "scripted", "paper"])
def broker(request: pytest.FixtureRequest) -> Place:
    """Each broker in turn, with one account."""
    if request.param == "paper":
        return OnPaper()
    if request.param == "scripted":
        return Scripted(ScriptedBroker(ZERODHA))
    return simulated(request.getfixturevalue("simulators"), request.param)


@pytest.fixture(params=["kite", "fyers", "scripted"])
def with_login(request: pytest.FixtureRequest) -> WithLogin:
    """Each broker that has logins, with one account."""
    if request.param == "scripted":
        return Scripted(ScriptedBroker(ZERODHA))
    return simulated(request.getfixturevalue("simulators"), request.param)


async def test_market_order_fills_and_shows_everywhere(broker: Place) -> None:
    """A market order is acknowledged, filled, traded and held, under our own names."""
    async with broker.client() as client:
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


async def test_resting_order_is_changed_and_cancelled(broker: Place) -> None:
    """A limit order rests, takes a new price and quantity, and is cancelled once."""
    async with broker.client() as client:
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


async def test_stop_order_waits_for_its_trigger(broker: Place) -> None:
    """A stop rests as working, with its trigger and without a limit price of its own."""
    async with broker.client() as client:
        price = (await client.quotes([SBIN]))[SBIN].last_price
        trigger = (price * Decimal("1.02")).quantize(Decimal("0.1"))
        stop = replace(ORDER, order_type=OrderType.SL_M, trigger_price=trigger)
        acked(await client.place(stop))
        order = await until(tagged(client, ORDER.client_order_id))
        assert order.status is BrokerStatus.WORKING
        assert order.trigger_price == trigger


@pytest.mark.matrix("A01", "A03")
async def test_expired_token_is_a_login_problem(with_login: WithLogin) -> None:
    """After the token's end reads and orders say that a login is needed, and nothing else."""
    async with with_login.client() as client:
        with_login.expire()
        outcome = await client.place(ORDER)
        assert isinstance(outcome, Refused)
        assert outcome.kind is Refusal.AUTH_REQUIRED
        for read in (client.orders, client.profile, lambda: client.quotes([SBIN])):
            with pytest.raises(BrokerReadError) as caught:
                await read()
            assert caught.value.fault is ReadFault.AUTH_REQUIRED


async def test_logout_ends_the_session(with_login: WithLogin) -> None:
    """After a logout the token is dead at the with_login."""
    async with with_login.client() as client:
        await client.logout()
        with pytest.raises(BrokerReadError) as caught:
            await client.profile()
        assert caught.value.fault is ReadFault.AUTH_REQUIRED


async def test_position_that_is_closed_stays_listed(broker: Place) -> None:
    """Flat is a row with quantity 0 and what was bought and sold; half of it keeps its average."""
    back = replace(ORDER, client_order_id="SCONTRACTBBBBBBBBBBB", side=Side.SELL, quantity=1)
    rest = replace(back, client_order_id="SCONTRACTCCCCCCCCCCC", quantity=2)
    async with broker.client() as client:
        acked(await client.place(ORDER))
        await until(tagged(client, ORDER.client_order_id, BrokerStatus.COMPLETE))
        (opened,) = await client.positions()
        acked(await client.place(back))
        await until(tagged(client, back.client_order_id, BrokerStatus.COMPLETE))
        (smaller,) = await client.positions()
        assert (smaller.quantity, smaller.average_price) == (2, opened.average_price)
        acked(await client.place(rest))
        await until(tagged(client, rest.client_order_id, BrokerStatus.COMPLETE))
        (flat,) = await client.positions()
        figures = (flat.quantity, flat.day_buy_quantity, flat.day_sell_quantity)
        assert figures == (0, 3, 3)
        sold = [one.quantity for one in await client.trades() if one.side is Side.SELL]
        assert sum(sold) == 3


async def test_what_has_ended_is_neither_changed_nor_cancelled(broker: Place) -> None:
    """A filled order is refused as one that does not work; nothing of it changes."""
    async with broker.client() as client:
        order_id = acked(await client.place(ORDER))
        filled = await until(tagged(client, ORDER.client_order_id, BrokerStatus.COMPLETE))
        for outcome in (
            await client.modify(order_id, replace(ORDER, quantity=5)),
            await client.cancel(order_id),
        ):
            assert isinstance(outcome, Refused)
            assert outcome.kind is Refusal.REJECTED
        assert await until(tagged(client, ORDER.client_order_id)) == filled


async def test_unknown_instrument_has_no_price(broker: Place) -> None:
    """It is absent from quotes, and its bars are refused, not empty."""
    async with broker.client() as client:
        assert set(await client.quotes([SBIN, NOBODY])) == {SBIN}
        with pytest.raises(BrokerReadError) as caught:
            await client.candles(NOBODY, start=NOON, end=NOON + timedelta(hours=1), minutes=5)
        assert caught.value.fault is ReadFault.REFUSED


async def test_code_is_spent_once(with_login: WithLogin) -> None:
    """A second exchange of one code is a code that was used; the login itself goes on."""
    code = await with_login.code()
    redirect_url = with_login.redirect_url
    login = with_login.broker.login
    grant = await login.exchange(with_login.credentials, code, redirect_url=redirect_url)
    assert grant.user_id == with_login.user_id
    with pytest.raises(LoginRefused) as caught:
        await login.exchange(with_login.credentials, code, redirect_url=redirect_url)
    assert caught.value.fault is LoginFault.CODE_USED
