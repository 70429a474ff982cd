"""Opposite strategies on one instrument, from their goals to what is sent."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.positions import LedgersCrossed
from core.domain.order import OrderType, Purpose
from core.domain.sessions import IST
from tests.fakes.held import hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("D3", "C3")


async def closing(
    short: int, mode: TradingMode = TradingMode.NORMAL
) -> tuple[MemoryEngine, list[tuple[str, int]]]:
    """Hold 10 in one strategy and ``short`` in another, want both flat; return what was sent."""
    engine = await MemoryEngine(market_clock(datetime(2026, 11, 23, 10, 30, tzinfo=IST))).owned()
    account = await engine.connect()
    if mode is not TradingMode.NORMAL:
        await engine.control.modes.set(engine.command(), mode, account.broker_id)
    for strategy, units in (("trend", 10), ("fade", short)):
        await want(engine, await hold(engine, account, units, strategy=strategy))
    worker = await worker_of(engine, account)
    for _ in range(4):
        await worker.turn()
        await engine.clock.advance(6)
    placed = engine.at_broker(account).placed
    return engine, [(one.side.value, one.quantity) for one in placed]


async def test_only_the_difference_is_sent() -> None:
    """+10 and -4: one exit of 6, not three orders."""
    engine, sent = await closing(-4)
    assert sent == [("SELL", 6)]
    assert [one.quantity for one in await engine.ledgers()] == [0, 0]
    (notice,) = await engine.notices(LedgersCrossed)
    assert isinstance(notice, LedgersCrossed)
    assert (notice.units, notice.strategies) == (4, ("fade", "trend"))
    moved = {one.strategy: one.moved_units for one in await engine.ledgers()}
    assert moved == {"fade": 4, "trend": -4}


async def test_opposite_strategies_are_flat_in_exit_only_without_an_order() -> None:
    """+10 and -10: the broker holds nothing, so nothing could shrink it."""
    engine, sent = await closing(-10, TradingMode.EXIT_ONLY)
    assert sent == []
    assert [one.quantity for one in await engine.ledgers()] == [0, 0]


async def test_paused_crosses_nothing() -> None:
    """Strategies do nothing in PAUSED."""
    engine, sent = await closing(-10, TradingMode.PAUSED)
    assert sent == []
    assert sorted(one.quantity for one in await engine.ledgers()) == [-10, 10]


async def test_same_side_is_not_crossed() -> None:
    """Two long strategies close with an order each."""
    engine, sent = await closing(4)
    assert sorted(sent) == [("SELL", 4), ("SELL", 10)]
    assert await engine.notices(LedgersCrossed) == []
    kinds = {(one.purpose, one.request.order_type) for one in await engine.orders()}
    assert (Purpose.EXIT, OrderType.MARKET) in kinds
