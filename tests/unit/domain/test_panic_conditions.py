"""Each condition under which a panic cancels, closes, waits, or calls an account flat (row R2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

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
    Counts,
    Hindrance,
    Line,
    Panic,
    PanicEnd,
    Place,
    left_of,
    moves_of,
)
from core.domain.truth import Key
from tests.fakes.orders import ACCOUNT, DAY, SBIN, order_in

pytestmark = pytest.mark.row("R2")

TCS = InstrumentId("NSE", "TCS")
MIS: Key = (SBIN, Product.MIS)
CNC: Key = (SBIN, Product.CNC)
OTHER: Key = (TCS, Product.MIS)
S = OrderState


def seen(
    *places: Place,
    orders: tuple[Order, ...] = (),
    ledgers: tuple[Ledger, ...] = (),
    goals: tuple[Goal, ...] = (),
    **fields: Any,
) -> AccountFacts:
    """Return what is known of an account."""
    known = {place.key: place for place in places}
    return AccountFacts(
        orders, goals, ledgers, known, **{"with_holdings": False, "day": DAY, **fields}
    )


def held(quantity: int, key: Key = MIS, strategy: str = "orb") -> Ledger:
    """Return what a strategy holds."""
    return Ledger(strategy, ACCOUNT, *key, quantity)


def wants(quantity: int, of: Ledger, **fields: Any) -> Goal:
    """Return what is wanted of a ledger."""
    return Goal(
        of.key, of.strategy, ACCOUNT, of.instrument, of.product, quantity, None, "run", **fields
    )


def own(side: Side, kind: OrderType = OrderType.LIMIT, **changes: Any) -> Order:
    """Return a person's own order that works at the broker."""
    given = {"strategy": EXTERNAL, "purpose": Purpose.EXTERNAL, "client_order_id": "own"}
    return order_in(S.ACCEPTED, **{**given, "side": side, "order_type": kind, **changes})


FLAT = {"by_user": True, "despite_pause": True}


@pytest.mark.parametrize(
    ("line", "is_over"),
    [
        (Line("a"), False),
        (Line("a", is_flat=True), True),
        (Line("a", hindrance=Hindrance.GONE), True),
        (Line("a", hindrance=Hindrance.SILENT), False),
    ],
)
def test_an_account_is_through_when_it_is_flat_or_gone(line: Line, *, is_over: bool) -> None:
    """A silent one is waited for: the panic that ended without it would leave it open."""
    assert line.is_over is is_over


def test_the_figures_of_the_message_are_those_of_its_lines() -> None:
    """Orders and positions added up, flat accounts counted; it runs until it has an end."""
    lines = (Line("a", 2, 1), Line("b", 1, 4), Line("c", is_flat=True))
    panic = Panic("000001", datetime(2026, 11, 23, tzinfo=UTC), DAY, "1", (), False, lines)
    assert panic.counts == Counts(3, 1, 3, 5)
    assert panic.broker_ids == ("a", "b", "c")
    assert [replace(panic, end=end).is_running for end in PanicEnd] == [True, False, False]


@pytest.mark.parametrize(
    ("place", "is_held"),
    [
        (Place(MIS, 0), False),
        (Place(MIS, 1, 1), True),
        (Place(MIS, -1, -1), True),
        (Place(MIS, 0, 0, 10), True),  # a ledger that the net does not bear out
        (Place(MIS, 0, 5), False),  # the net is known: what is shown lags behind
        (Place(MIS, None), True),
        (Place(MIS, None, is_open=False), False),
        (Place(MIS, None, 5, is_open=False), True),
        (Place(MIS, None, 0, 5, is_open=False), True),
    ],
)
def test_what_is_held_or_may_be(place: Place, *, is_held: bool) -> None:
    """Unknown is held where it trades or shows something, or a strategy says so (B09)."""
    assert place.is_held is is_held
    assert left_of(seen(place)).is_nothing is not is_held


