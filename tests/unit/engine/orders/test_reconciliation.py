"""Carrying out what a read means: each decision's effect on the store, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus, BrokerTrade, Funds
from core.domain.instrument import Product
from core.domain.notices.accounts import Anomaly
from core.domain.notices.orders import (
    ExternalOrder,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
)
from core.domain.notices.runs import RunCard
from core.domain.order import EXTERNAL, MANUAL, OrderRequest, OrderState, Purpose, Side
from core.domain.outcome import Acked, Ambiguous, WriteOutcome
from core.engine.orders.decisions import external_id
from core.engine.orders.gate import add_gate
from core.engine.orders.journal import move_finished
from core.engine.orders.reconciliation import Snapshot
from core.errors import BrokerReadError, ReadFault
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, TAG, order_in, shown
from tests.fakes.scripted_broker import ScriptedAccount

S = OrderState
OTHER_TAG = "SBBBBBBBBBBBBBBBBBBB"


class Bench:
    """One account's reconciliation: its broker, its snapshot, and the engine around them."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(ManualClock(SENT_AT, SENT_AT))
        self.broker = ScriptedAccount()
        self.snapshot = Snapshot()

    async def look(self) -> bool:
        """Read the day's orders and do what they mean."""
        reconciler = self.engine.wiring.reconciler
        return await reconciler.read_orders(self.broker, ACCOUNT, self.snapshot, DAY)

    async def is_frozen(self) -> bool:
        gate = await self.engine.store.get("account_gates", ACCOUNT)
        assert gate is not None
        return bool(gate["frozen"])


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.engine.owned()
    gate = {"_id": ACCOUNT, "mode": "NORMAL", "fence": 0, "seq": 0, "version": 0, "frozen": False}
    await add_gate(made.engine.store, gate)
    return made


async def test_look_says_whether_anything_moved(bench: Bench) -> None:
    """A fill moves; the same look again does not."""
    await bench.engine.wiring.journal.add(bench.engine.store, [order_in(S.SUBMITTED)])
    seen = shown(status=BrokerStatus.COMPLETE, filled_quantity=1, average_price=Decimal(800))
    bench.broker.order_list["b1"] = seen
    assert await bench.look()
    assert not await bench.look()
    (order,) = await bench.engine.orders()
    assert (order.state, order.broker_order_id) == (S.FILLED, "b1")
    assert (bench.snapshot.day, bench.snapshot.orders) == (DAY, [seen])


@pytest.mark.matrix("N05")
async def test_failed_read_changes_nothing(bench: Bench) -> None:
    """It is not counted as "not found", however often it fails."""
    await bench.engine.wiring.journal.add(bench.engine.store, [order_in(S.UNRESOLVED)])
    await bench.engine.clock.advance(3600)
    bench.broker.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no route")
    with pytest.raises(BrokerReadError):
        await bench.look()
    assert [order.state for order in await bench.engine.orders()] == [S.UNRESOLVED]
    assert bench.snapshot.orders is None


@pytest.mark.matrix("N02", "C02")
async def test_lost_order_is_given_up_in_two_steps_that_are_told(bench: Bench) -> None:
    """Unresolved at the first look, not placed at the horizon."""
    await bench.engine.wiring.journal.add(bench.engine.store, [order_in(S.SUBMITTED)])
    assert await bench.look()
    await bench.engine.clock.advance(119)
    assert not await bench.look()
    await bench.engine.clock.advance(1)
    assert await bench.look()
    assert [order.state for order in await bench.engine.orders()] == [S.NOT_PLACED]
    told = await bench.engine.notices(OrderUnresolved, OrderResolved)
    assert told == [OrderUnresolved(TAG), OrderUnresolved(TAG), OrderResolved(TAG)]


@pytest.mark.matrix("B05")
async def test_cancel_that_came_to_nothing_is_counted_from_when_it_was_asked_for(
    bench: Bench,
) -> None:
    """The audit row of the request says when: more than five seconds later the order lives on."""
    journal = bench.engine.wiring.journal
    accepted = order_in(S.ACCEPTED, broker_order_id="b1")
    await journal.add(bench.engine.store, [accepted])
    await bench.engine.clock.advance(60)
    asked = replace(accepted, state=S.PENDING_CANCEL, version=1)
    await journal.step(bench.engine.store, accepted, asked)
    bench.broker.order_list["b1"] = shown()
    await bench.engine.clock.advance(5)
    assert not await bench.look()
    await bench.engine.clock.advance(1)
    assert await bench.look()
    assert [order.state for order in await bench.engine.orders()] == [S.ACCEPTED]


