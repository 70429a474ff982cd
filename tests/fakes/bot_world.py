"""The real bot over the real control, between the simulated Bot API and a scripted broker.

``World.crash`` ends the bot as ``kill -9`` would: its tasks stop where they stand, nothing is
marked, nothing is closed in order. ``World.start`` then builds another one on the same store.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from unittest import mock

from cryptography.fernet import Fernet

from bot import application
from bot.application import Bot, build_bot
from bot.parameters import BotParameters
from core.adapters.brokers import OFFERED
from core.adapters.vault import FernetVault
from core.engine.outbox_sender import OutboxSender
from core.ports.store import Store
from tests.fakes.bot_api import TOKEN, Telegram, Wall, serve_telegram
from tests.fakes.bot_engine import BotEngine, QuickClock

__all__ = [
    "BOT_ID",
    "OWNER",
    "Person",
    "QuickClock",
    "World",
    "a_message",
    "a_tap",
    "bot_world",
    "soon",
]

OWNER = 1001
BOT_ID = int(TOKEN.partition(":")[0])
T = TypeVar("T")


async def soon(ask: Callable[[], Any], within_s: float = 150.0) -> Any:
    """Ask (plainly or by a coroutine) until the answer is true and return it."""
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s} s"
        await asyncio.sleep(0.01)


def _sender(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Asha"}


def a_message(update_id: int, text: str, *, at: datetime) -> dict[str, Any]:
    """Return the update of an owner's message."""
    message: dict[str, Any] = {
        "message_id": 90000 + update_id % 1000,
        "date": int(at.timestamp()),
        "text": text,
        "chat": {"id": OWNER, "type": "private", "first_name": "Asha"},
        "from": _sender(OWNER),
    }
    if text.startswith("/"):
        length = len(text.split(maxsplit=1)[0])
        message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
    return {"update_id": update_id, "message": message}


def a_tap(update_id: int, data: str, message_id: int, *, user_id: int = OWNER) -> dict[str, Any]:
    """Return the update of a tap."""
    query = {
        "id": str(10**15 + update_id),
        "from": _sender(user_id),
        "chat_instance": "1",
        "data": data,
        "message": {
            "message_id": message_id,
            "date": 0,
            "chat": {"id": user_id, "type": "private", "first_name": "Asha"},
        },
    }
    return {"update_id": update_id, "callback_query": query}


