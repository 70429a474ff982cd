"""What a paper account refuses, blocks and carries, where a broker would (row F6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.paper.matching import protected
from core.domain.broker import BrokerStatus, PriceLevel
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Cause, Refused
from core.domain.sessions import IST
from core.ports.broker import Credentials
from tests.fakes.paper import FUTURE, MASTER, MONDAY, OPTION, PAPER_ACCOUNT, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
BUY, SELL = Side.BUY, Side.SELL
MIS, CNC, NRML = Product.MIS, Product.CNC, Product.NRML
WEDNESDAY = datetime(2026, 11, 25, 10, 0, tzinfo=IST)
"""The day of trading after Monday."""


def priced(desk: PaperDesk, last: str = "800.00", **fields: object) -> PaperDesk:
    for name in (SBIN, FUTURE, OPTION):
        desk.prices.put(last, name, **{"volume": 10_000_000, **fields})
    return desk


def terms(side: Side, units: int, limit: str, product: Product = MIS) -> OrderRequest:
    """Return a limit order of SBIN."""
    return OrderRequest("T", SBIN, side, units, OrderType.LIMIT, product, Decimal(limit))


async def test_a_future_is_carried_into_the_next_day_at_its_last_price() -> None:
    """As bought, with the price of the evening as the close before: the day's result begins there."""
    desk = PaperDesk()
    later = replace(MASTER[FUTURE], expiry=MONDAY.date() + timedelta(days=30))
    desk.client = desk.broker.connect(Credentials(PAPER_ACCOUNT, "", ""), {**MASTER, FUTURE: later})
    bought = await priced(desk).order(BUY, 750, product=NRML, name=FUTURE)
    await desk.ticks("820.00", FUTURE, volume=20_000_000)
    before = await desk.client.funds()
    await desk.clock.advance_to(WEDNESDAY)
    priced(desk, "830.00")
    (carried,) = await desk.client.positions()
    assert (carried.quantity, carried.average_price) == (750, bought.average_price)
    assert (carried.previous_close, carried.realised) == (Decimal(820), Decimal(0))
    assert (carried.day_buy_quantity, carried.day_buy_value) == (0, Decimal(0))
    morning = await desk.client.funds()
    assert morning.used == before.used
    sold = await desk.order(SELL, 750, product=NRML, name=FUTURE)
    (over,) = await desk.client.positions()
    assert over.quantity == 0
    assert over.realised == (sold.average_price - bought.average_price) * 750


async def test_delivery_shares_keep_their_average_over_days() -> None:
    """Bought twice it is the average of both; what is sold of them does not change it."""
    desk = priced(PaperDesk())
    first = await desk.order(BUY, 100, product=CNC)
    await desk.clock.advance_to(WEDNESDAY)
    second = await priced(desk, "900.00").order(BUY, 300, product=CNC)
    for days, units in ((1, 400), (2, 350)):
        await desk.clock.advance_to(WEDNESDAY + timedelta(days=days))
        priced(desk, "900.00")
        (share,) = await desk.client.holdings()
        average = (first.average_price + 3 * second.average_price) / 4
        assert (share.quantity, share.average_price) == (units, average)
        assert (await desk.order(SELL, 50, product=CNC)).status is BrokerStatus.COMPLETE


@pytest.mark.parametrize(
    ("side", "units", "blocked"),
    [(BUY, 750, "600300"), (SELL, 750, "200000"), (SELL, 1500, "400000")],
)
async def test_options_block_their_price_or_two_lakh_a_lot(
    side: Side, units: int, blocked: str
) -> None:
    """Bought ones are paid in full; the exchange's margin of sold ones is not known here."""
    desk = priced(PaperDesk())
    await desk.order(side, units, product=NRML, name=OPTION)
    assert (await desk.client.funds()).used == Decimal(blocked)


async def test_an_open_loss_is_no_free_money_and_an_open_gain_is_none_either() -> None:
    """The next order is held to what would be left if the position were closed now."""
    desk = priced(PaperDesk())
    await desk.order(BUY, 1000)
    free = {}
    for last in ("790.00", "799.00", "801.00", "820.00"):
        await desk.ticks(last, volume=20_000_000)
        free[last] = (await desk.client.funds()).available
    assert free["799.00"] - free["790.00"] == 9 * 1000
    assert free["820.00"] == free["801.00"] > free["799.00"]


@pytest.mark.parametrize(
    ("order", "cause"),
    [
        (replace(terms(BUY, 10, "800.00"), product=NRML), Cause.PRODUCT),
        (replace(terms(BUY, 10, "800.00"), limit_price=Decimal(0)), Cause.OTHER),
        (replace(terms(BUY, 10, "800.00"), limit_price=None), Cause.OTHER),
        (replace(terms(BUY, 10, "800.00"), quantity=0), Cause.OTHER),
    ],
)
async def test_what_no_broker_takes_is_refused_at_the_door(
    order: OrderRequest, cause: Cause
) -> None:
    """Shares are not carried on margin; a limit order has a price, and every order units."""
    desk = priced(PaperDesk())
    refused = await desk.client.place(order)
    assert isinstance(refused, Refused) and refused.cause is cause
    assert await desk.client.orders() == []


