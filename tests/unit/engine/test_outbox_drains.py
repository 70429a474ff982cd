"""The outbox is as fast as the messenger lets it be, and a chat that hangs delays no other (E5)."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from core.domain.notices.panic import PanicOver
from core.domain.notices.post import Post, panic_card, run_card
from core.domain.notices.system import Started
from core.engine import outbox_sender as module
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered, TryLater
from tests.fakes.bot_api import Wall
from tests.fakes.bot_engine import QuickClock
from tests.fakes.clock import ManualClock, RunningClock
from tests.fakes.memory_store import MemoryStore
from tests.faults.life import Told, until

pytestmark = pytest.mark.row("E5")


@dataclass
class Chats(Told):
    """A messenger in which a chat can hang, and which limits one chat after every tenth message."""

    hangs: dict[int, asyncio.Event] = field(default_factory=dict)
    limited: int | None = None
    refusals: int = 0

    async def deliver(self, chat_id: int, post: Post, **more: object) -> Delivered | TryLater:  # type: ignore[override]
        if chat_id in self.hangs:
            await self.hangs[chat_id].wait()
        if chat_id == self.limited and len(self.numbers(chat_id)) // 10 > self.refusals:
            self.refusals += 1
            return TryLater(0.01, "flood limit of this chat")
        return await super().deliver(chat_id, post, **more)  # type: ignore[arg-type]

    def numbers(self, chat_id: int) -> list[int]:
        """Return what a chat was shown, in order."""
        shown = [post.notice for chat, _, _, post in self.delivered if chat == chat_id]
        return [one.unknown_orders for one in shown if isinstance(one, Started)]


@pytest.fixture(autouse=True)
def _no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look each second: what is not delivered at once would not be at all."""
    monkeypatch.setattr(module, "_POLL_S", 3600.0)
    monkeypatch.setattr(module, "_BATCH", 10)


