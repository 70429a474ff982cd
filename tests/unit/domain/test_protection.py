"""What protects a ledger, what closes it, and why nothing does, by values."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.goal import Goal, NoRest
from core.domain.instrument import Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.protection import (
    Lack,
    LastPrice,
    ProtectionFacts,
    Shelter,
    awaited,
    bare_units,
    protection_of,
)
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R6")
S = OrderState
STOP = Decimal(800)
LEDGER = Ledger("orb", ACCOUNT, SBIN, Product.MIS, 10, Decimal(810))


def goal(quantity: int = 10, stop: Decimal | None = STOP, **changes: object) -> Goal:
    key = ledger_key("orb", ACCOUNT, SBIN, Product.MIS)
    return Goal(
        key,
        "orb",
        ACCOUNT,
        SBIN,
        Product.MIS,
        quantity,
        stop,
        "orb|run",
        **changes,  # type: ignore[arg-type]
    )


def a_stop(quantity: int = 10, state: OrderState = S.ACCEPTED, **changes: object) -> Order:
    terms = {"purpose": Purpose.STOP, "side": Side.SELL, "order_type": OrderType.SL_M}
    return order_in(state, quantity=quantity, **{**terms, "trigger_price": STOP, **changes})


WATCHED = goal(can_rest=False, no_rest=NoRest.REFUSED)


def facts(wanted: Goal | None, *orders: Order, **changes: object) -> ProtectionFacts:
    return ProtectionFacts(
        LEDGER,
        wanted,
        orders,
        SENT_AT,
        **changes,  # type: ignore[arg-type]
    )


def price(age_s: float) -> LastPrice:
    return LastPrice(Decimal(815), SENT_AT - timedelta(seconds=age_s))


@pytest.mark.parametrize(
    ("seen", "shelter"),
    [
        (facts(goal(), a_stop()), Shelter.PROTECTED),
        (facts(goal(), a_stop(6), a_stop(4)), Shelter.PROTECTED),
        (facts(goal(), foreign=[a_stop(purpose=Purpose.EXTERNAL)]), Shelter.PROTECTED),
        (facts(goal(), a_stop(triggered_at=SENT_AT)), Shelter.CLOSING),
        (facts(goal(0), order_in(S.SUBMITTED, purpose=Purpose.EXIT)), Shelter.CLOSING),
        (facts(goal(0), a_stop()), Shelter.PROTECTED),
        (facts(WATCHED, price=price(15)), Shelter.PROTECTED),
    ],
)
def test_what_is_covered_or_being_closed(seen: ProtectionFacts, shelter: Shelter) -> None:
    """A stop for all units, ours or the user's; an exit or a triggered stop; a watched price."""
    protection = protection_of(seen)
    assert (protection.shelter, protection.is_alarming) == (shelter, False)


@pytest.mark.parametrize(
    ("seen", "gap"),
    [
        (facts(None), Lack.NO_STOP),
        (facts(goal(stop=None)), Lack.NO_STOP),
        (facts(goal()), Lack.NOT_RESTING),
        (facts(goal(), a_stop(6)), Lack.NOT_RESTING),
        (facts(goal(), a_stop(side=Side.BUY)), Lack.NOT_RESTING),
        (facts(goal(), a_stop(state=S.CANCELED)), Lack.NOT_RESTING),
        (facts(goal(), a_stop(state=S.PENDING_CANCEL)), Lack.NOT_RESTING),
        (facts(goal(0)), Lack.NOT_CLOSING),
        (facts(goal(0), a_stop(6), a_stop(4, S.PENDING_CANCEL)), Lack.NOT_CLOSING),
        (facts(goal(), is_known=False), Lack.UNKNOWN_BARE),
        (facts(goal(0), a_stop(6), is_known=False), Lack.UNKNOWN_BARE),
        (facts(goal(), a_stop(state=S.PENDING_CANCEL), is_known=False), Lack.UNKNOWN_BARE),
        (facts(goal(0), order_in(S.REJECTED, purpose=Purpose.EXIT)), Lack.NOT_CLOSING),
        (facts(goal(can_rest=False, no_rest=NoRest.CANCELLED_HERE)), Lack.CANCELLED),
        (facts(WATCHED), Lack.PRICE_OLD),
        (facts(WATCHED, price=price(16)), Lack.PRICE_OLD),
        (facts(WATCHED, price=price(1), not_sent="it is paused"), Lack.NOT_SENT),
    ],
)
def test_what_is_unprotected_is_named(seen: ProtectionFacts, gap: Lack) -> None:
    """Each with its reason, as something that a user has to be told."""
    protection = protection_of(seen)
    assert (protection.shelter, protection.gap) == (Shelter.UNPROTECTED, gap)
    assert protection.is_alarming and protection.warning.startswith("unprotected: ")


