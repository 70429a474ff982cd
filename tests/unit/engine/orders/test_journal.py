"""The journal: each step of an order is one commit of row, audit, ledger and notices."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerTrade
from core.domain.instrument import Product
from core.domain.notices.orders import (
    ExternalOrder,
    OrderRejected,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
)
from core.domain.notices.post import Delivery
from core.domain.notices.protection import StopChanged
from core.domain.notices.runs import RunCard
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState, Purpose, Side
from core.engine.orders.folding import OrderEvent
from core.engine.orders.journal import Journal
from core.engine.orders.order_posts import posts_of
from core.errors import AlreadyDone, NotFound, OrderAnomaly, StoreUnavailable
from core.ports.store import StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, TAG, order_in

S = OrderState


@pytest.fixture
async def engine() -> MemoryEngine:
    return await MemoryEngine(ManualClock()).owned()


@pytest.fixture
def journal(engine: MemoryEngine) -> Journal:
    return engine.wiring.journal


async def add(engine: MemoryEngine, *orders: Order) -> None:
    """Put orders into the journal."""
    await engine.wiring.journal.add(engine.store, orders)


# --- one step ------------------------------------------------------------------------------------


async def test_step_is_row_audit_ledger_and_notice_together(
    engine: MemoryEngine, journal: Journal
) -> None:
    """A fill is in all four, with the time of the clock and the state it came from."""
    await add(engine, order_in(S.ACCEPTED, quantity=4, broker_order_id="b1"))
    event = OrderEvent(S.PARTIALLY_FILLED, "b1", 3, Decimal("801.5"))
    after = await journal.apply(TAG, event)
    assert (after.state, after.filled_quantity, after.version) == (S.PARTIALLY_FILLED, 3, 1)
    assert await journal.get(TAG) == after
    audit = await engine.store.get("order_events", f"{TAG}#1")
    assert audit is not None
    assert (audit["old"], audit["state"], audit["at"]) == (
        "ACCEPTED",
        "PARTIALLY_FILLED",
        engine.clock.now(),
    )
    (ledger,) = await journal.ledgers(ACCOUNT)
    assert (ledger.strategy, ledger.quantity, ledger.average_price) == ("orb", 3, Decimal("801.5"))
    assert await engine.notices() == [RunCard("orb|run")]


@pytest.mark.invariant("I5")
async def test_same_event_twice_is_one_step(engine: MemoryEngine, journal: Journal) -> None:
    """The second returns the order and writes nothing."""
    await add(engine, order_in(S.ACCEPTED, broker_order_id="b1"))
    event = OrderEvent(S.FILLED, "b1", 1, Decimal(800))
    first = await journal.apply(TAG, event)
    assert await journal.apply(TAG, event) == first
    assert len(await engine.store.find("order_events", {})) == 2
    assert [ledger.quantity for ledger in await journal.ledgers(ACCOUNT)] == [1]


@pytest.mark.invariant("I5")
async def test_news_that_came_between_is_not_lost(engine: MemoryEngine, journal: Journal) -> None:
    """A step that another overtook is worked out anew on what it left."""
    await add(engine, order_in(S.SUBMITTED, quantity=3))
    news = [
        OrderEvent(S.ACCEPTED, "b1"),
        OrderEvent(S.PARTIALLY_FILLED, "b1", 1, Decimal(800)),
        OrderEvent(S.PARTIALLY_FILLED, "b1", 2, Decimal(801)),
        OrderEvent(S.FILLED, "b1", 3, Decimal(802)),
    ]
    steps = await asyncio.gather(*(journal.apply(TAG, event) for event in news))
    order = await journal.get(TAG)
    assert (order.state, order.filled_quantity) == (S.FILLED, 3)
    assert order.version == max(step.version for step in steps)
    assert len(await engine.store.find("order_events", {})) == order.version + 1
    (ledger,) = await journal.ledgers(ACCOUNT)
    assert (ledger.quantity, ledger.average_price) == (3, Decimal(802))


async def test_condition_that_fails_undoes_the_step(engine: MemoryEngine, journal: Journal) -> None:
    """``first`` is in the same transaction, and its exception comes out unchanged."""
    await add(engine, order_in(S.SUBMITTED))

    async def refuse(view: StoreView) -> None:
        raise NotFound("no such account")

    with pytest.raises(NotFound):
        await journal.apply(TAG, OrderEvent(S.ACCEPTED, "b1"), first=refuse)
    assert (await journal.get(TAG)).state is S.SUBMITTED
    assert await engine.notices() == []


@pytest.mark.invariant("I2")
async def test_impossible_step_changes_nothing(engine: MemoryEngine, journal: Journal) -> None:
    """The anomaly is the caller's to report."""
    await add(engine, order_in(S.DENIED))
    with pytest.raises(OrderAnomaly):
        await journal.apply(TAG, OrderEvent(S.FILLED, "b1", 1, Decimal(800)))
    assert (await journal.get(TAG)).version == 0
    assert await journal.ledgers(ACCOUNT) == []


