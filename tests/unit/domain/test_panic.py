"""What a panic does next on an account, by values (row R2)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.goal import Goal
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import (
    EXTERNAL,
    MANUAL,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.panic import (
    AccountFacts,
    Place,
    is_of_panic,
    left_of,
    moves_of,
    run_of,
)
from core.domain.truth import Key
from tests.fakes.orders import ACCOUNT, DAY, SBIN, order_in

pytestmark = pytest.mark.row("R2")

MIS: Key = (SBIN, Product.MIS)
CNC: Key = (SBIN, Product.CNC)
GOLD: Key = (InstrumentId("MCX", "GOLD26DECFUT"), Product.NRML)


def facts(
    *orders: Order,
    places: tuple[Place, ...] = (),
    ledgers: tuple[Ledger, ...] = (),
    goals: tuple[Goal, ...] = (),
    **fields: Any,
) -> AccountFacts:
    """Return facts of an account; a place without a mention is flat and open."""
    known = {(one.request.instrument, one.request.product): None for one in orders}
    found = {key: Place(key, 0) for key in known} | {place.key: place for place in places}
    given_ = {"with_holdings": False, "day": DAY, **fields}
    return AccountFacts(orders, goals, ledgers, found, **given_)


def own(side: Side, kind: OrderType, product: Product = Product.MIS, **changes: Any) -> Order:
    """Return a person's own order that works at the broker."""
    given_ = {"strategy": EXTERNAL, "purpose": Purpose.EXTERNAL, "client_order_id": "own"}
    return order_in(
        OrderState.ACCEPTED,
        **{**given_, "side": side, "order_type": kind, "product": product},
        **changes,
    )


def ledger(quantity: int, product: Product = Product.MIS) -> Ledger:
    """Return what the strategy holds."""
    return Ledger("orb", ACCOUNT, SBIN, product, quantity)


def goal(quantity: int, **fields: Any) -> Goal:
    """Return what the strategy wants."""
    one = ledger(1)
    return Goal(one.key, "orb", ACCOUNT, SBIN, Product.MIS, quantity, None, "run", **fields)


def test_a_position_of_a_strategy_gets_a_flat_goal_and_its_stop_is_left_to_that() -> None:
    """The stop makes way when the exit may go; it is never cancelled before that (R6)."""
    stop = order_in(OrderState.ACCEPTED, purpose=Purpose.STOP, side=Side.SELL)
    seen = facts(stop, places=(Place(MIS, 10, 10, 10),), ledgers=(ledger(10),), goals=(goal(10),))
    assert moves_of(seen).cancels == ()
    assert moves_of(seen).ledgers == (ledger(10),)
    assert (len(left_of(seen).orders), len(left_of(seen).places)) == (1, 1)


def test_what_is_wanted_flat_already_is_not_set_again() -> None:
    """Only a goal that passes in every mode counts: one of a strategy waits in PAUSED."""
    place = (Place(MIS, 10, 10, 10),)
    flat = goal(0, by_user=True, despite_pause=True)
    assert moves_of(facts(places=place, ledgers=(ledger(10),), goals=(flat,))).ledgers == ()
    by_strategy = facts(places=place, ledgers=(ledger(10),), goals=(goal(0),))
    assert moves_of(by_strategy).ledgers == (ledger(10),)


def test_an_entry_that_waits_to_fill_gets_a_flat_goal() -> None:
    """Nothing is held yet, and the strategy wants ten: the goal ends the entry."""
    entry = order_in(OrderState.ACCEPTED, quantity=10)
    moves = moves_of(facts(entry, goals=(goal(10),)))
    assert [one.key for one in moves.ledgers] == [ledger(0).key] and moves.cancels == ()


def test_a_persons_order_goes_first_and_the_exit_waits_for_it() -> None:
    """Both would close the same units; one whose cancel is asked for in vain holds nothing up."""
    target = own(Side.SELL, OrderType.LIMIT)
    seen = facts(target, places=(Place(MIS, 10, 10, 10),), ledgers=(ledger(10),))
    assert moves_of(seen).cancels == (target,) and moves_of(seen).ledgers == ()
    stubborn = replace(seen, stubborn=frozenset({"own"}))
    assert moves_of(stubborn).ledgers == (ledger(10),)
    assert moves_of(stubborn).cancels == (target,)


@pytest.mark.row("R6")
@pytest.mark.parametrize(
    "place",
    [
        Place(MIS, 10, 10, is_open=False),
        Place(MIS, 10, 10, is_handled=False),
        Place(MIS, None, 10),
    ],
    ids=["closed", "not handled", "not known"],
)
def test_a_persons_stop_protects_for_as_long_as_no_exit_can_follow(place: Place) -> None:
    """It goes when the exit behind it can go, and not before; other orders go at once."""
    stop, target = own(Side.SELL, OrderType.SL_M), own(Side.SELL, OrderType.LIMIT)
    assert moves_of(facts(stop, target, places=(place,))).cancels == (target,)
    assert moves_of(facts(stop, places=(Place(MIS, 10, 10),))).cancels == (stop,)
    unknown = order_in(OrderState.UNRESOLVED, client_order_id="lost")
    assert moves_of(facts(stop, unknown, places=(Place(MIS, 10, 10),))).cancels == ()


