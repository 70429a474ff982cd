"""A strategy that hangs or crashes three times in a row is disabled, and nothing else of it is."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from core.domain.notices.runs import RunFailed, StrategyDisabled
from core.domain.target import Context, Direction, Target
from tests.fakes.deciding import InProcess, hang, perish
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.run_bench import Obedient, RunBench

pytestmark = pytest.mark.matrix("S02")


def _raise() -> None:
    raise ValueError("odd")


ACTS = {"hang": hang, "perish": perish, "raise": _raise, "well": lambda: None}


class Unruly(Obedient):
    """Does what ``act`` says before it decides."""

    act = "well"

    def decide(self, context: Context) -> Sequence[Target]:
        ACTS[self.act]()
        return super().decide(context)


class Bench(RunBench):
    """Runs a strategy that is unruly, and enabled."""

    strategy: Unruly

    async def opened(self, quantity: int = 10) -> Bench:
        await super().opened(quantity)
        await self.enable()
        return self

    async def enable(self) -> None:
        settings = self.engine.control.strategy_settings
        await settings.set_enabled(self.engine.command(), self.strategy.name, enabled=True)

    async def acts(self, *acts: str) -> list[str]:
        """Run once for each of these acts; return the result lines."""
        lines = []
        for act in acts:
            self.strategy.act = act
            lines.append(await self.run())
        return lines

    async def is_enabled(self) -> bool:
        row = await self.engine.wiring.strategies.row(self.strategy.name)
        return bool(row["enabled"])

    async def said(self) -> int:
        """Return how often it was said that the strategy is disabled."""
        return len(await self.engine.notices(StrategyDisabled))


async def bench() -> Bench:
    return await Bench(Unruly()).opened()


async def test_hung_strategy_is_said_once_and_changes_nothing() -> None:
    """Slot after slot fails; the chat hears of it with the first."""
    one = await bench()
    one.strategy.want(Direction.LONG)
    lines = await one.acts("hang", "hang")
    assert set(lines) == {"it did not decide within 10 s"}
    assert len(await one.engine.notices(RunFailed)) == 1
    assert await one.engine.orders() == [] and await one.is_enabled()


async def test_three_in_a_row_disable_with_one_notice() -> None:
    """Whether it hung or ended its process; what is run by hand later says no more."""
    one = await bench()
    await one.acts("hang", "perish", "hang")
    assert not await one.is_enabled()
    (notice,) = await one.engine.notices(StrategyDisabled)
    assert notice == StrategyDisabled("obedient", 3, "it did not decide within 10 s")
    await one.acts("hang", "hang", "hang", "hang")
    assert await one.said() == 1


@pytest.mark.parametrize("between", ["well", "raise"])
async def test_a_decision_that_comes_back_ends_the_row(between: str) -> None:
    """An exception too: nothing had to be ended."""
    one = await bench()
    await one.acts("hang", "hang", between, "perish", "hang", between, *["raise"] * 5)
    assert await one.is_enabled() and await one.said() == 0


async def test_enabling_begins_anew() -> None:
    """It has its three again, and the next notice comes when they are over."""
    one = await bench()
    await one.acts(*["hang"] * 3)
    await one.enable()
    await one.acts("hang", "hang")
    assert await one.is_enabled()
    await one.acts("hang")
    assert not await one.is_enabled() and await one.said() == 2


async def test_count_and_end_survive_a_restart() -> None:
    """The next controller counts on, and leaves disabled what is."""
    one = await bench()
    await one.acts("hang", "hang")
    registry = {one.strategy.name: one.strategy}
    one.engine = MemoryEngine(
        one.engine.clock, registry, one.engine.store, brokers=one.engine.brokers, key=one.engine.key
    )
    await one.engine.clock.advance(1)
    await one.acts("hang")
    assert not await one.is_enabled() and await one.said() == 1


async def test_what_it_holds_is_looked_after() -> None:
    """Stop and square-off of a strategy that was disabled go on."""
    one = await bench()
    one.strategy.want(Direction.LONG, stop=Decimal("800.00"))
    await one.acts("well")
    await one.turns()
    await one.acts(*["hang"] * 3)
    assert not await one.is_enabled() and await one.held() == 10
    stops = [order for order in one.broker.placed if order.trigger_price]
    assert len(stops) == 1
    await one.engine.clock.advance(5.2 * 3600)
    await one.engine.wiring.scheduler.tick_square_offs()
    assert await one.goal() == 0


async def test_process_of_a_disabled_strategy_is_let_go() -> None:
    """It is told to whoever keeps processes ready."""
    one = await bench()
    switched = one.engine.wiring.strategies.switched
    switched.clear()
    await one.acts(*["hang"] * 3)
    assert switched.is_set()
    assert await one.engine.wiring.strategies.enabled() == []
    assert isinstance(one.engine.wiring.decisions, InProcess)
