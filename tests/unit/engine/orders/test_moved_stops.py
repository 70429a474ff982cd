"""A stop that moves is no other one: whoever took it away decides whether it comes back (R7)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerStatus
from core.domain.notices.accounts import SoftwareStop
from core.domain.notices.protection import StopCancelled
from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import NotSent, Refusal, Refused, WriteOutcome
from core.engine.orders.goals import retarget_goal
from core.errors import UserError
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R7")
STOP, MOVED = Decimal("800.00"), Decimal("803.00")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    await desk.clock.advance(60)
    return desk


def resting(desk: Desk) -> list[tuple[int, Decimal | None]]:
    return [(one.quantity, one.trigger_price) for one in desk.at.resting()]


def taken_away(desk: Desk, message: str = "") -> None:
    """End what rests at the broker: a person does, or the broker, which says so."""
    for one in desk.at.resting():
        desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED, message=message)


async def move(desk: Desk, price: Decimal = MOVED) -> None:
    """Let a later slot of the strategy move its stop."""
    day, at = (await desk.goal()).day, desk.clock.now()
    assert await retarget_goal(desk.engine.store, desk.key, stop_price=price, day=day, at=at)


def before_it_is_left(desk: Desk, act: Callable[[], Awaitable[object]]) -> None:
    """Do something just before it is written that a stop is not to be placed again."""
    transaction, is_done = desk.engine.store.transaction, False

    async def later(body: Callable[[Any], Awaitable[object]], *, nonce: str) -> object:
        nonlocal is_done
        if nonce.startswith("soft:") and not is_done:
            is_done = True
            await act()
        return await transaction(body, nonce=nonce)

    desk.engine.store.transaction = later  # type: ignore[assignment,method-assign]


async def is_asked_about(desk: Desk) -> bool:
    """Whether nothing rests, one notice asks about it, and the stop can be put back."""
    told = await desk.engine.notices(StopCancelled)
    absent = await desk.engine.control.stops.absent(desk.broker_id)
    return (resting(desk), len(told), len(absent)) == ([], 1, 1)


@pytest.mark.parametrize("moment", ["long before", "before it is seen", "as it is left"])
async def test_moved_stop_that_a_person_cancels_is_not_fought_over(desk: Desk, moment: str) -> None:
    """Whenever the strategy moved it; and the button puts it back where it is wanted now."""
    if moment == "long before":
        await move(desk)
        await desk.turns(3, apart_s=20)
        assert resting(desk) == [(10, MOVED)]
    taken_away(desk)
    if moment == "before it is seen":
        await move(desk)
    if moment == "as it is left":
        before_it_is_left(desk, lambda: move(desk))
    await desk.turns(5, apart_s=1)
    assert await is_asked_about(desk)
    await move(desk, Decimal(804))
    await desk.turns(5, apart_s=1)
    assert await is_asked_about(desk)
    (key,) = await desk.engine.control.stops.absent(desk.broker_id)
    await desk.engine.control.stops.put_back(desk.engine.command(), desk.broker_id, key)
    await desk.turns(3)
    assert resting(desk) == [(10, Decimal(804))]
    taken_away(desk)
    await desk.turns(5, apart_s=1)
    assert resting(desk) == [] and len(await desk.engine.notices(StopCancelled)) == 2


async def test_stop_that_moves_between_its_end_and_the_answer_to_it_stays_away(
    desk: Desk,
) -> None:
    """The move comes after the end was seen, and before anything is done about it."""
    taken_away(desk)
    await desk.worker.refresh()
    await desk.clock.advance(1)
    await move(desk)
    await desk.turns(5, apart_s=1)
    assert await is_asked_about(desk)


async def test_moved_stop_that_the_broker_cancels_is_put_back_once(desk: Desk) -> None:
    """Once for a price, however it got there."""
    await move(desk)
    await desk.turns(3, apart_s=20)
    for back in ([(10, MOVED)], []):
        taken_away(desk, "cancelled by the exchange")
        await desk.turns(5, apart_s=1)
        assert resting(desk) == back
    assert await is_asked_about(desk)


async def test_stop_of_a_run_that_comes_meanwhile_rests(desk: Desk) -> None:
    """A person took the old one away as a new run set its own: that one is not left away for it."""
    taken_away(desk)
    before_it_is_left(desk, lambda: desk.wants(10, MOVED, run_id="orb|next"))
    await desk.turns(5, apart_s=1)
    assert resting(desk) == [(10, MOVED)]
    assert await desk.engine.notices(StopCancelled) == []


@pytest.mark.row("D9")
async def test_price_that_is_set_as_the_old_one_is_refused_is_asked_for() -> None:
    """What the broker does not take at one price it may take at another."""
    desk = await a_desk()

    def refuse(order: OrderRequest) -> WriteOutcome | None:
        if order.order_type is OrderType.SL_M and order.trigger_price == STOP:
            return Refused(Refusal.REJECTED, "not here")
        return None

    desk.at.answer = refuse
    before_it_is_left(desk, lambda: move(desk))
    await desk.holds(10, STOP)
    await desk.turns(10, apart_s=1)
    assert await desk.states(Purpose.STOP) == ["REJECTED", "ACCEPTED"]
    assert resting(desk) == [(10, MOVED)]
    assert await desk.engine.notices(SoftwareStop) == []


@pytest.mark.row("E4", "R6")
@pytest.mark.parametrize(
    "outcome",
    [
        NotSent("no connection"),
        Refused(Refusal.THROTTLED, "slow down", retry_after_s=1),
        Refused(Refusal.REJECTED, "not now"),
    ],
    ids=["not sent", "throttled", "refused"],
)
async def test_stop_that_could_not_be_cancelled_in_the_chat_goes_on_as_before(
    desk: Desk, outcome: WriteOutcome
) -> None:
    """The user was told that it stands: it is put back as any other when the broker ends it."""

    async def refuse(_broker_order_id: str) -> WriteOutcome:
        return outcome

    desk.at.cancel = refuse  # type: ignore[assignment,method-assign]
    (stop,) = await desk.orders(Purpose.STOP)
    with pytest.raises(UserError, match="did not cancel it"):
        await desk.engine.control.orders.cancel(
            desk.engine.command(), desk.broker_id, stop.client_order_id
        )
    await desk.turns(10, apart_s=1)
    assert resting(desk) == [(10, STOP)]
    taken_away(desk, "cancelled by the exchange")
    await desk.turns(5, apart_s=1)
    assert resting(desk) == [(10, STOP)]


async def test_cancel_that_did_not_leave_makes_no_cancel_of_a_person_ours(desk: Desk) -> None:
    """An exit asked the stop to go and nothing left; hours later a person takes it away."""
    cancel = desk.at.cancel

    async def unsent(_broker_order_id: str) -> WriteOutcome:
        return NotSent("no connection")

    desk.at.cancel = unsent  # type: ignore[assignment,method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(2, apart_s=1)
    desk.at.cancel = cancel  # type: ignore[method-assign]
    await desk.wants(10, STOP, run_id="orb|run")
    await desk.turns(5, apart_s=60)
    assert resting(desk) == [(10, STOP)]
    taken_away(desk)
    await desk.turns(5, apart_s=1)
    assert await is_asked_about(desk)
