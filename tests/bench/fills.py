"""From a fill at the broker to the journal, and to the chat.

``python -m tests.bench.fills --store mongod``: ten accounts enter and leave; each order fills a
while after its answer, at no fixed place in a worker's pauses. Measured are the time from the fill
at the broker until its commit in the journal, and until the next notice was delivered to the chat.
The broker pushes; ``--no-stream`` leaves it to polling.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from bisect import bisect_left
from pathlib import Path

from tests.bench.bed import at, bed, middle
from tests.bench.figure import Figure
from tests.bench.stores import STORES, busy

__all__ = ["fills", "heard_of"]

ACCOUNTS, ROUNDS = 10, 5
_FILL_MS = 437.0


async def heard_of(
    directory: Path, store: str, rounds: int, *, has_stream: bool
) -> tuple[list[float], list[float]]:
    """Return milliseconds from each fill to the journal, and from each to the next notice."""
    journal: list[float] = []
    chat: list[float] = []
    async with bed(directory, store, fill_ms=_FILL_MS, has_stream=has_stream) as over:
        await over.connect(ACCOUNTS)
        for number in range(rounds + 1):
            for direction in ("LONG", "FLAT"):
                await over.filled()
                slot = await over.slot(direction, ACCOUNTS)
                filled, told = await over.filled(), sorted(await over.ask("told_at"))
                for order_id, noted in slot.times["orders"].items():
                    if number == 0 or order_id not in filled or "filled" not in noted:
                        continue
                    journal.append((noted["filled"] - filled[order_id]) * 1e3)
                    after = bisect_left(told, noted["filled"])
                    if after < len(told):
                        chat.append((told[after] - filled[order_id]) * 1e3)
    return journal, chat


async def fills(directory: Path, store: str) -> dict[str, Figure]:
    """Measure once pushed and once polled, as figures."""
    pushed, told = await heard_of(directory / "pushed", store, ROUNDS, has_stream=True)
    polled, _ = await heard_of(directory / "polled", store, 2, has_stream=False)
    peer = "the same by polling, p50"
    return {
        f"fill_to_journal_{store}": Figure(middle(pushed), "ms", middle(polled), peer),
        f"fill_to_notice_{store}": Figure(middle(told), "ms", middle(polled), peer),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fills", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory"], default="mongod")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-stream", action="store_true", help="order updates by polling alone")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        work = heard_of(Path(made), chosen.store, chosen.rounds, has_stream=not chosen.no_stream)
        journal, chat = asyncio.run(work)
    for name, values in (("journal", journal), ("chat", chat)):
        sys.stdout.write(
            f"{chosen.store} fill to {name:<8} p50 {middle(values):>7.1f}  "
            f"p95 {at(values, 0.95):>7.1f} ms  n {len(values)}\n"
        )


if __name__ == "__main__":
    main()
