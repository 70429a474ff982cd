"""A controller whose memory is not what its store holds stops entries and says so."""

from __future__ import annotations

from datetime import timedelta

from core.domain.mode import TradingMode
from core.domain.notices.system import MemoryDiffered
from core.engine.orders.gate import gate_at
from core.ports.store import Change
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.run_bench import RunBench

ROUND = 60


async def looked(engine: MemoryEngine) -> list[object]:
    """Let the watch look at every collection, and return what it posted."""
    for _ in range(ROUND):
        await engine.wiring.upkeep.store.tick()
        await engine.clock.advance(timedelta(seconds=5).total_seconds())
    return list(await engine.notices(MemoryDiffered))


async def test_what_is_written_by_hand_stops_entries_once() -> None:
    """The store is right; a user looks at it and lets entries go on by NORMAL."""
    bench = await RunBench().opened()
    engine, broker_id = bench.engine, bench.account.broker_id
    await engine.become_writer()
    assert await looked(engine) == []
    where = {"_id": broker_id}
    await engine.store.update("account_gates", where, Change(set={"drain": True}))
    assert await looked(engine) == [MemoryDiffered("account_gates", 1)]
    gate = await gate_at(engine.writer, broker_id)
    assert gate is not None
    assert gate.frozen
    assert gate.drain
    await engine.control.modes.set(engine.command(), TradingMode.NORMAL, broker_id)
    assert await looked(engine) == [MemoryDiffered("account_gates", 1)]
    gate = await gate_at(engine.writer, broker_id)
    assert gate is not None
    assert not gate.frozen
