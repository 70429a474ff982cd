"""One decision on many accounts, beside the same orders without a controller, in one run.

``python -m tests.bench.fanout --accounts 1,5,20,50,200 --store mongod --rounds 5 --exits`` runs a real
controller (its own process; supervisor, workers, outbox, a strategy that enters on all accounts)
over a store server of its own, against ``tests.bench.door``, which answers each order after 30 ms
and each read at once. Fills are pushed; ``--no-stream`` leaves them to polling. In each
round the peers of ``tests.bench.peers`` send as many orders to the same door: a bare aiohttp client, the official SDK in a loop, the SDK in threads. Printed are medians
of the rounds.

* ``slot to last answer``: from the start of the run (the slot's tick) until the last ``place`` of
  the broker's client returned; beside the bare client's and the SDK loop's whole time.
* ``commit to doors``: from the run's commit until the last byte of the last order is at the door;
  beside the bare client's time from its start to the same moment.
* ``cpu``: the controller's process time an order, until the last answer is journalled and until
  the last fill is; the store's process until the fill.
* The stages of one order, p50 and p99 over all orders of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.bed import Bed, Slot, at, bed, middle
from tests.bench.figure import Figure
from tests.bench.peers import Bare, sdk_loop, sdk_threads, sdks
from tests.bench.stores import STORES, busy

__all__ = ["Fanout", "Round", "fanout", "report", "stages_of"]

STAGES = ("plan", "commit", "submit", "send", "broker", "answer", "record")
_WAYS = ("entry", "exit")


@dataclass(frozen=True)
class Round:
    """One slot, as times in milliseconds.

    Attributes:
        last_answer: From the run's start; nan when not every order was answered.
        doors: From the run's commit to the last byte at the door.
        cpu: Of the controller an order, until answers and until fills; of the store until fills.
        stages: By stage, one value an order.
        answered: How many orders were answered.
    """

    last_answer: float
    doors: float
    cpu: tuple[float, ...]
    stages: Mapping[str, Sequence[float]]
    answered: int
    fill: float


@dataclass
class Fanout:
    """All rounds of one number of accounts."""

    accounts: int
    store: str
    entry: list[Round] = field(default_factory=list)
    exit: list[Round] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    bare_doors: list[float] = field(default_factory=list)
    loop: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)


def stages_of(times: Mapping[str, Any], seen: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return the stages of each order of a slot, in milliseconds.

    Args:
        times: What ``Controlled.run`` returned.
        seen: Moments of arrival and answer at the door, by client order id.
    """
    commits = times["commits"] or [[times["began"], times["began"]]]
    began, committed = commits[0][0], max(end for _, end in commits)
    found: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for order_id, noted in times["orders"].items():
        if order_id not in seen or "placed" not in noted:
            continue
        arrived, answered = seen[order_id]
        marks = [times["began"], began, committed, noted["placing"], arrived, answered]
        marks += [noted["placed"], noted.get("recorded", noted["placed"])]
        for stage, start, end in zip(STAGES, marks, marks[1:], strict=False):
            found[stage].append((end - start) * 1e3)
    return found


def _round(slot: Slot) -> Round:
    cpu = (slot.times["cpu_to_answer"], slot.times["cpu_to_fill"], slot.store_cpu_s)
    return Round(
        last_answer=slot.last_answer_ms,
        doors=slot.doors_ms,
        cpu=tuple(one * 1e3 / slot.expected for one in cpu),
        stages=stages_of(slot.times, slot.seen),
        answered=len(slot.placed),
        fill=slot.fill_ms,
    )


async def _measured(over: Bed, accounts: int, rounds: int, store: str, *, with_sdk: bool) -> Fanout:
    """Play rounds of an entry, an exit and each peer; one before them warms up."""
    found = Fanout(accounts, store)
    keys = [f"peer{number:04d}" for number in range(accounts)]
    bare = Bare(over.door, over.session, keys)
    kites = sdks(over.door, keys) if with_sdk else []
    for number in range(rounds + 1):
        entry, leave = [_round(await over.slot(way, accounts)) for way in ("LONG", "FLAT")]
        took, doors = await _bare(over, bare)
        if number == 0:
            continue
        found.entry.append(entry)
        found.exit.append(leave)
        found.bare.append(took)
        found.bare_doors.append(doors)
        if kites:
            found.threads.append(sdk_threads(kites) * 1e3)
            found.loop.append(sdk_loop(kites) * 1e3)
    return found


async def _bare(over: Bed, bare: Bare) -> tuple[float, float]:
    await bare.warm()
    await over.seen()
    began = time.perf_counter()
    took, _ = await bare.send()
    last = max(arrived for arrived, _ in (await over.seen()).values())
    return took * 1e3, (last - began) * 1e3


