"""A slow order of one instrument holds no other back, and each goes from its cancel to its exit."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import OrderRequest, OrderState, OrderType, Side
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.engine.orders.documents import order_row
from core.engine.orders.gateway import WriteRefused
from core.errors import LeaseLost
from tests.fakes.brokers import SBIN
from tests.fakes.held import hold, want, worker_of
from tests.fakes.log_lines import lines_of
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.orders import entry_of
from tests.fakes.run_bench import TEN, RunBench

pytestmark = pytest.mark.row("R3", "D3")

OTHERS = [InstrumentId("NSE", name) for name in ("RELIANCE", "TCS", "INFY")]


async def decide(bench: RunBench, instrument: InstrumentId, quantity: int = 5) -> None:
    """Leave an entry of a run that was not sent yet, as a run commits it."""
    engine, broker_id = bench.engine, bench.account.broker_id
    ledger = Ledger("obedient", broker_id, instrument, Product.MIS, quantity, Decimal(815))
    now = engine.clock.now()
    filled = entry_of(ledger, f"id{instrument}", trading_day(engine.clock.market_now()), now)
    entry = replace(filled, run_id="r", state=OrderState.INITIALIZED, filled_quantity=0)
    await engine.store.insert("orders", order_row(entry))
    await want(engine, ledger, quantity, run_id="r")


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
    async with asyncio.TaskGroup() as group, asyncio.timeout(150):
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


async def test_slow_entries_hold_no_exit_and_no_entry_back():
    """While the broker answers no entry, the exit of another instrument is through."""
    bench = await RunBench().opened()
    held = await hold(bench.engine, bench.account, 10)
    await bench.turns(1)
    for one in OTHERS:
        await decide(bench, one)
    await want(bench.engine, held, run_id="flat")
    broker, asked, answers = bench.broker, set[InstrumentId](), asyncio.Event()
    place = broker.place

    async def slow(order: OrderRequest) -> WriteOutcome:
        asked.add(order.instrument)
        if order.instrument != SBIN:
            await answers.wait()
        return await place(order)

    broker.place = slow  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group, asyncio.timeout(150):
        turn = group.create_task(bench.worker.turn())
        while not broker.placed or len(asked) < 4:
            await asyncio.sleep(0)
        assert [one.instrument for one in broker.placed] == [SBIN]
        assert not turn.done()
        answers.set()
    assert {one.instrument for one in broker.placed} == {SBIN, *OTHERS}


async def test_an_exit_goes_before_the_entry_of_a_reversal():
    """The entry waits in its turn until the other side is closed."""
    bench = await RunBench().opened()
    await hold(bench.engine, bench.account, 10, strategy="obedient")
    await bench.turns(1)
    await decide(bench, SBIN, -5)
    await bench.turns(3)
    sent = [(one.side, one.quantity) for one in bench.broker.placed]
    assert sent == [(Side.SELL, 10), (Side.SELL, 5)]
    assert await bench.held() == -5


async def test_the_entry_of_a_reversal_waits_while_its_exit_rests():
    """Sent beside it, both would trade the other way what is left of the position (I6)."""
    bench = await RunBench().opened()
    await hold(bench.engine, bench.account, 10, strategy="obedient")
    await bench.turns(1)
    await decide(bench, SBIN, -5)
    broker, place = bench.broker, bench.broker.place

    async def rests(order: OrderRequest) -> WriteOutcome:
        broker.placed.append(order)
        return Acked(broker.show(order).broker_order_id)

    broker.place = rests  # type: ignore[method-assign]
    await bench.turns(4)
    assert [(one.side, one.quantity) for one in broker.placed] == [(Side.SELL, 10)]
    broker.place = place  # type: ignore[method-assign]
    (exit_,) = [one for one in broker.order_list.values() if one.quantity == 10]
    broker.fill(exit_.broker_order_id)
    await bench.turns(4)
    assert [(one.side, one.quantity) for one in broker.placed] == [(Side.SELL, 10), (Side.SELL, 5)]


@pytest.mark.parametrize(
    ("worst", "raised"), [(LeaseLost("lost"), LeaseLost), (RuntimeError("odd"), WriteRefused)]
)
async def test_what_concerns_most_is_raised_and_the_rest_is_logged(
    worst: Exception, raised: type[Exception], caplog: pytest.LogCaptureFixture
):
    """A lost lease, then a refused login, whatever else has failed beside them."""
    bench = await RunBench().opened()
    instruments = (SBIN, *OTHERS)
    ledgers = [await hold(bench.engine, bench.account, 10, instrument=one) for one in instruments]
    await bench.turns(1)
    for ledger in ledgers:
        await want(bench.engine, ledger, run_id="flat")

    async def fails(order: OrderRequest) -> WriteOutcome:
        name = order.instrument.symbol
        if name == "TCS":
            raise worst
        if name == "INFY":
            return Refused(Refusal.AUTH_REQUIRED, "log in")
        raise RuntimeError(f"a mistake with {name}")

    bench.broker.place = fails  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR), pytest.raises(raised) as found:
        await bench.worker.advance(bench.account, bench.broker)
    said = [one.getMessage() for one in lines_of(caplog, "core")]
    errors = {"log in", "a mistake with SBIN", "a mistake with RELIANCE", str(worst)}
    assert said and {text.removeprefix("besides: ") for text in said} == errors - {str(found.value)}
