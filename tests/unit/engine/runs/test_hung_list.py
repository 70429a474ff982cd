"""A broker whose list of instruments does not come holds back no other's first run (I7, D3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core.adapters.fyers import FYERS
from core.domain.instrument import Instrument
from core.domain.order import Purpose
from core.domain.target import Direction
from core.engine.runs import runner
from tests.fakes.run_bench import RunBench


@pytest.mark.row("D3")
@pytest.mark.invariant("I7")
async def test_a_hung_list_delays_no_other_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account at the broker that answers enters; on the other one the card says why not."""
    monkeypatch.setattr(runner, "_LATE_LIST_S", 0.01)
    bench = await RunBench().opened()
    engine = bench.engine
    other = await engine.connect("Second", FYERS)

    async def hang() -> Sequence[Instrument]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(engine.brokers[FYERS].instruments, "load", hang)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    entries = [one for one in await engine.orders() if one.purpose is Purpose.ENTRY]
    assert [one.broker_id for one in entries] == [bench.account.broker_id]
    (run,) = await engine.store.find("runs", {})
    assert "list of instruments is not loaded yet" in run["notes"][other.broker_id]
