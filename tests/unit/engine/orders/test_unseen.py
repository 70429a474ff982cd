"""What the day's orders do not show: exits that may have been placed, lost listings, bare trades."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus, BrokerTrade, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.positions import ExitUnproved, OrderUnlisted
from core.domain.order import EXTERNAL, Order, OrderState, Purpose, Side
from core.engine.orders.baselines import Baseline
from core.engine.orders.decisions import Adopt, Advance, external_id
from core.engine.orders.snapshot import Snapshot
from core.engine.orders.unseen import compared, doubted_exits, of_trades
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, TAG, order_in, shown
from tests.fakes.turns import Turns

S = OrderState
RELIANCE = InstrumentId("NSE", "RELIANCE")
DAY = order_in(S.UNRESOLVED).day


@pytest.fixture
async def turns() -> Turns:
    return await Turns().begin()


def seconds(after: float) -> datetime:
    return SENT_AT + timedelta(seconds=after)


def trade(units: int, number: str = "b1", trade_id: str = "t1", **changes: object) -> BrokerTrade:
    """Return a sale (negative) or purchase of SBIN."""
    made = BrokerTrade(
        trade_id, number, SBIN, Side.of(units), Product.MIS, abs(units), Decimal(970), SENT_AT
    )
    return replace(made, **changes)  # type: ignore[arg-type]


# --- whether reads move --------------------------------------------------------------------------


def test_reads_move_when_two_of_a_kind_differ() -> None:
    """From the earlier of the two on; equal ones and those of another kind prove nothing."""
    snapshot = Snapshot()
    snapshot.took("orders", ["a"], seconds(1))
    snapshot.took("positions", ["b"], seconds(2))
    snapshot.took("orders", ["a"], seconds(3))
    assert snapshot.moves_since is None
    snapshot.took("orders", ["a", "c"], seconds(5))
    assert snapshot.moves_since == seconds(3)
    snapshot.took("positions", ["b"], seconds(6))
    snapshot.took("positions", ["d"], seconds(7))
    assert snapshot.moves_since == seconds(6)


# --- an exit of unknown fate ---------------------------------------------------------------------


async def lost_exit(turns: Turns) -> None:
    """Hold 5, and let the answer to an exit of 5 get lost."""
    await turns.enter(5)
    await turns.read(times=2)
    exit_ = order_in(
        S.UNRESOLVED,
        side=Side.SELL,
        quantity=5,
        purpose=Purpose.EXIT,
        day=turns.day,
        submitted_at=turns.engine.clock.now(),
    )
    await turns.engine.wiring.journal.add(turns.engine.store, [exit_])


async def fate(turns: Turns) -> OrderState:
    (found,) = [one for one in await turns.engine.orders() if one.client_order_id == TAG]
    return found.state


async def asked(turns: Turns) -> int:
    return len(await turns.engine.notices(ExitUnproved))


def tick(turns: Turns, price: int, units: int = 5) -> None:
    """Let the broker show the position at another price."""
    key = (SBIN, Product.MIS)
    turns.broker.position_list[key] = Position(*key, units, Decimal(970), Decimal(price))


@pytest.mark.row("R4")
@pytest.mark.matrix("N03")
async def test_exit_is_not_given_up_while_all_reads_stand_still(turns: Turns) -> None:
    """They may be a picture from before it was sent: a user is asked, once (case c13)."""
    await lost_exit(turns)
    await turns.read(times=30)
    assert (await fate(turns), await asked(turns)) == (S.UNRESOLVED, 1)


@pytest.mark.row("R4")
async def test_first_read_after_the_send_proves_nothing(turns: Turns) -> None:
    """It differs from those before the send, and may yet be older than it."""
    await lost_exit(turns)
    tick(turns, 975)
    await turns.read(times=30)
    assert (await fate(turns), await asked(turns)) == (S.UNRESOLVED, 1)


@pytest.mark.row("R4")
async def test_exit_that_moving_reads_do_not_show_was_not_placed(turns: Turns) -> None:
    """Prices move on, the position is untouched: it is worked out anew."""
    await lost_exit(turns)
    for price in range(970, 984):
        tick(turns, price)
        await turns.read()
    assert (await fate(turns), await asked(turns)) == (S.NOT_PLACED, 0)


@pytest.mark.row("R4")
async def test_exit_whose_effect_the_positions_show_is_asked_about(turns: Turns) -> None:
    """The orders stand still, the positions do not: it has filled."""
    await lost_exit(turns)
    for price in range(970, 1000):
        tick(turns, price, units=0)
        await turns.read()
    assert (await fate(turns), await asked(turns)) == (S.UNRESOLVED, 1)


def lost(**changes: object) -> Order:
    """Return an exit of 5 whose answer got lost."""
    return order_in(
        S.UNRESOLVED, **{"side": Side.SELL, "quantity": 5, "purpose": Purpose.EXIT, **changes}
    )


def look(units: int, began_at: datetime, product: Product = Product.MIS) -> Snapshot:
    """Return moving reads of which one shows a position."""
    shows = Position(SBIN, product, units, Decimal(970), Decimal(971))
    return Snapshot(positions=[shows], positions_began_at=began_at, moves_since=seconds(3))


@pytest.mark.row("R4")
def test_positions_from_before_the_send_prove_no_absence() -> None:
    """Orders may move while the positions are not readable: those that are known are older."""
    exit_, base = lost(), Baseline(ACCOUNT, DAY, units={(SBIN, Product.MIS): 5})
    assert doubted_exits([exit_], look(5, seconds(4)), base) == frozenset()
    doubted = {exit_.client_order_id}
    assert doubted_exits([exit_], look(5, seconds(-1)), base) == doubted
    assert doubted_exits([exit_], replace(look(5, seconds(4)), positions=None), base) == doubted
    assert doubted_exits([exit_], look(0, seconds(4)), base) == doubted
    assert doubted_exits([replace(exit_, purpose=Purpose.ENTRY)], Snapshot(), base) == frozenset()


@pytest.mark.row("R4")
def test_what_positions_show_is_compared_with_the_same_day() -> None:
    """Of delivery shares they list the day alone; fills of another day are in neither."""
    held = {(SBIN, Product.CNC): 100}
    base = Baseline(ACCOUNT, DAY, frozenset({"CNC|NSE"}), held)
    sold = lost(product=Product.CNC)
    (known,) = compared([sold], look(0, seconds(4), Product.CNC), base).values()
    assert known.gap == 0
    exit_ = lost()
    yesterday = order_in(
        S.FILLED, client_order_id="before", quantity=5, filled_quantity=5, day="2026-01-01"
    )
    assert yesterday.day != exit_.day == DAY
    (known,) = compared([yesterday, exit_], look(-5, seconds(4)), Baseline(ACCOUNT, DAY)).values()
    assert known.gap == -5


@pytest.mark.row("R4")
def test_trades_that_no_order_explains_are_counted_once_and_of_its_kind() -> None:
    """The same instrument, side and product, read since the send; a row may come twice (I5)."""
    rows = [lost(), order_in(S.FILLED, client_order_id="known", broker_order_id="b1")]
    strange = trade(-3, "b9", "t2")
    trades = [
        trade(-5, "b1", "t1"),
        strange,
        strange,
        trade(-2, "b9", "t3", instrument=RELIANCE),
        trade(-2, "b9", "t4", product=Product.CNC),
        trade(4, "b9", "t5"),
    ]
    base = Baseline(ACCOUNT, DAY)
    for began_at, units in ((seconds(4), 3), (seconds(-1), None)):
        (known,) = compared(rows, Snapshot(trades=trades, trades_began_at=began_at), base).values()
        assert known.traded == units


# --- an order that the broker took ---------------------------------------------------------------


@pytest.mark.row("R8")
async def test_order_that_the_broker_took_and_does_not_list_is_an_alert(turns: Turns) -> None:
    """After five reads and fifteen seconds, once; one that is listed again is none."""
    await turns.enter(5)
    stop = order_in(
        S.ACCEPTED,
        side=Side.SELL,
        purpose=Purpose.STOP,
        broker_order_id="b77",
        day=turns.day,
        submitted_at=turns.engine.clock.now(),
    )
    await turns.engine.wiring.journal.add(turns.engine.store, [stop])
    await turns.read(times=4)
    assert await turns.engine.notices(OrderUnlisted) == []
    await turns.read(times=4)
    assert await turns.engine.notices(OrderUnlisted) == [OrderUnlisted(ACCOUNT, TAG)]


# --- trades --------------------------------------------------------------------------------------


@pytest.mark.row("R8")
async def test_fill_that_only_trades_show_counts(turns: Turns) -> None:
    """The order of a strategy is hidden from the day's orders: its ledger follows its trades."""
    entry = order_in(S.ACCEPTED, quantity=5, broker_order_id="b1", day=turns.day)
    await turns.engine.wiring.journal.add(turns.engine.store, [entry])
    turns.broker.trade_list = [trade(2), trade(3, trade_id="t2", price=Decimal(975))]
    assert await turns.read()
    (order,) = await turns.engine.orders()
    assert (order.state, order.average_price) == (S.FILLED, Decimal(973))
    assert await turns.ledgers() == {"orb MIS": 5}