@pytest.mark.matrix("D01")
async def test_step_without_a_store_is_no_step(engine: MemoryEngine, journal: Journal) -> None:
    """The caller learns that nothing was recorded."""
    await add(engine, order_in(S.SUBMITTED))
    engine.store.database.is_away = True
    with pytest.raises(StoreUnavailable):
        await journal.apply(TAG, OrderEvent(S.ACCEPTED, "b1"))
    engine.store.database.is_away = False
    assert (await journal.get(TAG)).state is S.SUBMITTED


@pytest.mark.invariant("I1", "I5")
async def test_step_from_what_is_no_more_is_none(engine: MemoryEngine, journal: Journal) -> None:
    """Another commit was faster: the row, its audit and what it tells stay as that one left them."""
    before = order_in(S.SUBMITTED)
    await add(engine, before)
    await journal.apply(TAG, OrderEvent(S.ACCEPTED, "b1"))
    stale = replace(before, state=S.UNRESOLVED, version=7)

    async def body(view: StoreView) -> None:
        await journal.step(view, before, stale)

    with pytest.raises(AlreadyDone):
        await engine.store.transaction(body, nonce="stale")
    assert (await journal.get(TAG)).state is S.ACCEPTED
    rows = await engine.store.find("order_events", {"client_order_id": TAG})
    assert sorted(row["n"] for row in rows) == [0, 1]


async def test_end_has_its_time_and_nothing_else_has(
    engine: MemoryEngine, journal: Journal
) -> None:
    """``settled_at`` is when the journal learned of the end."""
    await add(engine, order_in(S.SUBMITTED))
    assert (await journal.apply(TAG, OrderEvent(S.ACCEPTED, "b1"))).settled_at is None
    await engine.clock.advance(3)
    ended = await journal.apply(TAG, OrderEvent(S.CANCELED, "b1"))
    assert ended.settled_at == engine.clock.now()


async def test_order_that_is_not_there_is_not_found(journal: Journal) -> None:
    """An event of an unknown order makes no row."""
    with pytest.raises(NotFound):
        await journal.apply("nobody", OrderEvent(S.ACCEPTED, "b1"))


# --- ledgers -------------------------------------------------------------------------------------


