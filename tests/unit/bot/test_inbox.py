"""The inbox: many updates by one call, each handled at least once and its attempts counted (T05)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest
from cryptography.fernet import Fernet
from telegram import Bot, CallbackQuery, Chat, Message, Update, User

from bot.edge.grouped import Grouped
from bot.edge.inbox import Inbox, InboxQueue
from bot.update_router import starts_at_once
from core.adapters.vault import FernetVault
from core.errors import StoreUnavailable
from core.ports.store import Document
from tests.fakes.clock import ManualClock
from tests.fakes.counted_store import CountedStore

pytestmark = pytest.mark.matrix("T05")

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
BOT = cast(Bot, None)


def said(update_id: int) -> Update:
    """Return a message of the owner."""
    user = User(4711, "Asha", is_bot=False)
    return Update(update_id, Message(1, AT, Chat(4711, "private"), from_user=user, text="/help"))


def tapped(update_id: int) -> Update:
    """Return a tap of the owner."""
    user = User(4711, "Asha", is_bot=False)
    message = Message(1, AT, Chat(4711, "private"), from_user=user, text="/help")
    query = CallbackQuery(str(update_id), user, "1", message=message, data="v1:help")
    return Update(update_id, callback_query=query)


def queue_of(inbox: Inbox) -> InboxQueue:
    """Return the queue in front of an inbox."""
    return InboxQueue(inbox, starts_at_once)


def queued(queue: InboxQueue) -> list[int]:
    """Take out what is queued; return the ids."""
    found = []
    while not queue.empty():
        update = queue.get_nowait()
        assert isinstance(update, Update)
        found.append(update.update_id)
    return found


class Gated(CountedStore):
    """A store whose inserts wait, and fail when they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()
        self.fails = False

    async def insert(self, collection: str, *documents: Document) -> None:
        await self.go_on.wait()
        if self.fails:
            raise StoreUnavailable("away")
        await super().insert(collection, *documents)


class Kept:
    """An inbox over a store that counts, and another one on the same store after a restart."""

    def __init__(self, store: CountedStore | None = None) -> None:
        self.store, self.clock = store or CountedStore(), ManualClock(AT)
        self.vault = FernetVault([Fernet.generate_key().decode()])
        self.inbox = self.another()

    def another(self) -> Inbox:
        """Return the inbox that a new process has."""
        return Inbox(self.store, self.vault, self.clock, 7)

    async def attempts(self) -> list[int]:
        """Return how often each row says that it was tried."""
        rows = await self.store.find("inbox", {}, sort=[("_id", 1)])
        return [row["attempts"] for row in rows]


async def test_a_batch_is_stored_and_marked_by_one_call_each() -> None:
    """A hundred taps cost three writes: before Telegram is told, and when they are handled."""
    kept = Kept()
    queue = queue_of(kept.inbox)
    updates = [said(number) for number in range(100)]
    kept.store.commands.clear()
    await queue.keep(updates, are_fresh=False)
    assert queue.qsize() == len(updates)
    ages = await asyncio.gather(*(kept.inbox.begin(one.update_id) for one in updates))
    assert set(ages) == {0.0}
    assert dict(kept.store.commands) == {"insert inbox": 1}
    assert await kept.attempts() == [1] * len(updates)
    kept.store.commands.clear()
    await asyncio.gather(*(kept.inbox.finish(one.update_id) for one in updates))
    # The first goes at once, alone; the others wait for it and go together.
    assert dict(kept.store.commands) == {"update inbox": 2}
    assert await kept.inbox.waiting(BOT) == []


async def test_a_batch_that_is_stored_in_part_is_completed() -> None:
    """Telegram delivers again what it was not told of: what was handled is not handled again."""
    kept = Kept()
    await kept.inbox.keep([said(1), said(2)])
    await kept.inbox.finish(1)
    again = await kept.inbox.keep([said(1), said(2), said(3)])
    assert [one.update_id for one in again] == [2, 3]
    assert [one.update_id for one in await kept.another().waiting(BOT)] == [2, 3]


async def test_three_attempts_are_counted_over_restarts() -> None:
    """The row counts the first when it is written, and each replay when it begins."""
    kept = Kept()
    await kept.inbox.keep([said(1)])
    await kept.inbox.begin(1)
    for attempts in (2, 3):
        inbox = kept.another()
        assert len(await inbox.waiting(BOT)) == 1
        assert await inbox.begin(1) == 0.0
        assert await kept.attempts() == [attempts]
    assert await kept.another().waiting(BOT) == []


