"""A store that goes away in the middle of a delivery keeps no notice back when it is there again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.domain.notices.post import Post
from core.domain.notices.system import Started
from core.engine import outbox_sender as module
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.errors import StoreUnavailable
from core.ports.store import Change, Document
from tests.fakes.clock import RunningClock
from tests.fakes.memory_store import MemoryStore
from tests.faults.life import Told, until

pytestmark = [pytest.mark.row("E5"), pytest.mark.invariant("I8")]


class _Held(MemoryStore):
    """A store in which a call waits for the test, which says how it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, asyncio.Future[None]] = {}
        self.waiting: set[str] = set()

    def keep_waiting(self, call: str) -> None:
        """Let the next call of this name wait."""
        self.calls[call] = asyncio.get_running_loop().create_future()

    async def _pass(self, call: str) -> None:
        if call in self.calls:
            self.waiting.add(call)
            await self.calls.pop(call)

    async def find(
        self, collection: str, where: Mapping[str, Any], **options: Any
    ) -> list[Document]:
        rows = await super().find(collection, where, **options)
        if collection == "outbox":
            chat = where.get("chat_id")
            await self._pass("look" if not isinstance(chat, int) else f"find {chat}")
        return rows

    async def update(
        self, collection: str, where: Mapping[str, Any], change: Change, **options: Any
    ) -> int:
        if collection == "outbox":
            await self._pass(f"{change.set['state']} {where.get('_id')}")
        return await super().update(collection, where, change, **options)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 3600.0)
    monkeypatch.setattr(module, "_STORE_PAUSE_S", 0.0)


@asynccontextmanager
async def sending(store: MemoryStore, outbox: Outbox, told: Told) -> AsyncIterator[None]:
    task = asyncio.create_task(OutboxSender(store, RunningClock(), outbox, told).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def post(store: MemoryStore, outbox: Outbox, chat_id: int, number: int) -> None:
    await outbox.post(store, Post(Started(number), chat_id=chat_id))


async def all_sent(store: MemoryStore) -> None:
    async def is_sent() -> bool:
        return {row["state"] for row in await MemoryStore.find(store, "outbox", {})} == {"SENT"}

    await until(is_sent, within_s=20, what="all notices")


async def waits(store: _Held, call: str) -> None:
    async def is_there() -> bool:
        return call in store.waiting

    await until(is_there, within_s=60, what=call)


async def test_chat_that_was_found_as_the_store_went_away_is_not_forgotten() -> None:
    """Its delivery is cancelled before its first step, and begins anew with the others'."""
    store, outbox, told = _Held(), Outbox(RunningClock()), Told()
    await post(store, outbox, 1, 0)
    store.keep_waiting("find 1")
    failing = store.calls["find 1"]
    async with sending(store, outbox, told):
        await waits(store, "find 1")
        store.keep_waiting("look")
        looking = store.calls["look"]
        await post(store, outbox, 2, 1)
        await waits(store, "look")
        # In one moment: one chat's delivery fails, and the other's is begun.
        failing.set_exception(StoreUnavailable("away"))
        looking.set_result(None)
        await all_sent(store)
    assert sorted(chat for chat, *_ in told.delivered) == [1, 2]


async def test_claim_that_is_slower_than_a_failure_beside_it_is_not_forgotten() -> None:
    """It ends before what was claimed is taken back: claimed after that, it would wait for ever."""
    store, outbox, told = _Held(), Outbox(RunningClock()), Told()
    for number in range(2):
        await post(store, outbox, 1, number)
    first, second = [row["_id"] for row in await MemoryStore.find(store, "outbox", {})]
    store.keep_waiting(f"SENT {first}")
    store.keep_waiting(f"SENDING {second}")
    failing, claiming = store.calls[f"SENT {first}"], store.calls[f"SENDING {second}"]
    async with sending(store, outbox, told):
        await waits(store, f"SENT {first}")
        await waits(store, f"SENDING {second}")
        store.waiting.clear()
        store.keep_waiting("find 1")
        looking = store.calls["find 1"]
        failing.set_exception(StoreUnavailable("away"))
        for _ in range(200):  # time enough to take back what was claimed, for who does not wait
            await asyncio.sleep(0)
        claiming.set_result(None)
        await waits(store, "find 1")
        looking.set_result(None)
        await all_sent(store)
