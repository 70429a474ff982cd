"""What paper orders fill: rather less, and rather dearer, than at a broker (row F6)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus, PriceLevel
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side, Validity
from core.domain.outcome import Acked
from tests.fakes.paper import FUTURE, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")


def levels(*pairs: tuple[str, int]) -> tuple[PriceLevel, ...]:
    return tuple(PriceLevel(Decimal(price), units) for price, units in pairs)


async def test_market_order_pays_the_spread_where_no_depth_is_known() -> None:
    """A buy is above the last price and a sell below it; nobody trades at the last price."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    bought = await desk.order(Side.BUY)
    sold = await desk.order(Side.SELL)
    assert (bought.status, bought.average_price) == (BrokerStatus.COMPLETE, Decimal("800.40"))
    assert (sold.status, sold.average_price) == (BrokerStatus.COMPLETE, Decimal("799.60"))
    assert await desk.held() == 0


async def test_market_order_eats_the_depth_as_far_as_its_protection() -> None:
    """It pays level by level, and what the protection forbids rests, filled in part."""
    desk = PaperDesk()
    asks = levels(("800.10", 100), ("801.00", 100), ("805.00", 1000))
    desk.prices.put("800.00", volume=1_000_000, asks=asks)
    order = await desk.order(Side.BUY, 300)
    assert (order.status, order.filled_quantity) == (BrokerStatus.WORKING, 200)
    assert order.average_price == Decimal("800.55")
    assert order.limit_price == Decimal("804.00")
    assert [one.quantity for one in await desk.client.trades()] == [100, 100]


async def test_two_orders_of_a_moment_do_not_get_the_same_depth() -> None:
    """What one order has taken is not there for the next one, at the price that it had."""
    desk = PaperDesk()
    asks = levels(("800.10", 100), ("801.00", 100))
    desk.prices.put("800.00", volume=1_000_000, asks=asks)
    prices = [(await desk.order(Side.BUY, 80)).average_price for _ in range(2)]
    assert prices == [Decimal("800.10"), Decimal("800.7750")]
    await desk.clock.advance(3)
    desk.prices.put("800.00", volume=1_000_000, asks=asks)
    assert (await desk.order(Side.BUY, 80)).average_price == Decimal("800.10")


async def test_rest_of_a_market_order_gets_a_part_of_what_is_traded() -> None:
    """The same depth is not eaten twice; later looks give a tenth of the volume since."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=10_000, asks=levels(("800.10", 100)))
    order = await desk.order(Side.BUY, 300)
    await desk.ticks("800.00", volume=10_000, asks=levels(("800.10", 100)))
    assert (await desk.listed(order.broker_order_id)).filled_quantity == 100
    await desk.ticks("800.00", volume=10_500, asks=levels(("800.10", 100)))
    assert (await desk.listed(order.broker_order_id)).filled_quantity == 150
    await desk.ticks("800.00", volume=20_000, asks=levels(("800.10", 100)))
    assert (await desk.listed(order.broker_order_id)).status is BrokerStatus.COMPLETE


async def test_resting_limit_fills_when_the_price_goes_through_it() -> None:
    """A price that only touches the limit fills nothing; beyond it fills at the limit."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    order = await desk.order(Side.BUY, 10, OrderType.LIMIT, limit="795.00")
    assert order.status is BrokerStatus.WORKING
    await desk.ticks("795.00", volume=1_100_000)
    assert (await desk.listed(order.broker_order_id)).filled_quantity == 0
    await desk.ticks("794.95", volume=1_200_000)
    after = await desk.listed(order.broker_order_id)
    assert (after.status, after.average_price) == (BrokerStatus.COMPLETE, Decimal("795.00"))


async def test_limit_that_crosses_takes_at_once_and_no_dearer_than_its_limit() -> None:
    """A limit beyond the other side fills there, and what is dearer rests."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000, asks=levels(("800.05", 4), ("800.30", 50)))
    order = await desk.order(Side.BUY, 10, OrderType.LIMIT, limit="800.20")
    assert (order.filled_quantity, order.average_price) == (4, Decimal("800.05"))
    assert order.status is BrokerStatus.WORKING


@pytest.mark.parametrize(
    ("side", "trigger", "before", "beyond", "price"),
    [
        (Side.SELL, "790.00", "790.05", "790.00", "789.60"),
        (Side.BUY, "810.00", "809.95", "810.05", "810.50"),
    ],
)
async def test_stop_triggers_by_the_last_price(
    side: Side, trigger: str, before: str, beyond: str, price: str
) -> None:
    """It waits until the last price has reached the trigger, and then takes with a spread."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    order = await desk.order(side, 10, OrderType.SL_M, trigger=trigger)
    await desk.ticks(before, volume=1_100_000)
    waiting = await desk.listed(order.broker_order_id)
    assert (waiting.status, waiting.is_triggered) == (BrokerStatus.WORKING, False)
    await desk.ticks(beyond, volume=1_200_000)
    after = await desk.listed(order.broker_order_id)
    assert (after.status, after.is_triggered) == (BrokerStatus.COMPLETE, True)
    assert after.average_price == Decimal(price)


