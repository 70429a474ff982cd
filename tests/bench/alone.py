"""What one order costs beside the broker's answer: nothing else is under way.

``python -m tests.bench.alone --store mongod``: one account enters and leaves again and again.
*Overhead* is what an order takes less the time in which the broker had it. Of an exit it counts from
the begin of the commit that submits it until its answer is in the journal. An entry is committed with
its run, so that commit counts too. *Whole* is from the slot's begin, market data and plan included.
Beside them stand a bare aiohttp client's request less the broker's time, and two bare durable inserts
with the stock driver, each after a rest: less than that no program needs which writes an order down
before it sends it, and its answer after. *Two transactions* are what the rows take by the stock
driver that such a step consists of, under a lease: five writes of one document each, and a commit.
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

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from core.ports.store import Document
from tests.bench.bed import Bed, Slot, at, bed, middle
from tests.bench.figure import Figure
from tests.bench.peers import Bare
from tests.bench.stores import STORES, busy

__all__ = ["alone", "overheads"]

PAIRS = 30
_REST_S = 0.03  # as long as the door takes for an order
_DURABLE = WriteConcern("majority", j=True)
_PEERS = ("two inserts", "two transactions")
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
    names = ("entry", "entry whole", "exit", "exit whole", "bare", *_PEERS)
    found: dict[str, list[float]] = {name: [] for name in names}
    async with bed(directory, store) as over, _peer(over) as peer:
        await over.connect(1)
        bare = Bare(over.door, over.session, ["peer0001"])
        for number in range(pairs + 3):
            took = [(way, await over.slot(way, 1, lead_s=_LEAD_S)) for way in ("LONG", "FLAT")]
            theirs = await _bare(over, bare)
            written = await _two(peer, number)
            if number < 3:  # warms the code up
                continue
            for (_, slot), way in zip(took, ("entry", "exit"), strict=True):
                overhead, whole = _overhead(slot)
                found[way].append(overhead)
                found[f"{way} whole"].append(whole)
            found["bare"].append(theirs)
            for name, value in zip(_PEERS, written, strict=True):
                found[name].append(value)
    return found


@asynccontextmanager
async def _peer(over: Bed) -> AsyncIterator[AsyncDatabase[Document] | None]:
    """Yield a database of the store's server that nobody else uses; None without a server."""
    if over.store is None:
        yield None
        return
    async with AsyncMongoClient[Document](over.store.server.uri, retryWrites=False) as client:
        database = client.get_database("peer", write_concern=_DURABLE)
        for name in ("bare", "commits", "lease", "orders", "order_events", "outbox"):
            await database[name].insert_one({"_id": "first", "n": 0})
        yield database


async def _two(database: AsyncDatabase[Document] | None, number: int) -> tuple[float, float]:
    """Return how long two inserts and two transactions take, in ms, without the rests before."""
    if database is None:
        return 0.0, 0.0
    inserts = transactions = 0.0
    for half in range(2):
        await asyncio.sleep(_REST_S)
        begins = time.perf_counter()
        await database["bare"].insert_one({"state": "SUBMITTED"})
        inserts += time.perf_counter() - begins
        await asyncio.sleep(_REST_S)
        begins = time.perf_counter()
        await _step(database, f"{number}#{half}")
        transactions += time.perf_counter() - begins
    return inserts * 1e3, transactions * 1e3


async def _step(database: AsyncDatabase[Document], key: str) -> None:
    """Write what one step of an order consists of, under a lease, as the stock driver does it."""
    async with (
        database.client.start_session() as session,
        await session.start_transaction(ReadConcern("snapshot"), _DURABLE),
    ):
        await database["commits"].insert_one({"_id": key}, session=session)
        await database["lease"].update_one({"_id": "first"}, {"$inc": {"n": 1}}, session=session)
        await database["orders"].update_one(
            {"_id": "first"}, {"$set": {"state": key}}, session=session
        )
        await database["order_events"].insert_one({"_id": key}, session=session)
        await database["outbox"].insert_one({"_id": key}, session=session)


async def _bare(over: Bed, bare: Bare) -> float:
    await bare.warm()
    await over.seen()
    took, _ = await bare.send()
    ((arrived, answered),) = (await over.seen()).values()
    return (took - (answered - arrived)) * 1e3


async def alone(directory: Path, store: str, pairs: int = PAIRS) -> dict[str, Figure]:
    """Measure once, as figures."""
    found = await overheads(directory, store, pairs)
    least = middle(found["bare"]) + middle(found["two transactions"])
    peer = "a bare request and two transactions of the same rows by the stock driver, p50"
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
            f"{chosen.store} {name:<16} p50 {middle(values):>7.1f}  p99 {at(values, 0.99):>7.1f} ms"
            f"  n {len(values)}\n"
        )


if __name__ == "__main__":
    main()
