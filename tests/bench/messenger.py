"""``python -m tests.bench.messenger``: the simulated Bot API as a process that taps by itself.

It taps within the process and notes when each tap was answered and when its message was edited, so
that nobody but the bot that is measured asks it for anything. ``Messenger`` is what starts it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.clock import MarketClock
from sandbox.faults import Faults
from sandbox.state import State
from sandbox.telegram import Simulator, build_app
from sandbox.telegram.model import Callback, Message
from sandbox.telegram.user_actions import find_bot, find_conversation, tap
from tests.bench.stores import program

__all__ = ["FIRST_USER", "Messenger", "Served"]

FIRST_USER = 5001
_PATIENCE_S = 120.0
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Served:
    """How taps were served.

    Attributes:
        seconds: From the first tap to the last edit.
        tapped: When, by the machine's monotonic clock; the other two in the same order.
        answers: Seconds from each tap to its answer, which ends the spinner.
        edits: Seconds from each tap to the edit of its message.
    """

    seconds: float
    tapped: tuple[float, ...]
    answers: tuple[float, ...]
    edits: tuple[float, ...]


class _Watched(Simulator):
    """The chat service; it notes what becomes of taps."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, float] = {}
        self.edits: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        self.changed = asyncio.Event()

    def save_callback(self, callback: Callback) -> None:
        super().save_callback(callback)
        if callback.is_answered:
            self.answers[callback.id] = time.perf_counter()
            self.changed.set()

    def save_message(self, message: Message) -> None:
        super().save_message(message)
        chat_id = int(message.conversation.rpartition(":")[2])
        self.edits[chat_id, message.id].append(time.perf_counter())
        self.changed.set()


@dataclass
class _World:
    faults: Faults
    state_dir: Path | None = None
    clock: MarketClock = field(default_factory=MarketClock)
    parts: dict[str, Any] = field(default_factory=dict)
    reset_hooks: list[Callable[[], None]] = field(default_factory=list)
    clock_hooks: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True)
class _Tap:
    """One that was made: the how-manieth of its message it is, and when."""

    callback_id: str
    message: tuple[int, int]
    number: int
    at: float


async def _taps(sim: _Watched, body: dict[str, Any]) -> list[_Tap]:
    """Tap what each chat is given, in turn, with a pause after each."""
    given: dict[str, list[str]] = body["data"]
    made: list[_Tap] = []
    for number in range(max(map(len, given.values()))):
        for chat, data in given.items():
            message = (int(chat), int(body["message_ids"][chat]))
            where = find_conversation(sim, message[0], body["bot_id"])
            callback = tap(
                sim,
                where,
                user_id=message[0],
                message_id=message[1],
                data=data[number],
                is_forged=True,
            )
            made.append(_Tap(callback.id, message, number, time.perf_counter()))
            if body["pause_s"]:
                await asyncio.sleep(body["pause_s"])
    return made


def _routes(sim: _Watched) -> list[web.RouteDef]:
    async def taps(request: web.Request) -> web.Response:
        """Tap, and tell when all are answered and edited how each was served."""
        sim.edits.clear()
        sim.answers.clear()
        began = time.perf_counter()
        made = await _taps(sim, await request.json())
        async with asyncio.timeout(_PATIENCE_S):
            while any(
                one.callback_id not in sim.answers or len(sim.edits[one.message]) <= one.number
                for one in reversed(made)
            ):
                sim.changed.clear()
                await sim.changed.wait()
        answers = [sim.answers[one.callback_id] for one in made]
        edits = [sim.edits[one.message][one.number] for one in made]
        return web.json_response(
            {
                "seconds": max(*answers, *edits) - began,
                "tapped": [one.at for one in made],
                "answers": [at - one.at for at, one in zip(answers, made, strict=True)],
                "edits": [at - one.at for at, one in zip(edits, made, strict=True)],
            }
        )

    async def chats(request: web.Request) -> web.Response:
        """Open a private chat with a bot for each user."""
        body = await request.json()
        for number in range(body["count"]):
            sim.open_private(find_bot(sim, body["bot_id"]), sim.user(FIRST_USER + number))
        return web.json_response({})

    return [web.post("/bench/taps", taps), web.post("/bench/chats", chats)]


class Messenger:
    """The running process."""

    def __init__(self) -> None:
        command = program("tests.bench.messenger")
        self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.root = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())}"

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it took so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    async def ask(self, path: str, **body: Any) -> Any:
        """Ask a route of the bench or of the Bot API."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.root}{path}", json=body) as answer,
        ):
            found = await answer.json()
            assert answer.ok, found
            return found

    async def opened(self, token: str, chats: int) -> dict[str, int]:
        """Let users have a chat with a bot, and a message in it each; return the messages' ids."""
        await self.ask(f"/bot{token}/getMe")
        await self.ask("/bench/chats", bot_id=int(token.partition(":")[0]), count=chats)
        found = {}
        for user_id in range(FIRST_USER, FIRST_USER + chats):
            sent = await self.ask(f"/bot{token}/sendMessage", chat_id=user_id, text="Welcome")
            found[str(user_id)] = sent["result"]["message_id"]
        return found

    async def serve(
        self,
        bot_id: int,
        message_ids: dict[str, int],
        data: dict[str, list[str]],
        pause_s: float = 0.0,
    ) -> Served:
        """Tap what each chat is given and return how it was served."""
        found = await self.ask(
            "/bench/taps", bot_id=bot_id, message_ids=message_ids, data=data, pause_s=pause_s
        )
        times = (tuple(found[name]) for name in ("tapped", "answers", "edits"))
        return Served(found["seconds"], *times)


async def _main() -> None:
    world = _World(Faults(State(None)))
    sim = world.parts["telegram"] = _Watched()
    app = build_app(world)
    app.add_routes(_routes(sim))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
