"""Two hundred events in one second: a calm chat, nothing lost, no storm of refused calls (E5)."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.notices.post import Delivery, Post
from core.domain.notices.protection import Unprotected
from core.domain.notices.system import Text
from tests.fakes.bot_world import OWNER, World, soon
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("E5")

EVENTS = 200
EACH = range(EVENTS)
LIMITS = 5
"""How often Telegram makes the chat wait."""


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
    async with talking.sending():
        await posted(talking, *posts)
        await soon(lambda: is_empty(talking))
    assert sorted(await texts(talking)) == [f"event {number}" for number in range(195, EVENTS)]
    assert len(calls(talking, "sendMessage")) + len(calls(talking, "editMessageText")) < 5 * 5


async def test_two_hundred_messages_are_a_few_and_none_is_lost(talking: World) -> None:
    """In their order, put together within Telegram's length; no call of them is refused."""
    async with talking.sending():
        await posted(talking, *(Post(Text(f"event {n} {'x' * 100}"), chat_id=OWNER) for n in EACH))
        await soon(lambda: is_empty(talking))
    found = [line.split()[1] for text in await texts(talking) for line in text.split("\n\n")]
    assert found == [str(number) for number in EACH]
    asked = calls(talking, "sendMessage")
    assert len(asked) - 1 <= 10  # the answer to /help before
    assert all(one["status"] == 200 for one in asked)


async def test_a_limited_chat_loses_nothing_and_asks_no_more_than_it_must(talking: World) -> None:
    """One refused call each time the chat has to wait, and everything once."""
    body = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 3"}
    talking.fault(
        "http",
        "sendMessage",
        times=LIMITS,
        status=429,
        body={**body, "parameters": {"retry_after": 3}},
    )
    async with talking.sending():
        await posted(talking, *(Post(Text(f"event {n}"), chat_id=OWNER) for n in EACH))
        await soon(lambda: is_empty(talking))
    found = "\n\n".join(await texts(talking)).split("\n\n")
    assert found == [f"event {number}" for number in EACH]
    assert [one["status"] for one in calls(talking, "sendMessage")].count(429) == LIMITS


@pytest.mark.row("R6")
async def test_what_is_unprotected_is_read_first(talking: World) -> None:
    """Posted last, behind two hundred others, it is the first message and stands alone."""
    account = an_account()
    await talking.connect(account)
    why = "its stop was refused"
    bare = Unprotected(account.broker_id, "orb", "NSE:SBIN", "MIS", 10, why, can_put_back=False)
    async with talking.sending():
        events = [Post(Text(f"event {n}"), chat_id=OWNER) for n in EACH]
        await posted(talking, *events, Post(bare, chat_id=OWNER))
        await soon(lambda: is_empty(talking))
    shown = [one["text"] for one in await talking.owner.messages()]
    alarm = next(at for at, text in enumerate(shown) if "Unprotected" in text)
    assert alarm < next(at for at, text in enumerate(shown) if "event" in text)
    assert "event" not in shown[alarm]


async def test_one_that_telegram_refuses_takes_no_other_with_it(talking: World) -> None:
    """A message of several that is refused is sent again one by one."""
    body = {"ok": False, "error_code": 400, "description": "Bad Request: message is too strange"}
    talking.fault("http", "sendMessage", status=400, body=body, times=2)
    async with talking.sending():
        await posted(talking, *(Post(Text(f"event {n}"), chat_id=OWNER) for n in range(5)))
        await soon(lambda: is_empty(talking))
    assert await texts(talking) == [f"event {number}" for number in range(5)]