@pytest.mark.parametrize(
    ("place", "outside"),
    [
        (Place(MIS, 15, 15, 10), 5),
        (Place(MIS, -15, -15, -10), -5),
        (Place(MIS, 1, 1), 1),
        (Place(MIS, 10, 10, 10), 0),
        (Place(MIS, 5, 5, 10), 0),  # less than the strategies own: nothing to sell, a dispute
        (Place(MIS, 0, 0, -5), 0),
        (Place(MIS, None, 5), 0),
        (Place(CNC, 1, 1), 1),
        (Place(CNC, -1, -1), 0),  # a sale of delivery is no short
        (Place(MIS, -1, -1), -1),
    ],
)
def test_what_an_exit_of_what_nobody_owns_may_close(place: Place, outside: int) -> None:
    """What the account has more than the strategies, on the side of the net, and never more."""
    assert place.outside == outside


def test_reads_agree_where_every_position_that_is_closed_shows_its_fills() -> None:
    """One that differs keeps the account from being flat; delivery that stays says nothing."""
    good, late = Place(MIS, 0, 0), Place(OTHER, 0, 5)
    assert seen(good).do_reads_agree
    assert not seen(good, late).do_reads_agree and not seen(late, good).do_reads_agree
    delivery = Place(CNC, 0, 5)
    assert seen(good, delivery).do_reads_agree
    assert not seen(good, delivery, with_holdings=True).do_reads_agree


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELED, S.REJECTED, S.NOT_PLACED, S.HELD])
def test_only_what_could_still_fill_is_left(state: OrderState) -> None:
    """What is over, or never left, is neither cancelled nor waited for."""
    order = replace(own(Side.BUY), state=state)
    facts = seen(orders=(order,))
    assert left_of(facts).is_nothing and moves_of(facts).cancels == ()


@pytest.mark.parametrize("state", [S.PENDING_CANCEL, S.SUBMITTED, S.UNRESOLVED])
def test_what_cannot_be_cancelled_now_is_left_and_not_asked_for_again(state: OrderState) -> None:
    """Its cancel is on the way, or nobody knows whether the broker has it."""
    order = replace(own(Side.BUY), state=state)
    facts = seen(Place(MIS, 5, 5), orders=(order,))
    assert left_of(facts).orders == (order,) and moves_of(facts).cancels == ()
    assert moves_of(facts).outside == {}, "an exit beside it could close the same units"


def test_a_ledger_whose_position_is_not_shown_is_left() -> None:
    """The strategy holds ten, the net says none: it is not flat until that is settled."""
    facts = seen(Place(MIS, 0, 0), ledgers=(held(10),))
    assert [place.key for place in left_of(facts).places] == [MIS]
    assert left_of(seen(Place(MIS, 0, 0), ledgers=(held(0),))).is_nothing


def test_delivery_of_a_strategy_gets_no_goal_unless_it_was_asked_for() -> None:
    """Neither the ledger nor what nobody owns there, whether something works there or not."""
    place, ledgers = Place(CNC, 15, 15, 10), (held(10, CNC),)
    assert moves_of(seen(place, ledgers=ledgers)) == moves_of(seen())
    assert moves_of(seen(Place(CNC, 5, 5))).outside == {}
    assert moves_of(seen(place, ledgers=ledgers, with_holdings=True)).ledgers == ledgers
    assert moves_of(seen(Place(CNC, 5, 5), with_holdings=True)).outside == {CNC: 5}


@pytest.mark.parametrize("change", [{"is_open": False}, {"is_handled": False}])
def test_a_ledger_that_cannot_trade_gets_no_goal(change: dict[str, Any]) -> None:
    """Its goal would wait at the executor for the open."""
    place, ledgers = Place(MIS, 10, 10, 10), (held(10),)
    assert moves_of(seen(place, ledgers=ledgers)).ledgers == ledgers
    assert moves_of(seen(replace(place, **change), ledgers=ledgers)).ledgers == ()
    assert moves_of(seen(ledgers=ledgers)).ledgers == ()


