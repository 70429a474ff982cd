"""An order that fills in parts, as its card and the list of orders show it (E1)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.lines import order_line
from bot.views.runs import run_card
from core.domain.order import OrderState
from tests.fakes.views import a_run, an_account, an_order

pytestmark = pytest.mark.row("E1")
S = OrderState


@pytest.mark.parametrize(
    ("state", "filled", "words"),
    [
        (S.ACCEPTED, 0, ["Buying 10"]),
        (S.PARTIALLY_FILLED, 4, ["Buying 10", "4 filled"]),
        (S.PENDING_CANCEL, 0, ["Buy 10", "cancel asked"]),
        (S.PENDING_CANCEL, 4, ["Buying 10", "4 filled", "cancel asked"]),
        (S.PENDING_UPDATE, 4, ["Buying 10", "4 filled", "change asked"]),
        (S.UNRESOLVED, 4, ["Buying 10", "4 filled", "not known yet"]),
        (S.CANCELED, 4, ["Bought 4 of 10", "₹812.35", "rest cancelled"]),
        (S.EXPIRED, 4, ["Bought 4 of 10", "₹812.35", "rest expired"]),
        (S.FILLED, 10, ["Bought 10", "₹812.35"]),
    ],
)
def test_what_has_filled_is_shown_as_it_goes(
    state: OrderState, filled: int, words: list[str]
) -> None:
    """How many of how many, at what price once that is all, and what became of the rest.

    A cancel, a change or an answer that is awaited hides nothing of it.
    """
    price = Decimal("812.35") if filled else Decimal(0)
    order = an_order(an_account(), state=state, filled_quantity=filled, average_price=price)
    for text in (order_line(order), run_card(a_run(order), "Crossover").text):
        assert [word for word in words if word not in text] == []
    assert ("rest" in order_line(order)) == (0 < filled < 10 and state in {S.CANCELED, S.EXPIRED})
