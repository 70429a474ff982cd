"""Notices in the outbox: all of them come back, and one of no use stops nothing."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from core.domain.notices.notice import Notice
from core.domain.notices.post import Delivery, Post
from core.domain.notices.stored import post_of
from core.domain.notices.system import Started
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.store import Change, StoreView
from tests.fakes.clock import ManualClock, RunningClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.notices import ALL_KINDS
from tests.faults.life import Told, until

pytestmark = pytest.mark.row("E5")

CHAT = 4711


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(notices=ALL_KINDS)
async def test_every_notice_comes_back_from_the_store(
    memory_store: MemoryStore, notices: tuple[Notice, ...]
) -> None:
    """Kind, fields and delivery are read as they were posted."""
    await memory_store.delete("outbox", {})
    outbox = Outbox(RunningClock())
    posts = [Post(one, Delivery.REPLACE, f"card:{one.kind}", CHAT) for one in notices]

    async def event(view: StoreView) -> None:
        for post in posts:
            await outbox.post(view, post)

    await memory_store.transaction(event, nonce=uuid.uuid4().hex)
    rows = await memory_store.find("outbox", {}, sort=[("_id", 1)])
    assert [post_of(row) for row in rows] == posts


@pytest.mark.invariant("I8")
async def test_order_of_notices_outlives_a_restart(memory_store: MemoryStore) -> None:
    """What a later controller posts stands behind what an earlier one did, many in one moment."""
    clock = ManualClock()
    for life in range(2):
        outbox = Outbox(clock)
        for number in range(3):
            await outbox.post(memory_store, Post(Started(10 * life + number), chat_id=CHAT))
        await clock.advance(1)
    rows = await memory_store.find("outbox", {"chat_id": CHAT}, sort=[("seq", 1)])
    assert [post_of(row).notice for row in rows] == [Started(n) for n in (0, 1, 2, 10, 11, 12)]
    assert len({row["_id"] for row in rows}) == 6


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "of_the_future"},
        {"kind": "login_done", "data": {}},
        {"data": "text"},
        {"delivery": "by_owl"},
    ],
)
async def test_unreadable_notice_is_a_dead_letter(
    memory_store: MemoryStore, damage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Of another version, or damaged: it is logged and kept, and what waits behind it is sent."""
    clock, told = RunningClock(), Told()
    outbox = Outbox(clock)
    damaged = outbox._row(CHAT, Post(Started()))
    await memory_store.insert("outbox", {**damaged, **damage})
    await outbox.post(memory_store, Post(Started(2), chat_id=CHAT))
    sending = asyncio.create_task(OutboxSender(memory_store, clock, outbox, told).run())
    try:

        async def is_sent() -> bool:
            return bool(told.delivered)

        with caplog.at_level(logging.ERROR):
            await until(is_sent, what="the notice behind it")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    (row,) = await memory_store.find("outbox", {"state": "DEAD"})
    assert row["_id"] == damaged["_id"] and "cannot be read" in row["reason"]
    assert "undeliverable" in caplog.text
    assert [post.notice for _, _, _, post in told.delivered] == [Started(2)]


@pytest.mark.invariant("I8")
async def test_notice_of_its_own_gets_its_place_when_it_is_written(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for a store which is slow, or for another commit, is newer than what came by.

    Seen once in 1,000 kills: the card of an order of unknown fate behind its end.
    """
    outbox, go_on, waits = Outbox(RunningClock()), asyncio.Event(), asyncio.Event()

    def held_up(write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def later(*given: Any, **named: Any) -> Any:
            if not waits.is_set():
                waits.set()
                await go_on.wait()
            return await write(*given, **named)

        return later

    for name in ("insert", "transaction"):
        monkeypatch.setattr(memory_store, name, held_up(getattr(memory_store, name)))
    late = asyncio.create_task(outbox.post_alone(memory_store, Post(Started(1), chat_id=CHAT)))
    await waits.wait()
    await outbox.post_alone(memory_store, Post(Started(2), chat_id=CHAT))
    go_on.set()
    await late
    rows = await memory_store.find("outbox", {}, sort=[("_id", 1)])
    assert [post_of(row).notice for row in rows] == [Started(2), Started(1)]


@pytest.mark.matrix("C08")
async def test_what_a_crash_cut_off_comes_again_as_a_repeat(memory_store: MemoryStore) -> None:
    """It was perhaps delivered: it says so, under its id; what had only waited is new, in order."""
    clock, told = RunningClock(), Told()
    outbox = Outbox(clock)
    for number in range(3):
        await outbox.post(memory_store, Post(Started(number), chat_id=CHAT))
    first, *_ = await memory_store.find("outbox", {}, sort=[("seq", 1)])
    await memory_store.update("outbox", {"_id": first["_id"]}, Change(set={"state": "SENDING"}))
    sending = asyncio.create_task(OutboxSender(memory_store, clock, outbox, told).run())
    try:

        async def are_sent() -> bool:
            return len(told.delivered) == 3

        await until(are_sent, what="all notices")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    shown = [(post.notice, is_repeat) for _, _, is_repeat, post in told.delivered]
    assert shown == [(Started(0), True), (Started(1), False), (Started(2), False)]
    assert told.delivered[0][1] == first["_id"]