@pytest.mark.invariant("I5")
async def test_ledger_follows_the_price_of_what_newly_filled(
    engine: MemoryEngine, journal: Journal
) -> None:
    """Brokers give the average of all; an exit realises against the entry's average."""
    entry = order_in(S.ACCEPTED, quantity=4, broker_order_id="b1")
    leave = order_in(
        S.ACCEPTED,
        client_order_id="X" * 20,
        quantity=4,
        side=Side.SELL,
        purpose=Purpose.EXIT,
        broker_order_id="b2",
    )
    await add(engine, entry, leave)
    await journal.apply(TAG, OrderEvent(S.PARTIALLY_FILLED, "b1", 2, Decimal(800)))
    await journal.apply(TAG, OrderEvent(S.FILLED, "b1", 4, Decimal(801)))
    (ledger,) = await journal.ledgers(ACCOUNT)
    assert (ledger.quantity, ledger.average_price) == (4, Decimal(801))
    await journal.apply("X" * 20, OrderEvent(S.FILLED, "b2", 4, Decimal(805)))
    (ledger,) = await journal.ledgers(ACCOUNT)
    assert (ledger.quantity, ledger.average_price, ledger.realised) == (0, Decimal(0), Decimal(16))


@pytest.mark.parametrize("owner", [MANUAL, EXTERNAL])
async def test_what_no_strategy_owns_moves_no_ledger(
    engine: MemoryEngine, journal: Journal, owner: str
) -> None:
    """A user's own trade is none of a strategy's position."""
    await add(engine, order_in(S.ACCEPTED, strategy=owner, broker_order_id="b1"))
    await journal.apply(TAG, OrderEvent(S.FILLED, "b1", 1, Decimal(800)))
    assert await journal.ledgers(ACCOUNT) == []


# --- reading -------------------------------------------------------------------------------------


async def test_pending_is_what_may_still_do_something(
    engine: MemoryEngine, journal: Journal
) -> None:
    """Of any day; final orders and other accounts' are left out."""
    for number, state in enumerate(S):
        tag = f"S{number:019d}"
        await add(engine, order_in(state, client_order_id=tag, day="2021-05-11"))
    await add(engine, order_in(S.ACCEPTED, broker_id="fyers_bbbbbbbbbb", run_id="another"))
    pending = {order.state for order in await journal.pending(ACCOUNT)}
    assert pending == {
        S.INITIALIZED,
        S.HELD,
        S.SUBMITTED,
        S.UNRESOLVED,
        S.ACCEPTED,
        S.PARTIALLY_FILLED,
        S.PENDING_CANCEL,
        S.PENDING_UPDATE,
    }
    assert await journal.of_day(ACCOUNT, DAY) == []
    assert len(await journal.of_day(ACCOUNT, "2021-05-11")) == len(S)
    assert [order.broker_id for order in await journal.of_run("another")] == ["fyers_bbbbbbbbbb"]


@pytest.mark.invariant("I5")
@pytest.mark.matrix("W01")
async def test_trade_is_kept_once(engine: MemoryEngine, journal: Journal) -> None:
    """However often the day's trades are read; the same trade id on another day is another trade."""
    trade = BrokerTrade("t1", "b1", SBIN, Side.BUY, Product.MIS, 1, Decimal(800))
    other = BrokerTrade("t2", "b2", SBIN, Side.SELL, Product.MIS, 1, Decimal(801))
    for _ in range(2):
        await journal.record_trades(ACCOUNT, DAY, [trade, other], {"b1": TAG})
    await journal.record_trades(ACCOUNT, "2021-05-13", [trade], {})
    fills = await engine.store.find("fills", {}, sort=[("day", 1), ("trade_id", 1)])
    assert [(fill["day"], fill["trade_id"], fill["client_order_id"]) for fill in fills] == [
        (DAY, "t1", TAG),
        (DAY, "t2", ""),
        ("2021-05-13", "t1", ""),
    ]


# --- what is reported ----------------------------------------------------------------------------


