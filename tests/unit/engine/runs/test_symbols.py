"""Instruments are looked up when they are typed, each morning, and by a run that finds no bars."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import Quote
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.ledger import Ledger
from core.domain.notices.runs import DataMissing, InstrumentGone
from core.domain.target import Direction
from core.errors import UserError
from core.ports.store import Change
from tests.fakes.brokers import MASTER, SBIN
from tests.fakes.run_bench import TEN, RunBench

TATA = InstrumentId("NSE", "TATAMOTORS")
NIFTY = InstrumentId("NSE", "NIFTY 50")
ROW = MASTER[ZERODHA][SBIN]


class Listed:
    """An ``InstrumentSource`` that a test changes."""

    def __init__(self, *names: InstrumentId) -> None:
        self.rows = [replace(ROW, id=name, broker_symbol=name.symbol) for name in names]
        self.rows.append(replace(ROW, id=NIFTY, segment=Segment.INDEX))

    async def load(self) -> Sequence[Instrument]:
        return list(self.rows)


async def opened(*names: InstrumentId) -> RunBench:
    bench = RunBench()
    bench.engine.brokers[ZERODHA].instruments = Listed(*names)
    return await bench.opened()


async def choose(bench: RunBench, text: str) -> None:
    settings = bench.engine.control.strategy_settings
    command = bench.engine.command()
    await settings.set_parameter(command, bench.strategy.name, "instruments", text)


@pytest.mark.row("D10", "D6")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NSE:NOSUCH", "NSE:NOSUCH is not in the instruments of Zerodha"),
        ("sbim", "NSE:SBIM is not in the instruments of Zerodha"),
        ("NSE:SBIN,NSE:TATAMOTOR", "did you mean NSE:TATAMOTORS?"),
        ("NSE:NIFTY 50", "NSE:NIFTY 50 is an index, which cannot be traded"),
        ("nifty 50", "NSE:NIFTY 50 is an index, which cannot be traded"),
    ],
)
async def test_what_cannot_be_traded_is_refused_when_it_is_typed(text: str, said: str) -> None:
    """The parameter stays as it was."""
    bench = await opened(SBIN, TATA)
    with pytest.raises(UserError) as refused:
        await choose(bench, text)
    assert said in str(refused.value)
    settings = bench.engine.control.strategy_settings
    assert (await settings.parameters(bench.strategy.name))["instruments"] == "NSE:SBIN"
    await choose(bench, "NSE:TATAMOTORS")


@pytest.mark.row("D6")
async def test_what_is_chosen_already_is_not_looked_up_again() -> None:
    """One that is gone over night may stay while others are added; a new name is looked up."""
    bench = await opened(SBIN, TATA)
    change = Change(set={"parameters": {"instruments": "NSE:SBIN,NSE:GONE"}, "enabled": False})
    await bench.engine.store.update("strategies", {"_id": bench.strategy.name}, change, upsert=True)
    await choose(bench, "NSE:SBIN,NSE:GONE,NSE:TATAMOTORS")
    with pytest.raises(UserError, match="NSE:NOSUCH is not in the instruments"):
        await choose(bench, "NSE:GONE,NSE:NOSUCH")
    await choose(bench, "NSE:SBIN")
    with pytest.raises(UserError, match="NSE:GONE is not in the instruments"):
        await choose(bench, "NSE:SBIN,NSE:GONE")


@pytest.mark.row("D10")
async def test_a_chosen_instrument_that_is_gone_is_told_in_the_morning_once() -> None:
    """Renamed over night: one notice with its name, after today's list is there; SBIN is not named."""
    bench = await opened(SBIN, TATA)
    engine = bench.engine
    await choose(bench, "NSE:SBIN,NSE:TATAMOTORS")
    settings = engine.control.strategy_settings
    watch = engine.wiring.symbol_watch
    await settings.set_enabled(engine.command(), bench.strategy.name, enabled=True)
    await watch.tick()
    engine.brokers[ZERODHA].instruments = Listed(SBIN)
    await engine.clock.advance_to(TEN.replace(hour=8) + timedelta(days=1))
    await engine.wiring.masters.tick()
    await watch.tick()
    assert await engine.notices(InstrumentGone) == []
    await engine.clock.advance(3600)
    await watch.tick()
    assert await engine.notices(InstrumentGone) == []  # the list is yesterday's still
    await engine.wiring.masters.tick()
    for _ in range(2):
        await watch.tick()
    (notice,) = await engine.notices(InstrumentGone)
    assert isinstance(notice, InstrumentGone)
    assert (notice.instrument, notice.strategy) == ("NSE:TATAMOTORS", bench.strategy.name)
    assert "is not in the instruments of Zerodha" in notice.reason


@pytest.mark.row("D10")
async def test_what_is_held_under_a_name_that_is_gone_is_told_too() -> None:
    """The strategy is not enabled; its delivery position is in the old name still."""
    bench = await opened(SBIN)
    engine = bench.engine
    await engine.hold(Ledger("orb", bench.account.broker_id, TATA, Product.CNC, 3))
    await engine.wiring.masters.instruments(ZERODHA)
    await engine.wiring.symbol_watch.tick()
    (notice,) = await engine.notices(InstrumentGone)
    assert isinstance(notice, InstrumentGone)
    assert (notice.instrument, notice.strategy) == ("NSE:TATAMOTORS", "orb")


@pytest.mark.row("D10")
async def test_a_run_names_what_has_no_bars_and_runs_the_rest() -> None:
    """One of two is gone: the other enters; the chat is told once which one, and why."""
    bench = await opened(SBIN, TATA)
    engine = bench.engine
    await choose(bench, "NSE:SBIN,NSE:TATAMOTORS")
    engine.brokers[ZERODHA].instruments = Listed(SBIN)
    ten = TEN + timedelta(days=2)  # the day between is a holiday
    await engine.clock.advance_to(ten)
    await engine.log_in(bench.account)
    await engine.wiring.masters.tick()
    bench.bars("815.00", until=ten)
    bench.strategy.want(Direction.LONG, ten)
    for _ in range(2):
        await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    (notice,) = await engine.notices(DataMissing)
    assert isinstance(notice, DataMissing)
    assert notice.detail.startswith("NSE:TATAMOTORS is not in the instruments of Zerodha")


@pytest.mark.row("D10")
async def test_a_run_without_any_bar_names_its_instruments() -> None:
    """Not only that prices are stale."""
    bench = await opened(SBIN)
    bench.broker.bars.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.run(TEN.replace(minute=1)))
        while not task.done():
            await bench.engine.clock.advance(1)
    (notice,) = await bench.engine.notices(DataMissing)
    assert isinstance(notice, DataMissing)
    assert notice.detail == "there are no bars of NSE:SBIN"


@pytest.mark.row("R3")
async def test_an_index_is_not_entered() -> None:
    """It was chosen before it was refused: no order, and the run says why."""
    bench = await opened(SBIN)
    engine = bench.engine
    bench.bars("25000.00", NIFTY)
    await engine.store.update(
        "strategies",
        {"_id": bench.strategy.name},
        Change(set={"parameters": {"instruments": "NSE:NIFTY 50"}, "enabled": True}),
        upsert=True,
    )
    bench.broker.quote_list[NIFTY] = Quote(NIFTY, Decimal(25000))
    bench.strategy.want(Direction.LONG, TEN, NIFTY)
    await bench.run()
    await bench.turns()
    assert bench.sent() == []
    assert await bench.note() == ("NSE:NIFTY 50 is an index, which cannot be traded: not entered")
