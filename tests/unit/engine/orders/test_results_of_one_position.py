"""A result is of the position that ended: a run may have closed and opened others before it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.results import PositionClosed
from core.domain.order import MANUAL, OrderState, OrderType, Purpose, Side
from core.engine.control.run_results import result_of_run
from core.engine.orders.folding import OrderEvent
from core.engine.orders.goals import Flattening, UserClose, flatten, goal_at, put_goal
from core.engine.orders.waiting import left_of
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("H5")

BUY, SELL = Side.BUY, Side.SELL
ENTRY, EXIT, STOP = Purpose.ENTRY, Purpose.EXIT, Purpose.STOP


class Trading:
    """A strategy's orders, each a minute after the one before unless it is said otherwise."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self._number = 0

    async def wants(self, units: int, run_id: str) -> None:
        await put_goal(
            self.engine.store,
            strategy="orb",
            broker_id=ACCOUNT,
            instrument=SBIN,
            product=Product.MIS,
            quantity=units,
            stop_price=Decimal(1),
            run_id=run_id,
            day=DAY,
            at=SENT_AT,
        )

    async def fills(
        self,
        purpose: Purpose,
        side: Side,
        price: str,
        run_id: str,
        *,
        filled: int = 1,
        of: int | None = None,
        strategy: str = "orb",
        wait: float = 60.0,
    ) -> None:
        """Let an order be placed and fill, the rest of it is cancelled."""
        clock = self.engine.clock
        await clock.advance(wait)
        self._number += 1
        key = str(self._number)
        kind = OrderType.SL_M if purpose is STOP else OrderType.MARKET
        order = order_in(
            OrderState.ACCEPTED,
            client_order_id=key.zfill(20),
            broker_order_id=key,
            strategy=strategy,
            purpose=purpose,
            side=side,
            quantity=of or filled,
            order_type=kind,
            run_id=run_id,
            created_at=clock.now(),
        )
        journal = self.engine.wiring.journal
        await journal.add(self.engine.store, [order])
        await clock.advance(wait)
        state = OrderState.CANCELED if of else OrderState.FILLED
        event = OrderEvent(state, key, filled, Decimal(price))
        await journal.apply(order.client_order_id, event)

    async def told(self) -> list[tuple[Side, int, str, str]]:
        """Return the results that were told: side, units, price and rupees before charges."""
        return [
            (one.side, one.quantity, str(one.price), str(one.result)) for one in await self.closed()
        ]

    async def closed(self) -> list[PositionClosed]:
        found = await self.engine.notices(PositionClosed)
        return [one for one in found if isinstance(one, PositionClosed)]


@pytest.fixture
async def trading() -> Trading:
    return Trading(await MemoryEngine(ManualClock(SENT_AT, SENT_AT)).owned())


@pytest.mark.parametrize("wait", [60.0, 0.0], ids=["apart", "at one moment"])
async def test_a_stop_after_a_reversal_is_told_alone(trading: Trading, wait: float) -> None:
    """The exit that the same run began with closed another position, of the other side."""
    await trading.fills(ENTRY, SELL, "938", "orb|1", wait=wait)
    await trading.wants(1, "orb|2")
    await trading.fills(EXIT, BUY, "939.15", "orb|2", wait=wait)
    await trading.fills(ENTRY, BUY, "939.00", "orb|2", wait=wait)
    await trading.fills(STOP, SELL, "921.00", "orb|2", wait=wait)
    assert await trading.told() == [(SELL, 1, "921.00", "-18.00")]


async def test_a_stop_after_a_reversal_is_charged_for_one_round_trip(trading: Trading) -> None:
    """What the reversal's exit cost belongs to the position that it closed."""
    alone = Trading(await MemoryEngine(ManualClock(SENT_AT, SENT_AT)).owned())
    await alone.wants(1, "orb|2")
    await trading.fills(ENTRY, SELL, "938", "orb|1")
    await trading.wants(1, "orb|2")
    await trading.fills(EXIT, BUY, "1939.15", "orb|2")
    for one in (alone, trading):
        await one.fills(ENTRY, BUY, "939.00", "orb|2")
        await one.fills(STOP, SELL, "921.00", "orb|2")
    ((first,), (second,)) = (await alone.closed(), await trading.closed())
    assert first.charges == second.charges is not None


async def test_a_second_stop_in_one_run_is_told_alone(trading: Trading) -> None:
    """Entered again after a stop by the same decision: each stop is a result of its own."""
    await trading.wants(1, "orb|1")
    for bought, sold in (("939", "921"), ("930", "925")):
        await trading.fills(ENTRY, BUY, bought, "orb|1")
        await trading.fills(STOP, SELL, sold, "orb|1")
    assert await trading.told() == [(SELL, 1, "921", "-18"), (SELL, 1, "925", "-5")]


async def test_a_stop_that_filled_in_part_before_its_exit_counts(trading: Trading) -> None:
    """Entered in two slices: all units that closed this position, and none of the one before."""
    await trading.wants(10, "orb|1")
    await trading.fills(ENTRY, BUY, "950", "orb|1", filled=10)
    await trading.fills(STOP, SELL, "940", "orb|1", filled=10)
    for _ in range(2):
        await trading.fills(ENTRY, BUY, "939", "orb|1", filled=5)
    await trading.fills(STOP, SELL, "921", "orb|1", filled=4, of=10)
    await trading.fills(EXIT, SELL, "920", "orb|1", filled=6)
    assert (await trading.told())[1:] == [(SELL, 10, "920.4", "-186.0")]


async def test_a_run_that_entered_twice_is_charged_for_both_entries(trading: Trading) -> None:
    """Its card sums two round trips of the day; neither was carried."""
    for _ in range(2):
        await trading.fills(ENTRY, BUY, "939", "orb|1", filled=100)
        await trading.fills(STOP, SELL, "921", "orb|1", filled=100)
    orders = await trading.engine.orders()
    both = result_of_run(orders, orders)
    # The same orders with both entries before both stops are charged alike.
    ahead = [replace(one, created_at=SENT_AT) if one.purpose is ENTRY else one for one in orders]
    assert both == result_of_run(ahead, ahead)


async def test_a_close_of_strategys_and_other_units_tells_both(trading: Trading) -> None:
    """One run with an exit each: neither takes the other's units for its own."""
    engine = trading.engine
    held = Ledger("orb", ACCOUNT, SBIN, Product.MIS, 10, Decimal(930))
    await engine.hold(held)
    nobodys = Ledger(MANUAL, ACCOUNT, SBIN, Product.MIS)
    close = UserClose(despite_pause=False, outside=10)
    decision = Flattening("manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT, close)
    await flatten(engine.store, engine.wiring.outbox, [held, nobodys], decision)
    await trading.fills(EXIT, SELL, "935", "manual|1", filled=10)
    goal = await goal_at(engine.store, nobodys.key)
    assert goal is not None
    assert await left_of(engine.store, goal, DAY) == 10
    await trading.fills(EXIT, SELL, "936", "manual|1", filled=10, strategy=MANUAL)
    (line,) = (await engine.control.views.run("manual|1")).lines
    told = [(one.strategy, one.filled_quantity, one.average_price) for one in line.orders]
    assert sorted(told) == [(MANUAL, 10, Decimal(936)), ("orb", 10, Decimal(935))]
    # What the units of no strategy had cost is not known, so the sum is not either.
    assert [one.realised for one in line.orders if one.strategy == "orb"] == [Decimal(50)]
    assert line.result is None
