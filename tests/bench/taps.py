"""``python -m tests.bench.taps``: taps a second and the time to an answer, beside a stock echo.

Our bot runs in a real controller (``tests.bench.chat``: supervisor, workers, outbox); the echo, as the
examples of python-telegram-bot write it, in this process. Both stand before one simulator, turn by
turn. *screens* show something; *nonces* confirm a change of a limit: nonce, gate, limits, journal of
changes, in one commit; *modes* confirm one of a mode, which wakes the account's worker besides.
*echo of screens* answers with texts and buttons as long as those of our screens.

``--during-fanout`` taps while one decision is executed on fifty accounts.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.constants import ParseMode
from telegram.ext import Application, CallbackQueryHandler

from bot.registry import COMMANDS
from bot.views.screen import Screen
from bot.views.system import help_screen
from tests.bench.bed import Bed, at, bed, middle
from tests.bench.chat import TOKEN as OURS
from tests.bench.figure import Figure
from tests.bench.messenger import Messenger, Served
from tests.bench.stores import STORES, cpu_of

ECHO = "7000000002:echo-simulated_token"
CHATS, TAPS, ROUNDS = 32, 256, 5
PACE_S, PACED = 0.02, 96
"""Fifty taps a second, of all chats together."""
ACCOUNTS, TAPPING, TAPPED, TAP_S = 50, 4, 20, 0.05
"""During a fan-out: accounts, users who tap, how often each does, and the pause between two."""
_WIDE = 4
_PROMISE_MS = 150.0


@dataclass(frozen=True)
class Round:
    """One burst of taps, or one of paced ones, and the CPU that bot and messenger used for it."""

    served: Served
    cpu_s: float
    messenger_cpu_s: float

    @property
    def rate(self) -> float:
        return len(self.served.answers) / self.served.seconds


def _shown(data: str) -> Screen:
    """Return what the echo shows: a line, or as much as one of our screens."""
    if not data.startswith("wide"):
        return Screen(
            f"You tapped {data}", ((InlineKeyboardButton("Once more", callback_data=data),),)
        )
    text = help_screen([(one.name, one.summary) for one in COMMANDS]).text
    keys = [InlineKeyboardButton(f"Button {n}", callback_data=f"{data}{n}") for n in range(8)]
    return Screen(
        f"{text}\n{data}", tuple((a, b) for a, b in zip(keys, keys[_WIDE:], strict=False))
    )


@asynccontextmanager
async def echoing(root: str) -> AsyncIterator[None]:
    """Run the echo: it answers a tap and edits its message into what was tapped."""

    async def answer(update: Update, _: Any) -> None:
        query = update.callback_query
        assert query is not None and query.data is not None
        await query.answer()
        screen = _shown(query.data)
        await query.edit_message_text(
            screen.text, parse_mode=ParseMode.HTML, reply_markup=InlineKeyboardMarkup(screen.rows)
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


class Bench:
    """Both bots before one messenger."""

    def __init__(self, messenger: Messenger, over: Bed) -> None:
        self._messenger = messenger
        self._over = over
        self._message_ids: dict[str, dict[str, int]] = {}

    async def open(self, chats: int) -> None:
        """Open every chat, and let each bot serve a few taps before it is measured."""
        for token in (OURS, ECHO):
            self._message_ids[token] = await self._messenger.opened(token, chats)
        for _ in range(2):
            for name in ("echo", "echo of screens", "screens", "both"):
                await self.serve(name, 2)

    async def serve(self, name: str, each: int, pause_s: float = 0.0) -> Round:
        """Let a bot serve taps of a kind."""
        if not name.startswith("echo"):
            return await self._serve(OURS, await self._over.ask(name, each=each), pause_s)
        word = "wide" if name.endswith("screens") else "tap"
        chats = self._message_ids[ECHO]
        data = {chat: [f"{word}-{chat}-{number}" for number in range(each)] for chat in chats}
        return await self._serve(ECHO, data, pause_s)

    async def _serve(self, token: str, data: Mapping[str, list[str]], pause_s: float) -> Round:
        before, theirs = self._cpu_s(token), self._messenger.cpu_s()
        served = await self._messenger.serve(
            int(token.partition(":")[0]), self._message_ids[token], dict(data), pause_s
        )
        used = self._cpu_s(token) - before
        return Round(served, used, self._messenger.cpu_s() - theirs)

    def _cpu_s(self, token: str) -> float:
        return time.process_time() if token == ECHO else cpu_of(self._over.child.pid)


HEAD = (
    f"{'':<32}{'taps/s':>8}{'x echo':>8}{'x wide':>8}{'cpu ms':>8}{'sim':>6}"
    f"{'answer ms p50, p95':>20}{'edit ms p50, p95':>18}\n"
)


def _line(name: str, rounds: list[Round], peers: tuple[float, ...]) -> str:
    taps = len(rounds[0].served.answers)
    rate = middle([one.rate for one in rounds])
    cpu = middle([one.cpu_s / taps * 1e3 for one in rounds])
    theirs = middle([one.messenger_cpu_s / taps * 1e3 for one in rounds])
    answers = [one * 1e3 for found in rounds for one in found.served.answers]
    edits = [one * 1e3 for found in rounds for one in found.served.edits]
    ratios = "".join(f"{rate / peer:>8.2f}" for peer in peers) or f"{'':>16}"
    return (
        f"{name:<32}{rate:>8.0f}{ratios}{cpu:>8.2f}{theirs:>6.2f}"
        f"{median(answers):>12.1f}{at(answers, 0.95):>8.1f}"
        f"{median(edits):>10.1f}{at(edits, 0.95):>8.1f}\n"
    )


_NAMES = ("echo", "echo of screens", "screens", "nonces", "modes")


async def served(kind: str, directory: Path, rounds: int) -> dict[tuple[str, float], list[Round]]:
    """Measure our bot over one kind of store beside the echo; by name and pause."""
    messenger = Messenger()
    found: dict[tuple[str, float], list[Round]] = {}
    try:
        async with (
            bed(directory, kind, telegram=messenger.root, users=CHATS) as over,
            echoing(messenger.root),
        ):
            await over.connect(CHATS)
            bench = Bench(messenger, over)
            await bench.open(CHATS)
            for pause_s, each in ((0.0, TAPS // CHATS), (PACE_S, PACED // CHATS)):
                for _ in range(rounds):
                    for name in _NAMES:
                        one = await bench.serve(name, each, pause_s)
                        found.setdefault((name, pause_s), []).append(one)
    finally:
        messenger.end()
    return found


async def rates(kind: str, directory: Path, rounds: int) -> str:
    """Measure, and return the lines of a table."""
    names, found = _NAMES, await served(kind, directory, rounds)
    peers = tuple(middle([one.rate for one in found[name, 0.0]]) for name in names[:2])
    lines = [_line(f"{kind}, {name}", found[name, 0.0], peers) for name in names]
    lines += [_line(f"{kind}, {name}, paced", found[name, PACE_S], ()) for name in names]
    return "".join(lines)


async def tapped(
    kind: str, directory: Path, rounds: int
) -> tuple[list[float], list[float], list[float]]:
    """Tap while fifty accounts enter and leave; return milliseconds of slots, answers, edits."""
    messenger = Messenger()
    answers: list[float] = []
    edits: list[float] = []
    slots: list[float] = []
    try:
        async with bed(directory, kind, telegram=messenger.root, users=TAPPING) as over:
            await over.connect(ACCOUNTS)
            chats = await messenger.opened(OURS, TAPPING)
            for number in range(rounds + 1):
                for way in ("LONG", "FLAT"):
                    data = await over.ask("both", each=TAPPED)
                    bot_id = int(OURS.partition(":")[0])
                    taps, slot = await asyncio.gather(
                        messenger.serve(bot_id, chats, data, TAP_S), over.slot(way, ACCOUNTS)
                    )
                    if not number:
                        continue
                    began, ended = slot.times["began"], slot.times["filled_at"]
                    slots.append(slot.last_answer_ms)
                    for when, answer, edit in zip(
                        taps.tapped, taps.answers, taps.edits, strict=True
                    ):
                        if began <= when <= ended:
                            answers.append(answer * 1e3)
                            edits.append(edit * 1e3)
    finally:
        messenger.end()
    return slots, answers, edits


async def during_fanout(kind: str, directory: Path, rounds: int) -> str:
    """Measure, and return the line of what was tapped meanwhile."""
    slots, answers, edits = await tapped(kind, directory, rounds)
    return (
        f"{kind}: slot to the last answer {middle(slots):.0f} ms; {len(answers)} taps from the slot "
        f"to the last fill: answer p50 {at(answers, 0.5):.0f}, p95 {at(answers, 0.95):.0f} ms; "
        f"edit p50 {at(edits, 0.5):.0f}, p95 {at(edits, 0.95):.0f} ms\n"
    )


async def taps(directory: Path, store: str) -> dict[str, Figure]:
    """Measure both once, as figures."""
    found = await served(store, directory / "rates", ROUNDS)
    peer = middle([one.rate for one in found["echo", 0.0]])
    figures = {
        f"taps_of_{name}_{store}": Figure(
            middle([one.rate for one in found[name, 0.0]]), "1/s", peer, "a stock echo's taps"
        )
        for name in ("screens", "nonces")
    }
    _, answers, _ = await tapped(store, directory / "fanout", ROUNDS)
    value, promised = at(answers, 0.95), "150 ms"
    figures[f"tap_while_50_trade_p95_{store}"] = Figure(value, "ms", _PROMISE_MS, promised)
    return figures


def main() -> None:
    """Measure over each kind of store."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.taps", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--during-fanout", action="store_true", help="tap while fifty accounts trade"
    )
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    if not chosen.during_fanout:
        sys.stdout.write(
            f"{TAPS} taps at once over {CHATS} chats; paced: one each {PACE_S * 1e3:.0f} ms\n{HEAD}"
        )
    for kind in STORES if chosen.store == "both" else [chosen.store]:
        with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
            measure = during_fanout if chosen.during_fanout else rates
            sys.stdout.write(asyncio.run(measure(kind, Path(made), chosen.rounds)))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
