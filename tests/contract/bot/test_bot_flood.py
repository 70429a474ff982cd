"""Two hundred events in one second: a calm chat, nothing lost, no storm of refused calls (E5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.domain.notices.post import Delivery, Post
from core.domain.notices.system import Text
from core.engine.outbox import OutboxSender
from tests.fakes.bot_world import OWNER, World, soon

pytestmark = pytest.mark.row("E5")

EVENTS = 200
LIMITS = 5
"""How often Telegram makes the chat wait."""


@asynccontextmanager
async def sending(world: World) -> AsyncIterator[None]:
    """Deliver what waits, through the bot, as the controller does."""
    outbox = world.wiring.outbox
    task = asyncio.create_task(
        OutboxSender(world.store, world.clock, outbox, world.bot.notifier).run()
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def posted(world: World, *posts: Post) -> None:
    """Post all of it in one commit, as a second full of events does."""

    async def body(view: Any) -> None:
        for one in posts:
            await world.wiring.outbox.post(view, one)

    await world.store.transaction(body, nonce="a second full of events")


async def texts(world: World) -> list[str]:
    return [one["text"] for one in await world.owner.messages() if "event" in one["text"]]


def calls(world: World, method: str) -> list[dict[str, Any]]:
    """Return the calls of a method that reached Telegram."""
    found: list[dict[str, Any]] = world.telegram.world.parts["telegram.calls"].entries(
        method=method
    )
    return found


async def is_empty(world: World) -> bool:
    """Tell whether nothing waits any more; a second passes with each look."""
    world.clock.wall.seconds += 1
    world.wiring.outbox.wake.set()
    return not await world.store.find("outbox", {"state": {"$in": ["WAITING", "SENDING"]}})


@pytest.fixture
async def talking(world: World) -> World:
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    return world


async def test_events_of_a_few_cards_are_a_few_edits(talking: World) -> None:
    """Each of five cards ends with its newest state; what came between is not shown."""
    posts = [
        Post(Text(f"event {number}"), Delivery.EDIT, f"card{number % 5}", OWNER)
        for number in range(EVENTS)
    ]
    async with sending(talking):
        await posted(talking, *posts)
        await soon(lambda: is_empty(talking))
    assert sorted(await texts(talking)) == [f"event {number}" for number in range(195, EVENTS)]
    assert len(calls(talking, "sendMessage")) + len(calls(talking, "editMessageText")) < 5 * 5


@pytest.mark.slow
async def test_a_limited_chat_loses_nothing_and_asks_no_more_than_it_must(talking: World) -> None:
    """Every message once and in its order, and one refused call each time the chat has to wait."""
    body = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 3"}
    talking.fault(
        "http",
        "sendMessage",
        times=LIMITS,
        status=429,
        body={**body, "parameters": {"retry_after": 3}},
    )
    async with sending(talking):
        await posted(talking, *(Post(Text(f"event {n}"), chat_id=OWNER) for n in range(EVENTS)))
        await soon(lambda: is_empty(talking))
    assert await texts(talking) == [f"event {number}" for number in range(EVENTS)]
    asked = calls(talking, "sendMessage")
    assert [one["status"] for one in asked].count(429) == LIMITS
    assert len(asked) == 1 + EVENTS + LIMITS  # the answer to /help before