@pytest.mark.matrix("B03")
async def test_order_shown_as_cancelled_and_then_as_filled_is_held_and_alarmed(
    bench: Bench,
) -> None:
    """A broker takes its word back: what it filled is in the ledger, and one alert says so."""
    await bench.engine.wiring.journal.add(bench.engine.store, [order_in(S.SUBMITTED, quantity=5)])
    gone = shown(status=BrokerStatus.CANCELED, quantity=5)
    filled = shown(
        status=BrokerStatus.COMPLETE, quantity=5, filled_quantity=5, average_price=Decimal(800)
    )
    for seen, moves in ((gone, True), (filled, True), (gone, False)):
        bench.broker.order_list["b1"] = seen
        assert await bench.look() is moves
        assert not await bench.look()
    (order,) = await bench.engine.orders()
    assert (order.state, order.filled_quantity) == (S.FILLED, 5)
    assert [one.quantity for one in await bench.engine.ledgers()] == [5]
    assert await bench.engine.notices(OrderRevived) == [OrderRevived(TAG)]
    assert not await bench.is_frozen()


@pytest.mark.matrix("B04")
@pytest.mark.parametrize("answer", [Acked("b1"), Ambiguous("the connection broke")])
async def test_fill_that_is_read_before_the_answer_counts_once(
    bench: Bench, answer: WriteOutcome
) -> None:
    """The order is on its way still; its answer, or that none came, changes nothing any more."""
    ours, wiring = order_in(S.SUBMITTED, quantity=5), bench.engine.wiring
    await wiring.journal.add(bench.engine.store, [ours])

    async def place(_order: OrderRequest) -> WriteOutcome:
        bench.broker.order_list["b1"] = shown(
            status=BrokerStatus.COMPLETE, quantity=5, filled_quantity=5, average_price=Decimal(800)
        )
        assert await bench.look()
        return answer

    bench.broker.place = place  # type: ignore[assignment,method-assign]
    wiring.gateway.in_flight.add(TAG)
    after, outcome = await wiring.gateway.send(bench.broker, ours)
    assert outcome == answer
    assert (after.state, after.filled_quantity, after.broker_order_id) == (S.FILLED, 5, "b1")
    assert not await bench.look()
    assert [one.quantity for one in await bench.engine.ledgers()] == [5]
    assert await bench.engine.notices(OrderUnresolved, OrderResolved, OrderRevived) == []
    assert not await bench.is_frozen()


@pytest.mark.matrix("N15")
async def test_mixed_up_ids_are_exchanged_and_entries_frozen(bench: Bench) -> None:
    """The unique index of the two ids stands in no one's way; the chat hears of it once."""
    first = order_in(S.ACCEPTED, broker_order_id="b2")
    second = order_in(S.ACCEPTED, client_order_id=OTHER_TAG, broker_order_id="b1")
    await bench.engine.wiring.journal.add(bench.engine.store, [first, second])
    bench.broker.order_list = {"b1": shown("b1"), "b2": shown("b2", tag=OTHER_TAG)}
    for _ in range(2):
        await bench.look()
    ids = {order.client_order_id: order.broker_order_id for order in await bench.engine.orders()}
    assert ids == {TAG: "b1", OTHER_TAG: "b2"}
    assert await bench.is_frozen()
    assert len(await bench.engine.notices(Anomaly)) == 1


async def test_impossible_event_freezes_entries_and_is_told_once(bench: Bench) -> None:
    """Whatever the state table refuses."""
    await bench.engine.wiring.journal.add(
        bench.engine.store, [order_in(S.FILLED, filled_quantity=1, broker_order_id="b1")]
    )
    bench.broker.order_list["b1"] = shown(status=BrokerStatus.CANCELED, filled_quantity=2)
    for _ in range(2):
        assert not await bench.look()
    assert await bench.is_frozen()
    assert len(await bench.engine.notices(Anomaly)) == 1


