"""A run's orders are made ready while they are committed, and leave when they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.domain.order import Order, OrderState
from core.engine.runs.departure import Departure
from tests.fakes.orders import order_in
from tests.fakes.stream_server import until


@dataclass
class NotedLane:
    """A lane that notes what it is asked for."""

    prepared: list[Order] = field(default_factory=list)
    sent: list[Order] | None = None
    has_left: bool = False

    def prepare(self, orders: Sequence[Order]) -> None:
        assert self.sent is None
        self.prepared += orders

    def send(self, orders: Sequence[Order]) -> None:
        self.sent = list(orders)

    def leave(self) -> None:
        self.has_left = True


def lanes_of(count: int) -> tuple[dict[str, NotedLane], list[Order]]:
    """Return lanes, and an order of each but the first."""
    lanes = {f"account{number}": NotedLane() for number in range(count)}
    return lanes, [order_in(OrderState.SUBMITTED, broker_id=one) for one in lanes][1:]


async def test_each_order_is_made_ready_once_while_its_commit_is_awaited() -> None:
    """However many accounts there are, each by its own lane; nothing is sent by that."""
    lanes, orders = lanes_of(60)
    departure = Departure(lanes)  # type: ignore[arg-type] # what is asked of a lane here
    departure.is_near(orders)
    await until(lambda: sum(len(one.prepared) for one in lanes.values()) == len(orders))
    assert all(one.sent is None for one in lanes.values())
    departure.go(orders)
    for order in orders:
        lane = lanes[order.broker_id]
        assert lane.prepared == lane.sent == [order]
    assert lanes["account0"].sent == []


async def test_what_has_left_or_is_given_up_is_not_made_ready_any_more() -> None:
    """A commit that is quicker than that, one that fails, and a plan that is made again."""
    for end in ("go", "cancel", "put_off"):
        lanes, orders = lanes_of(3)
        departure = Departure(lanes)  # type: ignore[arg-type]
        departure.is_near(orders)
        if end == "go":
            departure.go(orders)
        elif end == "cancel":
            departure.cancel()
        else:
            departure.put_off()
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, over.set)  # after what was put off
        await over.wait()
        assert [one.prepared for one in lanes.values()] == [[], [], []]
        assert all(one.has_left for one in lanes.values()) is (end == "cancel")