@pytest.mark.row("R8")
async def test_foreign_trade_reduces_a_ledger_before_its_order_is_listed(turns: Turns) -> None:
    """And the order, when it is listed, does not count twice."""
    await turns.enter(5)
    number = turns.by_hand(-5)
    hidden = turns.broker.order_list.pop(number)
    turns.broker.trade_list = [trade(-3, number)]
    await turns.read()
    assert await turns.ledgers() == {"orb MIS": 2}
    turns.broker.order_list[number] = hidden
    turns.broker.trade_list.append(trade(-2, number, "t2"))
    await turns.read(times=2)
    assert await turns.ledgers() == {}
    (sale,) = [one for one in await turns.engine.orders() if one.strategy == EXTERNAL]
    assert (sale.filled_quantity, sale.request.quantity, sale.state) == (5, 5, S.FILLED)


@pytest.mark.matrix("B08")
async def test_order_that_trades_showed_as_foreign_is_ours_by_its_tag(turns: Turns) -> None:
    """The row that was kept as somebody else's goes, and nothing counts twice."""
    turns.broker.trade_list = [trade(5, "b5")]
    await turns.read()
    ours = order_in(S.SUBMITTED, quantity=5, day=turns.day)
    await turns.engine.wiring.journal.add(turns.engine.store, [ours])
    turns.broker.order_list["b5"] = shown(
        "b5", BrokerStatus.COMPLETE, quantity=5, filled_quantity=5, average_price=Decimal(970)
    )
    await turns.read(times=2)
    (order,) = await turns.engine.orders()
    assert (order.client_order_id, order.state, order.filled_quantity) == (TAG, S.FILLED, 5)
    assert await turns.ledgers() == {"orb MIS": 5}
    cards = await turns.engine.store.find(
        "outbox", {"key": f"external:{external_id(ACCOUNT, 'b5')}"}
    )
    assert [card["delivery"] for card in cards][-1] == "remove"