@pytest.mark.matrix("B08")
async def test_foreign_order_is_adopted_once_and_followed(bench: Bench) -> None:
    """Placed by hand at the broker: shown in the chat, and settled like any other."""
    bench.broker.order_list["b9"] = shown("b9", tag=None)
    assert await bench.look()
    assert not await bench.look()
    filled = shown("b9", BrokerStatus.COMPLETE, tag=None, filled_quantity=1)
    bench.broker.order_list["b9"] = filled
    assert await bench.look()
    (order,) = await bench.engine.orders()
    assert (order.purpose, order.state) == (Purpose.EXTERNAL, S.FILLED)
    key = external_id(ACCOUNT, "b9")
    card = ExternalOrder(ACCOUNT, key)
    assert await bench.engine.notices() == [card, card], "seen first, and brought to its end"
    assert await bench.engine.ledgers() == []


@pytest.mark.row("H5")
@pytest.mark.matrix("B10")
@pytest.mark.parametrize("owner", [EXTERNAL, MANUAL, "orb"])
async def test_the_end_of_a_day_ends_the_card_of_what_still_worked(
    bench: Bench, owner: str
) -> None:
    """The first look of the next day closes it by rule, and the card says so."""
    left = order_in(S.ACCEPTED, strategy=owner, day="2021-05-11", broker_order_id="b1")
    await bench.engine.wiring.journal.add(bench.engine.store, [left])
    assert await bench.look()
    (order,) = await bench.engine.orders()
    assert order.state is S.EXPIRED
    card = {EXTERNAL: ExternalOrder(ACCOUNT, TAG)}
    assert await bench.engine.notices() == [card.get(owner, RunCard("orb|run"))]


@pytest.mark.matrix("B10")
async def test_our_order_of_yesterday_is_not_adopted_in_the_morning(bench: Bench) -> None:
    """Brokers list a day's orders until some time in the next morning."""
    ended = order_in(S.FILLED, day="2021-05-11", broker_order_id="b1")
    await bench.engine.wiring.journal.add(bench.engine.store, [ended])
    bench.broker.order_list["b1"] = shown(status=BrokerStatus.COMPLETE, filled_quantity=1)
    assert not await bench.look()
    assert [order.client_order_id for order in await bench.engine.orders()] == [TAG]


@pytest.mark.matrix("B10")
@pytest.mark.parametrize("tag", [TAG, None])
async def test_order_of_a_finished_day_is_not_adopted(bench: Bench, tag: str | None) -> None:
    """Its row was moved: a broker that still shows it, ours or not, moves nothing."""
    day, key = "2021-04-11", tag or external_id(ACCOUNT, "b1")
    ended = order_in(S.FILLED, day=day, client_order_id=key, broker_order_id="b1")
    await bench.engine.wiring.journal.add(bench.engine.store, [ended])
    await bench.engine.store.transaction(
        lambda view: move_finished(view, ACCOUNT, day, SENT_AT + timedelta(days=9)), nonce="move"
    )
    assert await bench.engine.orders() == []
    row = shown(status=BrokerStatus.COMPLETE, filled_quantity=1, tag=tag)
    bench.broker.order_list["b1"] = row
    assert not await bench.look()
    assert await bench.engine.orders() == []
    assert await bench.engine.notices() == []


async def test_trades_are_kept_under_the_orders_that_they_belong_to(bench: Bench) -> None:
    """The owner is found by the broker's id of the order."""
    await bench.engine.wiring.journal.add(
        bench.engine.store, [order_in(S.FILLED, broker_order_id="b1")]
    )
    bench.broker.trade_list = [
        BrokerTrade("t1", "b1", SBIN, Side.BUY, Product.MIS, 1, Decimal(800))
    ]
    reconciler = bench.engine.wiring.reconciler
    await reconciler.read_trades(bench.broker, ACCOUNT, bench.snapshot, DAY)
    (fill,) = await bench.engine.store.find("fills", {})
    assert (fill["client_order_id"], fill["price"]) == (TAG, Decimal(800))


@pytest.mark.row("D4")
async def test_capital_of_the_day_is_the_first_that_was_read(bench: Bench) -> None:
    """The opening balance, or what is available where the broker tells none; it stays all day."""
    reconciler = bench.engine.wiring.reconciler
    for balance, day in (
        (Funds(Decimal(90), Decimal(10), Decimal(100)), DAY),
        (Funds(Decimal(5), Decimal(0), Decimal(999)), DAY),
        (Funds(Decimal(70), Decimal(0), Decimal(0)), "2021-05-13"),
    ):
        bench.broker.balance = balance
        await reconciler.read_funds(bench.broker, ACCOUNT, bench.snapshot, day)
    figures = await bench.engine.store.find("day_figures", {}, sort=[("day", 1)])
    assert [figure["capital"] for figure in figures] == [Decimal(100), Decimal(70)]
