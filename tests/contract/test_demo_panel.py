"""The demo's card in the chat: a guest's, so that the product's bot hears nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.demo.actor import Actor
from console.demo.events import Events, next_moments
from console.demo.guest import Guest
from console.demo.options import DemoOptions
from console.demo.panel import Panel
from console.demo.stage import Stage, set_stage
from core.domain.sessions import IST
from tests.fakes.bot_api import BotClient, Telegram, serve_telegram

pytestmark = pytest.mark.row("F1")

ACTOR = Actor("kite", "Zerodha", "Main", "key", "secret", "AB1234", "http://127.0.0.1/cb")


class Happened(Events):
    """Notes what would have happened."""

    def __init__(self) -> None:
        super().__init__(httpx.AsyncClient(), [ACTOR])
        self.seen: list[str] = []
        self.at_brokers = [ACTOR]

    async def connected(self) -> list[Actor]:
        return self.at_brokers

    async def symbols(self) -> list[str]:
        return ["INFY", "SBIN"]

    async def move(self, symbol: str, percent: float) -> float:
        self.seen.append(f"{symbol} {percent}")
        return 1234.5

    async def end_login(self, actor: Actor) -> None:
        self.seen.append(f"login of {actor.label}")

    async def slow_down(self, actor: Actor) -> None:
        self.seen.append(f"slow {actor.broker}")


@dataclass
class Controller:
    """Stands in for the keeper."""

    pid: int = 1
    moved: list[datetime] = field(default_factory=list)

    def kill(self) -> None:
        self.pid += 1

    async def is_back(self, *, after: int | None) -> None:
        assert self.pid != after

    async def move_to(self, market: datetime) -> None:
        self.moved.append(market)


@dataclass
class Scene:
    """A chat with a bot and its guest."""

    telegram: Telegram
    bot: BotClient
    events: Happened
    controller: Controller
    stage: Stage
    http: httpx.AsyncClient

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Run the card; a second time as after a restart of the demo."""
        guest, controller = Guest(self.http), self.controller
        panel = Panel(guest, self.http, self.events, controller, self.stage, answer_s=1.0)  # type: ignore[arg-type]
        running = asyncio.get_running_loop().create_task(panel.run())
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async def card(self, *words: str) -> dict[str, Any]:
        """Wait until the card holds the words, and return it."""

        def found(messages: list[dict[str, Any]]) -> dict[str, Any] | None:
            for one in messages:
                if one["guest"] and not one["deleted"] and all(w in one["text"] for w in words):
                    return one
            return None

        return await self.until(found)

    async def until(
        self, found: Callable[[list[dict[str, Any]]], dict[str, Any] | None]
    ) -> dict[str, Any]:
        async with asyncio.timeout(150):
            while True:
                if one := found((await self.telegram.transcript())["messages"]):
                    return one
                await asyncio.sleep(0.01)

    async def tap(self, card: dict[str, Any], text: str, *words: str) -> dict[str, Any]:
        place = {"chat_id": 1001, "user_id": 1001, "message_id": card["id"]}
        status, answer = await self.telegram.control("tap", **place, text=text)
        assert status == 200, answer
        return await self.card(*words)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    stage = set_stage(tmp_path, DemoOptions(clock="2026-11-20T09:10*10"))
    async with (
        serve_telegram() as telegram,
        httpx.AsyncClient(base_url=telegram.root, timeout=60) as http,
    ):
        bot = telegram.bot()
        await bot.ok("getMe")
        scene = Scene(telegram, bot, Happened(), Controller(), stage, http)
        async with scene.playing():
            async with asyncio.timeout(150):
                while not [one for one in telegram.sim.bots.values() if one.host and one.commands]:
                    await asyncio.sleep(0.01)
            yield scene


def labels(card: dict[str, Any]) -> list[str]:
    return [one["text"] for row in card["keyboard"] for one in row]


