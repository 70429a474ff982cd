"""``python -m tests.bench.flood``: an owner's /panic in five thousand updates of strangers.

The bot stands over the real control, on a store in memory. A Bot API in another process
(``handing_out``) gives it the strangers' updates and the owner's, and notes when the question of
the panic comes. The peer is the same /panic while nobody else writes, in turn with it. *During* is
while a thousand strangers write each second, until five thousand have. *Behind* is with all of them
in the queue before: Telegram hands out a hundred a poll, in their order, so that fifty polls stand
between. *Handed out* is the same fifty polls by a reader that does nothing with them: it is no part
of the bot's; with Telegram it is fifty times the way there and back.
"""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import aiohttp

from bot.application import build_bot
from bot.parameters import BotParameters
from core.adapters.brokers import PROFILES
from core.adapters.clock import SystemClock
from tests.bench.figure import Figure, table
from tests.bench.handing_out import OWNER
from tests.bench.stores import program
from tests.fakes.bot_engine import BotEngine
from tests.fakes.views import an_account

__all__ = ["flood"]

STRANGERS, ROUNDS, ACCOUNTS = 5000, 5, 50
TOKEN = "7000000001:a-simulated_token"
_ROOT = Path(__file__).resolve().parents[2]
_IDS = re.compile(rb'"update_id": (\d+)')


@asynccontextmanager
async def _service() -> AsyncIterator[str]:
    command = program("tests.bench.handing_out")
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
        found["handed_out"] = [await _handed_out(root) for _ in range(rounds + 1)]
    # The first ones warm up.
    return {name: times[1:] for name, times in found.items()}


async def _handed_out(root: str) -> float:
    """Return the seconds in which a plain reader gets to the owner's update."""
    query = {"strangers": STRANGERS}
    async with aiohttp.request("GET", f"{root}/write", params=query) as answer:
        last = int((await answer.json())["last"])
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(root).port)
    began, body, offset = time.perf_counter(), b"", last - STRANGERS
    while b"/panic" not in body:
        asked = b'{"offset": %d}' % offset
        head = b"POST /getUpdates HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(asked)
        writer.write(head + asked)
        told = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(told.rpartition(b": ")[2]))
        offset = int(_IDS.findall(body)[-1]) + 1
    seconds = time.perf_counter() - began
    writer.close()
    return seconds


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
        for name in ("during", "behind", "handed_out")
    }


if __name__ == "__main__":
    sys.stdout.write(table(asyncio.run(flood())))
