"""What protects a ledger, what closes it, and why nothing does, by values."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

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
    return order_in(state, quantity=quantity, trigger_price=STOP, **{**terms, **changes})


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
