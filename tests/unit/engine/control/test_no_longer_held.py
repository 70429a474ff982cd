"""What a run opened and other orders have closed (rows E1, R6)."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderState, Purpose, Side
from core.engine.control.run_results import no_longer_held
from tests.fakes.orders import ACCOUNT, SBIN, order_in

pytestmark = [pytest.mark.row("E1"), pytest.mark.row("R6")]


def filled(purpose: Purpose, side: Side, units: int, **changes: Any) -> Order:
    """Return an order of the run that has filled so many units of a hundred."""
    given = {"purpose": purpose, "side": side, "quantity": 100, "filled_quantity": units}
    return order_in(OrderState.FILLED, **given, **changes)


def held(units: int) -> list[Ledger]:
    return [Ledger("orb", ACCOUNT, SBIN, Product.MIS, units)]


ENTRY = filled(Purpose.ENTRY, Side.BUY, 100)


def test_what_is_flat_and_was_closed_by_no_order_of_the_run_is_gone() -> None:
    """Nothing is held, or the other side; no ledger at all says the same."""
    for ledgers in (held(0), held(-100), []):
        assert no_longer_held([ENTRY], ledgers) == (SBIN,)
    part = filled(Purpose.STOP, Side.SELL, 40)
    assert no_longer_held([part, ENTRY], held(0)) == (SBIN,)


def test_what_is_held_or_was_closed_by_the_run_is_not() -> None:
    """Its exit or its stop stands on the card, and says so itself."""
    assert no_longer_held([ENTRY], held(100)) == ()
    assert no_longer_held([filled(Purpose.ENTRY, Side.BUY, 0)], held(0)) == ()
    for purpose in (Purpose.EXIT, Purpose.STOP):
        assert no_longer_held([filled(purpose, Side.SELL, 100), ENTRY], held(0)) == ()


def test_exit_of_a_reversal_closes_nothing_of_its_entry() -> None:
    """Both sell; the short that it opened is held no more, the long of before was another run's."""
    short = [filled(Purpose.EXIT, Side.SELL, 100), filled(Purpose.ENTRY, Side.SELL, 100)]
    assert no_longer_held(short, held(-100)) == ()
    assert no_longer_held(short, held(0)) == (SBIN,)
