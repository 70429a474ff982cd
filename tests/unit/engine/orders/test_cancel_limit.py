"""A broker that refuses a cancel is asked for the state, and not over and over (case B05)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from core.domain.notices.orders import CancelRefused
from core.domain.order import Purpose
from core.domain.outcome import Acked, Ambiguous, Refusal, Refused, WriteOutcome
from core.engine.orders.executor import ExecutorSettings
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.matrix("B05")
LIMIT, FORGET_S = ExecutorSettings().cancel_limit, ExecutorSettings().cancel_forget_s
REFUSED = Refused(Refusal.REJECTED, "cannot be cancelled as it is being processed")


class Stubborn:
    """Cancels nothing, whatever it answers; notes when each was asked for."""

    def __init__(self, desk: Desk, outcome: WriteOutcome = REFUSED) -> None:
        self._desk = desk
        self._outcome = outcome
        self.asked: list[float] = []
        desk.at.cancel = self._refuse  # type: ignore[assignment,method-assign]

    async def _refuse(self, _broker_order_id: str) -> WriteOutcome:
        self.asked.append(self._desk.clock.monotonic())
        return self._outcome


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests, which is to make way for an exit."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    return desk


async def stuck_notices(desk: Desk) -> int:
    return len(await desk.engine.notices(CancelRefused))


async def test_cancel_that_is_refused_is_given_up_and_told_once(desk: Desk) -> None:
    """Three times, each after a read that shows it at work; then a person looks, and no exit goes."""
    broker = Stubborn(desk)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(100, apart_s=1)
    assert len(broker.asked) == LIMIT == 3
    assert all(b - a > 5 for a, b in pairwise(broker.asked))
    assert await stuck_notices(desk) == 1
    assert await desk.orders(Purpose.EXIT) == []
    assert (await desk.units(), await desk.states(Purpose.STOP)) == (10, ["ACCEPTED"])


@pytest.mark.parametrize("outcome", [Acked("b"), Ambiguous("no answer")], ids=["taken", "unknown"])
async def test_cancel_that_has_no_effect_is_asked_for_more_and_more_seldom(
    desk: Desk, outcome: WriteOutcome
) -> None:
    """Each costs of the day's allowance; the exit goes when the broker does it at last."""
    cancel, broker = desk.at.cancel, Stubborn(desk, outcome)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(300, apart_s=2)
    gaps = [round(b - a) for a, b in pairwise(broker.asked)]
    assert 8 <= len(gaps) <= 14
    assert gaps == sorted(gaps) and gaps[0] < 10 and 60 <= gaps[-1] < 70
    assert await desk.orders(Purpose.EXIT) == []
    desk.at.cancel = cancel  # type: ignore[method-assign]
    await desk.turns(40, apart_s=2)
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_cancel_is_tried_again_when_its_refusals_are_long_past(desk: Desk) -> None:
    """As often as before, and without a second notice; taken at last, the exit goes."""
    cancel = desk.at.cancel
    broker = Stubborn(desk)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(100, apart_s=1)
    first = len(broker.asked)
    await desk.clock.advance(FORGET_S)
    await desk.turns(100, apart_s=1)
    assert len(broker.asked) == first + LIMIT
    assert await stuck_notices(desk) == 1
    desk.at.cancel = cancel  # type: ignore[method-assign]
    await desk.clock.advance(FORGET_S)
    await desk.turns(30, apart_s=1)
    assert (await desk.units(), desk.at.resting()) == (0, [])
