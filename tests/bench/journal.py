"""What a long past costs: start, screens and a slot with many finished orders in the store.

``python -m tests.bench.journal --store mongod --orders 1000,100000,1000000``: ten accounts are
connected, the controller is ended, finished orders of former days are written beside it straight
into the store as a controller keeps them (those of finished days packed, decision 0042; ``--rows``
leaves each as a row of its own), and store and controller are started again. Measured are the time
from the start of both until the controller is ready (it holds the lease and its recovery is over;
the interpreter's start counts) and until every account was read, the data of each screen and of the
oldest order, a slot of all accounts, and memory. The embedded server takes 100 documents at a time
and falls behind when it is given more, so there a million rows take an hour, packed some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient

from core.adapters.clock import MARKET_ZONE
from core.adapters.mongo.store import CODEC
from core.domain.order import OrderState
from core.domain.sessions import trading_day
from core.engine.orders.documents import order_row
from core.engine.orders.journal import LOT
from core.engine.orders.past import PAST, Lot, lot_rows
from core.engine.runs.finished_days import STAYS
from core.engine.runs.pruning import STEPS_KEPT
from core.ports.store import Document
from tests.bench.bed import Bed, bed, middle
from tests.bench.figure import Figure
from tests.bench.stores import STORES
from tests.fakes.orders import order_in
from tests.fakes.sandbox_process import CLOCK

__all__ = ["Past", "journal", "pasts"]

ACCOUNTS, A_DAY, ROUNDS, STARTS = 10, 40, 3, 3
ORDERS = (1_000, 1_000_000)
_BATCH = {"mongod": (2_000, 0.0), "embedded": (100, 0.005)}
"""Documents at a time, and the pause after them."""


@dataclass(frozen=True)
class Past:
    """What was measured with so many orders in the store; of the starts the median.

    Attributes:
        starts: Seconds until the store was up, the controller ready, every account read.
        cpu: CPU seconds until then, of controller and store.
        views: Milliseconds by screen.
        slot_ms: To the last answer, entry and exit.
        memory_mb: Of controller and store.
    """

    orders: int
    filled_in_s: float
    starts: tuple[float, float, float]
    cpu: tuple[float, float]
    views: Mapping[str, float]
    slot_ms: tuple[float, float]
    memory_mb: tuple[float, float]


def past_orders(ids: Sequence[str], first: int, count: int) -> Iterator[Document]:
    """Return finished orders of the days before the market's, as rows, evenly of these accounts."""
    now = _market_now()
    order = order_in(OrderState.FILLED, broker_id=ids[0], strategy="crew0")
    template = order_row(replace(order, broker_order_id="", filled_quantity=1, version=3))
    for number in range(first, first + count):
        turn = number // len(ids)
        ago = 1 + turn // A_DAY
        day = date.fromordinal(now.toordinal() - ago).isoformat()
        at = now - timedelta(days=ago)
        yield {
            **template,
            "_id": order_id(number),
            "broker_id": ids[number % len(ids)],
            "broker_order_id": f"p{number}",
            "run_id": f"crew0|{day}|{turn % A_DAY}",
            "day": day,
            "created_at": at,
            "submitted_at": at,
            "settled_at": at,
        }


def order_id(number: int) -> str:
    """Return the id of an order of the past."""
    return f"SB{number:018d}"


def _market_now() -> datetime:
    return datetime.fromisoformat(CLOCK).replace(tzinfo=MARKET_ZONE).astimezone(UTC)


def kept_rows(rows: Iterable[Document], newest: str) -> Iterator[tuple[str, Document]]:
    """Return rows as a controller keeps them, each with its collection.

    Orders of ``newest`` or before are packed, with steps where these are still kept.
    """
    day, waiting = "", dict[str, list[Document]]()
    for row in chain(rows, [{"day": ""}]):
        if row["day"] != day:
            for some in waiting.values():
                yield from _lots(day, some)
            day, waiting = row["day"], {}
        if not day:
            return
        if day > newest:
            yield "orders", row
        else:
            waiting.setdefault(row["broker_id"], []).append(row)


