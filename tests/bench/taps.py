"""``python -m tests.bench.taps``: taps a second and the time to an answer, beside a stock echo.

Our bot and an echo that python-telegram-bot's own examples would write stand in one process, turn
by turn, before the same simulator. Two kinds of taps: *screens* show something; *nonces* confirm a
change of a mode: nonce, gate, accounts and the audit's commit, each once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import Application, CallbackQueryHandler

from bot.application import build_bot
from bot.conversation.nonces import Nonces
from bot.parameters import BotParameters
from bot.views.callbacks import encode
from bot.views.verbs import Verb
from core.adapters.brokers import PROFILES
from core.adapters.clock import SystemClock
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import launch
from core.adapters.mongo.store import MongoStore
from core.domain.mode import TradingMode
from core.ports.store import Store
from tests.bench.messenger import FIRST_USER, Messenger, Served
from tests.fakes.bot_engine import BotEngine, QuickClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.views import an_account

OURS, ECHO = "7000000001:ours-simulated_token", "7000000002:echo-simulated_token"
CHATS, TAPS, ROUNDS = 32, 256, 5
PACE_S, PACED = 0.02, 96
"""Fifty taps a second, of all chats together."""


@dataclass(frozen=True)
class Round:
    """One burst of taps, or one of paced ones, and what it cost this process."""

    served: Served
    cpu_s: float
    messenger_cpu_s: float

    @property
    def rate(self) -> float:
        return len(self.served.answers) / self.served.seconds


@asynccontextmanager
async def echoing(root: str) -> AsyncIterator[None]:
    """Run the echo: it answers a tap and edits its message into what was tapped."""

    async def answer(update: Update, _: Any) -> None:
        query = update.callback_query
        assert query is not None and query.data is not None
        await query.answer()
        keys = [[InlineKeyboardButton("Once more", callback_data=query.data)]]
        await query.edit_message_text(
            f"You tapped {query.data}", reply_markup=InlineKeyboardMarkup(keys)
        )

    app = Application.builder().token(ECHO).base_url(f"{root}/bot").build()
    app.add_handler(CallbackQueryHandler(answer))
    async with app:
        await app.start()
        assert app.updater is not None
        await app.updater.start_polling()
        yield
        await app.updater.stop()
        await app.stop()


@dataclass
class Ours:
    """Our bot, and the engine that it drives."""

    engine: BotEngine
    clock: SystemClock
    accounts: list[str]

    async def screens(self, each: int) -> dict[str, list[str]]:
        """Return the buttons of screens."""
        kinds = [encode(Verb.HELP), encode(Verb.STRATEGIES)]
        return {
            str(FIRST_USER + chat): [
                encode(Verb.ACCOUNT, self.accounts[chat]) if at % 2 else kinds[at // 2 % len(kinds)]
                for at in range(each)
            ]
            for chat in range(CHATS)
        }

    async def nonces(self, each: int) -> dict[str, list[str]]:
        """Issue nonces, and return the buttons that spend them."""
        issued, modes = Nonces(self.engine.store, self.clock), list(TradingMode)
        found: dict[str, list[str]] = {}
        for chat in range(CHATS):
            user_id = FIRST_USER + chat
            found[str(user_id)] = []
            for at in range(each):
                args = {"target": self.accounts[chat], "mode": modes[at % len(modes)].value}
                nonce = await issued.issue(Verb.CHANGE_MODE, user_id, user_id, args)
                found[str(user_id)].append(encode(Verb.CHANGE_MODE, nonce))
        return found


@asynccontextmanager
async def our_bot(store: Store, root: str) -> AsyncIterator[Ours]:
    """Run our bot over a store, an account for each of its owners."""
    clock = SystemClock()
    engine = BotEngine(store=store, clock=cast(QuickClock, clock))
    accounts = [f"zerodha_{number:010d}" for number in range(CHATS)]
    for number, broker_id in enumerate(accounts):
        name = f"Account {number}"
        await engine.connect(
            an_account(broker_id, display_name=name, is_default=not number, enabled=False)
        )
    owners = frozenset(range(FIRST_USER, FIRST_USER + CHATS))
    parameters = BotParameters(OURS, owners, PROFILES, root)
    bot = build_bot(parameters, engine.control, store, engine.vault, clock)
    running = asyncio.create_task(bot.run())
    try:
        yield Ours(engine, clock, accounts)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await bot.stop()


@asynccontextmanager
async def stored(kind: str, directory: Path, mongod: Path | None) -> AsyncIterator[Store]:
    """Open a store of a kind."""
    if kind == "memory":
        yield MemoryStore()
        return
    binary = mongod if kind == "mongod" else None
    running = await launch(directory, uri=None, mongod=binary, lookup_path=False)
    try:
        async with await MongoStore.connect(running.server.uri, "bench") as store:
            await migrate(store)
            yield store
    finally:
        await running.stop()


class Bench:
    """Both bots before one messenger."""

    def __init__(self, messenger: Messenger, ours: Ours) -> None:
        self._messenger = messenger
        self._ours = ours
        self._message_ids: dict[str, dict[str, int]] = {}

    async def open(self) -> None:
        """Open every chat, and let each bot serve a few taps before it is measured."""
        for token in (OURS, ECHO):
            self._message_ids[token] = await self._messenger.opened(token, CHATS)
        for _ in range(2):
            await self.echo(2)
            await self.ours("screens", 2)
            await self.ours("nonces", 2)

    async def echo(self, each: int, pause_s: float = 0.0) -> Round:
        """Let the echo serve taps."""
        data = {chat: [f"{chat}-{at}" for at in range(each)] for chat in self._message_ids[ECHO]}
        return await self._serve(ECHO, data, pause_s)

    async def ours(self, kind: str, each: int, pause_s: float = 0.0) -> Round:
        """Let our bot serve taps of a kind."""
        made = self._ours.screens if kind == "screens" else self._ours.nonces
        return await self._serve(OURS, await made(each), pause_s)

    async def _serve(self, token: str, data: Mapping[str, list[str]], pause_s: float) -> Round:
        before, theirs = time.process_time(), self._messenger.cpu_s()
        served = await self._messenger.serve(
            int(token.partition(":")[0]), self._message_ids[token], dict(data), pause_s
        )
        ours = time.process_time() - before
        return Round(served, ours, self._messenger.cpu_s() - theirs)


def _line(name: str, rounds: list[Round], peer: float | None) -> str:
    taps = len(rounds[0].served.answers)
    rate = median(one.rate for one in rounds)
    cpu = median(one.cpu_s / taps * 1e3 for one in rounds)
    theirs = median(one.messenger_cpu_s / taps * 1e3 for one in rounds)
    answers = [one * 1e3 for found in rounds for one in found.served.answers]
    edits = [one * 1e3 for found in rounds for one in found.served.edits]
    spread = quantiles(answers, n=20)
    ratio = f"{rate / peer:>6.2f}" if peer else f"{'':>6}"
    return (
        f"{name:<26}{rate:>8.0f}{ratio}{cpu:>8.2f}{theirs:>6.2f}"
        f"{median(answers):>9.1f}{spread[-1]:>8.1f}{median(edits):>9.1f}"
        f"{quantiles(edits, n=20)[-1]:>8.1f}\n"
    )


async def measure(kind: str, directory: Path, mongod: Path | None, rounds: int) -> str:
    """Measure our bot over one kind of store beside the echo; return the lines of a table."""
    messenger = Messenger()
    names = ("echo", "screens", "nonces")
    bursts: dict[str, list[Round]] = {name: [] for name in names}
    paced: dict[str, list[Round]] = {name: [] for name in names}
    try:
        async with (
            stored(kind, directory, mongod) as store,
            our_bot(store, messenger.root) as ours,
            echoing(messenger.root),
        ):
            bench = Bench(messenger, ours)
            await bench.open()
            for _ in range(rounds):
                bursts["echo"].append(await bench.echo(TAPS // CHATS))
                for name in names[1:]:
                    bursts[name].append(await bench.ours(name, TAPS // CHATS))
            for _ in range(rounds):
                paced["echo"].append(await bench.echo(PACED // CHATS, PACE_S))
                for name in names[1:]:
                    paced[name].append(await bench.ours(name, PACED // CHATS, PACE_S))
    finally:
        messenger.end()
    peer = median(one.rate for one in bursts["echo"])
    lines = [_line(f"{kind}, {name}", bursts[name], peer) for name in names]
    lines += [_line(f"{kind}, {name}, paced", paced[name], None) for name in names]
    return "".join(lines)


def main() -> None:
    """Measure over each kind of store."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.taps", description=__doc__)
    parser.add_argument("--stores", nargs="+", default=["memory", "embedded"], metavar="KIND")
    parser.add_argument("--mongod", type=Path, help="its binary; measures that store too")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    stores = [*options.stores, *(["mongod"] if options.mongod else [])]
    logging.disable(logging.WARNING)
    sys.stdout.write(
        f"{TAPS} taps at once over {CHATS} chats; paced: one each {PACE_S * 1e3:.0f} ms\n"
        f"{'':<26}{'taps/s':>8}{'ratio':>6}{'cpu ms':>8}{'sim':>6}{'answer ms p50, p95':>17}"
        f"{'edit ms p50, p95':>17}\n"
    )
    for kind in dict.fromkeys(stores):
        with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
            sys.stdout.write(asyncio.run(measure(kind, Path(made), options.mongod, options.rounds)))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
