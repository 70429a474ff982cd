"""Exits and stops above the freeze quantity go in slices, never more than is held (row R3)."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.broker import Position
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.order import MANUAL, OrderRequest, OrderType, Side
from core.engine.orders.goals import UserClose
from core.engine.workers.account_worker import AccountWorker
from core.errors import StoreUnavailable
from tests.fakes.brokers import SBIN
from tests.fakes.held import Freezes, hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.row("R3")


class Holder:
    """An account with a position of 250 in a contract whose freeze is 100."""

    account: Account
    ledger: Ledger
    worker: AccountWorker

    def __init__(self) -> None:
        self.engine = MemoryEngine(market_clock(TEN))

    async def opened(self, *, freeze: int | None = 100, by_hand: int = 0) -> Holder:
        """Connect, hold, and take a first turn; with ``freeze`` the master knows it."""
        if freeze is not None:
            self.engine.brokers[ZERODHA].exchange_facts = Freezes(freeze)
        await self.engine.owned()
        self.account = await self.engine.connect()
        self.ledger = await hold(self.engine, self.account, 250)
        if by_hand:
            place = (SBIN, Product.CNC)
            price = Decimal("815.10")
            self.broker.position_list[place] = Position(*place, by_hand, price, price)
        self.worker = await worker_of(self.engine, self.account)
        self.broker.largest = 100
        return self

    @property
    def broker(self) -> ScriptedAccount:
        return self.engine.at_broker(self.account)

    async def turns(self, number: int = 8) -> None:
        for _ in range(number):
            await self.worker.turn()

    def sent(self, kind: OrderType = OrderType.MARKET) -> list[int]:
        return [one.quantity for one in self.broker.placed if one.order_type is kind]

    async def held(self) -> int:
        return sum(one.quantity for one in await self.engine.ledgers())

    def resting(self) -> list[int]:
        return [one.quantity for one in self.broker.order_list.values() if one.status == "working"]


@pytest.fixture
async def holder() -> Holder:
    return await Holder().opened()


async def test_an_exit_goes_in_slices(holder: Holder):
    """None is above the freeze, together they are what is held, and nothing is refused."""
    await want(holder.engine, holder.ledger)
    await holder.turns()
    assert holder.sent() == [100, 100, 50]
    assert await holder.held() == 0


@pytest.mark.parametrize(("says", "refused"), [(True, [250]), (False, [250, 125])])
async def test_a_freeze_that_was_lowered_costs_few_orders(says: bool, refused: list[int]):
    """The limit is learnt from the refusal, by its number or by halves, and nothing waits (s2)."""
    holder = await Holder().opened(freeze=None)
    holder.broker.says_largest = says
    await want(holder.engine, holder.ledger)
    await holder.turns(12)
    sent = holder.sent()
    assert [units for units in sent if units > 100] == refused
    assert sum(units for units in sent if units <= 100) == 250
    assert await holder.held() == 0


async def test_slices_that_rest_are_at_work_together(holder: Holder):
    """Slices do not wait for one another to fill, and no more is sent than is held."""
    holder.broker.is_slow = True
    await want(holder.engine, holder.ledger)
    await holder.turns(12)
    assert holder.sent() == [100, 100, 50]


async def test_slices_pass_in_exit_only(holder: Holder):
    """The bound by the broker's net counts the slices that work already."""
    await holder.engine.control.modes.set(
        holder.engine.command(), TradingMode.EXIT_ONLY, holder.account.broker_id
    )
    holder.broker.is_slow = True
    await want(holder.engine, holder.ledger)
    await holder.turns(12)
    assert holder.sent() == [100, 100, 50]


async def test_a_stop_covers_all_in_slices(holder: Holder):
    """As many stops as it takes rest; an exit takes all of them away, then goes in slices."""
    await want(holder.engine, holder.ledger, 250, stop_price=Decimal(800))
    await holder.turns()
    assert holder.sent(OrderType.SL_M) == [100, 100, 50]
    await holder.turns(3)
    assert holder.resting() == [100, 100, 50]
    await want(holder.engine, holder.ledger, run_id="run2")
    await holder.turns(12)
    assert holder.resting() == []
    assert sum(holder.sent()) == 250
    assert max(holder.sent()) == 100
    assert await holder.held() == 0


