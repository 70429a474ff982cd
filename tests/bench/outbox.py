"""Notices delivered a second, beside the bare calls of the same messenger."""

# ruff: noqa: ARG002 - the port passes what this messenger needs not look at

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from core.adapters.clock import SystemClock
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import launch
from core.adapters.mongo.store import MongoStore
from core.domain.notices.post import Post
from core.domain.notices.system import Started
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered
from tests.bench.figure import Figure

__all__ = ["outbox"]

CHATS, NOTICES = 4, 100
ANSWERS_IN_S = 0.02


class _Messenger:
    """Answers each call after the same time, and limits nobody."""

    def __init__(self) -> None:
        self.delivered = 0
        self.done = asyncio.Event()

    async def deliver(
        self, chat_id: int, post: Post, *, notice_id: str, message_id: int | None, is_repeat: bool
    ) -> Delivered:
        await asyncio.sleep(ANSWERS_IN_S)
        self.delivered += 1
        if self.delivered == CHATS * NOTICES:
            self.done.set()
        return Delivered(self.delivered)


async def outbox(directory: Path) -> dict[str, Figure]:
    """Post many notices to a few chats, and time their delivery."""
    running = await launch(directory, uri=None, mongod=None, lookup_path=False)
    try:
        async with await MongoStore.connect(running.server.uri, "bench") as store:
            await migrate(store)
            ours = CHATS * NOTICES / await _through_the_outbox(store)
            bare = CHATS * NOTICES / await _bare()
    finally:
        await running.stop()
    return {"notices_a_second": Figure(ours, "1/s", bare, "the same calls, bare, 4 chats at once")}


async def _through_the_outbox(store: MongoStore) -> float:
    clock, messenger = SystemClock(), _Messenger()
    box = Outbox(clock)
    for number in range(NOTICES):
        for chat_id in range(1, CHATS + 1):
            await box.post(store, Post(Started(number), chat_id=chat_id))
    sending = asyncio.create_task(OutboxSender(store, clock, box, messenger).run())
    began = time.perf_counter()
    await messenger.done.wait()
    took = time.perf_counter() - began
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return took


async def _bare() -> float:
    messenger = _Messenger()

    async def chat(chat_id: int) -> None:
        for number in range(NOTICES):
            await messenger.deliver(
                chat_id,
                Post(Started(number), chat_id=chat_id),
                notice_id="",
                message_id=None,
                is_repeat=False,
            )

    began = time.perf_counter()
    await asyncio.gather(*(chat(chat_id) for chat_id in range(1, CHATS + 1)))
    return time.perf_counter() - began
