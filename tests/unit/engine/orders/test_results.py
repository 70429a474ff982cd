"""A position that a stop, a guard or a user closed is told with its result, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.notices.runs import RunCard
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState, OrderType, Purpose, Side
from core.engine.orders.folding import OrderEvent
from core.engine.orders.goals import Flattening, UserClose, flatten, put_goal
from core.engine.orders.ledgers import ledger_row
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, order_in

S = OrderState


@pytest.fixture
async def engine() -> MemoryEngine:
    return await MemoryEngine(ManualClock(SENT_AT, SENT_AT)).owned()


def reducing(key: str, **changes: Any) -> Order:
    """Return a sell of ten that works at the broker."""
    row: dict[str, Any] = {
        "client_order_id": key * 20,
        "broker_order_id": key,
        "side": Side.SELL,
        "quantity": 10,
        "purpose": Purpose.STOP,
        "order_type": OrderType.SL_M,
    }
    return order_in(S.ACCEPTED, **{**row, **changes})


async def hold(engine: MemoryEngine, quantity: int, price: int, wanted: int) -> None:
    """Let a strategy hold SBIN, and want this much of it."""
    ledger = Ledger("orb", ACCOUNT, SBIN, Product.MIS, quantity, Decimal(price), Decimal(500))
    await engine.hold(ledger)
    await put_goal(
        engine.store,
        strategy="orb",
        broker_id=ACCOUNT,
        instrument=SBIN,
        product=Product.MIS,
        quantity=wanted,
        stop_price=Decimal(361),
        run_id="orb|run",
        day=DAY,
        at=SENT_AT,
    )


async def fill(
    engine: MemoryEngine, order: Order, price: str, filled: int = 10, *, ends: bool = True
) -> list[Any]:
    """Let an order fill, adding it where it is new; return the results that were posted by then.

    Without their charges, which have tests of their own (test_result_charges.py).
    """
    journal = engine.wiring.journal
    if not any(one.client_order_id == order.client_order_id for one in await engine.orders()):
        await journal.add(engine.store, [order])
    state = S.PARTIALLY_FILLED
    if ends:
        state = S.FILLED if filled == order.request.quantity else S.CANCELED
    event = OrderEvent(state, order.broker_order_id, filled, Decimal(price))
    for _ in range(2):  # the same news twice is one result
        await journal.apply(order.client_order_id, event)
    found = await engine.notices(PositionClosed)
    return [replace(one, charges=None) for one in found if isinstance(one, PositionClosed)]


def result(
    closed_by: ClosedBy, units: int, price: str, amount: str | None, **changes: Any
) -> PositionClosed:
    """Return the notice of a closed long position in SBIN."""
    given: dict[str, Any] = {"strategy": "orb", "side": Side.SELL, **changes}
    return PositionClosed(
        ACCOUNT,
        closed_by,
        instrument="NSE:SBIN",
        product="MIS",
        quantity=units,
        price=Decimal(price),
        result=None if amount is None else Decimal(amount),
        **given,
    )


@pytest.mark.row("H5")
async def test_a_stop_that_fired_is_told_when_the_position_is_flat(engine: MemoryEngine):
    """Not at its first fill; units, price and result are of all its fills."""
    await hold(engine, 10, 363, 10)
    stop = reducing("S")
    assert await fill(engine, stop, "361.00", 4, ends=False) == []
    assert await fill(engine, stop, "361.10") == [result(ClosedBy.STOP, 10, "361.10", "-19.00")]


async def test_a_short_position_loses_when_it_is_bought_back_higher(engine: MemoryEngine):
    """The sign follows the side that was held."""
    await hold(engine, -10, 360, -10)
    stop = reducing("S", side=Side.BUY)
    expected = result(ClosedBy.STOP, 10, "361.50", "-15.00", side=Side.BUY)
    assert await fill(engine, stop, "361.50") == [expected]


async def test_a_stop_that_was_chased_is_one_result(engine: MemoryEngine):
    """Four units filled at the trigger and six by the exit after it: ten, at their mean."""
    await hold(engine, 10, 363, 10)
    assert await fill(engine, reducing("S"), "361", 4) == []
    chase = reducing("X", purpose=Purpose.EXIT, quantity=6, order_type=OrderType.MARKET)
    assert await fill(engine, chase, "360", 6) == [
        result(ClosedBy.STOP, 10, "360.4", "-26.0"),
    ]


async def test_a_stop_that_rested_and_was_closed_at_the_market_is_one_result(engine: MemoryEngine):
    """Its exit is of a run of its own; what the stop filled before counts, an older stop not."""
    await hold(engine, 10, 363, 10)
    earlier = reducing("E", created_at=SENT_AT - timedelta(hours=1))
    earlier = replace(earlier, state=S.FILLED, filled_quantity=3, average_price=Decimal(300))
    entry = order_in(S.FILLED, quantity=10, filled_quantity=10, average_price=Decimal(363))
    await engine.wiring.journal.add(engine.store, [earlier, entry])
    assert await fill(engine, reducing("S"), "361", 4) == []
    ledgers = await engine.ledgers()
    hit = Flattening("orb|stop", "stop", "orb", ACCOUNT, DAY, SENT_AT, SENT_AT)
    await flatten(engine.store, engine.wiring.outbox, ledgers, hit)
    leave = reducing("X", purpose=Purpose.EXIT, run_id="orb|stop", quantity=6)
    assert await fill(engine, leave, "360", 6) == [result(ClosedBy.STOP, 10, "360.4", "-26.0")]


async def test_an_exit_that_the_strategy_did_not_want_is_a_guards(engine: MemoryEngine):
    """Its goal still wants the position: the stop was passed, or is watched in software."""
    await hold(engine, 10, 363, 10)
    leave = reducing("X", purpose=Purpose.EXIT, order_type=OrderType.MARKET)
    assert await fill(engine, leave, "362") == [result(ClosedBy.GUARD, 10, "362", "-10")]


@pytest.mark.parametrize("wanted", [0, -5])
async def test_a_strategys_own_exit_stays_on_its_card(engine: MemoryEngine, wanted: int):
    """It wants to be flat, or on the other side: no message of its own."""
    await hold(engine, 10, 363, wanted)
    leave = reducing("X", purpose=Purpose.EXIT, order_type=OrderType.MARKET)
    assert await fill(engine, leave, "364") == []


async def test_a_users_close_of_a_strategys_position_is_told(engine: MemoryEngine):
    """By the kind of its run, whatever the goal is by then."""
    await hold(engine, 10, 363, 10)
    close = Flattening(
        "manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT, UserClose(False)
    )
    await flatten(engine.store, engine.wiring.outbox, await engine.ledgers(), close)
    leave = reducing("X", purpose=Purpose.EXIT, run_id="manual|1", order_type=OrderType.MARKET)
    assert await fill(engine, leave, "364") == [result(ClosedBy.USER, 10, "364", "10")]


@pytest.mark.parametrize(
    ("bought", "sold", "amount"),
    [(10, 0, "5.0"), (12, 0, None), (13, 3, None), (0, 0, None)],
    ids=["just these", "more", "sold before", "of another day"],
)
async def test_a_users_close_of_what_no_strategy_held(
    engine: MemoryEngine, bought: int, sold: int, amount: str | None
):
    """In two orders, told once; the result only where the day's own trades opened just this."""
    journal = engine.wiring.journal
    for key, side, units in (("B", Side.BUY, bought), ("C", Side.SELL, sold)):
        if units:
            foreign = order_in(
                S.FILLED,
                client_order_id=f"X|{key}",
                strategy=EXTERNAL,
                side=side,
                quantity=units,
                filled_quantity=units,
                average_price=Decimal(970),
            )
            await journal.add(engine.store, [foreign])
    close = UserClose(despite_pause=False, outside=10)
    decision = Flattening("manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT, close)
    nobodys = Ledger(MANUAL, ACCOUNT, SBIN, Product.MIS)
    await flatten(engine.store, engine.wiring.outbox, [nobodys], decision)
    own = {"strategy": MANUAL, "run_id": "manual|1", "purpose": Purpose.EXIT}
    assert await fill(engine, reducing("D", quantity=10, **own), "971", 5) == []
    expected = result(ClosedBy.USER, 10, "970.5", amount, strategy=MANUAL)
    last = reducing("E", quantity=5, **own)
    assert await fill(engine, last, "970", 5) == [expected]
    # However many orders it takes: one event, one message, which ends with the result.
    assert await keys_of_messages(engine) == {"run:manual|1"}
    rows = await engine.store.find("outbox", {"kind": "position_closed"})
    assert [one["delivery"] for one in rows] == ["replace"]


@pytest.mark.parametrize(("held", "amount"), [(0, "5.0"), (10, None)], ids=["left", "held"])
async def test_a_close_of_what_strategies_left_to_the_user(
    engine: MemoryEngine, held: int, amount: str | None
):
    """What they opened today and hold no more is the user's, whose close has a result."""
    entry = order_in(
        S.FILLED,
        client_order_id="ENTRY",
        side=Side.BUY,
        quantity=10,
        filled_quantity=10,
        average_price=Decimal(970),
    )
    await engine.wiring.journal.add(engine.store, [entry])
    if held:
        ledger = Ledger("orb", ACCOUNT, SBIN, Product.MIS, held, Decimal(970))
        await engine.store.insert("ledgers", ledger_row(ledger))
    close = UserClose(despite_pause=False, outside=10)
    decision = Flattening("manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT, close)
    nobodys = Ledger(MANUAL, ACCOUNT, SBIN, Product.MIS)
    await flatten(engine.store, engine.wiring.outbox, [nobodys], decision)
    own = {"strategy": MANUAL, "run_id": "manual|1", "purpose": Purpose.EXIT}
    expected = result(ClosedBy.USER, 10, "970.5", amount, strategy=MANUAL)
    assert await fill(engine, reducing("D", quantity=10, **own), "970.5", 10) == [expected]


async def keys_of_messages(engine: MemoryEngine) -> set[str | None]:
    """Return the keys of the messages that were posted; None for one of its own each."""
    return {
        one["key"] for one in await engine.store.find("outbox", {"delivery": {"$ne": "remove"}})
    }


async def close_both(engine: MemoryEngine) -> None:
    """Let a user close a strategy's ten and ten that no strategy owns."""
    await hold(engine, 10, 363, 10)
    (held,) = await engine.ledgers()
    close = UserClose(despite_pause=False, outside=10)
    decision = Flattening("manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT, close)
    nobodys = Ledger(MANUAL, ACCOUNT, SBIN, Product.MIS)
    await flatten(engine.store, engine.wiring.outbox, [held, nobodys], decision)


@pytest.mark.row("H5")
async def test_a_close_of_several_positions_is_one_message_to_its_end(engine: MemoryEngine):
    """The card has the orders of both, and comes anew with their results once all is closed."""
    bought = order_in(
        S.FILLED,
        client_order_id="X|b",
        strategy=EXTERNAL,
        side=Side.BUY,
        quantity=10,
        filled_quantity=10,
        average_price=Decimal(970),
    )
    await engine.wiring.journal.add(engine.store, [bought])
    await close_both(engine)
    leave = {"run_id": "manual|1", "purpose": Purpose.EXIT}
    assert await fill(engine, reducing("O", **leave), "364") == []
    run = await engine.control.views.run("manual|1")
    assert run.is_closing and len(run.lines[0].orders) == 1
    assert await fill(engine, reducing("D", strategy=MANUAL, **leave), "971") == []
    assert await keys_of_messages(engine) == {"run:manual|1"}
    newest = (await engine.store.find("outbox", {}, sort=[("seq", 1)]))[-1]
    assert (newest["kind"], newest["delivery"]) == ("run_card", "replace")
    run = await engine.control.views.run("manual|1")
    assert (run.is_closing, len(run.lines[0].orders)) == (False, 2)
    assert run.lines[0].result == Decimal(20) and run.lines[0].charges is not None


async def test_a_close_whose_position_a_stop_has_ended_says_so(engine: MemoryEngine):
    """Its card would say for ever that an order is to come."""
    await hold(engine, 10, 363, 10)
    close = Flattening("manual|1", "close", MANUAL, ACCOUNT, DAY, SENT_AT, SENT_AT)
    await flatten(engine.store, engine.wiring.outbox, await engine.ledgers(), close)
    assert (await engine.control.views.run("manual|1")).is_closing
    before = len(await engine.notices(RunCard))
    assert await fill(engine, reducing("S"), "361") == [result(ClosedBy.STOP, 10, "361", "-20")]
    assert (await engine.notices(RunCard))[before:].count(RunCard("manual|1")) == 1
    assert not (await engine.control.views.run("manual|1")).is_closing