@pytest.mark.parametrize("wanted", [goal(), goal(0), WATCHED])
def test_closed_market_is_shown_and_not_alarmed(wanted: Goal) -> None:
    """Overnight no stop rests, and none could be hit."""
    protection = protection_of(facts(wanted, is_open=False))
    assert (protection.gap, protection.is_alarming) == (Lack.MARKET_CLOSED, False)


@pytest.mark.parametrize(
    "seen",
    [
        facts(goal(), a_stop(), is_known=False),
        facts(goal(0), a_stop(6), a_stop(4), is_known=False),
        facts(goal(), foreign=[a_stop(purpose=Purpose.EXTERNAL)], is_known=False),
        facts(goal(0), order_in(S.SUBMITTED, purpose=Purpose.EXIT), is_known=False),
        facts(goal(), is_known=False, is_open=False),
    ],
)
def test_what_is_disputed_is_not_said_to_be_protected(seen: ProtectionFacts) -> None:
    """Nobody knows what the broker holds, so no stop is known to fit; its own notice asks."""
    protection = protection_of(seen)
    assert (protection.gap, protection.is_alarming) == (Lack.UNKNOWN, False)


def test_cancel_that_is_not_confirmed_is_named() -> None:
    """The stop may be gone, and the exit waits for it: neither counts."""
    seen = facts(goal(0), a_stop(state=S.PENDING_CANCEL))
    assert "the cancel of its stop is not confirmed" in protection_of(seen).how


def test_software_stop_says_what_it_is_worth() -> None:
    """How often it looks, and that it works only while the controller runs."""
    warning = protection_of(facts(WATCHED, price=price(1))).warning
    assert "software stop" in warning and "3 s" in warning and "only while I run" in warning


@pytest.mark.row("R6")
def test_a_close_that_has_just_begun_is_on_its_way() -> None:
    """In the first second of a guard's exit views say so; one that was refused is unprotected."""
    begun = protection_of(facts(goal(0)))
    assert awaited(begun).warning == "its exit is on its way to the broker"
    going = protection_of(facts(goal(0), a_stop(10, S.PENDING_CANCEL)))
    assert awaited(going).warning == "its exit is on its way to the broker"
    refused = protection_of(facts(goal(0), order_in(S.REJECTED, purpose=Purpose.EXIT)))
    assert awaited(refused) == refused
    assert refused.warning == "unprotected: its exit is not at the broker"


@pytest.mark.parametrize(
    ("resting", "not_sent", "warning"),
    [
        (15, "it is paused", "stop too large: for 15 units, 10 held"),
        (15, "", ""),
        (10, "it is paused", ""),
    ],
)
def test_stop_for_more_than_is_held_is_named_while_it_cannot_shrink(
    resting: int, not_sent: str, warning: str
) -> None:
    """Hit, it would open a position; where orders go out, the next turn makes it smaller."""
    found = protection_of(facts(goal(), a_stop(resting), not_sent=not_sent))
    assert found.shelter is Shelter.PROTECTED
    assert found.warning == warning


def an_exit(state: OrderState, **changes: object) -> Order:
    return order_in(
        state, **{"purpose": Purpose.EXIT, "side": Side.SELL, "quantity": 10, **changes}
    )