@pytest.mark.row("R6")
@pytest.mark.matrix("B09")
@pytest.mark.parametrize("lost_at", [1, 3])
async def test_slices_of_a_stop_come_back_together(
    holder: Holder, monkeypatch: pytest.MonkeyPatch, lost_at: int
):
    """The positions are gone once some have made way: all are put back at once, not one by one."""
    await want(holder.engine, holder.ledger, 250, stop_price=Decimal(800))
    await holder.turns()
    await holder.engine.control.modes.set(
        holder.engine.command(), TradingMode.EXIT_ONLY, holder.account.broker_id
    )
    cancel, calls = holder.broker.cancel, count(1)

    async def lost(broker_order_id: str) -> Any:
        if next(calls) == lost_at:
            holder.broker.position_list.clear()
        return await cancel(broker_order_id)

    monkeypatch.setattr(holder.broker, "cancel", lost)
    await want(holder.engine, holder.ledger, run_id="run2")
    await holder.turns(6)
    assert sorted(holder.resting()) == [50, 100, 100]


async def test_a_stop_refused_for_the_freeze_goes_in_slices():
    """A freeze that the master does not know costs one refused stop, and no software stop."""
    holder = await Holder().opened(freeze=None)
    await want(holder.engine, holder.ledger, 250, stop_price=Decimal(800))
    await holder.turns(12)
    assert holder.sent(OrderType.SL_M) == [250, 100, 100, 50]
    assert holder.resting() == [100, 100, 50]


async def test_a_close_of_what_no_strategy_owns_goes_in_slices():
    """A user's Close of a position made by hand, above the freeze (s1)."""
    holder = await Holder().opened(by_hand=120)
    owned = Ledger(MANUAL, holder.account.broker_id, SBIN, Product.CNC)
    await want(
        holder.engine, owned, close=UserClose(despite_pause=False, outside=120), run_id="close"
    )
    await holder.turns()
    assert holder.sent() == [100, 20]
    assert holder.broker.position_list[SBIN, Product.CNC].quantity == 0


async def test_slices_of_an_exit_go_on_after_a_restart(
    holder: Holder, monkeypatch: pytest.MonkeyPatch
):
    """A process that ends between two slices: the next one sends the rest, and no unit twice."""
    await want(holder.engine, holder.ledger)
    gateway = holder.engine.wiring.gateway
    submit, calls = gateway.submit, count(1)

    async def ends(*given: Any) -> Any:
        if next(calls) == 2:
            raise StoreUnavailable("the process ends here")
        return await submit(*given)

    holder.broker.is_slow = True
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "submit", ends)
        await holder.worker.turn()
    assert holder.sent() == [100]
    holder.worker = await worker_of(holder.engine, holder.account)
    await holder.turns()
    assert holder.sent() == [100, 100, 50]


async def test_a_stop_of_units_that_wait_is_not_taken_away_in_vain(holder: Holder):
    """Beside slices that rest, the stop of what a person's own order closes stays (rows R6, R8).

    It was cancelled and put back every five seconds, for as long as that order rested.
    """
    await want(holder.engine, holder.ledger, 250, stop_price=Decimal(800))
    await holder.turns()
    holder.broker.show(by_hand_sale(70))
    await holder.turns(2)
    holder.broker.is_slow = True
    await want(holder.engine, holder.ledger, run_id="run2")
    await holder.turns()
    for _ in range(2):
        await holder.engine.clock.advance(5)
        await holder.turns(4)
    assert holder.sent() == [100, 80]
    assert holder.sent(OrderType.SL_M) == [100, 100, 50, 70], "it was put back once"
    assert holder.resting() == [70, 100, 80, 70]


def by_hand_sale(units: int) -> OrderRequest:
    """Return what a person rests in the broker's app, above the price."""
    price = Decimal(830)
    return OrderRequest("", SBIN, Side.SELL, units, OrderType.LIMIT, Product.MIS, price)
