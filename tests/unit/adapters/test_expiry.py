"""What has outlived its expiry index goes a little at a time where the server does not remove it."""

from __future__ import annotations

from datetime import timedelta

from core.adapters.mongo._embedded import _CONFIG
from core.adapters.mongo.expiry import Expiry
from core.adapters.mongo.schema import COLLECTIONS
from core.engine.runs.pruning import Pruning
from core.ports.store import Document
from tests.fakes.counted_store import CountedStore
from tests.fakes.held_writer import Held
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

NOW = TEN
FIRST = NOW - timedelta(days=60)
EXPIRING = {
    one.name: (index.keys[0][0], index.keep_s)
    for one in COLLECTIONS
    for index in one.indexes
    if index.keep_s is not None
}


def commit(number: int, age: timedelta) -> Document:
    return {"_id": f"c{number}", "by": "x", "run": 0, "at": NOW - age}


def test_embedded_server_does_not_sweep() -> None:
    """It would read whole collections each minute, while nobody may write."""
    assert "ttl_sweep_seconds = 0.0" in _CONFIG


async def test_what_is_old_goes_and_what_is_younger_stays() -> None:
    """Of every collection with an expiry index, through the writer's memory too."""
    held = await Held().opened()
    for name, (field, keep_s) in EXPIRING.items():
        old = {"_id": "old", field: NOW - timedelta(seconds=keep_s + 1)}
        young = {"_id": "young", field: NOW - timedelta(seconds=keep_s - 1)}
        await held.writer.insert(name, old, young)
    assert await _until_done(Expiry(held.writer), 100) == len(EXPIRING)
    for name in EXPIRING:
        rows = await held.base.find(name, {"_id": {"$in": ["old", "young"]}})
        assert [row["_id"] for row in rows] == ["young"]
    assert await held.writer.differences() == []


async def test_each_step_is_small_and_all_goes_in_the_end() -> None:
    """A machine that was off for weeks must not stand for seconds; a later step asks little."""
    store = CountedStore()
    ages = [timedelta(days=8, minutes=5 * n + 1) for n in range(300)]
    await store.insert("commits", *(commit(n, age) for n, age in enumerate(ages)))
    expiry = Expiry(store)
    taken = []
    while await store.find("commits", {}):
        store.commands.clear()
        taken.append(await expiry.forget(NOW, FIRST, 20))
        assert store.commands["find commits"] <= 32
    assert max(taken) == 20
    await expiry.forget(NOW, FIRST, 20)
    store.commands.clear()
    assert await expiry.forget(NOW + timedelta(minutes=1), FIRST, 20) == 0
    assert store.commands == {f"find {name}": 1 for name in EXPIRING}


async def test_pruning_removes_it_also_while_something_trades() -> None:
    """Some machines only run then; a few at a time."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    await engine.connect()
    upkeep = engine.wiring.upkeep
    asked: list[int] = []

    async def expire(_now: object, _first: object, most: int) -> int:
        asked.append(most)
        return 0

    pruning = Pruning(
        engine.store,
        engine.clock,
        engine.wiring.accounts,
        engine.wiring.journal,
        upkeep._hours,
        (),
        expire,
    )
    await pruning.tick()
    await engine.clock.advance(timedelta(hours=12).total_seconds())
    await pruning.tick()
    assert asked == [50, 500]


async def _until_done(expiry: Expiry, most: int) -> int:
    gone = 0
    for _ in range(20):
        gone += await expiry.forget(NOW, FIRST, most)
    return gone