def test_an_order_in_the_way_of_one_position_holds_up_no_other() -> None:
    """The user's own order is of SBIN: TCS is closed at once."""
    places = (Place(MIS, 5, 5), Place(OTHER, 5, 5))
    facts = seen(*places, orders=(own(Side.SELL),))
    assert moves_of(facts).outside == {OTHER: 5}


def test_an_order_that_stays_holds_nothing_up() -> None:
    """Delivery is to be left with its stop: the rest of the same instrument is closed."""
    stop = own(Side.SELL, OrderType.SL, product=Product.CNC)
    facts = seen(Place(CNC, 10, 10), Place(MIS, 5, 5), orders=(stop,))
    assert moves_of(facts).cancels == () and moves_of(facts).outside == {MIS: 5}


def test_what_nobody_holds_and_nobody_wants_gets_no_goal() -> None:
    """An empty ledger, a flat goal, and a close of the user's own are none of a strategy's."""
    mine = held(5, strategy=MANUAL)
    empty = held(0)
    for goals in ((), (wants(0, empty),), (wants(5, mine),)):
        facts = seen(Place(MIS, 0, 0), ledgers=(empty,), goals=goals)
        assert moves_of(facts).ledgers == ()


@pytest.mark.parametrize(
    ("goal", "is_set"),
    [
        (wants(0, held(10), **FLAT), False),
        (wants(10, held(10), **FLAT), True),
        (wants(0, held(10), by_user=True), True),
        (wants(0, held(10), despite_pause=True), True),
        (wants(0, held(10, strategy="mac"), **FLAT), True),
    ],
)
def test_only_a_flat_goal_that_passes_everywhere_is_left_alone(goal: Goal, *, is_set: bool) -> None:
    """Of that very ledger, the user's, and despite a pause; else the exit would wait."""
    facts = seen(Place(MIS, 10, 10, 10), ledgers=(held(10),), goals=(goal,))
    assert moves_of(facts).ledgers == ((held(10),) if is_set else ())


def test_a_flat_goal_of_the_second_ledger_is_its_own() -> None:
    """Two strategies hold one instrument: the flat goal of one says nothing of the other."""
    one, other = held(10), held(5, strategy="mac")
    goals = (wants(0, other, **FLAT), wants(10, one))
    facts = seen(Place(MIS, 15, 15, 15), ledgers=(one, other), goals=goals)
    assert moves_of(facts).ledgers == (one,)


@pytest.mark.parametrize(
    ("goal", "is_closing"),
    [
        (wants(0, held(0, strategy=MANUAL), day=DAY, despite_pause=True), True),
        (wants(0, held(0, strategy=MANUAL), day=DAY), False),
        (wants(0, held(0, OTHER, MANUAL), day=DAY, despite_pause=True), False),
        (wants(0, held(0), day=DAY, despite_pause=True), False),
    ],
)
def test_a_close_of_what_nobody_owns_waits_for_its_own_goal_alone(
    goal: Goal, *, is_closing: bool
) -> None:
    """One that would wait in a pause, of another instrument, or of a strategy closes nothing."""
    facts = seen(Place(MIS, 5, 5), goals=(goal,), ledgers=(held(0),))
    assert moves_of(facts).outside == ({} if is_closing else {MIS: 5})


@pytest.mark.parametrize(
    ("order", "is_closing"),
    [
        (order_in(S.ACCEPTED, purpose=Purpose.EXIT, side=Side.SELL), True),
        (order_in(S.ACCEPTED, purpose=Purpose.EXIT, side=Side.SELL, instrument=TCS), False),
        (order_in(S.FILLED, purpose=Purpose.EXIT, side=Side.SELL), False),
        (order_in(S.ACCEPTED, purpose=Purpose.ENTRY), False),
    ],
)
def test_a_close_of_what_nobody_owns_waits_for_an_exit_there(
    order: Order, *, is_closing: bool
) -> None:
    """Both could close the same units; one that is over, or elsewhere, holds nothing up."""
    facts = seen(Place(MIS, 5, 5), Place(OTHER, 0), orders=(order,))
    assert moves_of(facts).outside == ({} if is_closing else {MIS: 5})


