"""Bars that an entry was decided on come back as they were, whatever is read later."""

from __future__ import annotations

from datetime import UTC, timedelta

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.engine.runs.bars import Bars
from core.engine.runs.pinned_bars import pin_bars, with_pinned
from tests.fakes.brokers import SBIN
from tests.fakes.memory_store import MemoryStore
from tests.fakes.run_bench import TEN, bar

OTHER = InstrumentId("NSE", "TCS")
STARTS = [TEN.replace(hour=9, minute=15) + timedelta(minutes=5 * n) for n in range(4)]
PINNED = [bar(start, "815.10") for start in STARTS[:2]]
LATER = [bar(start, "900.00") for start in STARTS]


async def back(store: MemoryStore) -> list[Candle]:
    """Return what is used of bars that all read otherwise now."""
    found = await with_pinned(store, "one", "2026-11-23", 5, {SBIN: LATER, OTHER: LATER})
    assert found[OTHER] == LATER
    return list(found[SBIN])


async def test_pinned_bars_come_back(memory_store: MemoryStore) -> None:
    """In place of what is read for their time; what is not pinned is as it is read."""
    pinned: Bars = {SBIN: PINNED, OTHER: LATER}
    await pin_bars(memory_store, "one", "2026-11-23", 5, pinned, instruments=[SBIN], at=STARTS[2])
    assert await back(memory_store) == [*PINNED, *LATER[2:]]


async def test_bars_of_the_version_before_come_back(memory_store: MemoryStore) -> None:
    """A day goes on over an upgrade in its middle."""
    rows = [
        [one.start.astimezone(UTC), one.open, one.high, one.low, one.close, one.volume]
        for one in PINNED
    ]
    key = f"one|2026-11-23|5|{SBIN}"
    await memory_store.insert("pinned_bars", {"_id": key, "bars": rows, "at": STARTS[2]})
    assert await back(memory_store) == [*PINNED, *LATER[2:]]
