"""A sale in the broker's app that closes a strategy's units is one message (row H5)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.notices.notice import Notice
from core.domain.notices.orders import ExternalOrder
from core.domain.notices.positions import ClosedByHand
from core.domain.notices.post import Delivery, Post
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered
from tests.fakes.clock import RunningClock
from tests.fakes.memory_engine import CHAT
from tests.fakes.turns import Turns

pytestmark = pytest.mark.row("H5", "R8")


class Chat:
    """A notifier that shows what a chat would of foreign orders: its messages, by number."""

    def __init__(self) -> None:
        self.shown: dict[int, Notice] = {}
        self.sent = 0

    async def deliver(
        self,
        chat_id: int,  # noqa: ARG002 - there is one
        post: Post,
        *,
        notice_id: str,  # noqa: ARG002 - every notice is new
        message_id: int | None,
        is_repeat: bool,  # noqa: ARG002 - nothing is repeated
    ) -> Delivered:
        if not isinstance(post.notice, ExternalOrder | ClosedByHand):
            return Delivered(0)
        if post.delivery is Delivery.REPLACE and message_id is not None:
            del self.shown[message_id]
            message_id = None
        if message_id is None:
            self.sent += 1
            message_id = self.sent
        self.shown[message_id] = post.notice
        return Delivered(message_id)


async def shown(turns: Turns, chat: Chat) -> list[type]:
    """Deliver what waits; return what the chat shows of this sale."""
    sender = OutboxSender(turns.engine.store, RunningClock(), turns.engine.wiring.outbox, chat)
    task = asyncio.create_task(sender.run())
    where = {"chat_id": CHAT, "state": {"$in": ["WAITING", "SENDING"]}}
    async with asyncio.timeout(150):
        while await turns.engine.store.find("outbox", where):
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return [type(one) for one in chat.shown.values()]


@pytest.fixture
async def turns() -> Turns:
    """An account whose strategy holds five."""
    turns = await Turns().begin()
    await turns.enter(5)
    return turns


@pytest.mark.parametrize("units", [-5, -3, -8])
async def test_a_sale_by_hand_is_one_message(turns: Turns, units: int) -> None:
    """The result stands where the order's card would; nothing else is sent about it."""
    turns.by_hand(units)
    await turns.read(times=3)
    chat = Chat()
    assert await shown(turns, chat) == [ClosedByHand]
    assert chat.sent == 1


async def test_the_second_part_is_told_at_its_own_price(turns: Turns) -> None:
    """Two of five are sold at 980, later three at 960: each message has the price of its units."""
    for units, price in ((2, 980), (3, 960)):
        order = turns.by_hand(-units, rests_at=Decimal(price))
        turns.broker.fill(order, Decimal(price))
        await turns.read(times=2)
    told = await turns.engine.notices(ClosedByHand)
    found = [(one.units, one.price, one.result) for one in told if isinstance(one, ClosedByHand)]
    assert found == [(2, Decimal(980), Decimal(20)), (3, Decimal(960), Decimal(-30))]


async def test_a_card_that_was_shown_makes_way(turns: Turns) -> None:
    """A limit order by hand rests for a while, then fills: its card goes, the result is newest."""
    order = turns.by_hand(-5, rests_at=Decimal(980))
    await turns.read()
    chat = Chat()
    assert await shown(turns, chat) == [ExternalOrder]
    turns.broker.fill(order, Decimal(980))
    await turns.read(times=2)
    assert await shown(turns, chat) == [ClosedByHand]
    assert chat.sent == 2


async def test_an_order_that_still_works_keeps_its_card(turns: Turns) -> None:
    """Part of it has filled: the rest can be cancelled on its card, the result is beside it."""
    order = turns.by_hand(-5, rests_at=Decimal(980))
    turns.broker.fill(order, Decimal(980), units=2)
    await turns.read(times=2)
    assert await shown(turns, chat := Chat()) == [ExternalOrder, ClosedByHand]
    turns.broker.order_list[order] = replace(
        turns.broker.order_list[order], status=BrokerStatus.CANCELED
    )
    await turns.read(times=2)
    assert await shown(turns, chat) == [ExternalOrder, ClosedByHand]


async def test_a_sale_of_the_users_own_units_keeps_its_card(turns: Turns) -> None:
    """It closes nothing of a strategy: the order's card is all there is to say."""
    turns.by_hand(4)
    turns.by_hand(-4)
    await turns.read(times=3)
    assert await shown(turns, Chat()) == [ExternalOrder, ExternalOrder]


async def test_two_sales_in_one_read_keep_their_cards(turns: Turns) -> None:
    """One notice about both cannot stand in the place of one."""
    turns.by_hand(-2)
    turns.by_hand(-3)
    await turns.read(times=3)
    assert sorted(one.__name__ for one in await shown(turns, Chat())) == [
        "ClosedByHand",
        "ExternalOrder",
        "ExternalOrder",
    ]
