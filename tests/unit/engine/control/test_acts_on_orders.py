"""A user's own close and cancel: what is refused before anything is sent, and what is not (E4)."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.mode import TradingMode
from core.domain.order import Order, OrderState
from core.domain.sessions import trading_day
from core.errors import AlreadyDone, UserError
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.orders import TAG, order_in
from tests.unit.engine.control.test_close_delivery import carried

pytestmark = pytest.mark.row("E4")


async def unknown(desk: Desk) -> Order:
    """Let an entry be of unknown fate, sent now."""
    now = desk.clock.now()
    order = order_in(
        OrderState.UNRESOLVED,
        broker_id=desk.broker_id,
        day=trading_day(desk.clock.market_now()),
        created_at=now,
        submitted_at=now,
    )
    await desk.engine.wiring.journal.add(desk.engine.store, [order])
    return order


async def cancel(desk: Desk, key: str = TAG, broker_id: str | None = None) -> None:
    await desk.engine.control.orders.cancel(desk.engine.command(), broker_id or desk.broker_id, key)


async def test_an_order_that_a_look_finds_is_cancelled() -> None:
    """The list said that nobody knows it; the broker lists it by now."""
    desk = await a_desk()
    order = await unknown(desk)
    found = desk.at.show(order.request).broker_order_id
    await cancel(desk)
    assert desk.at.order_list[found].status is BrokerStatus.CANCELED


async def test_an_order_that_nobody_knows_is_not_cancelled() -> None:
    """A cancel needs the broker's number; its own message asks what became of it."""
    desk = await a_desk()
    await unknown(desk)
    with pytest.raises(UserError, match="Nobody knows yet"):
        await cancel(desk)


async def test_an_order_is_cancelled_on_its_own_account_alone() -> None:
    """A button names both; where they do not belong together nothing is sent."""
    desk = await a_desk()
    other = await desk.engine.connect("Other")
    order = await unknown(desk)
    found = desk.at.show(order.request).broker_order_id
    await desk.turns(1)
    with pytest.raises(UserError, match="belongs to another account"):
        await cancel(desk, broker_id=other.broker_id)
    assert desk.at.order_list[found].status is BrokerStatus.WORKING


async def test_the_same_tap_cancels_once() -> None:
    """Delivered again after a crash it asks the broker nothing, though no read has shown the end."""
    desk = await a_desk()
    order = await unknown(desk)
    desk.at.show(order.request)
    await desk.turns(1)
    command, orders = desk.engine.command(), desk.engine.control.orders
    await orders.cancel(command, desk.broker_id, TAG)
    with pytest.raises(AlreadyDone):
        await orders.cancel(command, desk.broker_id, TAG)


async def close(desk: Desk, product: str = "MIS", **terms: object) -> list[tuple[str, int]]:
    """Close the position as the user does, and return what was sent."""
    given = {"despite_pause": False, **terms}
    task = asyncio.create_task(desk.worker.run())
    try:
        await desk.engine.control.orders.close(
            desk.engine.command(),
            desk.broker_id,
            f"{SBIN}|{product}",
            **given,  # type: ignore[arg-type]
        )
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [(one.side.value, one.quantity) for one in desk.at.placed]


async def test_a_close_of_delivery_shares_asks_nothing_about_those_beside_them() -> None:
    """The question showed the row of five; the look counts the user's own ten as well."""
    desk = await carried(5, 15)
    assert await close(desk, "CNC", seen=5) == [("SELL", 5)]


async def test_what_is_no_more_ones_own_is_not_closed() -> None:
    """A strategy holds all of it by now: the button of the user's own part says so."""
    desk = await a_desk()
    await desk.holds(5)
    with pytest.raises(UserError, match=f"Nothing of {SBIN} is outside my care any more"):
        await close(desk, only_outside=True)
    assert desk.at.placed == []


async def test_a_close_despite_the_pause_goes_out_while_strategies_send_nothing() -> None:
    """After the second confirmation; a strategy's own exit waits for the end of the pause."""
    desk = await a_desk()
    await desk.holds(5, Decimal(800))
    engine = desk.engine
    await engine.control.modes.set(engine.command(), TradingMode.PAUSED, desk.broker_id)
    sent = len(desk.at.placed)
    assert (await close(desk, despite_pause=True))[sent:] == [("SELL", 5)]
