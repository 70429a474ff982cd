"""``make faults``: plays the campaign on all cores, prints its table, and fails when it must.

``python -m tests.campaign`` takes some minutes; ``--long`` ends the process at every call of every
scenario and goes on until 1,000 kills and 10,000 faults are reached; ``--short`` is what ``make
test`` runs. ``python -m tests.campaign day 17`` plays one day alone and tells its story;
``python -m tests.campaign crash exit 42`` does so for one call of a scenario.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.campaign.enumerator import sampled
from tests.campaign.scenarios import SCENARIOS
from tests.campaign.table import BAD, table_of
from tests.campaign.worker import play
from tests.faults.tether import tethered

_ROOT = Path(__file__).resolve().parents[2]
_KILLS, _FAULTS = 1_000, 10_000
_FEWEST = 30
"""So many calls at least has every scenario."""
_LINE = 2**20
_LONGEST = 620


def _say(text: str | None) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Form:
    """How much is played.

    Attributes:
        crashes: Calls of each scenario at which it ends; 0 for one whose calls are not counted.
        days: Random days.
        processes: Worlds of processes, with their ends.
        limit_s: After this no new world begins.
    """

    crashes: int
    days: int
    processes: Sequence[int]
    limit_s: float


FORMS = {
    "short": Form(0, 3, (1,), 90),
    "usual": Form(20, 50, (5,), 300),
    "long": Form(1_000_000, 200, (10, 10, 10, 10), 1_000),
}


@dataclass
class Campaign:
    """One campaign as it is played."""

    form: Form
    seed: int
    is_long: bool
    tasks: deque[dict[str, Any]] = field(default_factory=deque)
    parts: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _next_day: int = 0

    def plan(self) -> None:
        """Begin with what takes longest; the calls of a scenario are counted first."""
        for n, rounds in enumerate(self.form.processes):
            self.tasks.append({"part": "processes", "seed": self.seed + n, "rounds": rounds})
        for n, name in enumerate(SCENARIOS):
            if self.form.crashes:
                self.tasks.append({"part": "count", "scenario": name})
            elif not SCENARIOS[name].is_paper:  # ``test_paper_kills.py`` has its moments
                k = 1 + (13 * self.seed + 7 * n) % _FEWEST
                self.tasks.append({"part": "crash", "scenario": name, "k": k})
        for _ in range(self.form.days):
            self._add_day()

    def _add_day(self) -> None:
        self.tasks.append({"part": "day", "seed": self.seed + self._next_day})
        self._next_day += 1

    def take(self) -> dict[str, Any] | None:
        """Return the next world; None when enough was played or the time is up."""
        if time.monotonic() - self.began > self.form.limit_s:
            return None
        if not self.tasks and self.is_long and self._falls_short():
            self._add_day()
        return self.tasks.popleft() if self.tasks else None

    def _falls_short(self) -> bool:
        total: Counter[str] = sum(self.parts.values(), Counter())
        return total["kills"] < _KILLS or total["faults"] < _FAULTS

    def heard(self, answer: dict[str, Any]) -> None:
        """Take in what came of a world."""
        task, figures = answer["task"], answer["figures"]
        if task["part"] == "count":
            moments = figures["moments"]
            for k in sampled(moments, self.form.crashes, self.seed):
                self.tasks.append({"part": "crash", "scenario": task["scenario"], "k": k})
            return
        self.parts[task["part"]].update(figures)
        for sentence in answer["faults"]:
            name = " ".join(str(value) for value in task.values())
            self.faults.append(f"{name}: {sentence}")
            _say(f"! {_shortened(self.faults[-1])}")

    async def work(self) -> None:
        """Keep one process at work."""
        command = tethered([sys.executable, "-m", "tests.campaign.worker"])
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE * 16,
            start_new_session=True,
        )
        assert process.stdin is not None and process.stdout is not None
        _say(f"a worker began: {process.pid}")
        try:
            while (task := self.take()) is not None:
                process.stdin.write((json.dumps(task) + "\n").encode())
                await process.stdin.drain()
                line = await process.stdout.readline()
                if not line:
                    raise RuntimeError(f"a worker ended while it played {task}")
                self.heard(json.loads(line))
        finally:
            # Its children are tied to it by the kernel.
            if process.returncode is None:
                process.kill()
            await process.wait()

    def report(self) -> int:
        """Print the table and return the exit code."""
        seconds = time.monotonic() - self.began
        _say(f"\nseed {self.seed}, {seconds:.0f} s, {os.cpu_count()} cores\n")
        _say("\n".join(table_of(self.parts)))
        total: Counter[str] = sum(self.parts.values(), Counter())
        if self.faults:
            _say(f"\n{len(self.faults)} faults:")
            _say("\n".join(f"- {_shortened(sentence)}" for sentence in self.faults[:60]))
        return int(bool(self.faults) or any(total[figure] for figure in BAD))


def _shortened(sentence: str) -> str:
    """Return where it is and how it ends: a traceback names its error last."""
    return sentence if len(sentence) <= _LONGEST else f"{sentence[:120]} … {sentence[-480:]}"


async def _play(campaign: Campaign, jobs: int) -> None:
    campaign.plan()
    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(campaign.work())


def _one(words: Sequence[str]) -> int:
    """Play one world alone and tell its story."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        command = [sys.executable, "-m", "tests.campaign", *words]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    match words:
        case ["day", seed]:
            task: dict[str, Any] = {"part": "day", "seed": int(seed)}
        case ["crash", scenario, k]:
            task = {"part": "crash", "scenario": scenario, "k": int(k)}
        case ["processes", seed, rounds]:
            task = {"part": "processes", "seed": int(seed), "rounds": int(rounds)}
        case _:
            _say(__doc__)
            return 2
    logging.disable(logging.CRITICAL)
    verdict = play(task)
    _say("\n".join([*verdict.story, "", str(dict(verdict.figures)), *verdict.faults]))
    return int(bool(verdict.faults))


def main(arguments: Sequence[str]) -> int:
    """Play a campaign, or one world of it."""
    # A shell that starts it in the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="tests.campaign", description=__doc__)
    parser.add_argument("world", nargs="*", help="one world alone: day 17, crash exit 42")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--minutes", type=float, help="begin no new world after this time")
    chosen = parser.parse_args(arguments)
    if chosen.world:
        return _one(chosen.world)
    name = "long" if chosen.long else "short" if chosen.short else "usual"
    form = FORMS[name]
    if chosen.minutes:
        form = replace(form, limit_s=60 * chosen.minutes)
    campaign = Campaign(form, chosen.seed, chosen.long)
    try:
        asyncio.run(_play(campaign, chosen.jobs))
    except KeyboardInterrupt:
        _say("\ninterrupted; this is what was played until then")
        campaign.report()
        return 130
    return campaign.report()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
