"""A lane ends once, and what it does not send is left to the reconciliation (decisions 24 and 44)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from core.domain.order import Order, OrderState
from core.engine.workers.account_lane import AccountLane, Work
from core.errors import StoreUnavailable
from tests.fakes.orders import order_in

pytestmark = pytest.mark.invariant("I1")
BORN = [order_in(OrderState.SUBMITTED, client_order_id=f"S{n}") for n in range(2)]
KEYS = [order.client_order_id for order in BORN]


class Scene:
    """Both sides of a lane: the entries that it sends through, and the worker that gave it."""

    def __init__(self) -> None:
        self.is_valid = True
        self.sent: list[str] = []
        self.forgotten: list[str] = []
        self.ended = 0
        self.trouble: Exception | None = None
        self.tasks: list[asyncio.Task[None]] = []

    async def send_born(self, _client: object, order: Order) -> None:
        self.sent.append(order.client_order_id)
        if self.trouble is not None:
            raise self.trouble

    def forget(self, orders: Iterable[Order]) -> None:
        self.forgotten += [order.client_order_id for order in orders]

    def end(self) -> None:
        self.ended += 1

    def start(self, work: Work) -> asyncio.Task[None] | None:
        self.tasks.append(asyncio.create_task(work()))
        return self.tasks[-1]

    def lane(self, start: Callable[[Work], asyncio.Task[None] | None] | None = None) -> AccountLane:
        ends: Any = self
        return AccountLane(
            ends,
            ends,
            ends,
            start=start or self.start,
            is_valid=lambda _: self.is_valid,
            heard=lambda: 0,
            ended=self.end,
        )


async def test_what_was_born_is_sent_once_and_then_the_lane_is_given_back() -> None:
    """Not before the last answer: the worker goes on with what they have changed."""
    scene = Scene()
    scene.lane().send(BORN)
    assert (scene.sent, scene.ended) == ([], 0)
    await asyncio.wait(scene.tasks)
    assert (scene.sent, scene.forgotten, scene.ended) == (KEYS, KEYS, 1)


async def test_lane_of_a_login_that_has_ended_sends_nothing() -> None:
    """The user has logged in again meanwhile: the day is read first, and shows what there is."""
    scene = Scene()
    scene.is_valid = False
    scene.lane().send(BORN)
    assert (scene.tasks, scene.sent, scene.forgotten, scene.ended) == ([], [], KEYS, 1)


async def test_lane_that_is_cut_off_before_it_begins_is_given_back() -> None:
    """The worker is cancelled in that moment: nothing left, and nothing may hold the account."""
    scene = Scene()

    def start_and_cancel(work: Work) -> asyncio.Task[None] | None:
        task = scene.start(work)
        assert task is not None
        task.cancel()
        return task

    scene.lane(start_and_cancel).send(BORN)
    await asyncio.wait(scene.tasks)
    assert (scene.sent, scene.forgotten, scene.ended) == ([], KEYS, 1)


@pytest.mark.invariant("I2")
@pytest.mark.parametrize("trouble", [StoreUnavailable("away"), RuntimeError("a fault")])
async def test_trouble_of_one_cuts_off_no_other(trouble: Exception) -> None:
    """All are sent and answered; a fault is raised then, and a store that is away is looked up."""
    scene = Scene()
    scene.trouble = trouble
    scene.lane().send(BORN)
    await asyncio.wait(scene.tasks)
    assert (scene.sent, scene.forgotten, scene.ended) == (KEYS, KEYS, 1)
    is_raised = scene.tasks[0].exception() is trouble
    assert is_raised is isinstance(trouble, RuntimeError)


async def test_nothing_to_send_gives_the_lane_back_at_once() -> None:
    """And so does whoever leaves it."""
    scene = Scene()
    scene.lane().send([])
    assert (scene.tasks, scene.ended) == ([], 1)
    scene.lane().leave()
    assert (scene.tasks, scene.sent, scene.ended) == ([], [], 2)
