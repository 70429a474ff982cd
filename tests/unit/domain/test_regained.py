"""Whose stop an order is that a restored journal lacks: what its tag proves, and no more (D04)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.goal import Goal
from core.domain.identifiers import client_order_id
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.regained import attempt_of_stop, why_it_waits
from tests.fakes.orders import ACCOUNT, DAY, SBIN, order_in, shown

pytestmark = pytest.mark.matrix("D04")

LEDGER = Ledger("orb", ACCOUNT, SBIN, Product.NRML, 50)
GOAL = Goal(
    LEDGER.key, "orb", ACCOUNT, SBIN, Product.NRML, 50, Decimal(800), "orb|2026-01-05T10:00"
)


def tag_of(run_id: str, attempt: int = 1, strategy: str = "orb") -> str:
    return client_order_id(ACCOUNT, strategy, f"{DAY}|{run_id}", f"{SBIN}|NRML|stop", attempt)


STOP = shown(
    tag=tag_of(GOAL.run_id),
    side=Side.SELL,
    quantity=50,
    product=Product.NRML,
    order_type=OrderType.SL_M,
    trigger_price=Decimal(790),
)


@pytest.mark.parametrize(
    ("tag", "attempt"),
    [
        (tag_of(GOAL.run_id), 1),
        (tag_of(GOAL.run_id, 7), 7),
        (tag_of(f"orb|{DAY}T09:35", 2), 2),
        (tag_of(f"orb|{DAY}T14:55|{ACCOUNT}"), 1),
        (tag_of(GOAL.run_id, strategy="other"), None),
        (tag_of("close1"), None),
    ],
)
def test_tag_proves_whose_stop_it_is(tag: str, attempt: int | None) -> None:
    """By the run of the backup's goal or by a slot of the day; another strategy's is not ours."""
    assert attempt_of_stop(replace(STOP, tag=tag), GOAL, LEDGER, (), DAY) == attempt


def test_stop_for_more_than_the_ledger_lacks_is_not_taken() -> None:
    """It would be made smaller, and what was bought since the backup lose its protection."""
    resting = order_in(
        OrderState.ACCEPTED, purpose=Purpose.STOP, side=Side.SELL, quantity=1, product=Product.NRML
    )
    assert attempt_of_stop(STOP, GOAL, replace(LEDGER, quantity=49), (), DAY) is None
    assert attempt_of_stop(STOP, GOAL, LEDGER, (resting,), DAY) is None
    assert attempt_of_stop(STOP, GOAL, replace(LEDGER, quantity=-50), (), DAY) is None


def test_exit_that_waits_says_for_whom() -> None:
    """The user's own order, one that Saarthi sent before the restore, or both."""
    ours = order_in(OrderState.ACCEPTED, strategy="external")
    theirs = order_in(OrderState.ACCEPTED, strategy="external", client_order_id="X|1")
    assert why_it_waits([theirs], "Sell 1 A").startswith("your own Sell 1 A rests")
    said = "an order that Saarthi sent before the restore, Sell 1 A rests"
    assert why_it_waits([ours], "Sell 1 A").startswith(said)
    assert "of yours and" in why_it_waits([ours, theirs], "Sell 2 A")