@dataclass
class Person:
    """Somebody with a phone.

    What is looked for, by its words or by the label of a button, is below what was said last: an
    older message may hold the same, and the answer may not be there yet. ``anywhere`` looks at
    those too, for an answer that changes one of them.
    """

    telegram: Telegram
    user_id: int = OWNER

    async def say(self, text: str) -> int:
        """Write to the bot; return the message's id."""
        said = await self.telegram.say(text, self.user_id)
        self.telegram.said[self.user_id] = said
        return said

    async def answers(self, *, after: int = 0, anywhere: bool = False) -> list[dict[str, Any]]:
        """Return the messages below what was said last, or all, newest first."""
        last = 0 if anywhere else self.telegram.said.get(self.user_id, 0)
        return list(reversed(await self.messages(after=max(after, last))))

    async def messages(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Return what the chat shows now, newest last."""
        seen = await self.telegram.transcript(self.user_id, after=after)
        return [one for one in seen["messages"] if not one["deleted"]]

    async def toasts(self) -> list[str]:
        """Return the texts of the answers to taps."""
        seen = await self.telegram.transcript(self.user_id)
        return [str(one["text"]) for one in seen["toasts"] if one and one.get("text")]

    async def sees(self, text: str, *, after: int = 0, anywhere: bool = False) -> dict[str, Any]:
        """Return the newest message of the bot that holds ``text``, when it comes."""

        async def look() -> dict[str, Any] | None:
            found = await self.answers(after=after, anywhere=anywhere)
            return next(
                (one for one in found if one["from"] == "bot" and text in one["text"]), None
            )

        try:
            found: dict[str, Any] = await soon(look)
        except AssertionError:
            texts = [one["text"] for one in await self.messages()]
            raise AssertionError(f"{text!r} is not in the chat: {texts}") from None
        return found

    async def reads(self, message_id: int, text: str) -> dict[str, Any]:
        """Return this very message when it holds ``text``."""

        async def look() -> dict[str, Any] | None:
            for one in await self.messages():
                if one["id"] == message_id and text in one["text"]:
                    return one
            return None

        found: dict[str, Any] = await soon(look)
        return found

    async def tap(
        self, label: str, *, message: dict[str, Any] | None = None, anywhere: bool = False
    ) -> int:
        """Tap the newest button whose label holds ``label``; return its message's id."""

        async def look() -> tuple[int, str] | None:
            found = [message] if message else await self.answers(anywhere=anywhere)
            for one in found:
                for row in one["keyboard"]:
                    for button in row:
                        if label in button["text"] and "data" in button:
                            return one["id"], button["data"]
            return None

        message_id, data = await soon(look)
        await self.press(message_id, data)
        return int(message_id)

    async def press(self, message_id: int, data: str, *, forged: bool = True) -> int:
        """Send a button's data, even when no keyboard shows it any more."""
        status, answer = await self.telegram.control(
            "tap",
            chat_id=self.user_id,
            user_id=self.user_id,
            message_id=message_id,
            data=data,
            forged=forged,
        )
        assert status == 200, answer
        return status

    async def button(self, label: str) -> dict[str, Any]:
        """Return the newest button whose label holds ``label``."""

        async def look() -> dict[str, Any] | None:
            for one in await self.answers():
                for row in one["keyboard"]:
                    for button in row:
                        if label in button["text"]:
                            found: dict[str, Any] = button
                            return found
            return None

        wanted: dict[str, Any] = await soon(look)
        return wanted


@dataclass(kw_only=True)
class World(BotEngine):
    """Everything around one bot; at each start it stands on another engine.

    Attributes:
        owners: Whom the settings list.
        console: What was shown there.
    """

    telegram: Telegram
    console: list[str] = field(default_factory=list)
    owners: frozenset[int] = frozenset({OWNER})
    bots: list[Bot] = field(default_factory=list)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    before: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def bot(self) -> Bot:
        """The bot that runs."""
        return self.bots[-1]

    @property
    def owner(self) -> Person:
        """The owner."""
        return Person(self.telegram)

    def build(self) -> Bot:
        """Build an engine and its bot, and start neither."""
        self.build_engine()
        parameters = BotParameters(
            token=TOKEN,
            brokers=OFFERED,
            api_root=self.telegram.root,
            public_url=self.public_url,
            poll_timeout_s=5,
        )
        bot = build_bot(
            parameters, self.control, self.store, self.vault, self.clock, tell=self.console.append
        )
        self.bots.append(bot)
        return bot

    async def start(self, *, has_workers: bool = True) -> Bot:
        """Build a bot and run it, with a worker for each account that has read its broker.

        Without workers a test looks after the accounts itself.
        """
        bot = self.build()
        await self.control.owners.settle(self.owners)
        self.before = asyncio.all_tasks()
        self.tasks = {asyncio.create_task(bot.run())}
        if has_workers:
            self.tasks.add(asyncio.create_task(self.wiring.pool.run()))
        await soon(lambda: self.telegram.sim.bots)
        if has_workers:
            await soon(self.have_read)
        return bot

    async def crash(self) -> None:
        """End the bot where it stands."""
        mine = asyncio.all_tasks() - self.before
        for task in self.tasks | {one for one in mine if _is_bots(one)}:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        await self.bot.notifier._api.shutdown()  # the system closes a dead process's sockets

    async def stop(self) -> None:
        """End the bot in order."""
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.bot.stop()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Deliver what waits, through the bot, as the controller does."""
        sender = OutboxSender(self.store, self.clock, self.wiring.outbox, self.bot.notifier)
        task = asyncio.create_task(sender.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def rows(self, collection: str, **where: Any) -> list[dict[str, Any]]:
        """Return rows of the store."""
        return await self.store.find(collection, where)

    async def is_idle(self) -> bool:
        """Tell whether every update that was stored is handled, and there is one at least."""
        rows = await self.rows("inbox")
        return bool(rows) and all(row["state"] == "done" for row in rows)

    async def lay_in_inbox(self, update: dict[str, Any]) -> None:
        """Store an update as one that arrived and was not handled before the process died."""
        key = f"{BOT_ID}:{update['update_id']}"
        row = {
            "_id": key,
            "bot_id": BOT_ID,
            "update_id": update["update_id"],
            "payload": self.vault.seal(json.dumps(update)),
            "received_at": self.clock.now(),
            "state": "new",
            "attempts": 0,
        }
        await self.store.delete("inbox", {"_id": key})
        await self.store.insert("inbox", row)

    async def logged_in(self) -> None:
        """Wait until every account is logged in; the message about it is a notice."""

        async def done() -> bool:
            return not any(one.needs_login for one in await self.control.accounts.all())

        await soon(done)

    async def settled(self) -> None:
        """Wait until Telegram holds nothing and every update is handled."""
        await asyncio.sleep(0.05)
        await soon(self.is_idle)

    def fault(self, kind: str, call: str, **fields: Any) -> str:
        """Set a fault on a method of the Bot API."""
        match = {"call": call, **fields.pop("match", {})}
        wanted = {"target": "telegram", "kind": kind, "match": match, **fields}
        return self.telegram.world.faults.add(wanted).id


def _is_bots(task: asyncio.Task[Any]) -> bool:
    return task.get_name().startswith("Application:")


@asynccontextmanager
async def bot_world(store: Store, **fields: Any) -> AsyncIterator[World]:
    """Serve Telegram and a bot that is not started yet; stop what runs at the end."""
    wall = Wall()
    vault = FernetVault([Fernet.generate_key().decode()])
    # An answer takes as long as a busy machine needs; what hangs in a test hangs to its end.
    patient = mock.patch.object(application, "_REQUEST_TIMEOUT_S", 60.0)
    async with serve_telegram(wall=wall) as telegram:
        patient.start()
        world = World(telegram=telegram, store=store, clock=QuickClock(wall), vault=vault, **fields)
        try:
            yield world
        finally:
            if world.bots:
                telegram.world.faults.remove()
                await world.stop()
            patient.stop()
