"""Which runs have a card: what a user keeps from entering is no message at each signal (C2, E1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.runs import RunCard
from core.domain.target import Direction
from core.engine.orders.gate import change_gate
from core.engine.runs.plan import RunRequest
from tests.fakes.run_bench import TEN, RunBench

LONG, FLAT = Direction.LONG, Direction.FLAT


@pytest.fixture
async def bench() -> RunBench:
    return await RunBench().opened()


@pytest.mark.parametrize("mode", [TradingMode.EXIT_ONLY, TradingMode.PAUSED])
async def test_an_account_that_is_kept_out_and_holds_nothing_gets_no_card(
    bench: RunBench, mode: TradingMode
) -> None:
    """The signal is in the run with the reason in plain words, and nothing is pushed."""
    await bench.engine.control.modes.set(bench.engine.command(), mode, bench.account.broker_id)
    bench.strategy.want(LONG, TEN)
    await bench.run()
    assert await bench.engine.notices(RunCard) == []
    view = await bench.engine.control.views.run("run0")
    (line,) = view.lines
    words = mode.value.lower().replace("_", " ")
    assert (line.note, line.is_quiet) == (f"{words}: no entry is sent", True)


@pytest.mark.row("C2", "E1")
@pytest.mark.parametrize("direction", [FLAT, Direction.SHORT])
async def test_exit_that_waits_for_the_end_of_a_pause_is_named(
    bench: RunBench, direction: Direction
) -> None:
    """Held shares stay open although the signal turned: "no entry is sent" would hide that."""
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    gate = {"at": bench.engine.clock.now(), "by": "u", "account_mode": TradingMode.PAUSED}
    await change_gate(bench.engine.store, bench.account.broker_id, **gate)  # type: ignore[arg-type]
    bench.strategy.want(direction, TEN + timedelta(minutes=1))
    await bench.engine.clock.advance(90)
    await bench.run()
    (line,) = (await bench.engine.control.views.run("run1")).lines
    assert (line.note, line.is_quiet) == ("paused: Sell 10 SBIN waits until the pause ends", False)
    assert bench.sent() == [("BUY", 10)]


@pytest.mark.row("D6")
async def test_who_asks_for_a_run_is_answered_with_why_nothing_is_entered(bench: RunBench) -> None:
    """The signal of 09:50 is too old: its card names it for the account that never entered."""
    old = TEN - timedelta(minutes=10)
    bench.strategy.want(LONG, old)
    await bench.run()
    assert await bench.engine.notices(RunCard) == []
    name = bench.strategy.name
    asked = RunRequest(f"{name}|now|1", name, TEN)
    await bench.engine.wiring.runner.run(asked)
    assert await bench.engine.notices(RunCard) == [RunCard(asked.run_id)]
    (line,) = (await bench.engine.control.views.run(asked.run_id)).lines
    assert [one.signal_at for one in line.late] == [old]


@pytest.mark.row("D3")
async def test_a_signal_that_was_entered_is_not_called_late(bench: RunBench) -> None:
    """Its position stands: a later run has nothing to say of it."""
    bench.strategy.want(LONG, TEN)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    await bench.engine.clock.advance(90)
    await bench.run()
    (line,) = (await bench.engine.control.views.run("run1")).lines
    assert line.late == ()