def test_what_is_outside_is_closed_after_what_strategies_hold() -> None:
    """Fifteen at the broker, ten of a strategy: first these, then the five."""
    both = facts(places=(Place(MIS, 15, 15, 10),), ledgers=(ledger(10),))
    assert moves_of(both).ledgers == (ledger(10),) and moves_of(both).outside == {}
    assert moves_of(facts(places=(Place(MIS, 5, 5),))).outside == {MIS: 5}
    assert moves_of(facts(places=(Place(MIS, -5, -5),))).outside == {MIS: -5}


def test_a_close_of_what_is_outside_is_not_begun_twice() -> None:
    """Its goal of today stands, or its exit works; one of yesterday asks for nothing."""
    key = Ledger(MANUAL, ACCOUNT, *MIS).key
    mine = Goal(key, MANUAL, ACCOUNT, *MIS, 0, None, "run", day=DAY, despite_pause=True, to_close=5)
    place = (Place(MIS, 5, 5),)
    assert moves_of(facts(places=place, goals=(mine,))).outside == {}
    assert moves_of(facts(places=place, goals=(replace(mine, day="2021-05-11"),))).outside
    exit_ = order_in(OrderState.ACCEPTED, strategy=MANUAL, purpose=Purpose.EXIT, side=Side.SELL)
    assert moves_of(facts(exit_, places=place)).outside == {}


def test_delivery_stays_with_its_stops_and_exits() -> None:
    """Targets and entries in it are cancelled all the same; none of it counts as left."""
    stop = own(Side.SELL, OrderType.SL_M, Product.CNC)
    target = own(Side.SELL, OrderType.LIMIT, Product.CNC)
    entry = order_in(OrderState.ACCEPTED, product=Product.CNC)
    place, held = (Place(CNC, 10, 10, 10),), (ledger(10, Product.CNC),)
    seen = facts(stop, target, entry, places=place, ledgers=held)
    assert moves_of(seen).cancels == (target, entry)
    assert moves_of(seen).ledgers == () and left_of(seen).places == ()
    assert left_of(seen).orders == (target, entry)
    asked = replace(seen, with_holdings=True)
    assert left_of(asked).places == place
    assert moves_of(replace(asked, orders=())).ledgers == held


def test_a_stop_of_nothing_goes() -> None:
    """It would open a position: in delivery too, and on the wrong side."""
    stop = own(Side.SELL, OrderType.SL_M, Product.CNC)
    assert moves_of(facts(stop)).cancels == (stop,)
    buys = own(Side.BUY, OrderType.SL_M)
    assert moves_of(facts(buys, places=(Place(MIS, 10, 10),))).cancels == (buys,)


def test_what_cannot_trade_gets_no_goal_and_is_still_left() -> None:
    """Nothing waits at the executor for the open, and an account is not flat for that."""
    for place in (Place(MIS, 5, 5, is_open=False), Place(GOLD, 5, 5, is_handled=False)):
        seen = facts(places=(place,))
        assert moves_of(seen).outside == {}
        assert left_of(seen).places == (place,)


def test_a_sale_of_delivery_is_no_short() -> None:
    """A negative CNC position is never bought back."""
    seen = facts(places=(Place(CNC, -5, -5),), with_holdings=True)
    assert moves_of(seen).outside == {}


def test_unknown_is_not_flat() -> None:
    """Positions that contradict the fills, and an order that may be at the broker (B09)."""
    assert not left_of(facts(places=(Place(MIS, None),))).is_nothing
    assert not left_of(facts(order_in(OrderState.UNRESOLVED))).is_nothing
    assert left_of(facts(places=(Place(MIS, None, is_open=False),))).is_nothing


@given(
    net=st.integers(-30, 30),
    owned=st.integers(-30, 30),
    state=st.sampled_from(sorted(OrderState)),
    kind=st.sampled_from(sorted(OrderType)),
    side=st.sampled_from(sorted(Side)),
)
def test_nothing_left_means_nothing_to_do(
    net: int, owned: int, state: OrderState, kind: OrderType, side: Side
) -> None:
    """Whatever is seen: an account with a move left is not flat, and no close turns it over."""
    trigger = Decimal(1) if kind in {OrderType.SL, OrderType.SL_M} else None
    order = replace(own(side, kind, trigger_price=trigger), state=state)
    held = (ledger(owned),) if owned else ()
    seen = facts(order, places=(Place(MIS, net, net, owned),), ledgers=held)
    moves = moves_of(seen)
    if left_of(seen).is_nothing:
        assert moves.cancels == () and moves.ledgers == () and moves.outside == {}
    for units in moves.outside.values():
        assert units * net > 0 and abs(units) <= abs(net)


def test_runs_of_a_panic_are_told_from_others() -> None:
    """By their prefix, and one panic's from another's."""
    run = run_of("000001", ACCOUNT, "x")
    assert is_of_panic(run) and is_of_panic(run, "000001")
    assert not is_of_panic(run, "000002") and not is_of_panic("orb|2021-05-12T10:00")
