"""A controller that is asked to stop hears out what is on its way and begins nothing (case C12)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest

from core.domain.order import OrderRequest, Purpose
from core.domain.outcome import NotSent, WriteOutcome
from core.engine.orders.goals import retarget_goal
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.matrix("C12")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    return desk


async def ended(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def looks() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_answer_on_its_way_is_written_down_before_the_end(desk: Desk) -> None:
    """Cut off, the order would be of unknown fate until the horizon of the next controller."""
    go_on, begun, place = asyncio.Event(), asyncio.Event(), desk.at.place

    async def slowly(order: OrderRequest) -> WriteOutcome:
        begun.set()
        await go_on.wait()
        return await place(order)

    desk.at.place = slowly  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    turn = asyncio.create_task(desk.worker.turn())
    await begun.wait()
    ending = asyncio.create_task(desk.engine.wiring.gateway.ending.begin(within_s=60))
    await looks()
    assert not ending.done()
    go_on.set()
    await ending
    assert await desk.states(Purpose.EXIT) == ["ACCEPTED"]
    await ended(turn)


async def test_nothing_is_begun_once_the_end_has(desk: Desk) -> None:
    """Neither an exit nor the cancel of the stop in its way: the next controller does both."""
    await desk.engine.wiring.gateway.ending.begin(within_s=60)
    await desk.wants(0, run_id="orb|flat")
    turn = asyncio.create_task(desk.worker.turn())
    await looks()
    await ended(turn)
    assert await desk.orders(Purpose.EXIT) == []
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    assert [one.quantity for one in desk.at.resting()] == [10]


@pytest.mark.parametrize("name", ["cancel", "modify"])
async def test_what_becomes_of_a_stop_is_heard_out_too(desk: Desk, name: str) -> None:
    """Its cancel or change was not sent after all: it is known to work on, and nothing follows."""
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def slowly(*_terms: object) -> WriteOutcome:
        begun.set()
        await go_on.wait()
        return NotSent("no connection")

    setattr(desk.at, name, slowly)
    if name == "cancel":
        await desk.wants(0, run_id="orb|flat")
    else:
        goal = await desk.goal()
        day, at = goal.day, desk.clock.now()
        await retarget_goal(desk.engine.store, desk.key, stop_price=Decimal(805), day=day, at=at)
    turn = asyncio.create_task(desk.worker.turn())
    await begun.wait()
    ending = asyncio.create_task(desk.engine.wiring.gateway.ending.begin(within_s=60))
    await looks()
    assert not ending.done()
    go_on.set()
    await ending
    await looks()
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    assert await desk.orders(Purpose.EXIT) == []
    await ended(turn)


async def test_who_never_answers_is_not_waited_for_longer(desk: Desk) -> None:
    """A stop is over within its time; what did not answer is looked up by the next controller."""
    begun = asyncio.Event()

    async def silent(order: OrderRequest) -> WriteOutcome:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError(order)

    desk.at.place = silent  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    turn = asyncio.create_task(desk.worker.turn())
    await begun.wait()
    await desk.engine.wiring.gateway.ending.begin(within_s=0.01)
    assert await desk.states(Purpose.EXIT) == ["SUBMITTED"]
    await ended(turn)