async def fanout(
    directory: Path,
    store: str,
    accounts: Sequence[int],
    rounds: int,
    *,
    delay_ms: float = 30.0,
    with_sdk: bool = True,
    has_stream: bool = True,
) -> list[Fanout]:
    """Measure each number of accounts, the smallest first, over one controller."""
    async with bed(directory, store, delay_ms=delay_ms, has_stream=has_stream) as over:
        found = []
        for count in sorted(accounts):
            await over.connect(count)
            found.append(await _measured(over, count, rounds, store, with_sdk=with_sdk))
        return found


def report(found: Sequence[Fanout], ways: Sequence[str]) -> str:
    """Return the tables."""
    head = (
        f"{'store':<9} {'acc':>4} {'way':<6} {'slot':>8} {'bare':>7} {'x':>6} {'loop':>8} {'1/x':>6} "
        f"{'threads':>8} {'doors':>8} {'bare':>7} {'x':>6} {'fill':>8} "
        f"{'cpu':>6} {'+fill':>6} {'store':>6}"
    )
    lines = ["milliseconds, medians", head]
    lines += [_row(one, way) for one in found for way in ways]
    lines += ["", "stages of an order, ms, p50/p99"]
    lines.append(f"{'store':<9} {'acc':>4} {'way':<6} " + " ".join(f"{s:>13}" for s in STAGES))
    lines += [_stage_row(one, way) for one in found for way in ways]
    return "\n".join(lines) + "\n"


def _row(one: Fanout, way: str) -> str:
    rounds: list[Round] = getattr(one, way)
    slot, doors = middle([r.last_answer for r in rounds]), middle([r.doors for r in rounds])
    bare, bare_doors, loop = middle(one.bare), middle(one.bare_doors), middle(one.loop)
    cpu = [middle([r.cpu[n] for r in rounds]) for n in range(3)]
    line = (
        f"{one.store:<9} {one.accounts:>4} {way:<6} {slot:>8.1f} {bare:>7.1f} {slot / bare:>6.2f} "
        f"{loop:>8.1f} {loop / slot:>6.2f} {middle(one.threads):>8.1f} {doors:>8.1f} "
        f"{bare_doors:>7.1f} {doors / bare_doors:>6.2f} {middle([r.fill for r in rounds]):>8.1f} "
        f"{cpu[0]:>6.1f} {cpu[1]:>6.1f} {cpu[2]:>6.1f}"
    )
    missing = [r.answered for r in rounds if r.answered < one.accounts]
    return line + (f"  answered only {missing}" if missing else "")


def _stage_row(one: Fanout, way: str) -> str:
    rounds: list[Round] = getattr(one, way)
    cells = []
    for stage in STAGES:
        values = [value for r in rounds for value in r.stages[stage]]
        cells.append(f"{at(values, 0.5):>6.1f}/{at(values, 0.99):>6.1f}")
    return f"{one.store:<9} {one.accounts:>4} {way:<6} " + " ".join(cells)


def figures_of(found: Sequence[Fanout]) -> dict[str, Figure]:
    """Return the ratios that are promised, by name."""
    figures = {}
    for one in found:
        for way in _WAYS:
            rounds: list[Round] = getattr(one, way)
            name = f"{way}_on_{one.accounts}_{one.store}"
            slot = middle([r.last_answer for r in rounds])
            figures[name] = Figure(slot, "ms", middle(one.bare), "a bare client, as many orders")
            if one.loop:
                loop = middle(one.loop)
                figures[f"{name}_sdk"] = Figure(slot, "ms", loop, "the official SDK in a loop")
            doors = middle([r.doors for r in rounds])
            figures[f"{name}_doors"] = Figure(
                doors, "ms", middle(one.bare_doors), "a bare client, start to last byte"
            )
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fanout", description=__doc__)
    parser.add_argument("--accounts", default="1,5,20,50,200")
    parser.add_argument("--store", choices=[*STORES, "memory", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--exits", action="store_true", help="show the exits too")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    parser.add_argument("--nice", type=int, default=0, help="of all but them; the unit has -5")
    parser.add_argument("--delay-ms", type=float, default=30.0, help="the door's, for an order")
    parser.add_argument("--no-sdk", action="store_true", help="leave the SDK's peers out")
    parser.add_argument("--no-stream", action="store_true", help="order updates by polling alone")
    parser.add_argument("--json", type=Path, help="where the figures go")
    chosen = parser.parse_args()
    accounts = [int(one) for one in chosen.accounts.split(",")]
    ways = _WAYS if chosen.exits else _WAYS[:1]
    figures: dict[str, Figure] = {}
    for store in STORES if chosen.store == "both" else [chosen.store]:
        beside = busy(chosen.busy, chosen.nice)
        with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, beside:
            work = fanout(
                Path(made),
                store,
                accounts,
                chosen.rounds,
                delay_ms=chosen.delay_ms,
                with_sdk=not chosen.no_sdk,
                has_stream=not chosen.no_stream,
            )
            found = asyncio.run(work)
        sys.stdout.write(report(found, ways) + "\n")
        figures |= figures_of(found)
    if chosen.json:
        rows = {name: [one.value, one.peer, one.ratio] for name, one in figures.items()}
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
