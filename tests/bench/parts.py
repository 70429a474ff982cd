"""Everything that ``make bench`` measures, by name and in order, with how long each may take."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.alone import alone
from tests.bench.crowd import crowd
from tests.bench.decide import decide
from tests.bench.fanout import fanout, figures_of, report
from tests.bench.fills import fills
from tests.bench.flood import flood
from tests.bench.instruments import instruments
from tests.bench.isolation import isolation
from tests.bench.journal import journal
from tests.bench.outbox import outbox
from tests.bench.resources import resources
from tests.bench.runner import Figures, Part
from tests.bench.slots import slots
from tests.bench.startup import startup
from tests.bench.stores import STORES
from tests.bench.submission import submission
from tests.bench.taps import taps

__all__ = ["parts"]

ACCOUNTS, ROUNDS = (1, 50, 200), 5
PAST = (1_000, 1_000_000)
"""Orders in the store: nearly all are of finished days, as the journal keeps them."""
_LONG_S, _SHORT_S = 900.0, 300.0


async def _fan_out(directory: Path, store: str) -> Figures:
    found = await fanout(directory, store, ACCOUNTS, ROUNDS)
    print(report(found, ("entry", "exit")), flush=True)  # noqa: T201 - a table of its own
    return figures_of(found)


async def _taps(directory: Path) -> Figures:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        return await taps(directory, "mongod")
    finally:
        logging.disable(before)


async def _start_up(directory: Path) -> Figures:
    return startup(directory)


def _of_a_store(store: str) -> list[Part]:
    def part(name: str, measure: Callable[[Path, str], Any], deadline_s: float) -> Part:
        return Part(f"{name}-{store}", lambda at: measure(at, store), deadline_s)

    return [
        part("fanout", _fan_out, _LONG_S),
        part("alone", alone, _SHORT_S),
        part("journal", lambda at, kind: journal(at, kind, PAST), _LONG_S),
        part("resources", resources, _LONG_S),
    ]


def parts() -> dict[str, Part]:
    """Return everything that is measured, by name and in order."""
    found = [part for store in reversed(STORES) for part in _of_a_store(store)]
    found += [
        Part("slots", lambda at: slots(at, "mongod"), _LONG_S),
        Part("fills", lambda at: fills(at, "mongod"), _SHORT_S),
        Part("isolation", lambda at: isolation(at, "mongod"), _LONG_S),
        Part("crowd", lambda at: crowd(at, "mongod"), _LONG_S),
        Part("instruments", lambda at: instruments(at, "mongod"), _SHORT_S),
        Part("decide", lambda _at: decide(), _SHORT_S),
        Part("submission", submission, _SHORT_S),
        Part("outbox", outbox, _SHORT_S),
        Part("startup", _start_up, _SHORT_S),
        Part("taps", _taps, _LONG_S),
        Part("flood", flood, _LONG_S),
    ]
    return {part.name: part for part in found}