def theirs(quantity: int = 10, **changes: Any) -> Order:
    return a_stop(quantity, **{"purpose": Purpose.EXTERNAL, **changes})


def test_one_unit_that_is_wanted_is_not_said_to_be_closed() -> None:
    """One unit held and one wanted: the smallest position there is has a stop like any other."""
    one = replace(facts(goal(1)), ledger=replace(LEDGER, quantity=1))
    assert protection_of(one).gap is Lack.NOT_RESTING
    assert protection_of(replace(one, orders=(a_stop(1),))).how.startswith("a stop rests")


@pytest.mark.parametrize(
    "beside",
    [
        an_exit(S.ACCEPTED),
        order_in(S.ACCEPTED, side=Side.SELL, quantity=10, order_type=OrderType.SL_M),
    ],
    ids=["an exit", "an entry"],
)
def test_only_a_stop_counts_as_a_stop(beside: Order) -> None:
    """Another order of ours on the closing side is none, while the position is wanted."""
    assert protection_of(facts(goal(), beside)).gap is Lack.NOT_RESTING


@pytest.mark.parametrize(
    "foreign",
    [
        theirs(order_type=OrderType.LIMIT, trigger_price=None),
        theirs(side=Side.BUY),
        theirs(9),
    ],
    ids=["a target", "the other side", "too small"],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_another_order_of_the_users_protects_nothing(foreign: Order, *, is_known: bool) -> None:
    """A target is above the price, a stop of the other side adds units, and nine of ten are nine."""
    seen = facts(goal(), foreign=[foreign], is_known=is_known)
    assert protection_of(seen).gap is (Lack.NOT_RESTING if is_known else Lack.UNKNOWN_BARE)


def test_our_stop_and_the_users_cover_together() -> None:
    """Six of ours and four of the user's are ten; the user's may be a stop-limit."""
    seen = facts(goal(), a_stop(6), foreign=[theirs(4, order_type=OrderType.SL)])
    assert protection_of(seen).shelter is Shelter.PROTECTED


def test_a_stop_that_rests_for_a_part_says_for_how_much() -> None:
    """The units that are bare, of those that are held; of a dispute those that are covered."""
    bare = protection_of(facts(goal(), a_stop(6)))
    assert bare.how == "its stop is not at the broker for 4 of 10"
    none, part = (
        protection_of(facts(goal(), *stops, is_known=False)).how for stops in ((), (a_stop(6),))
    )
    assert none.endswith(", and no stop rests at the broker")
    assert part.endswith(", and stops rest for 6 of 10")


def test_a_triggered_stop_closes_no_more_than_its_units() -> None:
    """Hit for six of ten, the other four are bare; hit for all, it is being closed to its end."""
    hit = a_stop(6, triggered_at=SENT_AT)
    assert protection_of(facts(goal(), hit)).how == "its stop is not at the broker for 4 of 10"
    going = a_stop(4, S.PENDING_CANCEL, triggered_at=SENT_AT)
    assert protection_of(facts(goal(), hit, going)).shelter is Shelter.CLOSING


def test_an_exit_beside_a_position_that_is_wanted_closes_nothing() -> None:
    """In a dispute an exit counts only where the position is to be closed."""
    going = an_exit(S.SUBMITTED)
    assert protection_of(facts(goal(), going, is_known=False)).gap is Lack.UNKNOWN_BARE
    assert protection_of(facts(goal(0), going, is_known=False)).gap is Lack.UNKNOWN


def test_an_exit_of_unknown_fate_is_not_said_to_be_at_the_broker() -> None:
    """It is being closed all the same; where one of two slices is known to work, that is said."""
    lost = an_exit(S.UNRESOLVED)
    found = protection_of(facts(goal(0), lost))
    assert (found.shelter, found.is_alarming) == (Shelter.CLOSING, False)
    assert found.how == "nobody knows yet whether its exit is at the broker"
    works = an_exit(S.ACCEPTED)
    assert protection_of(facts(goal(0), lost, works)).how == "its exit is at the broker"


def test_why_the_exit_is_not_there_is_what_the_newest_was_told() -> None:
    """The newest refusal, unless nothing may be sent at all: then that, and it is not to come."""
    early = an_exit(S.REJECTED, reason="no margin.")
    late = an_exit(S.REJECTED, reason="blocked.", created_at=SENT_AT + timedelta(seconds=1))
    for orders in ((early, late), (late, early)):
        found = protection_of(facts(goal(0), *orders))
        assert found.how == "its exit is not at the broker: blocked"
        assert not found.is_to_come
    going = a_stop(state=S.PENDING_CANCEL)
    paused = protection_of(facts(goal(0), late, going, not_sent="it is paused"))
    assert paused.how == "its exit is not at the broker: it is paused"
    assert protection_of(facts(goal(0), late, going)).how.endswith("blocked")
    assert not protection_of(facts(goal(0), not_sent="it is paused")).is_to_come


def test_why_an_earlier_position_was_not_closed_says_nothing_of_this_one() -> None:
    """It was entered after that refusal: its own exit is on its way, as after any other close."""
    refused = an_exit(S.REJECTED, reason="no margin.")
    entered = order_in(S.FILLED, filled_quantity=10, created_at=SENT_AT + timedelta(seconds=1))
    found = protection_of(facts(goal(0), refused, entered))
    assert found.how == "its exit is not at the broker"
    assert awaited(found).shelter is Shelter.AWAITED
    again = an_exit(S.REJECTED, reason="blocked.", created_at=SENT_AT + timedelta(seconds=2))
    assert protection_of(facts(goal(0), refused, entered, again)).how.endswith(": blocked")


def test_what_an_exit_has_left_is_closed_by_the_next() -> None:
    """One slice has filled and the next is not sent yet: it is on its way."""
    filled = an_exit(S.FILLED, filled_quantity=10)
    assert awaited(protection_of(facts(goal(0), filled))).shelter is Shelter.AWAITED


def test_a_stop_of_prices_before_a_split_is_named_so() -> None:
    """It is not put back by itself, whether its instrument trades or not."""
    rebased = goal(no_rest=NoRest.REBASED, no_rest_reason="there was a split")
    for is_open in (True, False):
        found = protection_of(facts(rebased, is_open=is_open))
        assert (found.gap, found.how) == (Lack.REBASED, "there was a split")


@pytest.mark.parametrize(
    ("states", "is_to_come"),
    [
        ((S.SUBMITTED,), True),
        ((S.UNRESOLVED,), False),
        ((S.SUBMITTED, S.UNRESOLVED), False),
        ((S.UNRESOLVED, S.REJECTED), False),
    ],
)
def test_a_stop_of_unknown_fate_is_awaited_only_until_it_is_answered(
    states: tuple[OrderState, ...], *, is_to_come: bool
) -> None:
    """Sent a moment ago it is on its way; once nobody knows, it is unprotected and said so."""
    found = protection_of(facts(goal(), *(a_stop(5, state) for state in states)))
    assert found.how == "nobody knows whether its stop is at the broker"
    assert (found.gap, found.is_to_come) == (Lack.NOT_RESTING, is_to_come)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_stop_whose_cancel_is_on_its_way_covers_nothing(*, is_known: bool) -> None:
    """Neither beside the user's own stop nor in a dispute, however many units it has left."""
    going = a_stop(state=S.PENDING_CANCEL)
    seen = facts(goal(), going, foreign=[theirs(4)], is_known=is_known)
    assert protection_of(seen).gap is (Lack.NOT_RESTING if is_known else Lack.UNKNOWN_BARE)


def test_an_entry_of_unknown_fate_says_nothing_of_the_stop() -> None:
    """Only a stop that nobody knows of keeps the chat from saying that there is none."""
    found = protection_of(facts(goal(), order_in(S.UNRESOLVED)))
    assert (found.how, found.is_to_come) == ("its stop is not at the broker", True)
    held_up = protection_of(facts(goal(), not_sent="it is paused"))
    assert (held_up.how, held_up.is_to_come) == (
        "its stop is not at the broker: it is paused",
        False,
    )
    assert protection_of(facts(goal(), a_stop())).how.endswith("at ₹800.00")


def test_a_stop_of_the_users_is_for_the_users_own_units_first() -> None:
    """Ten of the strategy's beside ten or four of the user's own, and a stop of the user's for ten."""
    for outside in (10, 4):
        bare = protection_of(facts(goal(stop=None), foreign=[theirs()], outside=outside))
        assert bare.gap is Lack.NO_STOP
        disputed = facts(goal(), foreign=[theirs()], outside=outside, is_known=False)
        assert protection_of(disputed).gap is Lack.UNKNOWN_BARE
    both = protection_of(facts(goal(), foreign=[theirs(14)], outside=4))
    assert both.shelter is Shelter.PROTECTED


def test_a_stop_of_the_users_covers_one_of_two_strategies_only() -> None:
    """Nobody can say whose units it would close: where it is too small for both, both are named."""
    assert protection_of(facts(goal(), foreign=[theirs()], bare=1)).gap is Lack.NOT_RESTING
    assert protection_of(facts(goal(), foreign=[theirs(11)], bare=1)).shelter is Shelter.PROTECTED
    part = facts(goal(), a_stop(6), foreign=[theirs(5)], bare=1)
    assert protection_of(part).shelter is Shelter.PROTECTED


def test_what_is_bare_is_what_no_order_of_the_ledger_would_close() -> None:
    """A stop and an exit of it count, of unknown fate too; an entry and what has ended do not."""
    assert bare_units(LEDGER, ()) == 10
    assert bare_units(LEDGER, [a_stop(3), an_exit(S.UNRESOLVED, quantity=4)]) == 3
    assert bare_units(LEDGER, [a_stop(15)]) == 0
    ended = [a_stop(state=S.CANCELED), an_exit(S.HELD), a_stop(side=Side.BUY)]
    entry = order_in(S.ACCEPTED, side=Side.SELL, quantity=10)
    assert bare_units(LEDGER, [*ended, entry]) == 10
    short = replace(LEDGER, quantity=-10)
    assert bare_units(short, [a_stop(4), a_stop(7, side=Side.BUY)]) == 3


@pytest.mark.row("R8")
def test_a_price_is_not_watched_where_the_users_own_order_holds_the_exit_back() -> None:
    """Hit, its exit would be denied: a target of the user's closes the same units."""
    target = theirs(order_type=OrderType.LIMIT, trigger_price=None)
    found = protection_of(facts(WATCHED, price=price(1), foreign=[target]))
    assert (found.gap, found.is_software) == (Lack.NOT_SENT, False)
    assert "watched here, but your own Sell 10 NSE:SBIN rests at the broker" in found.how
    assert protection_of(facts(WATCHED, price=price(1), foreign=[target], bare=10)) == found
    paused = facts(WATCHED, price=price(1), foreign=[target], not_sent="it is paused")
    assert protection_of(paused).how.endswith("it is paused")
    for free in (
        facts(WATCHED, price=price(1), foreign=[target], outside=10),
        facts(WATCHED, price=price(1), foreign=[theirs(side=Side.BUY)]),
    ):
        assert protection_of(free).is_software


@pytest.mark.row("R8")
def test_an_exit_that_waits_for_the_users_own_order_is_not_on_its_way() -> None:
    """It is not sent until that is gone, and the position is named meanwhile."""
    target = theirs(order_type=OrderType.LIMIT, trigger_price=None)
    found = protection_of(facts(goal(0), foreign=[target]))
    assert awaited(found) == found
    assert found.how.startswith("its exit is not at the broker: your own Sell 10 NSE:SBIN rests")
    assert protection_of(facts(goal(0), foreign=[target], outside=10)).is_to_come
