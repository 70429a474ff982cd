"""Which ends of a stop keep the next one away, and which say nothing of it (rows D9, R7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Cause
from core.domain.steps import GiveUpStop, PlaceStop, Step, StopGone, StopPassed
from core.domain.stops import MAKES_WAY, protect
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R7", "D9")
S = OrderState
STOP = Decimal(800)
GOAL = Goal("key", "orb", ACCOUNT, SBIN, Product.MIS, 15, STOP, "orb|run")


def ended(state: OrderState, **fields: object) -> Order:
    """Return a stop for 15 of this goal that has ended so."""
    given = {"run_id": GOAL.run_id, "broker_order_id": "b", **fields}
    return order_in(
        state,
        quantity=15,
        purpose=Purpose.STOP,
        side=Side.SELL,
        order_type=OrderType.SL_M,
        trigger_price=STOP,
        created_at=SENT_AT,
        settled_at=SENT_AT + timedelta(seconds=60),
        **given,
    )


def after(*stops: Order, limit: int | None = None) -> Step:
    now = SENT_AT + timedelta(minutes=10)
    return protect(GOAL, 15, stops, wait=None, now=now, chase_s=15, limit=limit)


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(ended(S.CANCELED, cancel_reason=MAKES_WAY), id="ours made way"),
        pytest.param(ended(S.CANCELED, broker_order_id=None), id="never at the broker"),
        pytest.param(ended(S.CANCELED, run_id="orb|before"), id="a person, before this run"),
        pytest.param(ended(S.REJECTED, run_id="orb|before", reason="no"), id="another's refusal"),
        pytest.param(ended(S.REJECTED, cause=Cause.CLOSED, reason="closed"), id="market closed"),
        pytest.param(ended(S.FILLED, filled_quantity=15), id="filled, and entered again"),
    ],
)
def test_the_next_stop_goes_out(stop: Order) -> None:
    """None of these says that this position is to be without one."""
    step = after(stop)
    assert isinstance(step, PlaceStop) and step.quantity == 15


def test_what_a_person_has_cancelled_is_asked_about() -> None:
    """In this very run: it is not fought over."""
    step = after(ended(S.CANCELED))
    assert isinstance(step, StopGone) and step.by_person


def test_a_refusal_that_lasts_is_watched_here() -> None:
    """It would be refused again."""
    assert isinstance(after(ended(S.REJECTED, reason="SL-M is not allowed here")), GiveUpStop)


@pytest.mark.parametrize(
    "fields",
    [
        {"cause": Cause.TRIGGER, "reason": "rejected"},
        {"reason": "Trigger price for stoploss sell orders should be lower than the last price"},
    ],
)
def test_a_price_that_is_through_the_stop_closes_at_once(fields: dict[str, object]) -> None:
    """By the adapter's cause, or by the broker's words."""
    assert isinstance(after(ended(S.REJECTED, **fields)), StopPassed)


@pytest.mark.row("R3")
def test_a_stop_above_the_freeze_quantity_comes_in_slices() -> None:
    """Of what was refused as too large a smaller one goes; the same size is not sent again."""
    stop = ended(S.REJECTED, cause=Cause.FREEZE, reason="quantity freeze")
    step = after(stop, limit=7)
    assert isinstance(step, PlaceStop) and step.quantity == 7
    assert isinstance(after(stop), GiveUpStop)


def test_the_newest_end_counts() -> None:
    """A refusal after a stop that made way, and not the one that came first."""
    first = ended(S.CANCELED, cancel_reason=MAKES_WAY)
    refused = replace(
        ended(S.REJECTED, reason="not allowed"), created_at=SENT_AT + timedelta(seconds=70)
    )
    assert isinstance(after(refused, first), GiveUpStop)


def test_a_price_that_was_set_anew_is_asked_for_anew() -> None:
    """What was refused before says nothing of it; what a person took away stays away."""
    anew = replace(GOAL, stop_set_at=SENT_AT + timedelta(seconds=90))
    now = SENT_AT + timedelta(minutes=10)
    refused = ended(S.REJECTED, reason="not allowed")
    assert isinstance(protect(anew, 15, [refused], wait=None, now=now, chase_s=15), PlaceStop)
    taken = protect(anew, 15, [ended(S.CANCELED)], wait=None, now=now, chase_s=15)
    assert isinstance(taken, StopGone)
    put_back = replace(anew, may_rest_since=anew.stop_set_at)
    step = protect(put_back, 15, [ended(S.CANCELED)], wait=None, now=now, chase_s=15)
    assert isinstance(step, PlaceStop)


def test_only_a_stop_that_a_person_moved_and_that_works_leads_the_next() -> None:
    """One of ours at the price of before does not, nor does one that has ended."""
    moved = replace(GOAL, stop_price=STOP - 10)
    now = SENT_AT + timedelta(minutes=10)
    rests = order_in(
        S.ACCEPTED,
        quantity=10,
        purpose=Purpose.STOP,
        side=Side.SELL,
        order_type=OrderType.SL_M,
        trigger_price=STOP,
        broker_order_id="b",
    )
    over = ended(S.FILLED, filled_quantity=15, is_changed_outside=True)
    step = protect(moved, 15, [over, rests], wait=None, now=now, chase_s=15)
    assert isinstance(step, PlaceStop)
    assert (step.quantity, step.trigger_price) == (5, STOP - 10)
