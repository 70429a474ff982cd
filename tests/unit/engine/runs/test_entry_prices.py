"""Before an entry its price is looked up: a wrong one, an old one or none is said and not entered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Candle, PriceBand, Quote
from core.domain.instrument import InstrumentId
from core.domain.money import rupees
from core.domain.target import Direction
from core.engine.orders import circuit
from core.errors import BrokerReadError, ReadFault
from strategy.opening_range_breakout import OpeningRangeBreakout
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import market_clock
from tests.fakes.run_bench import TEN, RunBench, bar

LONG, FLAT = Direction.LONG, Direction.FLAT
AWAY = BrokerReadError(ReadFault.UNREACHABLE, "no route")


@pytest.fixture
async def bench() -> RunBench:
    made = await RunBench().opened()
    made.strategy.want(LONG, TEN)
    return made


@pytest.mark.row("D10")
async def test_bars_of_another_instrument_enter_nothing(bench: RunBench) -> None:
    """The bars say 97, the share trades at 970: no order, and the run gives both numbers."""
    bench.bars("97.00")
    bench.quoted("970.00")
    await bench.run()
    await bench.turns()
    assert bench.sent() == []
    assert await bench.note() == (
        "NSE:SBIN: bars end at ₹97.00, last price is ₹970.00: not entered"
    )


@pytest.mark.row("D10")
async def test_an_exit_needs_no_price(bench: RunBench) -> None:
    """What is held is closed whatever the prices say, and nothing is asked for it."""
    await bench.run()
    await bench.turns()
    bench.bars("97.00")
    bench.broker.quote_troubles = [AWAY]
    bench.strategy.want(FLAT, TEN)
    await bench.run()
    await bench.turns()
    assert (await bench.held(), bench.sent()) == (0, [("BUY", 10), ("SELL", 10)])
    assert bench.broker.quote_troubles == [AWAY]


@pytest.mark.row("D10")
async def test_one_failed_quote_is_asked_for_again(bench: RunBench) -> None:
    """A read may be repeated: the entry goes, a second later."""
    bench.broker.quote_troubles = [AWAY, AWAY]
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run())
        for _ in range(2):
            await bench.engine.clock.wait_for_sleepers()
            await bench.engine.clock.advance(1)
    await bench.turns()
    assert await bench.held() == 10


@pytest.mark.row("D10")
async def test_without_any_quote_nothing_is_entered(bench: RunBench) -> None:
    """After three tries the entry is denied with what the data account answered."""
    bench.broker.quote_troubles = [AWAY] * 3
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run())
        for _ in range(2):
            await bench.engine.clock.wait_for_sleepers()
            await bench.engine.clock.advance(1)
    await bench.turns()
    assert bench.sent() == []
    note = await bench.note()
    assert note.startswith("NSE:SBIN: its last price could not be read (") and "no route" in note


@pytest.mark.row("R3")
async def test_nothing_is_entered_where_nobody_trades_against_it(bench: RunBench) -> None:
    """At the upper limit of the day's band no long is sent, and the run says why; a short is."""
    limit = Decimal("815.00")
    bench.broker.quote_list[SBIN] = Quote(SBIN, limit, upper_circuit=limit)
    await bench.run()
    await bench.turns()
    assert bench.sent() == []
    assert await bench.note() == (
        "NSE:SBIN: its price stands at its upper circuit limit of ₹815.00, where nobody sells: "
        "not entered"
    )
    bench.strategy.want(Direction.SHORT, TEN)
    await bench.run()
    await bench.turns()
    assert bench.sent() == [("SELL", 10)]


def apart(bench: RunBench, *ends: PriceBand | Exception) -> list[InstrumentId]:
    """Let the broker name price bands for one instrument a request; return what was asked for."""
    asked: list[InstrumentId] = []
    answers = iter(ends)

    async def price_band(instrument: InstrumentId) -> PriceBand:
        asked.append(instrument)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    bench.broker.price_band = price_band  # type: ignore[attr-defined]
    return asked


@pytest.mark.row("R3")
async def test_a_limit_that_quotes_do_not_name_is_asked_for(bench: RunBench) -> None:
    """At the day's high it is, once, and nothing is entered; below it the entry goes unasked."""
    limit = Decimal("815.00")
    asked = apart(bench, PriceBand(Decimal("726.00"), limit))
    bench.broker.quote_list[SBIN] = Quote(SBIN, limit, day_high=limit)
    await bench.run()
    await bench.turns()
    assert (bench.sent(), asked) == ([], [SBIN])
    assert await bench.note() == (
        "NSE:SBIN: its price stands at its upper circuit limit of ₹815.00, where nobody sells: "
        "not entered"
    )
    bench.broker.quote_list[SBIN] = Quote(SBIN, limit - 1, day_high=limit)
    await bench.run()
    await bench.turns()
    assert (bench.sent(), asked) == ([("BUY", 10)], [SBIN])


@pytest.mark.row("R3")
@pytest.mark.parametrize("answer", [AWAY, TimeoutError(), PriceBand()])
async def test_an_unknown_limit_bars_nothing(
    bench: RunBench, answer: PriceBand | Exception
) -> None:
    """Neither a broker that does not answer nor one that names no limit keeps an entry back."""
    asked = apart(bench, answer)
    bench.quoted("815.00", TEN)
    await bench.run()
    await bench.turns()
    assert (bench.sent(), asked) == ([("BUY", 10)], [SBIN])


