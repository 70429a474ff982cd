"""Parts of the engine that several callers use at the same instant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.domain.notices.post import Delivery, Post
from core.domain.notices.runs import RunCard
from core.domain.notices.system import Text
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered
from core.ports.store import Change, StoreView
from tests.fakes.clock import RunningClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, Told, World, living, until

pytest_plugins = ("tests.faults.fixtures",)

pytestmark = pytest.mark.dates

CHAT = 4711
CARD = Post(RunCard("r"), Delivery.EDIT, "run:r", CHAT)


@pytest.mark.invariant("I8")
@pytest.mark.row("E5")
async def test_event_that_commits_behind_a_delivery_is_shown(memory_store: MemoryStore) -> None:
    """A card is rendered while another event on it has not committed: it is rendered once more."""
    clock = RunningClock()
    outbox = Outbox(clock)
    delivering = asyncio.Event()
    shown: list[int] = []

    class Renderer(Told):
        """Renders the card from the store, as the bot does."""

        async def deliver(
            self,
            chat_id: int,
            post: Post,
            *,
            notice_id: str,
            message_id: int | None,
            is_repeat: bool,
        ) -> Delivered:
            row = await memory_store.get("settings", "fact")
            shown.append(row["value"] if row else 0)
            delivering.set()
            return await super().deliver(
                chat_id,
                post,
                notice_id=notice_id,
                message_id=message_id,
                is_repeat=is_repeat,
            )

    sender = OutboxSender(memory_store, clock, outbox, Renderer())

    async def event(view: StoreView) -> None:
        await view.update("settings", {"_id": "fact"}, Change(set={"value": 1}), upsert=True)
        await outbox.post(view, CARD)
        await asyncio.wait_for(delivering.wait(), 150)

    await outbox.post(memory_store, CARD)
    running = asyncio.create_task(sender.run())
    try:
        await memory_store.transaction(event, nonce="event")

        async def is_shown() -> bool:
            return shown[-1] == 1

        await until(is_shown, what="the event on its card")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.invariant("I8")
@pytest.mark.row("E5")
async def test_waiting_edits_of_a_card_are_one_message(memory_store: MemoryStore) -> None:
    """After an outage a card is edited once, however many events waited; other notices all come."""
    clock, told = RunningClock(), Told()
    outbox = Outbox(clock)
    for n in range(5):
        await outbox.post(memory_store, CARD)
        await outbox.post(memory_store, Post(Text(str(n)), chat_id=CHAT))
    running = asyncio.create_task(OutboxSender(memory_store, clock, outbox, told).run())
    try:

        async def all_sent() -> bool:
            rows = await memory_store.find("outbox", {"state": {"$ne": "SENT"}})
            return not rows

        await until(all_sent, what="the outbox to empty")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told.kinds().count("run_card") == 1
    texts = [post.notice for _, _, _, post in told.delivered if post.key is None]
    assert texts == [Text(str(n)) for n in range(5)]


@pytest.mark.invariant("I13")
async def test_account_has_one_client_whoever_asks(
    simulators: Sandbox, embedded_store_uri: str, embedded_database: str, tmp_path: Path
) -> None:
    """A worker, a probe and market data that ask at once share one client; none is left open."""
    world = World(simulators, embedded_store_uri, embedded_database, tmp_path / "data")
    async with living(world) as life:
        account = await life.system.control.accounts.get(await life.connect(KITE))
        connections = life.system.connections
        await connections.drop(account.broker_id)
        clients = await asyncio.gather(*(connections.client(account) for _ in range(5)))
        assert len({id(client) for client in clients}) == 1
