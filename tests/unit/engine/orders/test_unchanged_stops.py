"""A stop for more than is held does not stay, whatever comes of its change (R6, I6)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.order import Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from tests.fakes.desk import Desk, a_desk

pytestmark = [pytest.mark.row("R6", "D9"), pytest.mark.invariant("I6")]
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    return desk


def resting(desk: Desk) -> list[tuple[int, Decimal | None]]:
    return [(one.quantity, one.trigger_price) for one in desk.at.resting()]


@pytest.mark.parametrize(
    "first",
    [NotSent("no connection"), Refused(Refusal.THROTTLED, "slow down", 1.0), Ambiguous("broke")],
)
async def test_cancel_that_comes_to_nothing_is_tried_again(desk: Desk, first: WriteOutcome) -> None:
    """Four were sold by hand, the broker changes no order, and does not take the first cancel."""
    cancel, outcomes = desk.at.cancel, [first]

    async def not_at_first(broker_order_id: str) -> WriteOutcome:
        return outcomes.pop() if outcomes else await cancel(broker_order_id)

    desk.at.cancel = not_at_first  # type: ignore[method-assign]
    desk.at.changes = False
    desk.at.by_hand(Side.SELL, 4)
    await desk.turns(20, apart_s=1)
    assert outcomes == []
    assert resting(desk) == [(6, STOP)]
    assert await desk.units() == 6


@pytest.mark.parametrize("outcome", [Ambiguous("no answer"), Acked("b")], ids=["unknown", "taken"])
async def test_change_that_is_never_made_ends_in_a_cancel(
    desk: Desk, outcome: WriteOutcome
) -> None:
    """Each time the broker shows that nothing came of it; after three it is placed anew."""
    asked = 0

    async def lost(_broker_order_id: str, _order: object) -> WriteOutcome:
        nonlocal asked
        asked += 1
        return outcome

    desk.at.modify = lost  # type: ignore[assignment,method-assign]
    desk.at.by_hand(Side.SELL, 4)
    await desk.turns(150, apart_s=2)
    assert asked == 3
    assert resting(desk) == [(6, STOP)]
