"""Whatever is ordered on paper, books, orders and fills agree, and nobody gets a gift (row F6)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.broker import BrokerStatus, PriceLevel
from core.domain.charges import Execution, charges_of
from core.domain.identifiers import PAPER
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked
from tests.fakes.memory_store import MemoryStore
from tests.fakes.paper import MONDAY, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
PRICES = st.integers(min_value=15_000, max_value=17_000).map(lambda n: Decimal(n) * 5 / 100)
ORDERS = st.tuples(
    st.just("place"),
    st.sampled_from(Side),
    st.integers(min_value=1, max_value=400),
    st.sampled_from(OrderType),
    PRICES,
    PRICES,
)
STEPS = st.one_of(
    ORDERS,
    st.tuples(st.just("tick"), PRICES, st.integers(min_value=0, max_value=5000), st.booleans()),
    st.tuples(st.just("cancel"), st.integers(min_value=0, max_value=9)),
    st.tuples(st.just("restart")),
)


class Story:
    """One account, and what its orders must not have been given."""

    def __init__(self) -> None:
        self.desk = PaperDesk(MemoryStore())
        self.last, self.volume, self.tags = Decimal("800.00"), 100_000, 0
        self.asks: tuple[PriceLevel, ...] = ()
        self.put()

    def put(self) -> None:
        self.desk.prices.put(str(self.last), volume=self.volume, asks=self.asks)

    async def step(self, step: tuple[object, ...]) -> None:
        match step:
            case ("place", Side() as side, int(units), OrderType() as kind, limit, trigger):
                self.put()
                self.tags += 1
                terms = (Product.MIS, limit, trigger)
                order = OrderRequest(f"TAG{self.tags}", SBIN, side, units, kind, *terms)  # type: ignore[arg-type]
                assert isinstance(await self.desk.client.place(order), Acked)
            case ("tick", Decimal() as price, int(traded), bool(is_deep)):
                self.last, self.volume = price, self.volume + traded
                level = PriceLevel(price + Decimal("0.05"), 150)
                self.asks = (level,) if is_deep else ()
                await self.desk.clock.advance(3)
                self.put()
                await self.desk.broker.tick()
            case ("cancel", int(number)):
                orders = await self.desk.client.orders()
                if number < len(orders):
                    await self.desk.client.cancel(orders[number].broker_order_id)
            case ("restart",):
                after = PaperDesk(self.desk.store, self.desk.clock)
                assert await after.client.orders() == await self.desk.client.orders()
                self.desk = after
                self.put()

    async def judge(self) -> None:
        """Compare the account's lists with one another."""
        orders, trades = await self.desk.client.orders(), await self.desk.client.trades()
        signed = 0
        for order in orders:
            mine = [one for one in trades if one.broker_order_id == order.broker_order_id]
            assert sum(one.quantity for one in mine) == order.filled_quantity <= order.quantity
            assert (order.status is BrokerStatus.COMPLETE) == (
                order.filled_quantity == order.quantity
            )
            signed += order.side.sign * order.filled_quantity
            for fill in mine:
                if order.order_type in {OrderType.LIMIT, OrderType.SL}:
                    assert order.limit_price is not None
                    assert (order.limit_price - fill.price) * order.side.sign >= 0
        assert await self.desk.held() == signed
        assert len({one.trade_id for one in trades}) == len(trades)
        done = [
            Execution(one.broker_order_id, SBIN, Product.MIS, one.side, one.quantity, one.price)
            for one in trades
        ]
        for book in await self.desk.store.find("paper_books", {}):
            held = sum((-one.side.sign * one.quantity * one.price for one in trades), Decimal(0))
            [place] = book["places"] or [None]
            average = place["average_price"] if place else Decimal(0)
            charges = charges_of(done, PAPER, MONDAY.date()).known
            expected = Decimal(1_000_000) + held + signed * average - charges
            assert abs(book["cash"] - expected) < Decimal("0.01")
            assert len({one.tag for one in orders}) == len(orders)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_books_orders_and_fills_agree(steps: list[tuple[object, ...]]) -> None:
    """Fills add up to positions, cash to results and charges, and no limit is broken."""

    async def told() -> None:
        story = Story()
        for step in steps:
            await story.step(step)
            await story.judge()

    asyncio.run(told())
