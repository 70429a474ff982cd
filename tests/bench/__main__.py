"""``python -m tests.bench --output bench.json``: measure, print a table, write the figures.

Every part also runs alone, with more options: ``python -m tests.bench.fanout --help``.
docs/performance.md says what each measures, and by which method.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from tests.bench.alone import alone
from tests.bench.crowd import crowd
from tests.bench.decide import decide
from tests.bench.fanout import fanout, figures_of, report
from tests.bench.figure import Figure, table, write
from tests.bench.fills import fills
from tests.bench.flood import flood
from tests.bench.instruments import instruments
from tests.bench.isolation import isolation
from tests.bench.journal import journal
from tests.bench.outbox import outbox
from tests.bench.resources import resources
from tests.bench.slots import slots
from tests.bench.startup import startup
from tests.bench.stores import STORES, busy
from tests.bench.submission import submission
from tests.bench.taps import taps

ACCOUNTS, ROUNDS = (1, 50, 200), 5
PAST = {"mongod": (1_000, 100_000), "embedded": (1_000, 10_000)}
"""The embedded server takes some 500 documents a second when they are written beside it."""

_Figures = Mapping[str, Figure]
_Part = Callable[[Path], Coroutine[Any, Any, _Figures]]


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


async def _fan_out(directory: Path, store: str) -> _Figures:
    found = await fanout(directory, store, ACCOUNTS, ROUNDS)
    _say(report(found, ("entry", "exit")))
    return figures_of(found)


async def _taps(directory: Path) -> _Figures:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return await taps(directory, "mongod")
    finally:
        logging.disable(before)


async def _start_up(directory: Path) -> _Figures:
    return startup(directory)


def parts() -> dict[str, _Part]:
    """Return everything that is measured, by name and in order."""
    found: dict[str, _Part] = {}
    for store in reversed(STORES):
        found[f"fanout-{store}"] = lambda at, store=store: _fan_out(at, store)  # type: ignore[misc]
        found[f"alone-{store}"] = lambda at, store=store: alone(at, store)  # type: ignore[misc]
        found[f"journal-{store}"] = lambda at, store=store: journal(at, store, PAST[store])  # type: ignore[misc]
    found["slots"] = lambda at: slots(at, "mongod")
    found["fills"] = lambda at: fills(at, "mongod")
    found["isolation"] = lambda at: isolation(at, "mongod")
    found["crowd"] = lambda at: crowd(at, "mongod")
    found["resources"] = lambda at: resources(at, "mongod")
    found["instruments"] = lambda at: instruments(at, "mongod")
    found["decide"] = lambda _at: decide()
    found["submission"] = submission
    found["outbox"] = outbox
    found["startup"] = _start_up
    found["taps"] = _taps
    found["flood"] = flood
    return found


def main() -> None:
    """Measure everything once."""
    every = parts()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--only", help=f"some of {', '.join(every)}, separated by commas")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(every)
    figures: dict[str, Figure] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        for name in names:
            since = time.monotonic()
            found = asyncio.run(every[name](Path(made) / name))
            _say(f"\n{name} ({time.monotonic() - since:.0f} s)\n{table(found)}")
            figures |= found
            write(figures, chosen.output)
    _say(f"\nEverything ({time.monotonic() - began:.0f} s)\n\n{table(figures)}")


if __name__ == "__main__":
    main()
