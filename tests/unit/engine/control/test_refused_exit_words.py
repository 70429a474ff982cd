"""A refused exit says what follows it: the position is open, whatever the refusal sounds like."""

from __future__ import annotations

import pytest

from core.domain.order import Order, OrderState, Purpose
from core.domain.outcome import Cause
from core.engine.control.projections import order_view
from tests.fakes.clock import ManualClock
from tests.fakes.orders import order_in
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("R3", "E1")
EXIT = order_in(OrderState.REJECTED, purpose=Purpose.EXIT, reason="no")
IN_PARTS = "The position is open until I have closed it in orders of {}, which follow now."


def with_cause(largest: int | None) -> Order:
    return order_in(
        OrderState.REJECTED, purpose=Purpose.EXIT, cause=Cause.FREEZE, largest=largest, reason="no"
    )


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (EXIT, "The position is still open; I try again."),
        (with_cause(100), IN_PARTS.format("at most 100")),
        (with_cause(None), IN_PARTS.format("fewer units")),
        (order_in(OrderState.FILLED, purpose=Purpose.EXIT), ""),
        (order_in(OrderState.REJECTED, purpose=Purpose.ENTRY), ""),
    ],
)
def test_refused_exit_says_what_follows(order: Order, expected: str) -> None:
    """Tried again, or in smaller orders; an entry is not repeated, so nothing follows it (s2)."""
    assert order_view(ManualClock(), an_account(), order).sequel == expected
    assert order_view(ManualClock(), "a disconnected account", order).sequel == ""
