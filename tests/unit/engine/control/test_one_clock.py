"""What the chat shows has one clock: market time, also where it is not real time (row F1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.domain.limits import LimitKind
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

REAL = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)
MARKET = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)

pytestmark = pytest.mark.row("F1")


async def test_health_and_changes_show_market_time() -> None:
    """Since when the controller runs, and when a limit was changed, are times of the market's day."""
    clock = ManualClock(REAL, MARKET)
    engine = await MemoryEngine(clock).owned()
    await clock.advance(90)
    health = await engine.control.health.read()
    assert health.started_at == MARKET
    assert health.market_now == MARKET + timedelta(seconds=90)
    await engine.control.limits.set(engine.command(), "all", LimitKind.ORDERS_DAY, "5")
    (change,) = await engine.control.limits.changes("all")
    assert change.at == MARKET + timedelta(seconds=90)
