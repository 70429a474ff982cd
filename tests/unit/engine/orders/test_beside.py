"""A slow exit of one position holds no other back, and each goes from its cancel to its exit."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from core.domain.instrument import InstrumentId
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import WriteOutcome
from tests.fakes.brokers import SBIN
from tests.fakes.held import hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("R3", "D3")

OTHERS = [InstrumentId("NSE", name) for name in ("RELIANCE", "TCS", "INFY")]


async def test_a_slow_exit_holds_no_other_back():
    """While the broker does not answer for one instrument, the exits of the others are through."""
    engine = MemoryEngine(market_clock(TEN))
    account = await engine.connect()
    ledgers = [await hold(engine, account, 10, instrument=one) for one in (SBIN, *OTHERS)]
    worker = await worker_of(engine, account)
    broker = engine.at_broker(account)
    place, answers = broker.place, asyncio.Event()

    async def slow(order: OrderRequest) -> WriteOutcome:
        if order.instrument == SBIN:
            await answers.wait()
        return await place(order)

    broker.place = slow  # type: ignore[method-assign]
    for ledger in ledgers:
        await want(engine, ledger)
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        turn = group.create_task(worker.turn())
        while len(broker.placed) < len(OTHERS):
            await asyncio.sleep(0)
        assert {one.instrument for one in broker.placed} == set(OTHERS)
        assert not turn.done()
        answers.set()
    assert [one.quantity for one in broker.placed] == [10] * 4


async def test_each_position_goes_from_its_cancel_to_its_exit():
    """One turn is enough: no stop is gone while its exit waits for the cancels of the others."""
    engine = MemoryEngine(market_clock(TEN))
    account = await engine.connect()
    ledgers = [await hold(engine, account, 10, instrument=one) for one in (SBIN, *OTHERS)]
    worker = await worker_of(engine, account)
    broker = engine.at_broker(account)
    for ledger in ledgers:
        await want(engine, ledger, 10, stop_price=Decimal(800))
    for _ in range(3):
        await worker.turn()
    assert len(broker.placed) == 4
    for ledger in ledgers:
        await want(engine, ledger, run_id="flat")
    assert await worker.advance(account, broker)
    exits = [one for one in broker.placed if one.order_type is OrderType.MARKET]
    assert {one.instrument for one in exits} == {SBIN, *OTHERS}
    assert {one.status for one in broker.order_list.values()} == {"canceled", "complete"}


async def test_an_error_of_one_instrument_ends_no_request_of_another():
    """What one position raises is raised when the others are done."""
    engine = MemoryEngine(market_clock(TEN))
    account = await engine.connect()
    ledgers = [await hold(engine, account, 10, instrument=one) for one in (SBIN, *OTHERS)]
    worker = await worker_of(engine, account)
    broker = engine.at_broker(account)
    place = broker.place

    async def breaks(order: OrderRequest) -> WriteOutcome:
        if order.instrument == SBIN:
            raise RuntimeError("a mistake of the adapter")
        await asyncio.sleep(0)
        return await place(order)

    broker.place = breaks  # type: ignore[method-assign]
    for ledger in ledgers:
        await want(engine, ledger)
    with pytest.raises(RuntimeError, match="a mistake"):
        await worker.advance(account, broker)
    assert {one.instrument for one in broker.placed} == set(OTHERS)