@pytest.mark.parametrize(
    ("side", "limit", "cause"),
    [
        (BUY, "880.05", Cause.BAND),
        (SELL, "719.95", Cause.BAND),
        (BUY, "880.00", None),
        (SELL, "720.00", None),
    ],
)
async def test_a_price_beyond_the_circuit_is_rejected(
    side: Side, limit: str, cause: Cause | None
) -> None:
    """As the exchange does; the limits themselves are prices."""
    desk = priced(PaperDesk(), lower_circuit=Decimal(720), upper_circuit=Decimal(880))
    order = await desk.order(side, 10, OrderType.LIMIT, limit=limit)
    assert order.cause is cause
    assert (order.status is BrokerStatus.REJECTED) == (cause is not None)


@pytest.mark.parametrize(
    ("side", "trigger", "is_right"),
    [
        (BUY, "800.00", False),
        (BUY, "800.05", True),
        (SELL, "800.00", False),
        (SELL, "799.95", True),
    ],
)
async def test_a_stop_is_beyond_the_price(side: Side, trigger: str, *, is_right: bool) -> None:
    """One that would trigger at once is rejected, on either side."""
    desk = priced(PaperDesk())
    order = await desk.order(side, 10, OrderType.SL_M, trigger=trigger)
    assert (order.cause is Cause.TRIGGER) is not is_right
    assert (order.status is BrokerStatus.WORKING) is is_right


async def test_nothing_is_sold_at_the_lower_circuit() -> None:
    """Where nobody buys, a sale rests; a buy goes."""
    desk = priced(PaperDesk(), lower_circuit=Decimal(800))
    sold, bought = await desk.order(SELL), await desk.order(BUY)
    assert (sold.filled_quantity, bought.filled_quantity) == (0, 10)


async def test_an_offer_below_the_last_price_is_no_gift() -> None:
    """A depth that is older than the last trade: the worse of both is paid."""
    asks = (PriceLevel(Decimal("799.00"), 100),)
    bids = (PriceLevel(Decimal("801.00"), 100),)
    desk = priced(PaperDesk(), asks=asks, bids=bids)
    assert (await desk.order(BUY)).average_price == Decimal(800)
    assert (await desk.order(SELL)).average_price == Decimal(800)


async def test_where_nothing_is_known_of_the_volume_little_fills() -> None:
    """Five lakh rupees at a look, and the rest at later ones."""
    desk = PaperDesk()
    desk.prices.put("800.00")
    order = await desk.order(BUY, 1000)
    assert order.filled_quantity == 625
    await desk.ticks("800.00")
    assert (await desk.listed(order.broker_order_id)).status is BrokerStatus.COMPLETE


async def test_the_first_look_gives_a_hundredth_of_the_days_volume() -> None:
    """Where no depth is known: a market order of a thin share does not fill as a whole."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=10_000)
    assert (await desk.order(BUY, 300)).filled_quantity == 100


async def test_what_cannot_be_changed_stays_as_it_is() -> None:
    """Below what has filled, beyond the money, an order that is over or that nobody placed."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000, asks=(PriceLevel(Decimal("800.05"), 4),))
    order = await desk.order(BUY, 10, OrderType.LIMIT, limit="800.10")
    assert order.filled_quantity == 4
    number, client = order.broker_order_id, desk.client
    for asked, cause in ((terms(BUY, 4, "800.10"), None), (terms(BUY, 9000, "800.10"), "margin")):
        refused = await client.modify(number, asked)
        assert isinstance(refused, Refused)
        assert (refused.cause is Cause.MARGIN) is (cause is not None)
    assert await desk.listed(number) == order
    assert isinstance(await client.modify(number, terms(BUY, 5, "800.10")), Acked)
    assert isinstance(await client.cancel(number), Acked)
    for outcome in (
        await client.modify(number, terms(BUY, 20, "800.10")),
        await client.cancel(number),
        await client.modify("P1", terms(BUY, 20, "800.10")),
        await client.cancel("P1"),
    ):
        assert isinstance(outcome, Refused)
    assert (await desk.listed(number)).quantity == 5


@pytest.mark.parametrize(
    ("name", "last", "highest", "lowest"),
    [
        (SBIN, "99.95", "101.95", "97.95"),
        (SBIN, "100.00", "101.00", "99.00"),
        (SBIN, "499.95", "504.95", "494.95"),
        (SBIN, "500.00", "502.50", "497.50"),
        (OPTION, "9.95", "10.45", "9.45"),
        (OPTION, "10.00", "10.30", "9.70"),
        (OPTION, "100.00", "102.00", "98.00"),
        (OPTION, "500.00", "505.00", "495.00"),
        (OPTION, "0.05", "0.10", "0.05"),
        (FUTURE, "500.00", "502.50", "497.50"),
    ],
)
def test_a_market_order_is_protected_by_its_price(
    name: InstrumentId, last: str, highest: str, lowest: str
) -> None:
    """The dearer the price the nearer the bound; an option's is wider; never below one tick."""
    found = [protected(side, Decimal(last), MASTER[name]) for side in (BUY, SELL)]
    assert found == [Decimal(highest), Decimal(lowest)]
