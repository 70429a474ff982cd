"""What a rejected order says about the next entry like it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Cause
from core.domain.rejection import refused_before

pytestmark = pytest.mark.row("R3")

NOW = datetime(2026, 11, 23, 5, tzinfo=UTC)
REQUEST = OrderRequest(
    "id", InstrumentId("NSE", "SBIN"), Side.BUY, 10, OrderType.MARKET, Product.MIS
)
ORDER = Order(
    REQUEST, "zerodha_a", "trend", "run", Purpose.ENTRY, OrderState.REJECTED, "2026-11-23", NOW
)


def is_refused(
    cause: Cause | None,
    *,
    product: Product = Product.MIS,
    side: Side = Side.BUY,
    units: int = 10,
    after: timedelta = timedelta(minutes=1),
    **changes: object,
) -> bool:
    order = replace(ORDER, cause=cause, settled_at=NOW, **changes)  # type: ignore[arg-type]
    return refused_before([order], product, side, units, NOW + after) is not None


HOURS = timedelta(hours=5)


@pytest.mark.parametrize("after", [timedelta(seconds=1), HOURS])
def test_a_blocked_product_is_not_tried_again_that_day(after: timedelta):
    """Blocked intraday holds for both sides and any size, not for another product."""
    assert is_refused(Cause.PRODUCT, after=after)
    assert is_refused(Cause.PRODUCT, side=Side.SELL, units=0, after=after)
    assert not is_refused(Cause.PRODUCT, product=Product.NRML, after=after)


def test_a_banned_instrument_is_not_tried_again_that_day():
    """A ban holds for every product and side."""
    assert is_refused(Cause.INSTRUMENT, product=Product.NRML, side=Side.SELL, after=HOURS)


def test_a_margin_refusal_holds_for_the_same_size_and_a_while():
    """What could not be paid a moment ago cannot be now; fewer units, or later, may be."""
    assert is_refused(Cause.MARGIN)
    assert is_refused(Cause.MARGIN, units=11)
    assert not is_refused(Cause.MARGIN, units=9)
    assert not is_refused(Cause.MARGIN, units=0)
    assert not is_refused(Cause.MARGIN, side=Side.SELL)
    assert not is_refused(Cause.MARGIN, after=timedelta(minutes=15))


@pytest.mark.parametrize(
    "cause", [None, Cause.OTHER, Cause.FREEZE, Cause.CLOSED, Cause.TRIGGER, Cause.BAND]
)
def test_other_refusals_say_nothing_of_the_next(cause: Cause | None):
    """Words that are not known, and causes that end or are answered otherwise, deny nothing."""
    assert not is_refused(cause)


def test_only_rejected_entries_of_ours_count():
    """Another end of an order, or a refusal of an order placed outside, is no memory."""
    assert not is_refused(Cause.PRODUCT, state=OrderState.CANCELED)
    assert not is_refused(Cause.PRODUCT, purpose=Purpose.EXTERNAL)


@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.EXIT])
@pytest.mark.parametrize("cause", [Cause.INSTRUMENT, Cause.PRODUCT, Cause.HOLDING, Cause.MARGIN])
def test_a_refused_stop_or_exit_bans_no_entry(purpose: Purpose, cause: Cause):
    """An order type that the instrument does not take as a stop says nothing of an entry."""
    assert not is_refused(cause, purpose=purpose)
