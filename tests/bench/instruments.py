"""How a slot grows with a strategy's shares: ten accounts, one, four and eight shares each.

``python -m tests.bench.instruments --store mongod``. Eight orders a second are what an account's
app may send; with more the rate decides, not the controller (``tests.bench.crowd``). Each size is a
controller of its own. The bare client sends as many orders, over a connection an account.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bed import bed, middle
from tests.bench.figure import Figure
from tests.bench.peers import Bare
from tests.bench.stores import STORES, busy

__all__ = ["Grown", "grown", "instruments"]

ACCOUNTS, SHARES, ROUNDS = 10, (1, 4, 8), 3
_RATE_S = 1.1
"""Until an app may send its eight orders of a second again."""


@dataclass(frozen=True)
class Grown:
    """Milliseconds to the last answer, medians."""

    shares: int
    entry: float
    exit: float
    bare: float


async def grown(directory: Path, store: str, shares: Sequence[int], rounds: int) -> list[Grown]:
    """Measure each number of shares."""
    found = []
    for count in shares:
        entries, exits, bares = [], [], []
        expected = ACCOUNTS * count
        async with bed(directory / str(count), store, instruments=count) as over:
            await over.connect(ACCOUNTS)
            bare = Bare(over.door, over.session, [f"peer{n % ACCOUNTS}" for n in range(expected)])
            for number in range(rounds + 1):
                entry = await over.slot("LONG", expected)
                await asyncio.sleep(_RATE_S)
                leave = await over.slot("FLAT", expected)
                await bare.warm()
                took, _ = await bare.send()
                if number:
                    entries.append(entry.last_answer_ms)
                    exits.append(leave.last_answer_ms)
                    bares.append(took * 1e3)
        found.append(Grown(count, middle(entries), middle(exits), middle(bares)))
    return found


async def instruments(directory: Path, store: str) -> dict[str, Figure]:
    """Measure once, as figures."""
    return {
        f"entry_of_{one.shares}_shares_{store}": Figure(
            one.entry, "ms", one.bare, "a bare client, as many orders"
        )
        for one in await grown(directory, store, SHARES, ROUNDS)
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instruments", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory"], default="mongod")
    parser.add_argument("--shares", default=",".join(map(str, SHARES)))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    shares = [int(one) for one in chosen.shares.split(",")]
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        found = asyncio.run(grown(Path(made), chosen.store, shares, chosen.rounds))
    for one in found:
        sys.stdout.write(
            f"{chosen.store} {ACCOUNTS} accounts, {one.shares:>2} shares: entry {one.entry:.0f} ms, "
            f"exit {one.exit:.0f} ms, bare {one.bare:.0f} ms\n"
        )


if __name__ == "__main__":
    main()
