"""``python -m tests.bench.decide``: what a decision costs in a process of its own, beside a thread.

A day of one-minute slots is decided by the same strategy on the same bars both ways, in turns. The
first slot sends all bars of earlier days; the others send one more bar of each instrument.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from core.adapters.strategies.process import StrategySource
from core.adapters.strategies.processes import StrategyProcesses
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST, SessionWindow
from core.domain.target import Context, Target, checked_parameters
from strategy.registry import REGISTRY, STRATEGIES
from tests.bench.figure import Figure, table

__all__ = ["decide"]

OPEN = datetime(2026, 11, 23, 9, 15, tzinfo=IST)
SESSION = SessionWindow(OPEN.date(), OPEN, OPEN.replace(hour=15, minute=30))
NAME, LOOKBACK, SLOTS = "moving_average_crossover", 84, 120
PATIENCE_S = 60.0


def _bars(number: int, salt: int) -> tuple[Candle, ...]:
    """Return bars of a minute, the last ``number`` of them today."""
    found = []
    for n in range(-LOOKBACK, number):
        start = OPEN + timedelta(minutes=n) - (timedelta(days=1) if n < 0 else timedelta(0))
        price = Decimal(80_000 + (n * 37 + salt * 11) % 900) / 100
        found.append(Candle(start, price, price + 1, price - 1, price, 1000 + n))
    return tuple(found)


def _contexts(instruments: int) -> Sequence[Context]:
    names = [InstrumentId("NSE", f"SHARE{n}") for n in range(instruments)]
    given = {"instruments": ",".join(map(str, names)), "bar_minutes": "1"}
    parameters = checked_parameters(STRATEGIES[NAME], given)
    return [
        Context(
            OPEN + timedelta(minutes=number),
            SESSION,
            {name: _bars(number, salt) for salt, name in enumerate(names)},
            parameters,
        )
        for number in range(1, SLOTS + 1)
    ]


async def _took(work: Callable[[], Awaitable[Sequence[Target]]]) -> tuple[float, list[Target]]:
    began = time.perf_counter()
    found = await work()
    return (time.perf_counter() - began) * 1000, list(found)


async def _day(processes: StrategyProcesses, instruments: int) -> tuple[list[float], list[float]]:
    """Return how long each slot's decision took in a process, and in a thread."""
    ours, threads = [], []
    for context in _contexts(instruments):
        there, found = await _took(partial(processes.decide, NAME, context, PATIENCE_S))
        here, expected = await _took(partial(asyncio.to_thread, STRATEGIES[NAME].decide, context))
        assert found == expected
        ours.append(there)
        threads.append(here)
    return ours, threads


async def decide() -> dict[str, Figure]:
    """Decide a morning of slots with two and with twenty instruments."""
    figures = {}
    for instruments in (2, 20):
        processes = StrategyProcesses(StrategySource(REGISTRY))
        await processes.decide(NAME, _contexts(1)[0], PATIENCE_S)
        ours, threads = await _day(processes, instruments)
        await processes.aclose()
        for what, one in (("first", slice(0, 1)), ("slot", slice(1, None))):
            value, peer = (statistics.median(times[one]) for times in (ours, threads))
            name = f"decide_{instruments}_instruments_{what}_ms"
            figures[name] = Figure(value, "ms", peer, "the same decision in a thread")
    return figures


if __name__ == "__main__":
    sys.stdout.write(table(asyncio.run(decide())))
