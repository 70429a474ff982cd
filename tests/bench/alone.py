"""What one order costs beside the broker's answer: nothing else is under way.

``python -m tests.bench.alone --store mongod``: one account enters and leaves again and again.
*Overhead* is what an order takes less the time in which the broker had it. Of an exit it counts from
the begin of the commit that submits it until its answer is in the journal. An entry is committed with
its run, so that commit counts too. *Whole* is from the slot's begin, market data and plan included.
Beside them stand a bare aiohttp client's request less the broker's time, and two bare durable inserts
with the stock driver, each after a rest: less than that no program needs which writes an order down
before it sends it, and its answer after.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.write_concern import WriteConcern

from tests.bench.bed import Bed, Slot, at, bed, middle
from tests.bench.figure import Figure
from tests.bench.peers import Bare
from tests.bench.stores import STORES, busy

__all__ = ["alone", "overheads"]

PAIRS = 30
_REST_S = 0.03  # as long as the door takes for an order
_LEAD_S = 0.5
"""Connections are open from the slot before; a quote a second is what the broker allows."""


def _overhead(slot: Slot) -> tuple[float, float]:
    """Return overhead and whole of a slot with one order, in milliseconds."""
    ((order_id, noted),) = slot.times["orders"].items()
    arrived, answered = slot.seen[order_id]
    committing = slot.times["commits"][0][0]
    begins = noted.get("submitting", committing) if "submitting" in noted else committing
    theirs = answered - arrived
    ends = noted["recorded"]
    return (ends - begins - theirs) * 1e3, (ends - slot.times["began"] - theirs) * 1e3


async def overheads(directory: Path, store: str, pairs: int) -> Mapping[str, Sequence[float]]:
    """Return milliseconds by what was measured: entry and exit, each overhead and whole; peers."""
    names = ("entry", "entry whole", "exit", "exit whole", "bare", "two inserts")
    found: dict[str, list[float]] = {name: [] for name in names}
    async with bed(directory, store) as over, _bare_inserts(over) as inserts:
        await over.connect(1)
        bare = Bare(over.door, over.session, ["peer0001"])
        for number in range(pairs + 3):
            took = [(way, await over.slot(way, 1, lead_s=_LEAD_S)) for way in ("LONG", "FLAT")]
            theirs = await _bare(over, bare)
            written = await _two(inserts)
            if number < 3:  # warms the code up
                continue
            for (_, slot), way in zip(took, ("entry", "exit"), strict=True):
                overhead, whole = _overhead(slot)
                found[way].append(overhead)
                found[f"{way} whole"].append(whole)
            found["bare"].append(theirs)
            found["two inserts"].append(written)
    return found


@asynccontextmanager
async def _bare_inserts(
    over: Bed,
) -> AsyncIterator[AsyncCollection[dict[str, Any]] | None]:
    """Yield a collection of the store's server that nobody else uses; None without a server."""
    if over.store is None:
        yield None
        return
    async with AsyncMongoClient[dict[str, Any]](over.store.server.uri) as client:
        durable = WriteConcern("majority", j=True)
        yield client["peer"].get_collection("bare", write_concern=durable)


async def _two(inserts: AsyncCollection[dict[str, Any]] | None) -> float:
    """Return how long two inserts take, in milliseconds, without the rests before them."""
    if inserts is None:
        return 0.0
    took = 0.0
    for _ in range(2):
        await asyncio.sleep(_REST_S)
        begins = time.perf_counter()
        await inserts.insert_one({"state": "SUBMITTED"})
        took += time.perf_counter() - begins
    return took * 1e3


async def _bare(over: Bed, bare: Bare) -> float:
    await bare.warm()
    await over.seen()
    took, _ = await bare.send()
    ((arrived, answered),) = (await over.seen()).values()
    return (took - (answered - arrived)) * 1e3


async def alone(directory: Path, store: str, pairs: int = PAIRS) -> dict[str, Figure]:
    """Measure once, as figures."""
    found = await overheads(directory, store, pairs)
    least = middle(found["bare"]) + middle(found["two inserts"])
    peer = "a bare request and two bare durable inserts, p50"
    return {
        f"{way}_alone_{name}_{store}": Figure(value, "ms", least, peer)
        for way in ("entry", "exit")
        for name, value in (("p50", middle(found[way])), ("p99", at(found[way], 0.99)))
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.alone", description=__doc__)
    parser.add_argument("--store", choices=[*STORES, "memory"], default="mongod")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="an entry and an exit each")
    parser.add_argument("--busy", type=int, default=0, help="processes that do nothing but work")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made, busy(chosen.busy):
        found = asyncio.run(overheads(Path(made), chosen.store, chosen.pairs))
    for name, values in found.items():
        sys.stdout.write(
            f"{chosen.store} {name:<12} p50 {middle(values):>7.1f}  p99 {at(values, 0.99):>7.1f} ms"
            f"  n {len(values)}\n"
        )


if __name__ == "__main__":
    main()