async def test_stop_limit_rests_when_the_price_jumps_over_its_limit() -> None:
    """SL becomes a limit order when it triggers; a gap beyond the limit leaves it open."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    order = await desk.order(Side.SELL, 10, OrderType.SL, trigger="790.00", limit="789.00")
    await desk.ticks("780.00", volume=1_200_000)
    after = await desk.listed(order.broker_order_id)
    assert (after.status, after.is_triggered, after.filled_quantity) == (
        BrokerStatus.WORKING,
        True,
        0,
    )


async def test_nothing_is_bought_at_the_upper_circuit() -> None:
    """Where nobody sells, a buy rests; a sell goes."""
    desk = PaperDesk()
    desk.prices.put("880.00", volume=1_000_000, upper_circuit=Decimal("880.00"))
    bought, sold = await desk.order(Side.BUY), await desk.order(Side.SELL)
    assert (bought.filled_quantity, sold.filled_quantity) == (0, 10)


async def test_old_price_fills_nothing() -> None:
    """An order is not filled at a price of minutes ago."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    order = await desk.order(Side.BUY, 10, OrderType.LIMIT, limit="799.00")
    old = desk.clock.market_now()
    await desk.clock.advance(180)
    desk.prices.put("700.00", volume=2_000_000)
    quote = desk.prices.quotes_by_name[SBIN]
    desk.prices.quotes_by_name[SBIN] = replace(quote, at=old)
    await desk.broker.tick()
    assert (await desk.listed(order.broker_order_id)).filled_quantity == 0


async def test_fills_come_in_whole_lots() -> None:
    """A part of a future's order is a multiple of its lot."""
    desk = PaperDesk()
    asks = levels(("800.10", 1000))
    desk.prices.put("800.00", FUTURE, volume=1_000_000, asks=asks)
    order = await desk.order(Side.BUY, 1500, product=Product.NRML, name=FUTURE)
    assert order.filled_quantity == 750


async def test_immediate_order_does_not_rest() -> None:
    """What an immediate-or-cancel order does not fill at once is cancelled."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000, asks=levels(("800.05", 4)))
    request = OrderRequest(
        "IOC",
        SBIN,
        Side.BUY,
        10,
        OrderType.LIMIT,
        Product.MIS,
        Decimal("800.10"),
        validity=Validity.IOC,
    )
    outcome = await desk.client.place(request)
    assert isinstance(outcome, Acked)
    order = await desk.listed(outcome.broker_order_id)
    assert (order.status, order.filled_quantity) == (BrokerStatus.CANCELED, 4)


async def test_changed_order_works_by_its_new_terms() -> None:
    """A new trigger and quantity count from then on; a cancelled order fills nothing."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    order = await desk.order(Side.SELL, 10, OrderType.SL_M, trigger="790.00")
    terms = OrderRequest(
        "", SBIN, Side.SELL, 20, OrderType.SL_M, Product.MIS, None, Decimal("795.00")
    )
    assert isinstance(await desk.client.modify(order.broker_order_id, terms), Acked)
    await desk.ticks("794.00", volume=1_100_000)
    after = await desk.listed(order.broker_order_id)
    assert (after.status, after.filled_quantity) == (BrokerStatus.COMPLETE, 20)
    rests = await desk.order(Side.BUY, 10, OrderType.LIMIT, limit="780.00")
    assert isinstance(await desk.client.cancel(rests.broker_order_id), Acked)
    await desk.ticks("770.00", volume=1_900_000)
    assert (await desk.listed(rests.broker_order_id)).status is BrokerStatus.CANCELED


async def test_one_question_serves_all_orders_of_a_moment() -> None:
    """Orders of one second cost the data account one request for prices."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    for _ in range(5):
        await desk.order()
    assert desk.prices.asked == 1
