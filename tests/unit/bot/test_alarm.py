"""Trouble with reading Telegram is told in the chat, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from bot.edge.polling import SECOND_INSTANCE, PollerHealth
from bot.edge.polling_alarm import PollingAlarm
from core.domain.notices.post import Post
from core.domain.notices.system import PollerTrouble
from core.errors import StoreUnavailable
from tests.fakes.clock import ManualClock

pytestmark = pytest.mark.matrix("T06")


@dataclass
class Scene:
    """The poller's word, the outbox, and the alarm's clock."""

    clock: ManualClock = field(default_factory=ManualClock)
    trouble: str = ""
    store_is_away: bool = False
    posted: list[Post] = field(default_factory=list)

    def health(self) -> PollerHealth:
        return PollerHealth(None, self.trouble)

    async def post(self, post: Post) -> None:
        if self.store_is_away:
            raise StoreUnavailable("away")
        self.posted.append(post)

    @property
    def told(self) -> list[str]:
        notices = [post.notice for post in self.posted]
        return [one.text for one in notices if isinstance(one, PollerTrouble)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """An alarm that looks, polling in good health."""
    made = Scene()
    task = asyncio.create_task(PollingAlarm(made.health, made.post, made.clock).run())
    await made.clock.wait_for_sleepers()
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_trouble_is_told_once(scene: Scene) -> None:
    """Health says nothing; a trouble that lasts, in whatever words, is one notice."""
    await scene.clock.advance(60)
    assert scene.told == []
    scene.trouble = SECOND_INSTANCE
    await scene.clock.advance(10)
    assert scene.told == [SECOND_INSTANCE]
    scene.trouble = "Telegram has not answered for 70 seconds."
    await scene.clock.advance(3600)
    assert scene.told == [SECOND_INSTANCE]


async def test_trouble_that_comes_and_goes_is_one(scene: Scene) -> None:
    """Two programs with one token take turns: that is still told once."""
    for _ in range(20):
        scene.trouble = SECOND_INSTANCE
        await scene.clock.advance(30)
        scene.trouble = ""
        await scene.clock.advance(30)
    assert scene.told == [SECOND_INSTANCE]


async def test_the_next_trouble_is_told_again(scene: Scene) -> None:
    """After a good while of health a trouble is a new one."""
    scene.trouble = SECOND_INSTANCE
    await scene.clock.advance(10)
    scene.trouble = ""
    await scene.clock.advance(600)
    scene.trouble = "Telegram has not answered for 50 seconds."
    await scene.clock.advance(10)
    assert scene.told == [SECOND_INSTANCE, "Telegram has not answered for 50 seconds."]


async def test_a_store_that_is_away_is_waited_for(scene: Scene) -> None:
    """What could not be written is told when the store is back, once."""
    scene.trouble, scene.store_is_away = SECOND_INSTANCE, True
    await scene.clock.advance(60)
    assert scene.told == []
    scene.store_is_away = False
    await scene.clock.advance(60)
    assert scene.told == [SECOND_INSTANCE]
