"""From a bar's close to the brokers' doors, slot by slot, as the real scheduler runs them.

``python -m tests.bench.slots --store mongod --accounts 50``: the strategy is enabled with a slot a
minute, long in even minutes and flat in odd ones; market time runs ten times as fast, so that a slot
comes every six seconds, while all delays are real. Where the broker streams ticks the bars are built
of these. Measured is the time from the minute's end until the first and the last order's last byte
is at the door.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from core.adapters.clock import clock_from_setting
from core.ports.clock import Clock
from tests.bench.bed import Bed, at, bed, middle
from tests.bench.figure import Figure
from tests.bench.stores import STORES, busy

__all__ = ["Close", "closes", "slots"]

ACCOUNTS, SLOTS, SPEED = 50, 10, 10.0
_PROMISE_MS = 150.0
_WARM_UP_S = 36.0
"""How long ticks are heard before: after half a minute they have shown how late the last ones come."""
_AFTER_S = 4.0
"""How long after a minute's end its orders are looked for."""


@dataclass(frozen=True)
class Close:
    """Milliseconds from a bar's close; nan where not every order came in time."""

    first: float
    last: float
    orders: int


async def closes(directory: Path, store: str, accounts: int, count: int) -> list[Close]:
    """Measure so many slots, an entry and an exit by turns, after those of the first minute."""
    async with bed(directory, store, speed=SPEED) as over:
        await over.connect(accounts)
        await over.ask("enable", direction="BY TURNS")
        clock = clock_from_setting(over.spec.clock)
        begun = time.monotonic()
        while time.monotonic() - begun < _WARM_UP_S:
            await _close(over, clock, accounts)
        return [await _close(over, clock, accounts) for _ in range(count)]


async def _close(over: Bed, clock: Clock, accounts: int) -> Close:
    now = clock.market_now()
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    closes_at = clock.real_at(minute).timestamp()
    await asyncio.sleep(max(0.0, closes_at - 0.2 - time.time()))
    await over.seen()
    await asyncio.sleep(max(0.0, closes_at + _AFTER_S - time.time()))
    behind = time.time() - time.perf_counter()
    came = [arrived + behind - closes_at for arrived, _ in (await over.seen()).values()]
    first = min(came, default=math.nan) * 1e3
    last = max(came) * 1e3 if len(came) >= accounts else math.nan
    return Close(first, last, len(came))


async def slots(directory: Path, store: str) -> dict[str, Figure]:
    """Measure once, as figures beside what is promised."""
    found = await closes(directory, store, ACCOUNTS, SLOTS)
    peer = "a decision within 150 ms"
    return {
        f"bar_to_first_order_{store}": Figure(
            middle([one.first for one in found]), "ms", _PROMISE_MS, peer
        ),
        f"bar_to_last_of_{ACCOUNTS}_{store}": Figure(
            middle([one.last for one in found]), "ms", _PROMISE_MS, peer
        ),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.slots", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory"], default="mongod")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--slots", type=int, default=SLOTS)
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        found = asyncio.run(closes(Path(made), chosen.store, chosen.accounts, chosen.slots))
    firsts, lasts = [one.first for one in found], [one.last for one in found]
    sys.stdout.write(
        f"{chosen.store} bar's close to the first order at the door p50 {middle(firsts):.0f} ms, p95 "
        f"{at(firsts, 0.95):.0f}; to the last of {chosen.accounts} p50 {middle(lasts):.0f} ms, p95 "
        f"{at(lasts, 0.95):.0f}; orders {[one.orders for one in found]}\n"
    )


if __name__ == "__main__":
    main()
