"""``python -m tests.bench.flood``: an owner's /panic in five thousand updates of strangers.

The bot stands over the real control, on a store in memory. A Bot API in another process hands out
the strangers' updates and the owner's, and notes when the question of the panic comes. The peer is
the same /panic while nobody else writes, in turn with it. *During* is while a thousand strangers
write each second, until five thousand have. *Behind* is with all of them in the queue before:
Telegram hands out a hundred a poll, in their order, so that fifty polls stand between, and their
price is what is measured; with Telegram it is fifty times the way there and back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from aiohttp import web

from bot.application import build_bot
from bot.parameters import BotParameters
from core.adapters.brokers import PROFILES
from core.adapters.clock import SystemClock
from tests.bench.figure import Figure, table
from tests.bench.stores import program
from tests.fakes.bot_engine import BotEngine
from tests.fakes.views import an_account

__all__ = ["flood"]

OWNER, STRANGERS, ROUNDS, ACCOUNTS = 1001, 5000, 5, 50
TOKEN = "7000000001:a-simulated_token"
_ROOT = Path(__file__).resolve().parents[2]
_POLL = 100
_A_SECOND, _AT_A_TIME, _BETWEEN_S = 1000, 10, 0.4


def _update(update_id: int, user_id: int, text: str) -> str:
    """Return an update as Telegram writes it, with the fields that a private chat has."""
    person = {
        "id": user_id,
        "is_bot": False,
        "first_name": "Somebody",
        "username": f"user{user_id}",
        "language_code": "en",
    }
    message: dict[str, Any] = {
        "message_id": update_id,
        "from": person,
        "chat": {"id": user_id, "first_name": "Somebody", "type": "private"},
        "date": int(time.time()),
        "text": text,
    }
    if text.startswith("/"):
        message["entities"] = [{"offset": 0, "length": len(text), "type": "bot_command"}]
    return json.dumps({"update_id": update_id, "message": message})


@dataclass
class _Service:
    """The Bot API, as far as the bot asks it."""

    pending: deque[tuple[int, str]] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    next_id: int = 1
    at: float = 0.0
    text: str = ""

    async def call(self, request: web.Request) -> web.Response:
        """Answer a method."""
        method = request.match_info["method"]
        if method == "getUpdates":
            return await self._updates(await request.json())
        result: object = True
        if method == "getMe":
            result = {"id": 7000000001, "is_bot": True, "first_name": "B", "username": "b_bot"}
        elif method == "sendMessage":
            body = await request.json()
            self.at, self.text = time.perf_counter(), str(body.get("text", ""))
            self.asked.set()
            chat = {"id": OWNER, "type": "private", "first_name": "A"}
            result = {"message_id": self.next_id, "date": int(time.time()), "chat": chat}
        return web.json_response({"ok": True, "result": result})

    async def _updates(self, body: dict[str, Any]) -> web.Response:
        offset = int(body.get("offset") or 0)
        while self.pending and self.pending[0][0] < offset:
            self.pending.popleft()
        if not self.pending:
            self.arrived.clear()
            self.polled.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(20):
                    await self.arrived.wait()
        some = [text for _, (_, text) in zip(range(_POLL), self.pending, strict=False)]
        text = '{"ok": true, "result": [' + ", ".join(some) + "]}"
        return web.Response(text=text, content_type="application/json")

    async def panic(self, request: web.Request) -> web.Response:
        """Let strangers write, and then the owner; tell after how long the question came."""
        strangers = int(request.query["strangers"])
        await self.polled.wait()
        self.polled.clear()
        self.asked.clear()
        made = deque(self._new(10**6 + n, f"hello {n}") for n in range(strangers))
        made.append(self._new(OWNER, "/panic"))
        seconds = await self._asked_after(made)
        return web.json_response({"seconds": [seconds], "text": self.text})

    async def during(self, request: web.Request) -> web.Response:
        """Let strangers write at a pace, and the owner a few times among them."""
        strangers = int(request.query["strangers"])
        seconds = []
        await self.polled.wait()
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write(strangers))
            while not writing.done():
                await asyncio.sleep(_BETWEEN_S)
                self.asked.clear()
                seconds.append(await self._asked_after(deque([self._new(OWNER, "/panic")])))
        return web.json_response({"seconds": seconds, "text": self.text})

    async def _write(self, strangers: int) -> None:
        for _ in range(strangers // _AT_A_TIME):
            for number in range(_AT_A_TIME):
                self.pending.append(self._new(10**6 + number, "hello"))
            self.arrived.set()
            await asyncio.sleep(_AT_A_TIME / _A_SECOND)

    def _new(self, user_id: int, text: str) -> tuple[int, str]:
        self.next_id += 1
        return self.next_id, _update(self.next_id, user_id, text)

    async def _asked_after(self, made: deque[tuple[int, str]]) -> float:
        """Hand updates out; return after how many seconds the question came."""
        began = time.perf_counter()
        self.pending.extend(made)
        self.arrived.set()
        async with asyncio.timeout(60):
            await self.asked.wait()
        return self.at - began


async def _serve() -> None:
    service = _Service()
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", service.call)
    app.router.add_get("/panic", service.panic)
    app.router.add_get("/during", service.during)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@asynccontextmanager
async def _service() -> AsyncIterator[str]:
    command = program("tests.bench.flood", "--serve")
    child = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        command, cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        port = (await asyncio.to_thread(child.stdout.readline)).strip()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()


async def _times(rounds: int, accounts: int) -> dict[str, list[float]]:
    """Return the seconds of each /panic: quiet ones and flooded ones, turn by turn."""
    engine = BotEngine()
    await engine.connect(
        *(
            an_account(f"zerodha_{number:010d}", display_name=f"A{number}", is_default=not number)
            for number in range(accounts)
        )
    )
    await engine.control.owners.settle((OWNER,))
    asked = {"quiet": ("panic", 0), "behind": ("panic", STRANGERS), "during": ("during", STRANGERS)}
    found: dict[str, list[float]] = {name: [] for name in asked}
    async with _service() as root:
        parameters = BotParameters(TOKEN, PROFILES, root)
        bot = build_bot(parameters, engine.control, engine.store, engine.vault, SystemClock())
        task = asyncio.create_task(bot.run())
        try:
            async with aiohttp.ClientSession() as http:
                for name in ("quiet", "behind", *(("quiet", *asked) * rounds)):
                    path, strangers = asked[name]
                    query = {"strangers": strangers}
                    async with http.get(f"{root}/{path}", params=query) as answer:
                        told = await answer.json()
                        assert "Exit only first" in told["text"], told["text"]
                        found[name] += told["seconds"]
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await bot.stop()
    # The first ones warm up.
    return {name: times[1:] for name, times in found.items()}


async def flood(_directory: Path | None = None) -> dict[str, Figure]:
    """Measure once, as figures."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        times = await _times(ROUNDS, ACCOUNTS)
    finally:
        logging.disable(before)
    middle = {name: median(found) * 1e3 for name, found in times.items()}
    peer = "the same /panic while nobody else writes"
    return {
        f"panic_{name}_{STRANGERS}_strangers": Figure(middle[name], "ms", middle["quiet"], peer)
        for name in ("during", "behind")
    }


def main() -> None:
    """Measure and print, or serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flood", description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    if parser.parse_args().serve:
        asyncio.run(_serve())
    else:
        sys.stdout.write(table(asyncio.run(flood())))


if __name__ == "__main__":
    main()