@pytest.mark.parametrize(
    ("ours", "kinds"),
    [
        ([order_in(S.FILLED, quantity=5, filled_quantity=5, broker_order_id="b1")], []),
        ([order_in(S.CANCELED, quantity=5, filled_quantity=3, broker_order_id="b1")], [Advance]),
        ([], [Adopt]),
        ([order_in(S.UNRESOLVED, quantity=9)], []),
        ([order_in(S.NOT_PLACED, quantity=9)], []),
        ([order_in(S.UNRESOLVED, side=Side.SELL)], [Adopt]),
        ([order_in(S.UNRESOLVED, instrument=RELIANCE)], [Adopt]),
    ],
)
def test_trades_say_only_what_orders_do_not(ours: list[Order], kinds: list[type]) -> None:
    """One that may be ours without an answer is left to the orders, which carry its tag."""
    found = list(of_trades([trade(5)], ours))
    assert [type(one) for one in found] == kinds


@pytest.mark.invariant("I5")
def test_trade_listed_twice_counts_once() -> None:
    """For an order of ours and for one of nobody; another trade of the same order counts."""
    ours = order_in(S.ACCEPTED, side=Side.SELL, quantity=5, broker_order_id="b1")
    rows = [trade(-3), trade(-3), trade(-1, trade_id="t2"), trade(2, "b2"), trade(2, "b2")]
    advance, adopt = of_trades(rows, [ours])
    assert isinstance(advance, Advance) and advance.event.filled_quantity == 4
    assert isinstance(adopt, Adopt) and adopt.seen.filled_quantity == 2
