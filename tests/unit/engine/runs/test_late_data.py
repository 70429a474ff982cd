"""A slot whose data come late enters within its own grace, and beyond it only exits (rows D2, D10)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.target import Direction
from tests.fakes.memory_engine import market_clock
from tests.fakes.run_bench import TEN, RunBench

pytestmark = [pytest.mark.row("D2"), pytest.mark.row("D10")]


@pytest.mark.parametrize(
    ("begins_s", "takes_s", "enters"),
    [(1, 12, True), (1, 58, True), (1, 60, False), (50, 12, False)],
    ids=["a silent source", "the last moment", "too late", "late already"],
)
async def test_what_the_data_took_counts_as_late(
    monkeypatch: pytest.MonkeyPatch, *, begins_s: int, takes_s: int, enters: bool
) -> None:
    """A minute is the grace, however it was used up; the card says what became of the entry."""
    bench = await RunBench(clock=market_clock(TEN + timedelta(seconds=begins_s))).opened()
    at_once = bench.broker.candles

    async def late(instrument: InstrumentId, **asked: object) -> Sequence[Candle]:
        await bench.engine.clock.advance(takes_s)
        return await at_once(instrument, **asked)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.broker, "candles", late)
    bench.quoted("815.10")
    bench.strategy.want(Direction.LONG, stop=Decimal(800))
    assert await bench.run(TEN) == f"{int(enters)} entry order(s) on 1 account(s)"
    (run,) = await bench.engine.store.find("runs", {})
    notes = {} if enters else {bench.account.broker_id: "the run came too late"}
    assert {who: note.partition(",")[0] for who, note in run["notes"].items()} == notes
