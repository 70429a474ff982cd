"""Four strategies of twenty shares on fifty accounts, all in one slot: 4,000 orders.

``python -m tests.bench.crowd --store mongod``. An account's app may send so many orders a second
(``KITE_LIMITS``), so the last order can leave no sooner than that rate lets it; the figure stands
beside that time. What is not filled at the end is counted by its state: nothing may be missing.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.adapters.throttle import ORDERS
from core.adapters.zerodha.broker import KITE_LIMITS
from tests.bench.bed import bed
from tests.bench.figure import Figure
from tests.bench.stores import STORES, busy

__all__ = ["Crowd", "crowd", "crowded"]

ACCOUNTS, STRATEGIES, SHARES = 50, 4, 20
_PATIENCE_S = 150.0


@dataclass(frozen=True)
class Crowd:
    """One slot of everything.

    Attributes:
        lines: What each run said.
        committed_ms: From the slot's begin to each run's commit.
        by_rate_s: When the last order of an account may leave at the earliest.
        fastest: How many orders of one account left within a second, at the most.
        rested: Orders by state afterwards, and units held.
    """

    expected: int
    lines: list[str]
    committed_ms: list[float]
    last_answer_s: float
    answered: int
    by_rate_s: float
    fastest: int
    rested: dict[str, int]
    cpu_ms: float


def seconds_by_rate(orders: int) -> float:
    """Return after how many seconds the last of an account's orders may leave, at the earliest."""
    found = [one for one in KITE_LIMITS if one.buckets == ORDERS]
    return max(math.floor((orders - 1) / one.count) * one.seconds for one in found)


async def crowded(directory: Path, store: str, accounts: int, shares: int) -> Crowd:
    """Play one slot of all strategies, after one that decides nothing."""
    expected = accounts * STRATEGIES * shares
    async with bed(directory, store, strategies=STRATEGIES, instruments=shares) as over:
        await over.connect(accounts)
        await over.slot("FLAT", 0, patience_s=_PATIENCE_S)
        slot = await over.slot("LONG", expected, patience_s=_PATIENCE_S)
        times: dict[str, Any] = slot.times
        last = max(slot.placed, default=times["began"]) - times["began"]
        return Crowd(
            expected=expected,
            lines=times["lines"],
            committed_ms=[(end - times["began"]) * 1e3 for _, end in times["commits"]],
            last_answer_s=last,
            answered=len(slot.placed),
            by_rate_s=seconds_by_rate(STRATEGIES * shares),
            fastest=times["fastest"],
            rested=over.rested,
            cpu_ms=times["cpu_to_answer"] * 1e3 / expected,
        )


async def crowd(directory: Path, store: str = "mongod") -> dict[str, Figure]:
    """Measure once, as a figure; one that is not whole has no value."""
    found = await crowded(directory, store, ACCOUNTS, SHARES)
    took = found.last_answer_s if found.answered == found.expected else math.nan
    peer = "the rate of an account's app"
    limits = [one for one in KITE_LIMITS if one.buckets == ORDERS]
    rate = min(limits, key=lambda one: one.seconds).count  # the others are of a minute and a day
    return {
        f"crowd_in_a_second_{store}": Figure(found.fastest, "", rate, "that rate, at the most"),
        f"crowd_{found.expected}_orders_{store}": Figure(took, "s", found.by_rate_s, peer),
        f"crowd_answered_{store}": Figure(found.answered, "", found.expected, "orders decided"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.crowd", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="mongod")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--shares", type=int, default=SHARES, help="of each strategy")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        found = asyncio.run(crowded(Path(made), chosen.store, chosen.accounts, chosen.shares))
    sys.stdout.write(
        f"{chosen.store}: {found.answered} of {found.expected} orders answered after "
        f"{found.last_answer_s:.1f} s (by the rate {found.by_rate_s:.1f} s), at most "
        f"{found.fastest} of an account within a second; runs committed after "
        f"{[round(one) for one in found.committed_ms]} ms; {found.cpu_ms:.1f} ms of CPU an order\n"
        f"{found.rested}\n" + "".join(f"  {line}\n" for line in found.lines)
    )


if __name__ == "__main__":
    main()
