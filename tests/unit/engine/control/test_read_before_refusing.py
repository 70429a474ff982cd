"""A command that the last read would refuse, or carry out by half, reads the broker once first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerOrder, Position
from core.domain.instrument import Product
from core.domain.order import OrderState, Purpose, Side
from core.errors import ChoiceNeeded, HasChanged, UserError
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("E4", "R8")
KEY = "NSE:SBIN|MIS"


@asynccontextmanager
async def working(desk: Desk) -> AsyncIterator[None]:
    """Let the worker take its turns."""
    task = asyncio.create_task(desk.worker.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def close(desk: Desk, **terms: Any) -> None:
    control = desk.engine.control
    await control.orders.close(
        desk.engine.command(), desk.broker_id, KEY, despite_pause=False, **terms
    )


async def a_read_desk() -> Desk:
    """Return an account whose broker was read a moment ago."""
    desk = await a_desk()
    await desk.turns(1)
    return desk


@pytest.mark.parametrize("only_outside", [False, True])
@pytest.mark.parametrize("read_before", [0, 60])
async def test_close_takes_trades_by_hand_of_the_last_seconds(
    read_before: int, *, only_outside: bool
) -> None:
    """Two orders by hand, none or one of them read yet: the close takes both, and all of them."""
    desk = await a_desk()
    if read_before:
        desk.at.by_hand(Side.BUY, read_before)
    await desk.turns(1)
    desk.at.by_hand(Side.BUY, 120 - read_before)
    async with working(desk):
        await close(desk, only_outside=only_outside)
    sent = [one.request.quantity for one in await desk.orders(Purpose.EXIT)]
    assert (sent, desk.at.position_list[SBIN, Product.MIS].quantity) == ([120], 0)


async def test_close_of_a_contradiction_that_stays_is_refused_with_both_figures() -> None:
    """No fill explains what the positions show: nothing is sent, and the sentence names both."""
    desk = await a_read_desk()
    key = (SBIN, Product.MIS)
    desk.at.position_list[key] = Position(*key, 120, Decimal(810), Decimal(815))
    with pytest.raises(UserError, match=r"show 120 NSE:SBIN, today's fills 0.*Nothing was sent"):
        await close(desk)
    assert desk.at.placed == []


async def test_close_says_that_the_orders_could_not_be_read() -> None:
    """The one read that could explain the contradiction fails: its reason is in the sentence."""
    desk = await a_read_desk()
    desk.at.by_hand(Side.BUY, 120)

    async def unreadable() -> Sequence[BrokerOrder]:
        raise TimeoutError

    desk.at.orders = unreadable  # type: ignore[method-assign]
    with pytest.raises(UserError, match="could not be read: the broker did not answer"):
        await close(desk)
    assert desk.at.placed == []


async def test_cancel_says_what_became_of_an_order_that_was_final_already() -> None:
    """A stop that fired a moment ago: not "the broker did not cancel it", but what it did."""
    desk = await a_desk()
    await desk.holds(10, Decimal(800))
    (stop,) = await desk.orders(Purpose.STOP)
    desk.at.fill(str(stop.broker_order_id))
    with pytest.raises(UserError, match="filled already"):
        await desk.engine.control.orders.cancel(
            desk.engine.command(), desk.broker_id, stop.client_order_id
        )
    (stop,) = await desk.orders(Purpose.STOP)
    assert stop.state is OrderState.FILLED


@pytest.mark.row("A5")
async def test_disable_asks_nothing_about_what_was_closed_by_hand() -> None:
    """The ledger of the last read holds ten, the account nothing any more."""
    desk = await a_desk()
    await desk.holds(10)
    switch = desk.engine.control.switch
    with pytest.raises(ChoiceNeeded):
        await switch.disable(desk.engine.command(), desk.broker_id, None)
    desk.at.by_hand(Side.SELL, 10)
    account = await switch.disable(desk.engine.command(), desk.broker_id, None)
    assert not account.enabled


@pytest.mark.parametrize(
    ("seen", "words"), [(-10, r"was -10, now it is \+10"), (4, r"was \+4, now it is \+10")]
)
async def test_close_of_what_has_turned_or_grown_since_it_was_shown_asks_again(
    seen: int, words: str
) -> None:
    """A strategy reversed between question and tap: a close never buys what it said to sell."""
    desk = await a_desk()
    await desk.holds(10)
    async with working(desk):
        with pytest.raises(HasChanged, match=words):
            await close(desk, seen=seen)
    assert [one.side for one in desk.at.placed if one.side is Side.SELL] == []


@pytest.mark.parametrize("seen", [10, 25])
async def test_close_of_less_than_was_shown_closes_what_is_left(seen: int) -> None:
    """A stop or an exit was faster: nothing else is done than was shown."""
    desk = await a_desk()
    await desk.holds(10)
    async with working(desk):
        await close(desk, seen=seen)
    assert [(one.side, one.quantity) for one in desk.at.placed][-1] == (Side.SELL, 10)