def _lots(day: str, rows: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    ago = _market_now().date() - date.fromisoformat(day)
    for first in range(0, len(rows), LOT):
        some = rows[first : first + LOT]
        steps = _STEPS if ago <= STEPS_KEPT else []
        orders, past_steps = lot_rows(Lot(some[0]["broker_id"], day, some, _TRADES, steps))
        yield "past_orders", orders
        if past_steps is not None:
            yield "past_steps", past_steps


_STEPS = [
    {"_id": f"{order_id(n)}#{step}", "at": _market_now()} for n in range(LOT) for step in "1234"
]
_TRADES = [
    {"_id": f"bench|p{n}|t{n}", "quantity": 1, "price": Decimal("801.50")} for n in range(LOT)
]
"""Their size is what counts; nobody asks for them."""


async def _fill(over: Bed, store: str, rows: Iterator[Document], *, is_packed: bool) -> float:
    began = time.perf_counter()
    size, pause_s = _BATCH[store]
    newest = trading_day(_market_now() - STAYS) if is_packed else ""
    waiting = defaultdict[str, list[Document]](list)
    async with AsyncMongoClient[dict[str, Any]](over.spec.store_uri) as client:
        database = client[over.spec.db]

        async def write(name: str) -> None:
            collection = database.get_collection(name, codec_options=CODEC)
            await collection.insert_many(waiting.pop(name), ordered=False)
            await asyncio.sleep(pause_s)

        for name, row in kept_rows(rows, newest):
            waiting[name].append(row)
            if len(waiting[name]) == size:
                await write(name)
        for name in list(waiting):
            await write(name)
        if is_packed:
            settings = database.get_collection("settings")
            await settings.update_one({"_id": PAST}, {"$set": {"until": newest}}, upsert=True)
    return time.perf_counter() - began


async def _slots(over: Bed) -> tuple[float, float]:
    """Enter and leave; return milliseconds to the last answer of both."""
    entries, exits = [], []
    for _ in range(ROUNDS):
        entries.append((await over.slot("LONG", ACCOUNTS)).last_answer_ms)
        exits.append((await over.slot("FLAT", ACCOUNTS)).last_answer_ms)
    return middle(entries), middle(exits)


async def pasts(
    directory: Path,
    store: str,
    orders: Sequence[int],
    say: Callable[[str], object] = len,
    *,
    is_packed: bool = True,
) -> list[Past]:
    """Measure each number of orders, the smallest first, over one store; say each as it is done."""
    found: list[Past] = []
    there = 0
    async with bed(directory, store) as over:
        await over.connect(ACCOUNTS)
        await _slots(over)  # screens show today's orders: there are some in each measurement
        for count in sorted(orders):
            took = await _fill(
                over, store, past_orders(over.ids, there, count - there), is_packed=is_packed
            )
            there = count
            starts, cpus = [], []
            for _ in range(STARTS):
                starts.append(await over.restart())
                cpus.append(over.cpu_to_ready)
            await asyncio.sleep(2.0)
            views = await over.ask("views", past=order_id(count - 1) if count else "")
            slot = await _slots(over)
            up, ready, read = map(middle, zip(*starts, strict=True))
            cpu = (middle([one for one, _ in cpus]), middle([one for _, one in cpus]))
            found.append(Past(count, took, (up, ready, read), cpu, views, slot, over.memory_mb()))
            say(_line(store, found[-1]))
    return found


async def journal(directory: Path, store: str, orders: Sequence[int] = ORDERS) -> dict[str, Figure]:
    """Measure once, as figures beside the same with the fewest orders."""
    found = await pasts(directory, store, orders)
    few = found[0]
    peer = f"the same with {few.orders} orders"
    figures = {}
    for one in found[1:]:
        name = f"with_{one.orders}_orders_{store}"
        figures[f"start_{name}"] = Figure(one.starts[1], "s", few.starts[1], peer)
        figures[f"start_cpu_{name}"] = Figure(sum(one.cpu), "s", sum(few.cpu), peer)
        figures[f"slot_{name}"] = Figure(one.slot_ms[0], "ms", few.slot_ms[0], peer)
        slow, before = max(one.views.values()), max(few.views.values())
        figures[f"slowest_screen_{name}"] = Figure(slow, "ms", before, peer)
        figures[f"store_memory_{name}"] = Figure(one.memory_mb[1], "MB", few.memory_mb[1], peer)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.journal", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="mongod")
    parser.add_argument("--orders", default=",".join(map(str, ORDERS)))
    parser.add_argument("--rows", action="store_true", help="nothing is packed")
    chosen = parser.parse_args()
    orders = [int(one) for one in chosen.orders.split(",")]
    with tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made:
        found = asyncio.run(
            pasts(Path(made), chosen.store, orders, _say, is_packed=not chosen.rows)
        )
    few = found[0]
    for one in found[1:]:
        ready, before = one.starts[1], few.starts[1]
        _say(
            f"ready with {one.orders:,} orders in {ready:.2f} s, {ready / before:.2f} times the "
            f"{before:.2f} s with {few.orders:,}; CPU {sum(one.cpu) / sum(few.cpu):.2f} times\n"
        )


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _line(store: str, one: Past) -> str:
    up, ready, read = one.starts
    return (
        f"{store} {one.orders:>8} orders ({one.filled_in_s:.0f} s to write): store up "
        f"{up:.2f} s, ready {ready:.2f} s (CPU {one.cpu[0]:.2f} + {one.cpu[1]:.2f} s), accounts "
        f"read {read:.2f} s; slot {one.slot_ms[0]:.0f} / {one.slot_ms[1]:.0f} ms; "
        f"{one.memory_mb[0]:.0f} / {one.memory_mb[1]:.0f} MB; screens, ms: "
        + ", ".join(f"{name} {took:.1f}" for name, took in one.views.items())
        + "\n"
    )


if __name__ == "__main__":
    main()
