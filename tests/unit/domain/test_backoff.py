"""Pauses after exits that came to nothing, and how long one may rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.backoff import RESTED, chase_at, retry_at
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Cause

pytestmark = pytest.mark.row("R3")

NOW = datetime(2026, 11, 23, 5, tzinfo=UTC)
SBIN = InstrumentId("NSE", "SBIN")


def an_exit(number: int, state: OrderState, units: int = 10, **fields: object) -> Order:
    request = OrderRequest(f"id{number}", SBIN, Side.SELL, units, OrderType.MARKET, Product.MIS)
    at = NOW + timedelta(seconds=number)
    order = Order(
        request, "zerodha_a", "trend", "run", Purpose.EXIT, state, "2026-11-23", at, number
    )
    return replace(order, **{"settled_at": at} | fields)  # type: ignore[arg-type]


def pause_after(*orders: Order, limit: int | None = None) -> float | None:
    last = orders[-1].settled_at or NOW
    due = retry_at(orders, limit, last)
    return None if due is None else (due - last).total_seconds()


def test_pauses_grow_and_never_end():
    """Refused again and again an exit waits longer, up to a minute, and is not given up."""
    refused = [an_exit(number, OrderState.REJECTED) for number in range(1, 30)]
    seen = [pause_after(*refused[:count]) for count in range(1, 9)]
    assert seen == [2, 5, 10, 20, 30, 60, 60, 60]
    assert pause_after(*refused) == 60


def test_an_exit_that_somebody_else_cancels_counts_as_refused():
    """An exchange that cancels each at once would else be sent two in a second, all day."""
    taken = [an_exit(number, OrderState.CANCELED) for number in range(1, 30)]
    assert [pause_after(*taken[:count]) for count in range(1, 8)] == [2, 5, 10, 20, 30, 60, 60]
    stop = an_exit(1, OrderState.CANCELED, purpose=Purpose.STOP)
    assert pause_after(stop) is None


@pytest.mark.parametrize(
    "end",
    [
        an_exit(9, OrderState.CANCELED, cancel_reason=RESTED),
        an_exit(9, OrderState.CANCELED, filled_quantity=3),
        an_exit(9, OrderState.FILLED, filled_quantity=10),
        an_exit(9, OrderState.REJECTED, filled_quantity=3),
    ],
)
def test_a_fill_or_a_chase_ends_the_series(end: Order):
    """Something got through, or rested: the next goes at once."""
    assert pause_after(an_exit(1, OrderState.REJECTED), end) is None


def test_a_refusal_for_the_freeze_is_answered_by_slices():
    """It costs no pause while smaller orders are left to try; at the smallest it does."""
    refused = an_exit(1, OrderState.REJECTED, 120, cause=Cause.FREEZE)
    assert pause_after(refused, limit=100) is None
    assert pause_after(refused, limit=120) == 2
    assert pause_after(refused) == 2


def test_an_exit_that_rests_is_chased_twice_and_then_keeps_its_place():
    """Two chases of 15 s, then 30, 60 and 120: at a circuit limit its place in the queue counts."""
    exits: list[Order] = []
    seen = []
    for number in range(1, 8):
        working = an_exit(number, OrderState.ACCEPTED, settled_at=None)
        due = chase_at(working, [*exits, working], 15)
        seen.append((due - working.created_at).total_seconds())
        exits.append(an_exit(number, OrderState.CANCELED, cancel_reason=RESTED))
    assert seen == [15, 15, 30, 60, 120, 120, 120]


def test_a_fill_makes_it_chase_as_at_first():
    """The market trades again; an exit of another decision has nothing to do with it."""
    rested = [an_exit(n, OrderState.CANCELED, cancel_reason=RESTED) for n in range(1, 6)]
    working = an_exit(9, OrderState.ACCEPTED)
    filled = an_exit(7, OrderState.CANCELED, cancel_reason=RESTED, filled_quantity=4)
    assert (chase_at(working, [*rested, filled, working], 15) - working.created_at).seconds == 15
    other = replace(working, run_id="another")
    assert (chase_at(other, [*rested, other], 15) - other.created_at).seconds == 15


def slices_of(first: int, starts_s: float, ends_s: float, state: OrderState) -> list[Order]:
    """Return five slices that are sent within a second and end within another."""
    return [
        an_exit(
            first + number,
            state,
            created_at=NOW + timedelta(seconds=starts_s + number / 5),
            settled_at=NOW + timedelta(seconds=ends_s + number / 5),
        )
        for number in range(5)
    ]


def test_slices_that_are_refused_together_are_one_failure():
    """Five slices that the broker took and rejected later are one try: two seconds, then five."""
    first = slices_of(1, 0, 3, OrderState.REJECTED)
    assert pause_after(*first) == 2
    assert pause_after(*first, *slices_of(6, 6, 9, OrderState.REJECTED)) == 5


def test_the_pause_begins_when_the_last_slice_has_ended():
    """The slice that was sent first may be the last that the broker rejects."""
    slow = an_exit(1, OrderState.REJECTED, settled_at=NOW + timedelta(seconds=30))
    quick = an_exit(2, OrderState.REJECTED)
    assert retry_at([slow, quick], None, NOW + timedelta(seconds=30)) == NOW + timedelta(seconds=32)


def test_slices_that_rested_together_rested_once():
    """The next round is chased after 15 s as well, and the third after 30, slice by slice."""
    exits: list[Order] = []
    seen = []
    starts_s = 0.0
    for number in range(5):
        working = slices_of(number * 5, starts_s, 0, OrderState.ACCEPTED)
        ended: list[Order] = []
        for order in working:
            due = chase_at(order, [*exits, *ended, *working[len(ended) :]], 15)
            seen.append((due - order.created_at).total_seconds())
            ended.append(
                replace(order, state=OrderState.CANCELED, cancel_reason=RESTED, settled_at=due)
            )
        exits += ended
        # The first slice goes anew while the last of the round before still rests.
        starts_s += seen[-1] + 0.1
    assert seen == [15] * 10 + [30] * 5 + [60] * 5 + [120] * 5