@asynccontextmanager
async def sending(store: MemoryStore, outbox: Outbox, told: Told) -> AsyncIterator[None]:
    task = asyncio.create_task(OutboxSender(store, RunningClock(), outbox, told).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def post(store: MemoryStore, outbox: Outbox, chat_id: int, *numbers: int) -> None:
    for number in numbers:
        await outbox.post(store, Post(Started(number), chat_id=chat_id))


async def test_whatever_waits_goes_out_without_a_pause(memory_store: MemoryStore) -> None:
    """More than a batch, in several chats: all of it is delivered, in order in each chat."""
    outbox, told = Outbox(RunningClock()), Chats()
    for chat_id in (1, 2, 3):
        await post(memory_store, outbox, chat_id, *range(21))
    outbox.wake.clear()
    async with sending(memory_store, outbox, told):

        async def is_sent() -> bool:
            return len(told.delivered) == 3 * 21

        await until(is_sent, what="all notices")
    for chat_id in (1, 2, 3):
        assert told.numbers(chat_id) == list(range(21))


async def test_hanging_chat_delays_no_other(memory_store: MemoryStore) -> None:
    """While a delivery to one chat hangs, what is posted to another arrives."""
    outbox, told = Outbox(RunningClock()), Chats(hangs={1: asyncio.Event()})
    await post(memory_store, outbox, 1, 0, 1)
    async with sending(memory_store, outbox, told):
        for number in range(3):
            await post(memory_store, outbox, 2, number)

            async def is_shown(wanted: int = number) -> bool:
                return wanted in told.numbers(2)

            await until(is_shown, what="the notice of the other chat")
        assert told.numbers(1) == []
        told.hangs[1].set()

        async def is_over() -> bool:
            return len(told.numbers(1)) == 2

        await until(is_over, what="what hung")
    assert told.numbers(1) == [0, 1] and told.numbers(2) == [0, 1, 2]


async def test_limited_chat_goes_on_when_the_messenger_lets_it(memory_store: MemoryStore) -> None:
    """It waits as long as it was told to, in its order, and the others do not wait with it."""
    outbox, told = Outbox(RunningClock()), Chats(limited=1)
    await post(memory_store, outbox, 1, *range(35))
    await post(memory_store, outbox, 2, *range(35))
    async with sending(memory_store, outbox, told):

        async def is_sent() -> bool:
            return len(told.delivered) == 70

        await until(is_sent, what="all notices")
    assert told.refusals == 3
    assert told.numbers(1) == told.numbers(2) == list(range(35))


async def test_notice_that_is_posted_as_a_chat_ends_is_not_passed_over(
    memory_store: MemoryStore,
) -> None:
    """One that is posted while the last of a chat is on its way goes out right behind it."""
    outbox, told = Outbox(RunningClock()), Chats(hangs={1: asyncio.Event()})
    await post(memory_store, outbox, 1, 0)
    async with sending(memory_store, outbox, told):
        await post(memory_store, outbox, 1, 1)
        told.hangs[1].set()

        async def is_sent() -> bool:
            return told.numbers(1) == [0, 1]

        await until(is_sent, what="the second notice")


@pytest.mark.row("R2")
async def test_the_message_of_a_panic_passes_what_waits(memory_store: MemoryStore) -> None:
    """Behind hundreds of notices, at a message a second, nobody would see it count down."""
    outbox, told = Outbox(RunningClock()), Chats(hangs={1: asyncio.Event()})
    await post(memory_store, outbox, 1, *range(30))
    async with sending(memory_store, outbox, told):
        await asyncio.sleep(0)
        await outbox.post(memory_store, replace(panic_card("000001", fresh=True), chat_id=1))
        await outbox.post(memory_store, replace(panic_card("000001"), chat_id=1))
        await outbox.post(memory_store, Post(PanicOver("000001"), chat_id=1))
        told.hangs[1].set()

        async def is_sent() -> bool:
            return len(told.numbers(1)) == 30

        await until(is_sent, what="all notices")
    kinds = [post.notice.kind for _, _, _, post in told.delivered]
    assert max(at for at, kind in enumerate(kinds) if kind.startswith("panic")) <= 3
    assert kinds.index("panic_over") > max(at for at, k in enumerate(kinds) if k == "panic_card")
    assert told.numbers(1) == list(range(30))


@dataclass
class Strict(Told):
    """A messenger that lets a chat have twenty calls at once and one a second, as the real one does."""

    clock: QuickClock = field(default_factory=lambda: QuickClock(Wall()))
    refusals: int = 0
    free_at: float = 0.0

    async def deliver(self, chat_id: int, post: Post, **more: object) -> Delivered | TryLater:  # type: ignore[override]
        now = self.clock.monotonic()
        if self.free_at - now > 19:
            self.refusals += 1
            return TryLater(30.0, "flood limit of this chat")
        self.free_at = max(self.free_at, now) + 1
        await asyncio.sleep(0.001)
        return await super().deliver(chat_id, post, **more)  # type: ignore[arg-type]


@pytest.mark.row("E1")
async def test_two_hundred_events_leave_a_chat_calm(memory_store: MemoryStore) -> None:
    """Cards are edited into what they show in the end; the chat is never limited, nothing is lost."""
    told = Strict()
    outbox = Outbox(told.clock)
    runs = [f"run{number}" for number in range(3)]
    sender = OutboxSender(memory_store, told.clock, outbox, told)
    task = asyncio.create_task(sender.run())
    try:
        for event in range(200):
            await outbox.post(memory_store, replace(run_card(runs[event % 3]), chat_id=1))
            if event in (70, 140):
                await outbox.post(memory_store, Post(Started(event), chat_id=1))
            told.clock.wall.seconds += 0.005
            await asyncio.sleep(0.001)

        async def is_over() -> bool:
            return not await memory_store.find("outbox", {"state": {"$in": ["WAITING", "SENDING"]}})

        await until(is_over, what="all notices")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    shown = [post.notice for _, _, _, post in told.delivered]
    messages = [one.unknown_orders for one in shown if isinstance(one, Started)]
    assert told.refusals == 0
    assert messages == [70, 140]
    for key in runs:
        rows = [row for row in await memory_store.find("outbox", {}) if row["key"] == f"run:{key}"]
        newest = max(rows, key=lambda row: row["seq"])
        assert newest["sent_at"] is not None, "the last state of each card is shown"


@pytest.mark.parametrize("turns", range(40))
async def test_sender_that_is_ended_leaves_nothing_undone(
    memory_store: MemoryStore, turns: int
) -> None:
    """At whatever moment: what it had begun to claim or write ends, and nothing is only made."""
    gc.freeze()  # only what is made from here on is looked at below
    outbox, told = Outbox(RunningClock()), Chats()
    await post(memory_store, outbox, 1, 0, 1, 2)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        async with sending(memory_store, outbox, told):
            for _ in range(turns):
                await asyncio.sleep(0)
        gc.collect()
    assert [str(one.message) for one in found if "never awaited" in str(one.message)] == []


@pytest.mark.matrix("K01")
async def test_a_chat_that_waits_is_not_silent_for_an_hour(memory_store: MemoryStore) -> None:
    """The machine's clock is set back while a flood limit is waited out: it stays as long."""
    clock = ManualClock()
    outbox, told = Outbox(clock), Limiting()
    sender = OutboxSender(memory_store, clock, outbox, told)
    await outbox.post(memory_store, Post(Started(1), chat_id=1))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(sender.run())
        for _ in range(3):
            await clock.advance(1)
        assert told.refusals == 1
        clock.step_wall(-3600)
        for _ in range(40):
            outbox.wake.set()
            await clock.advance(1)
        running.cancel()
    assert [post.notice for _, _, _, post in told.delivered] == [Started(1)]


@dataclass
class Limiting(Told):
    """A messenger that refuses the first message for half a minute."""

    refusals: int = 0

    async def deliver(self, chat_id: int, post: Post, **more: object) -> Delivered | TryLater:  # type: ignore[override]
        if not self.refusals:
            self.refusals = 1
            return TryLater(30, "flood limit of this chat")
        return await super().deliver(chat_id, post, **more)  # type: ignore[arg-type]