@pytest.mark.row("R6")
@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.EXIT, Purpose.ENTRY])
def test_what_closes_delivery_of_a_strategy_stays_with_it(purpose: Purpose) -> None:
    """Its stop and its exit; an entry adds to it, and goes."""
    order = order_in(S.ACCEPTED, purpose=purpose, product=Product.CNC, side=Side.SELL)
    facts = seen(Place(CNC, 10, 10, 10), orders=(order,), ledgers=(held(10, CNC),))
    goes = (order,) if purpose is Purpose.ENTRY else ()
    assert (moves_of(facts).cancels, left_of(facts).orders) == (goes, goes)


@pytest.mark.row("R6")
@pytest.mark.parametrize(
    ("stop", "places", "stays"),
    [
        (own(Side.SELL, OrderType.SL, product=Product.CNC), (Place(CNC, 10, 10),), True),
        (own(Side.SELL, OrderType.SL_M, product=Product.CNC), (Place(CNC, 10, 10),), True),
        (own(Side.BUY, OrderType.SL_M, product=Product.CNC), (Place(CNC, 10, 10),), False),
        (own(Side.SELL, OrderType.LIMIT, product=Product.CNC), (Place(CNC, 10, 10),), False),
        (own(Side.SELL, OrderType.SL_M, product=Product.CNC), (Place(CNC, 0),), False),
        (own(Side.SELL, OrderType.SL_M, product=Product.CNC), (Place(CNC, None),), True),
        (own(Side.SELL, OrderType.SL_M, product=Product.CNC), (), True),
    ],
)
def test_a_persons_stop_of_delivery_stays_where_it_may_protect(
    stop: Order, places: tuple[Place, ...], *, stays: bool
) -> None:
    """On the side that closes what is held, or may be: unknown is not flat."""
    facts = seen(*places, orders=(stop,))
    assert moves_of(facts).cancels == (() if stays else (stop,))


@pytest.mark.row("R6")
def test_a_persons_stop_goes_only_when_an_exit_may_follow_there() -> None:
    """An order of unknown fate of another instrument keeps nothing; a place nobody knows of does."""
    stop, place = own(Side.SELL, OrderType.SL_M), Place(MIS, 10, 10)
    elsewhere = order_in(S.UNRESOLVED, client_order_id="lost", instrument=TCS)
    assert moves_of(seen(place, Place(OTHER, 0), orders=(stop, elsewhere))).cancels == (stop,)
    assert moves_of(seen(orders=(stop,))).cancels == ()


def test_an_order_of_a_strategy_is_left_to_its_own_goal() -> None:
    """The executor cancels it; one whose strategy wants nothing has nobody else."""
    entry = order_in(S.ACCEPTED)
    for goals, goes in (
        ((), True),
        ((wants(10, held(0)),), False),
        ((wants(10, held(0, strategy="mac")),), True),
        ((wants(10, held(0, strategy="mac")), wants(10, held(0))), False),
    ):
        facts = seen(Place(MIS, 0), orders=(entry,), goals=goals)
        assert moves_of(facts).cancels == ((entry,) if goes else ())


def test_an_entry_into_delivery_goes_whatever_is_wanted() -> None:
    """Delivery gets no flat goal, so that its executor would let the entry work on."""
    entry = order_in(S.ACCEPTED, product=Product.CNC)
    goals = (wants(10, held(0, CNC)),)
    assert moves_of(seen(Place(CNC, 0), orders=(entry,), goals=goals)).cancels == (entry,)
