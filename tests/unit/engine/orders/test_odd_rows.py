"""Rows that cannot be read: told once, and never taken for an absence of an order of ours.

And rows of yesterday that a broker still lists: never stored or shown as today's (case B10).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus, BrokerTrade
from core.domain.instrument import Product
from core.domain.notices.accounts import RowsUnread
from core.domain.odd_rows import OddRow
from core.domain.order import OrderState, Side
from core.engine.orders.reconciliation import Snapshot
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, TAG, order_in, shown
from tests.fakes.scripted_broker import ScriptedAccount

S = OrderState
ODD = OddRow("product 'XYZ'", "b7", None, SBIN)


class Bench:
    """One account's reconciliation over a store in memory."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(ManualClock(SENT_AT, SENT_AT))
        self.broker = ScriptedAccount()
        self.snapshot = Snapshot()

    async def look(self) -> None:
        """Read the day's orders and trades."""
        reconciler = self.engine.wiring.reconciler
        await reconciler.read_orders(self.broker, ACCOUNT, self.snapshot, DAY)
        await reconciler.read_trades(self.broker, ACCOUNT, self.snapshot, DAY)

    async def states(self) -> list[OrderState]:
        """Return the states of the journal's orders."""
        return [order.state for order in await self.engine.orders()]


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.engine.owned()
    return made


@pytest.mark.row("R8")
async def test_odd_row_is_told_once_and_counted(bench: Bench) -> None:
    """The day's other orders are settled; the notice names the word, once a day and kind."""
    await bench.engine.wiring.journal.add(bench.engine.store, [order_in(S.SUBMITTED)])
    seen = shown(status=BrokerStatus.COMPLETE, filled_quantity=1, average_price=Decimal(800))
    bench.broker.order_list["b1"] = seen
    bench.broker.odd = {"orders": [replace(ODD, tag="someone's")], "trades": [ODD]}
    await bench.look()
    await bench.look()
    assert await bench.states() == [S.FILLED]
    assert bench.snapshot.odd == {"order": 1, "trade": 1}
    notices = await bench.engine.notices(RowsUnread)
    assert notices == [
        RowsUnread(ACCOUNT, "order", 1, ("product 'XYZ'",)),
        RowsUnread(ACCOUNT, "trade", 1, ("product 'XYZ'",)),
    ]


@pytest.mark.row("R8")
@pytest.mark.invariant("I2")
@pytest.mark.parametrize(
    ("state", "odd"),
    [
        (S.UNRESOLVED, replace(ODD, tag=TAG)),
        (S.SUBMITTED, replace(ODD, tag=TAG)),
        # the broker has dropped the tag
        (S.UNRESOLVED, ODD),
        (S.UNRESOLVED, replace(ODD, instrument=None)),
    ],
)
async def test_order_of_ours_in_an_odd_row_is_not_absent(
    bench: Bench, state: OrderState, odd: OddRow
) -> None:
    """It keeps its state past the horizon, because nobody can say what became of it."""
    order = replace(order_in(state), broker_order_id=None)
    await bench.engine.wiring.journal.add(bench.engine.store, [order])
    bench.broker.odd = {"orders": [odd]}
    await bench.engine.clock.advance(3600)
    await bench.look()
    assert await bench.states() == [state]
    told = await bench.engine.notices(RowsUnread)
    assert {one.own for one in told if isinstance(one, RowsUnread)} == {(TAG,)}


@pytest.mark.matrix("B10")
async def test_yesterdays_order_is_not_adopted_as_todays(bench: Bench) -> None:
    """A broker lists the day before until some time in the morning."""
    old = shown(tag=None, status=BrokerStatus.COMPLETE, filled_quantity=1)
    bench.broker.order_list["b1"] = replace(old, placed_at=SENT_AT - timedelta(days=1))
    await bench.look()
    assert await bench.engine.orders() == []
    assert bench.snapshot.orders == []


@pytest.mark.matrix("B10")
async def test_order_given_last_evening_is_todays(bench: Bench) -> None:
    """One that works now, or that the exchange touched today, counts today."""
    evening = SENT_AT - timedelta(hours=14)
    works = shown(tag=None, status=BrokerStatus.WORKING)
    done = shown(tag=None, status=BrokerStatus.COMPLETE, filled_quantity=1)
    bench.broker.order_list = {
        "b1": replace(works, placed_at=evening),
        "b2": replace(done, broker_order_id="b2", placed_at=evening, updated_at=SENT_AT),
    }
    await bench.look()
    assert len(await bench.engine.orders()) == 2


@pytest.mark.matrix("B10")
async def test_yesterdays_trade_is_not_stored_as_todays(bench: Bench) -> None:
    """Case "yesterday's trades at 00:05": a trade counts on the day of its own time."""
    trade = BrokerTrade("1", "b1", SBIN, Side.BUY, Product.MIS, 1, Decimal(800), SENT_AT)
    old = replace(trade, trade_id="2", traded_at=SENT_AT - timedelta(days=1))
    timeless = replace(trade, trade_id="3", broker_order_id="b9", traded_at=None)
    bench.broker.trade_list = [trade, old, timeless]
    await bench.look()
    assert bench.snapshot.trades == [trade]
    stored = await bench.engine.wiring.journal.trades_of_day(ACCOUNT, DAY)
    assert [one.trade_id for _, one in stored] == ["1"]
