"""The healthy accounts' last answer while others are in trouble, beside their time alone.

``python -m tests.bench.isolation --store mongod``: twenty healthy accounts run slots alone, an entry
and an exit each round; then four more are connected one by one, and each gets into trouble: one
whose broker never answers (hung), one that is refused as too fast (throttled), one whose gate another
client of the store keeps locked in transactions that it takes back (conflict), and one whose login
has ended (expired). *All well* is with all of them connected and none in trouble.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from tests.bench.bed import Bed, bed, middle
from tests.bench.figure import Figure
from tests.bench.stores import STORES, busy

__all__ = ["isolation", "troubled"]

HEALTHY, ROUNDS = 20, 3
TROUBLES = ("hung", "throttled", "conflict", "expired")
_HOLDS_S, _RESTS_S = 0.02, 0.002


async def troubled(
    directory: Path, store: str, *, healthy: int = HEALTHY, rounds: int = ROUNDS
) -> Mapping[str, Sequence[float]]:
    """Return the healthy accounts' last answers in milliseconds: ``alone``, and by trouble."""
    async with bed(directory, store) as over:
        await over.connect(healthy)
        await _slots(over, healthy, 1, ())  # warms the code up
        found = {"alone": await _slots(over, healthy, rounds, ())}
        for number, trouble in enumerate(TROUBLES):
            # Not all at once: each account takes its share of a slot, in trouble or not.
            await over.connect(healthy + number + 1)
            beset = over.keys[healthy:]
            if len(beset) == len(TROUBLES):
                # What four more accounts cost by themselves: alone there were fewer.
                found["all well"] = await _slots(over, healthy, rounds, beset)
            async with _in_trouble(over, beset[-1], trouble):
                found[trouble] = await _slots(over, healthy, rounds, beset)
        async with contextlib.AsyncExitStack() as stack:
            for trouble, key in zip(TROUBLES, beset, strict=True):
                await stack.enter_async_context(_in_trouble(over, key, trouble))
            found["all four"] = await _slots(over, healthy, rounds, beset)
        return found


async def _slots(over: Bed, healthy: int, rounds: int, beset: Sequence[str]) -> list[float]:
    """Enter and leave by turns; return the last answers of those that are not beset."""
    found = []
    for _ in range(rounds):
        for direction in ("LONG", "FLAT"):
            slot = await over.slot(direction, healthy, ignored=beset)
            found.append(slot.last_answer_ms)
    return found


@asynccontextmanager
async def _in_trouble(over: Bed, key: str, trouble: str) -> AsyncIterator[None]:
    if trouble != "conflict":
        await over.behave(key, trouble)
        try:
            yield
        finally:
            await over.behave(key, "")
        return
    locking = asyncio.create_task(_lock(over.spec.store_uri, over.id_of(key)))
    try:
        yield
    finally:
        locking.cancel()
        await asyncio.gather(locking, return_exceptions=True)


async def _lock(uri: str, broker_id: str) -> None:
    """Write an account's gate in transactions and take each back: nothing changes, all collide."""
    async with AsyncMongoClient[dict[str, Any]](uri) as client:
        gates = client["bench"]["account_gates"]
        while True:
            with contextlib.suppress(PyMongoError):
                async with client.start_session() as session:
                    await session.start_transaction()
                    await gates.update_one(
                        {"_id": broker_id}, {"$set": {"bench": 1}}, session=session
                    )
                    await asyncio.sleep(_HOLDS_S)
                    await session.abort_transaction()
            await asyncio.sleep(_RESTS_S)


async def isolation(directory: Path, store: str = "embedded") -> dict[str, Figure]:
    """Measure once, as figures beside the time alone."""
    found = await troubled(directory, store)
    alone = middle(found["alone"])
    return {
        f"beside_one_{trouble}_{store}".replace("one_all ", "all_"): Figure(
            middle(times), "ms", alone, "the healthy accounts alone"
        )
        for trouble, times in found.items()
        if trouble != "alone"
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.isolation", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="embedded")
    parser.add_argument("--healthy", type=int, default=HEALTHY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        work = troubled(Path(made), chosen.store, healthy=chosen.healthy, rounds=chosen.rounds)
        found = asyncio.run(work)
    alone = middle(found["alone"])
    for trouble, times in found.items():
        sys.stdout.write(
            f"{chosen.store} {trouble:<10} {middle(times):>8.1f} ms  {middle(times) / alone:.2f}x"
            f"  {[round(one) for one in times]}\n"
        )


if __name__ == "__main__":
    main()
