"""Made-up prices for whoever has no broker yet, and their end when one is connected (row F6)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.calendar import TradingCalendar
from core.adapters.paper.practice import PracticePrices
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderType, Side
from tests.fakes.clock import ManualClock
from tests.fakes.paper import MONDAY, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
INFY = InstrumentId("NSE", "INFY")


async def practising() -> PaperDesk:
    """A paper account while no broker is connected."""
    desk = PaperDesk()
    desk.prices.is_market = False
    return desk


async def test_prices_are_the_same_for_everybody_and_after_a_restart() -> None:
    """They depend on name and time alone, move, and their bars agree with their quotes."""
    clock = ManualClock(MONDAY, MONDAY)
    first, second = (PracticePrices(clock, TradingCalendar()) for _ in range(2))
    assert await first.quotes([SBIN, INFY]) == await second.quotes([SBIN, INFY])
    quote = (await first.quotes([SBIN]))[SBIN]
    start = MONDAY.replace(hour=9, minute=15)
    bars = await first.candles(SBIN, start=start, end=MONDAY, minutes=5)
    assert [bar.start for bar in bars] == [start + timedelta(minutes=5) * n for n in range(9)]
    assert bars[-1].close == quote.last_price
    assert len({bar.close for bar in bars}) > 1 and quote.volume
    assert all(bar.low <= min(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(bar.close % Decimal("0.05") == 0 for bar in bars)


async def test_days_without_a_session_have_no_bars() -> None:
    """A weekend is none; a day's bar begins at midnight."""
    clock = ManualClock(MONDAY, MONDAY)
    prices = PracticePrices(clock, TradingCalendar())
    midnight = MONDAY.replace(hour=0)
    bars = await prices.candles(
        SBIN, start=midnight - timedelta(days=4), end=midnight, minutes=1440
    )
    assert [bar.start.weekday() for bar in bars] == [3, 4]
    assert {bar.start.hour for bar in bars} == {0}


async def test_orders_fill_at_made_up_prices_without_a_broker() -> None:
    """No account is asked for a price; orders and stops work as ever."""
    desk = await practising()
    order = await desk.order()
    assert order.status is BrokerStatus.COMPLETE
    assert desk.prices.asked == 0


async def test_practice_ends_when_a_broker_is_connected() -> None:
    """What works is cancelled and what is held is closed at its own last price, and said why."""
    desk = await practising()
    await desk.order(Side.BUY, 100)
    await desk.order(Side.BUY, 50, product=Product.CNC)
    bought = await desk.client.funds()
    stop = await desk.order(Side.SELL, 100, OrderType.SL_M, trigger="1.00")
    desk.prices.is_market = True
    await desk.ticks("5000.00", volume=10_000_000)
    assert (await desk.listed(stop.broker_order_id)).status is BrokerStatus.CANCELED
    assert [await desk.held(product=one) for one in (Product.MIS, Product.CNC)] == [0, 0]
    closing = [one for one in await desk.client.orders() if one.tag is None]
    assert [one.quantity for one in closing] == [100, 50]
    assert all("made up" in one.message for one in closing)
    funds = await desk.client.funds()
    assert funds.used == 0
    # Nothing was won by the jump to the market's price.
    assert funds.available - bought.available - bought.used < 50 * 5000
    assert funds.available < bought.opening
    after = await desk.order(Side.BUY, 1)
    assert after.average_price == Decimal("5002.50")