@pytest.mark.row("R3")
async def test_a_limit_is_waited_for_a_moment(
    bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that hangs costs an entry a moment, not the entry."""
    monkeypatch.setattr(circuit, "_PATIENCE_S", 0.01)
    ended = asyncio.Event()

    async def hangs(_instrument: InstrumentId) -> PriceBand:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return PriceBand()

    bench.broker.price_band = hangs  # type: ignore[attr-defined]
    bench.quoted("815.00", TEN)
    await bench.run()
    await bench.turns()
    assert (bench.sent(), ended.is_set()) == ([("BUY", 10)], True)


@pytest.mark.row("D10")
async def test_a_slow_answer_is_not_an_old_price(bench: RunBench) -> None:
    """The market went on for an hour while the answer was on its way: its age then is what counts."""
    bench.quoted("815.00", TEN)
    quotes = bench.broker.quotes

    async def late(instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        found = await quotes(instruments)
        await bench.engine.clock.advance(3600)
        return found

    bench.broker.quotes = late  # type: ignore[method-assign]
    await bench.run(TEN)
    await bench.worker.turn()
    assert (await bench.note(), await bench.goal()) == ("", 10)


@pytest.mark.row("D10")
async def test_rewritten_bars_do_not_close_what_they_opened() -> None:
    """The opening bar's high is put right after the entry: the breakout that was acted on stands."""
    orb = OpeningRangeBreakout()
    opened = TEN.replace(hour=9, minute=15)
    broken_out = opened + timedelta(minutes=16)
    bench = await RunBench(orb, clock=market_clock(broken_out)).opened()  # type: ignore[arg-type]
    bench.broker.bar_minutes = 1

    def bars(first_high: int, *closes: str) -> list[Candle]:
        rows = [bar(opened + timedelta(minutes=number), "815.00", 1) for number in range(15)]
        rows[0] = Candle(
            rows[0].start,
            rows[0].open,
            rows[0].high * 0 + first_high,
            rows[0].low,
            rows[0].close,
            100,
        )
        later = opened + timedelta(minutes=15)
        return rows + [bar(later + timedelta(minutes=n), one, 1) for n, one in enumerate(closes)]

    settings = bench.engine.control.strategy_settings
    await settings.set_parameter(bench.engine.command(), orb.name, "instruments", "NSE:SBIN")
    bench.broker.bars[SBIN] = bars(817, "818.00")
    await bench.run(broken_out)
    await bench.turns()
    assert await bench.held() == 10
    bench.broker.bars[SBIN] = bars(820, "818.00", "818.50")
    await bench.run(opened + timedelta(minutes=17))
    await bench.turns()
    assert (await bench.held(), await bench.goal()) == (10, 10)
    bench.broker.bars[SBIN] = bars(820, "818.00", "818.50", "812.00")
    await bench.run(opened + timedelta(minutes=18))
    await bench.turns()
    assert await bench.held() == 0


@pytest.mark.row("D10")
@pytest.mark.parametrize("close", ["8150.00", "81.50"])
@pytest.mark.parametrize("is_fresh", [True, False])
async def test_bars_of_another_instrument_move_no_stop(
    bench: RunBench, close: str, *, is_fresh: bool
) -> None:
    """Tenfold it would close the position at once, a tenth would bare it: it stays, said once.

    By the quote of a fresh signal, else by the price that is looked at for the stop.
    """
    five, stop = timedelta(minutes=5), Decimal("807.00")
    bench.strategy.want(LONG, TEN, stop=stop)
    await bench.run()
    await bench.turns()
    bench.bars(close, until=TEN + 2 * five)
    if is_fresh:
        bench.quoted("815.10")
    notes = []
    for slot in (TEN + five, TEN + 2 * five):
        await bench.engine.clock.advance_to(slot)
        bench.strategy.want(LONG, slot if is_fresh else TEN, stop=Decimal(close) - 8)
        if not is_fresh:
            bench.engine.wiring.prices.put(SBIN, Decimal("815.10"), bench.engine.clock.now())
        await bench.run(slot)
        await bench.turns()
        notes.append(await bench.note())
        (goal,) = await bench.engine.store.find("goals", {})
        assert (await bench.held(), goal["stop_price"]) == (10, stop)
    assert bench.sent() == [("BUY", 10), ("SELL", 10)]  # the entry, and the stop that rests
    ends = f"NSE:SBIN: bars end at {rupees(Decimal(close))}"
    said = f"{ends}, last price is ₹815.10: its stop stays where it is"
    assert notes == [said, ""]


@pytest.mark.row("D10")
async def test_a_price_that_nobody_knows_holds_no_stop_back(bench: RunBench) -> None:
    """Without a last price there is no contradiction: the stop follows its strategy."""
    five = timedelta(minutes=5)
    bench.strategy.want(LONG, TEN, stop=Decimal("807.00"))
    await bench.run()
    await bench.turns()
    bench.bars("818.00", until=TEN + five)
    bench.strategy.want(LONG, TEN, stop=Decimal("810.00"))
    await bench.engine.clock.advance_to(TEN + five)
    await bench.run(TEN + five)
    (goal,) = await bench.engine.store.find("goals", {})
    assert (goal["stop_price"], await bench.note()) == (Decimal("810.00"), "")