async def test_the_card_comes_after_the_greeting_and_on_demand(scene: Scene) -> None:
    """START brings the product's greeting, then the card; ``/demo`` a new one, which only the demo hears.

    Nothing is connected: what would have no effect is not offered, for no broker has an account.
    A demo that was kept and is started again shows the card anew, with what is still to be done.
    """
    scene.events.at_brokers = []
    await scene.telegram.say("/start")
    await scene.bot.ok("sendMessage", chat_id=1001, text="Namaste")
    card = await scene.card("The bot is the real one")
    assert labels(card) == [
        "🔗 Connect the two accounts for me",
        "⚡ Trade on paper for me",
        "💥 Kill Saarthi",
        "⏩ To 09:29",
        "⏩ To 14:55",
    ]
    assert "Begin with a blue button" in card["text"]
    await scene.telegram.say("/demo")
    again = await scene.until(
        lambda messages: next((m for m in messages if m["guest"] and m["id"] > card["id"]), None)
    )
    old = await scene.until(lambda messages: next((m for m in messages if m["deleted"]), None))
    assert (old["id"], labels(again)) == (card["id"], labels(card))
    heard = [one["message"]["text"] for one in await scene.bot.ok("getUpdates")]
    assert heard == ["/start"]

    scene.events.at_brokers, scene.stage.is_quick = [ACTOR], True
    async with scene.playing():
        taken_up = await scene.card("The demo goes on: it is Fri 20 Nov, ")
    assert taken_up["id"] > again["id"]
    gone = await scene.until(lambda all_: next((m for m in all_ if m["id"] == again["id"]), None))
    assert gone["deleted"]
    assert labels(taken_up)[0] == "📈 Move a price"


async def test_what_is_tapped_happens(scene: Scene) -> None:
    """A price moves, a login ends, a broker is slow, the controller is killed, the clock skips hours."""
    await scene.telegram.say("/demo")
    card = await scene.card("The bot is the real one")
    card = await scene.tap(card, "📈 Move a price", "Which price moves?")
    assert labels(card) == ["INFY", "SBIN", "« Back"]
    card = await scene.tap(card, "SBIN", "How far does SBIN move?")
    card = await scene.tap(card, "\u22122\u00a0%", "SBIN moved \u22122\u00a0% to ₹1,234.50")
    card = await scene.tap(card, "🔑 End a login", "Whose login")
    card = await scene.tap(card, "Zerodha - Main", "has ended the login of Zerodha - Main")
    card = await scene.tap(card, "🐢 Slow a broker", "answers late")
    card = await scene.tap(card, "Zerodha", "takes seconds to answer")
    assert scene.events.seen == ["SBIN -2.0", "login of Zerodha - Main", "slow kite"]
    card = await scene.tap(card, "💥 Kill Saarthi", "was killed and is back")
    await scene.tap(card, "⏩ To 14:55", "It is ")
    assert [f"{at:%d %b %H:%M}" for at in scene.controller.moved] == ["20 Nov 14:55"]
    assert await scene.bot.ok("getUpdates") == []


async def test_what_does_not_work_is_said(scene: Scene) -> None:
    """Nobody answers ``/brokers`` here: the card says so and stays of use."""
    scene.events.at_brokers = []
    await scene.telegram.say("/demo")
    card = await scene.card("The bot is the real one")
    await scene.tap(
        card,
        "🔗 Connect the two accounts for me",
        "⚠️ That did not work: expected a message with",
        "Go on by hand",
    )
    typed = [one["message"]["text"] for one in await scene.bot.ok("getUpdates")]
    assert typed == ["/brokers"]


@pytest.mark.parametrize(
    ("now", "offered"),
    [
        ("2026-11-20T09:10", ["20 09:29", "20 14:55"]),
        ("2026-11-20T11:00", ["20 14:55", "23 08:55"]),
        ("2026-11-20T15:40", ["23 08:55"]),
    ],
)
def test_the_moments_that_are_offered(now: str, offered: list[str]) -> None:
    """The next two that are worth it, over a weekend too."""
    found = next_moments(datetime.fromisoformat(now).replace(tzinfo=IST))
    assert [f"{at:%d %H:%M}" for at in found] == offered