async def test_the_age_of_a_replayed_update_is_that_of_its_arrival() -> None:
    """A tap that waited through a restart is as old as it is (T07)."""
    kept = Kept()
    await kept.inbox.keep([said(1)])
    await kept.clock.advance(200.0)
    inbox = kept.another()
    await inbox.waiting(BOT)
    assert await inbox.begin(1) == 200.0


async def test_nothing_is_queued_while_the_store_is_away() -> None:
    """The poller must not tell Telegram that it has them."""
    kept = Kept()
    queue = queue_of(kept.inbox)
    kept.store.database.is_away = True
    with pytest.raises(StoreUnavailable):
        await queue.keep([said(1), said(2)], are_fresh=True)
    assert queue.empty()


async def test_a_tap_is_handled_while_it_is_stored_and_marked_behind_that() -> None:
    """Telegram is told when it is stored; whoever tapped need not wait for the store."""
    store = Gated()
    kept = Kept(store)
    queue = queue_of(kept.inbox)
    keeping = asyncio.ensure_future(queue.keep([tapped(1), tapped(2)], are_fresh=True))
    await asyncio.sleep(0)
    assert queued(queue) == [1, 2] and not keeping.done()
    assert await kept.inbox.begin(1) == 0.0
    finishing = asyncio.ensure_future(kept.inbox.finish(1))
    await asyncio.sleep(0)
    assert not finishing.done()
    store.go_on.set()
    await asyncio.gather(keeping, finishing)
    assert queued(queue) == []
    assert [one.update_id for one in await kept.another().waiting(BOT)] == [2]


async def test_a_tap_that_could_not_be_stored_is_handled_once() -> None:
    """Telegram delivers it again: then it is stored, or marked, and nobody handles it anew."""
    store = Gated()
    store.fails = True
    store.go_on.set()
    kept = Kept(store)
    queue = queue_of(kept.inbox)
    with pytest.raises(StoreUnavailable):
        await queue.keep([tapped(1), tapped(2)], are_fresh=True)
    assert queued(queue) == [1, 2]
    await kept.inbox.finish(1)
    queue.release(1)
    store.fails = False
    await queue.keep([tapped(1), tapped(2)], are_fresh=True)
    assert queued(queue) == []
    await kept.inbox.finish(2)
    assert await kept.another().waiting(BOT) == []
    assert await kept.inbox.keep([tapped(3)])


async def test_what_a_former_process_may_have_handled_is_stored_first() -> None:
    """The first poll brings what it did not confirm; the store knows whether it was handled."""
    kept = Kept()
    await kept.inbox.keep([tapped(1)])
    await kept.inbox.finish(1)
    queue = queue_of(kept.another())
    await queue.keep([tapped(1), tapped(2)], are_fresh=False)
    assert queued(queue) == [2]


async def test_a_tap_does_not_pass_a_message_of_its_chat() -> None:
    """The updates of a chat are handled in their order; a panic alone passes them."""
    store = Gated()
    queue = queue_of(Kept(store).inbox)
    batch = [tapped(1), said(2), tapped(3)]
    keeping = asyncio.ensure_future(queue.keep(batch, are_fresh=True))
    await asyncio.sleep(0)
    assert queued(queue) == [1]
    store.go_on.set()
    await keeping
    assert queued(queue) == [2, 3]


async def test_a_group_gathers_what_arrives_during_a_call() -> None:
    """Nobody waits for others; who comes meanwhile goes together, and failures reach their own."""
    calls: list[list[int]] = []
    go_on = asyncio.Event()

    async def act(items: Sequence[int]) -> None:
        calls.append(list(items))
        await go_on.wait()
        if 3 in items:
            raise StoreUnavailable("away")

    grouped = Grouped(act)
    tasks = [asyncio.ensure_future(grouped.add(number)) for number in range(3)]
    await asyncio.sleep(0)
    later = [asyncio.ensure_future(grouped.add(number)) for number in (3, 4)]
    await asyncio.sleep(0)
    go_on.set()
    found = await asyncio.gather(*tasks, *later, return_exceptions=True)
    assert calls == [[0], [1, 2, 3, 4]]
    failed = {number for number, one in enumerate(found) if isinstance(one, StoreUnavailable)}
    assert failed == set(calls[1])


async def test_a_cancelled_caller_takes_nobody_with_it() -> None:
    """The one that makes the call is cancelled in it: the others' is made again."""
    calls: list[list[int]] = []
    begun = asyncio.Event()

    async def act(items: Sequence[int]) -> None:
        calls.append(list(items))
        begun.set()
        if len(calls) == 1:
            await asyncio.Event().wait()

    grouped = Grouped(act)
    first = asyncio.ensure_future(grouped.add(1))
    await begun.wait()
    second = asyncio.ensure_future(grouped.add(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert calls == [[1], [1, 2]]