@pytest.mark.row("E5")
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (S.SUBMITTED, S.ACCEPTED, []),
        (S.ACCEPTED, S.FILLED, []),
        (S.SUBMITTED, S.REJECTED, [OrderRejected(TAG)]),
        (S.ACCEPTED, S.REJECTED, [OrderRejected(TAG)]),
        (S.SUBMITTED, S.UNRESOLVED, [OrderUnresolved(TAG)]),
        (S.UNRESOLVED, S.ACCEPTED, [OrderUnresolved(TAG), OrderResolved(TAG)]),
        (S.UNRESOLVED, S.NOT_PLACED, [OrderUnresolved(TAG), OrderResolved(TAG)]),
        (S.UNRESOLVED, S.REJECTED, [OrderUnresolved(TAG), OrderRejected(TAG)]),
        (S.CANCELED, S.FILLED, [OrderRevived(TAG)]),
        (S.NOT_PLACED, S.ACCEPTED, [OrderRevived(TAG)]),
        (S.PARTIALLY_FILLED, S.PARTIALLY_FILLED, []),
        (S.REJECTED, S.REJECTED, []),
    ],
)
def test_step_reports_what_must_not_be_missed(
    before: OrderState, after: OrderState, expected: list[object]
) -> None:
    """Besides the card of the run, a user's close among them, or of an order placed elsewhere."""
    for strategy, cards in (
        ("orb", [RunCard("orb|run")]),
        (MANUAL, [RunCard("orb|run")]),
        (EXTERNAL, [ExternalOrder(ACCOUNT, TAG)]),
    ):
        posts = posts_of(order_in(before, strategy=strategy), order_in(after, strategy=strategy))
        assert [post.notice for post in posts] == [*cards, *expected]


@pytest.mark.row("H5")
async def test_card_of_an_order_that_turns_out_to_be_ours_is_removed(
    engine: MemoryEngine, journal: Journal
) -> None:
    """Nothing would ever bring it to an end; an order that was never adopted has none."""
    await add(engine, order_in(S.ACCEPTED, client_order_id="X|a|b1", strategy=EXTERNAL))
    for _ in range(2):
        await journal.remove(engine.store, "X|a|b1")
    rows = await engine.store.find("outbox", {})
    assert [(row["key"], row["delivery"]) for row in rows] == [("external:X|a|b1", "remove")]


async def test_audit_knows_how_long_each_step_took(engine: MemoryEngine, journal: Journal) -> None:
    """Its rows are numbered without a gap, each with its own time."""
    await add(engine, order_in(S.SUBMITTED))
    began = engine.clock.now()
    for event in (OrderEvent(S.ACCEPTED, "b1"), OrderEvent(S.FILLED, "b1", 1, Decimal(800))):
        await engine.clock.advance(1)
        await journal.apply(TAG, event)
    rows = await engine.store.find("order_events", {"client_order_id": TAG}, sort=[("n", 1)])
    assert [(row["n"], row["at"] - began) for row in rows] == [
        (number, timedelta(seconds=number)) for number in range(3)
    ]


@pytest.mark.row("R7")
def test_only_a_change_of_somebody_else_is_reported() -> None:
    """Of a stop that a user has moved Saarthi takes units away: that is no change outside."""
    ours = {"purpose": Purpose.STOP, "is_changed_outside": True, "trigger_price": Decimal(805)}
    before = order_in(S.PENDING_UPDATE, quantity=10, asked=(4, Decimal(805)), **ours)
    for units, is_reported in ((4, False), (7, True)):
        posts = posts_of(before, order_in(S.ACCEPTED, quantity=units, **ours))
        assert any(isinstance(post.notice, StopChanged) for post in posts) is is_reported
    ended = posts_of(before, order_in(S.REJECTED, quantity=7, **ours))
    assert [type(post.notice) for post in ended] == [RunCard, OrderRejected]


@pytest.mark.row("R4", "H5")
def test_an_order_that_is_settled_keeps_one_message() -> None:
    """What became of it comes anew in the place of the card that said that nobody knows."""
    posts = posts_of(order_in(S.UNRESOLVED), order_in(S.ACCEPTED))
    about = [post for post in posts if not isinstance(post.notice, RunCard)]
    assert {post.key for post in about} == {f"unresolved:{TAG}"}
    assert about[-1].delivery is Delivery.REPLACE
