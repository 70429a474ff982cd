"""What a notifier promises: the bot's, before the simulated Bot API, and the one of the engine's tests."""

from __future__ import annotations

import pytest

from core.domain.notices.post import Delivery, Post
from core.domain.notices.system import Text
from core.ports.notifier import Delivered, Notifier
from tests.fakes.bot_world import OWNER, World
from tests.faults.life import Told

pytestmark = pytest.mark.dates

NOTICE = "NOTICE000123456"


@pytest.fixture(params=["bot", "told"])
async def notifier(request: pytest.FixtureRequest, world: World) -> Notifier:
    """Each of them in turn; the bot knows its owner's chat."""
    if request.param == "told":
        return Told()
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    return world.bot.notifier


async def shown(notifier: Notifier, post: Post, message_id: int | None = None) -> int | None:
    """Deliver, and return in which message it is seen."""
    done = await notifier.deliver(
        OWNER, post, notice_id=NOTICE, message_id=message_id, is_repeat=False
    )
    assert isinstance(done, Delivered)
    return done.message_id


def card(text: str, delivery: Delivery) -> Post:
    return Post(Text(text), delivery, key="a card")


@pytest.mark.row("E1", "E5", "B6")
async def test_message_of_a_card_follows_its_delivery(notifier: Notifier) -> None:
    """Each notice is a message of its own; an edit keeps its message, a replacement is a new one."""
    first = await shown(notifier, Post(Text("one")))
    second = await shown(notifier, card("two", Delivery.EDIT))
    assert None not in {first, second}
    assert first != second
    assert await shown(notifier, card("three", Delivery.EDIT), second) == second
    third = await shown(notifier, card("four", Delivery.REPLACE), second)
    assert third not in {None, first, second}
    assert await shown(notifier, card("", Delivery.REMOVE), third) is None
    assert await shown(notifier, card("", Delivery.REMOVE), third) is None
