"""Hours by instrument, and that nothing is sent outside them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.calendar import TradingCalendar
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.notices.exits import ExitWaits
from core.domain.order import OrderType
from core.domain.sessions import IST
from core.engine.orders.market_hours import MarketHours
from core.errors import UserError
from tests.fakes.brokers import SBIN
from tests.fakes.held import hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("R3")

FUTURE = InstrumentId("NFO", "SBIN26NOVFUT")
GOLD = InstrumentId("MCX", "GOLD26DECFUT")
DOLLAR = InstrumentId("CDS", "USDINR26NOVFUT")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def hours_at(text: str) -> MarketHours:
    return MarketHours(TradingCalendar(), market_clock(at(text)))


def row(name: InstrumentId, segment: Segment, *, has_derivatives: bool = False) -> Instrument:
    return Instrument(
        name, name.symbol, "1", 1, Decimal("0.05"), segment, has_derivatives=has_derivatives
    )


WITH = row(SBIN, Segment.CASH, has_derivatives=True)
WITHOUT = row(SBIN, Segment.CASH)


@pytest.mark.parametrize(
    ("now", "name", "known", "is_open"),
    [
        ("2026-11-23T15:14:59", SBIN, WITH, True),
        ("2026-11-23T15:15", SBIN, WITH, False),
        ("2026-11-23T15:16", SBIN, WITHOUT, True),
        ("2026-11-23T15:30", SBIN, WITHOUT, False),
        ("2026-11-23T15:16", SBIN, None, True),
        ("2026-11-23T15:39", FUTURE, None, True),
        ("2026-11-23T15:40", FUTURE, None, False),
        ("2026-07-30T15:29", SBIN, WITH, True),
        ("2026-11-23T16:30", DOLLAR, None, True),
        ("2026-11-23T17:00", DOLLAR, None, False),
        ("2026-11-23T23:30", GOLD, None, True),
        ("2026-11-24T12:00", SBIN, WITHOUT, False),
        ("2026-11-22T12:00", SBIN, WITHOUT, False),
        ("2026-02-01T12:00", SBIN, WITH, True),
        ("2025-10-21T14:00", SBIN, WITH, True),
        ("2025-10-21T14:45", SBIN, WITH, False),
        ("2031-03-11T15:39", FUTURE, None, True),
        ("2026-11-23T15:39", InstrumentId("XYZ", "ODD"), None, True),
    ],
)
def test_each_instrument_has_its_own_hours(
    now: str, name: InstrumentId, known: Instrument | None, is_open: bool
):
    """Shares with and without derivatives, contracts and special days end at their own times."""
    assert hours_at(now).is_open(name, known) is is_open


@pytest.mark.parametrize(("known", "trades"), [(WITH, False), (WITHOUT, True), (None, True)])
def test_who_has_no_master_asks_for_the_hours_by_name(known: Instrument | None, *, trades: bool):
    """By what any broker lists, so that a closed share is not taken for one that trades (R6)."""
    clock = market_clock(at("2026-11-23T15:20"))
    hours = MarketHours(TradingCalendar(), clock, lambda name: known if name == SBIN else None)
    assert hours.trades_now(SBIN) is trades


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T08:40", "2026-11-23T09:15"),
        ("2026-11-23T10:00", "2026-11-23T10:00"),
        ("2026-11-23T15:16", "2026-11-25T09:15"),  # the 24th is a holiday
    ],
)
def test_the_next_open_skips_holidays(now: str, expected: str):
    """What waits is told the next open, over nights and holidays."""
    assert hours_at(now).opens_at(SBIN, WITH) == at(expected)


async def test_an_exit_waits_for_the_open_and_says_so_once():
    """At night nothing is sent and one notice names the open; at the open the exit goes."""
    engine = await MemoryEngine(market_clock(at("2026-11-23T20:00"))).owned()
    account = await engine.connect()
    ledger = await hold(engine, account, 10, product=Product.NRML)
    await want(engine, ledger)
    worker = await worker_of(engine, account)
    for _ in range(5):
        await engine.clock.advance(60)
        await worker.turn()
    broker = engine.at_broker(account)
    assert broker.placed == []
    assert await engine.notices(ExitWaits) == [
        ExitWaits(account.broker_id, "Sell 10 NSE:SBIN NRML", opens_at=at("2026-11-25T09:15"))
    ]
    await engine.clock.advance_to(at("2026-11-25T09:15"))
    await engine.log_in(account)
    await worker.turn()
    await worker.turn()
    assert [(one.side, one.quantity) for one in broker.placed] == [("SELL", 10)]


async def test_a_stop_waits_for_the_open_and_says_so_once():
    """A stop of a position that is carried overnight rests again at the open, not in the night."""
    engine = await MemoryEngine(market_clock(at("2026-11-23T20:00"))).owned()
    account = await engine.connect()
    ledger = await hold(engine, account, 10, product=Product.NRML)
    await want(engine, ledger, 10, stop_price=Decimal(800))
    worker = await worker_of(engine, account)
    for _ in range(3):
        await worker.turn()
    assert engine.at_broker(account).placed == []
    (notice,) = await engine.notices(ExitWaits)
    assert notice == ExitWaits(
        account.broker_id, "Sell 10 NSE:SBIN NRML", is_stop=True, opens_at=at("2026-11-25T09:15")
    )


async def test_back_at_sixteen_past_three_the_exits_of_open_instruments_go():
    """At 15:16 a share without derivatives and a future still trade, so their exits are sent."""
    engine = await MemoryEngine(market_clock(at("2026-11-23T15:16"))).owned()
    account = await engine.connect()
    for name in (SBIN, FUTURE):  # the fakes' master has no derivatives of SBIN
        await want(engine, await hold(engine, account, 10, instrument=name))
    worker = await worker_of(engine, account)
    await worker.turn()
    placed = engine.at_broker(account).placed
    assert {(one.instrument, one.order_type) for one in placed} == {
        (SBIN, OrderType.MARKET),
        (FUTURE, OrderType.MARKET),
    }


@pytest.mark.parametrize("clock", ["17:00", "08:40"])
async def test_close_at_night_says_that_the_market_is_closed(clock: str):
    """A user's Close outside the session sends nothing and leaves nothing for the morning."""
    now = at(f"2026-11-23T{clock}")
    engine = await MemoryEngine(market_clock(now)).owned()
    account = await engine.connect()
    await hold(engine, account, 10, product=Product.CNC)
    with pytest.raises(UserError, match="market is closed for NSE:SBIN now; it trades again on"):
        await engine.control.orders.close(
            engine.command(), account.broker_id, "NSE:SBIN|CNC", despite_pause=True
        )
    worker = await worker_of(engine, account)
    await engine.clock.advance_to(at("2026-11-25T09:16") + timedelta(seconds=1))
    await engine.log_in(account)
    await worker.turn()
    await worker.turn()
    assert engine.at_broker(account).placed == []
