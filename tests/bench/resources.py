"""Memory and CPU of controller and store, idle and busy, with 10, 50 and 200 accounts.

``python -m tests.bench.resources --store mongod``. Idle is twelve seconds in which nothing happens:
streams live, workers check, nobody taps. Busy is an entry and an exit of every account, again and
again; CPU is of one core, in percent of the time that passed, and an order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bed import Bed, bed
from tests.bench.figure import Figure
from tests.bench.stores import STORES

__all__ = ["Use", "resources", "used"]

ACCOUNTS = (10, 50, 200)
IDLE_S, SETTLE_S, PAIRS = 12.0, 5.0, 2


@dataclass(frozen=True)
class Use:
    """What controller and store used, each as a pair of these.

    Attributes:
        idle: Percent of a core while nothing happened.
        busy: The same while slots ran.
        order_ms: CPU an order, from the slot to rest.
        memory_mb: Resident, after all that.
        requests: To the broker, a second and account, while nothing happened.
    """

    accounts: int
    idle: tuple[float, float]
    busy: tuple[float, float]
    order_ms: tuple[float, float]
    memory_mb: tuple[float, float]
    requests: float


async def _spent(over: Bed, since: tuple[float, float], began: float) -> tuple[float, float]:
    passed = time.perf_counter() - began
    now = over.cpu_s()
    return (now[0] - since[0]) / passed * 100, (now[1] - since[1]) / passed * 100


async def used(directory: Path, store: str, accounts: Sequence[int]) -> list[Use]:
    """Measure each number of accounts, the smallest first, over one controller."""
    found = []
    async with bed(directory, store) as over:
        for count in sorted(accounts):
            await over.connect(count)
            await asyncio.sleep(SETTLE_S)
            await over.requests()
            since, began = over.cpu_s(), time.perf_counter()
            await asyncio.sleep(IDLE_S)
            idle = await _spent(over, since, began)
            requests = await over.requests() / IDLE_S / count
            since, began = over.cpu_s(), time.perf_counter()
            for direction in ("LONG", "FLAT") * PAIRS:
                await over.slot(direction, count)
            busy = await _spent(over, since, began)
            orders = count * 2 * PAIRS
            now = over.cpu_s()
            order_ms = tuple((now[n] - since[n]) * 1e3 / orders for n in (0, 1))
            found.append(
                Use(count, idle, busy, (order_ms[0], order_ms[1]), over.memory_mb(), requests)
            )
    return found


async def resources(directory: Path, store: str) -> dict[str, Figure]:
    """Measure once, as figures; the peer is the limit of issue 8, for memory and idle."""
    figures = {}
    for one in await used(directory, store, ACCOUNTS):
        name = f"with_{one.accounts}_accounts_{store}"
        figures[f"idle_{name}"] = Figure(sum(one.idle), "%", 5.0, "5 % of a core, both processes")
        figures[f"memory_{name}"] = Figure(one.memory_mb[0], "MB", 120.0, "120 MB, the controller")
        figures[f"requests_{name}"] = Figure(one.requests, "1/s", 0.1, "0.1 a second an account")
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.resources", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory"], default="mongod")
    parser.add_argument("--accounts", default=",".join(map(str, ACCOUNTS)))
    chosen = parser.parse_args()
    accounts = [int(one) for one in chosen.accounts.split(",")]
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
        found = asyncio.run(used(Path(made), chosen.store, accounts))
    sys.stdout.write("controller / store\n")
    for one in found:
        sys.stdout.write(
            f"{chosen.store} {one.accounts:>4} accounts: idle {one.idle[0]:.1f} / {one.idle[1]:.1f} %, "
            f"busy {one.busy[0]:.0f} / {one.busy[1]:.0f} %, "
            f"{one.order_ms[0]:.1f} / {one.order_ms[1]:.1f} ms an order, "
            f"{one.memory_mb[0]:.0f} / {one.memory_mb[1]:.0f} MB, "
            f"{one.requests:.2f} requests/s an account idle\n"
        )


if __name__ == "__main__":
    main()
