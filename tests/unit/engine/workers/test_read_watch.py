"""An account that cannot be read for a while is told once, and once when it can be (case c11)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from core.domain.broker import BrokerOrder
from core.domain.notices.accounts import AccountReadable, AccountUnreadable
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import CHAT, market_clock

MORNING = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
MIDNIGHT = datetime(2026, 11, 25, 1, 0, tzinfo=IST)


def hide_orders(desk: Desk, reason: str = "orders: there is no list in the answer") -> None:
    """Let every read of the orders fail."""

    async def orders() -> Sequence[BrokerOrder]:
        raise BrokerReadError(ReadFault.MALFORMED, reason)

    desk.at.orders = orders  # type: ignore[method-assign]


def show_orders(desk: Desk) -> None:
    del desk.at.orders


async def told(desk: Desk) -> list[object]:
    return list(await desk.engine.notices(AccountUnreadable, AccountReadable))


async def deliver(desk: Desk) -> None:
    """Let the chat show the cards that were posted."""
    for row in await desk.engine.store.find("outbox", {"kind": AccountUnreadable.kind}):
        await desk.engine.store.insert("cards", {"_id": f"{CHAT}|{row['key']}", "message_id": 1})


@pytest.mark.row("R8")
async def test_an_order_book_that_cannot_be_read_is_told_once():
    """After twenty seconds, with the reason, in however many turns; and when it is back."""
    desk = await a_desk(market_clock(MORNING))
    await desk.turns()
    hide_orders(desk)
    began = desk.clock.market_now()
    await desk.turns(5, apart_s=3)
    assert await told(desk) == []
    await desk.turns(10, apart_s=3)
    reason = "orders: there is no list in the answer"
    unreadable = AccountUnreadable(desk.broker_id, reason, began)
    assert await told(desk) == [unreadable]
    show_orders(desk)
    await desk.turns(3, apart_s=3)
    first, _removal, last = await told(desk)
    assert (first, last) == (unreadable, AccountReadable(desk.broker_id, 45))


async def test_positions_count_as_well():
    """The orders alone say nothing of what is held."""
    desk = await a_desk(market_clock(MORNING))
    await desk.turns()
    await desk.clock.advance(15)
    desk.at.has_positions = False
    await desk.turns(10, apart_s=3)
    assert [type(one) for one in await told(desk)] == [AccountUnreadable]


async def test_a_moment_without_an_answer_is_not_told():
    """A good read between the bad ones starts the time anew."""
    desk = await a_desk(market_clock(MORNING))
    for _ in range(4):
        hide_orders(desk)
        await desk.turns(5, apart_s=3)
        show_orders(desk)
        await desk.turns()
    assert await told(desk) == []


async def test_nobody_is_woken_at_night():
    """Brokers rest then; what still fails when the market opens is told."""
    desk = await a_desk(market_clock(MIDNIGHT))
    hide_orders(desk)
    await desk.turns(20, apart_s=3)
    assert await told(desk) == []
    await desk.clock.advance(timedelta(hours=8, minutes=30).total_seconds())
    await desk.turns(2)
    assert [type(one) for one in await told(desk)] == [AccountUnreadable]


async def test_a_restart_in_between_repeats_nothing():
    """The message in the chat says that it was told; the end of the trouble ends it."""
    desk = await a_desk(market_clock(MORNING))
    hide_orders(desk)
    await desk.turns(12, apart_s=3)
    await deliver(desk)
    desk.worker = desk.engine.wiring.new_worker(desk.broker_id)
    await desk.turns(12, apart_s=3)
    assert len(await told(desk)) == 1
    desk.worker = desk.engine.wiring.new_worker(desk.broker_id)
    show_orders(desk)
    await desk.turns()
    assert (await told(desk))[-1] == AccountReadable(desk.broker_id, 0)


async def test_a_store_that_is_away_too_delays_the_notice():
    """The worker goes on, and the first failed read after the store's return tells it."""
    desk = await a_desk(market_clock(MORNING))
    hide_orders(desk)
    error = BrokerReadError(ReadFault.MALFORMED, "no list")
    await desk.worker.read_failed(error)
    await desk.clock.advance(30)
    desk.engine.store.database.is_away = True
    await desk.worker.read_failed(error)
    desk.engine.store.database.is_away = False
    assert await told(desk) == []
    await desk.worker.read_failed(error)
    assert [type(one) for one in await told(desk)] == [AccountUnreadable]


async def test_a_login_that_ended_is_no_trouble_of_reading():
    """It has a notice of its own."""
    desk = await a_desk(market_clock(MORNING))
    desk.at.trouble = BrokerReadError(ReadFault.AUTH_REQUIRED, "token")
    await desk.turns(15, apart_s=3)
    assert await told(desk) == []
