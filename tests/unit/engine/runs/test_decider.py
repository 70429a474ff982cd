"""A strategy's decision fails its own run and nothing else, and is checked before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import InstrumentId
from core.domain.notices.runs import RunFailed
from core.domain.stop_rule import StopRule
from core.domain.target import Context, Direction, Target
from core.engine.runs.decider import Decider, StrategyFailed
from core.errors import DecisionFailed
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.deciding import InProcess, hang, perish
from tests.fakes.memory_engine import REAL_NOW
from tests.fakes.run_bench import TEN, Obedient, RunBench
from tests.fakes.unruly import context_of

CONTEXT = context_of("well")


class Answers(InProcess):
    """A ``Decisions`` that answers what it is given."""

    def __init__(self, *answers: Any) -> None:
        super().__init__({})
        self.answers = list(answers)

    async def decide(self, strategy: str, context: Context, within_s: float) -> Sequence[Target]:
        assert (strategy, context) == ("one", CONTEXT) and within_s > 0
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return (answer,)


def decider_of(*answers: Any) -> Decider:
    return Decider(Answers(*answers), ManualClock(REAL_NOW, TEN))


async def refused(decider: Decider) -> str:
    with pytest.raises(StrategyFailed) as caught:
        await decider.decide("one", CONTEXT, [SBIN])
    return str(caught.value)


def target(**fields: Any) -> Target:
    given: dict[str, Any] = {"instrument": SBIN, "direction": Direction.LONG, "signal_at": TEN}
    return Target(**{**given, **fields})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("LONG", "found a str"),
        (target(instrument=InstrumentId("NSE", "TCS")), "a target of NSE:TCS"),
        (target(direction=7), "the direction 7"),
        (target(signal_at=TEN.replace(tzinfo=None)), "a time with its zone"),
        (target(signal_at="10:00"), "a time with its zone"),
        (target(stop_price=Decimal("NaN")), "the stop price NaN"),
        (target(stop_price=Decimal(-1)), "the stop price -1"),
        (target(stop_price=Decimal(0)), "the stop price 0"),
        (target(stop_price=Decimal("1E+900")), "the stop price 1E+900"),
        (target(stop_price=Decimal("1E-900")), "the stop price 1E-900"),
        (target(stop_price=815.1), "the stop price 815.1"),
        (target(reason=None), "the reason None"),
        (target(stop_rule=StopRule(Decimal("Infinity"))), "expected percents"),
        (target(stop_rule=("1", "2")), "expected percents"),
    ],
)
async def test_nonsense_is_refused(answer: object, words: str) -> None:
    """Whatever a strategy answers, an order follows only from what makes sense (row D1)."""
    assert words in await refused(decider_of(answer))


async def test_two_targets_of_one_instrument_are_refused() -> None:
    """Which of them would hold?"""
    decisions = InProcess({"one": (twice := Obedient())})
    twice.wanted = [target(), target(direction=Direction.SHORT)]
    assert "two targets" in await refused(Decider(decisions, ManualClock(REAL_NOW, TEN)))


async def test_what_makes_sense_is_returned() -> None:
    """With all that a target may have."""
    whole = target(
        stop_price=Decimal("801.05"), reason="why", stop_rule=StopRule(None, Decimal("0.5"))
    )
    assert await decider_of(whole).decide("one", CONTEXT, [SBIN]) == (whole,)


async def test_two_runs_of_one_strategy_decide_one_after_the_other() -> None:
    """A run that a user asks for beside a slot waits; neither is refused."""
    at_once, most = 0, 0

    class Slow(Answers):
        async def decide(
            self, strategy: str, context: Context, within_s: float
        ) -> Sequence[Target]:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await super().decide(strategy, context, within_s)
            at_once -= 1
            return ()

    decider = Decider(Slow(*[target()] * 5), ManualClock(REAL_NOW, TEN))
    found = await asyncio.gather(*(decider.decide("one", CONTEXT, [SBIN]) for _ in range(5)))
    assert (found, most) == ([()] * 5, 1)


async def test_failure_is_told_and_the_next_decision_begins() -> None:
    """In the words of the process."""
    decider = decider_of(DecisionFailed("it hung", was_ended=True), target())
    assert await refused(decider) == "it hung"
    assert await decider.decide("one", CONTEXT, [SBIN]) == (target(),)


class Code(Obedient):
    """Hangs, ends its process or raises while it is told to."""

    act = "hang"

    def decide(self, context: Context) -> Sequence[Target]:
        {"hang": hang, "perish": perish, "well": lambda: None}[self.act]()
        return super().decide(context)


async def test_hung_strategy_is_said_once() -> None:
    """Slot after slot fails; the chat hears of it with the first, and nothing is changed."""
    bench = await RunBench(Code()).opened()
    bench.strategy.want(Direction.LONG)
    lines = {await bench.run() for _ in range(2)}
    assert lines == {"it did not decide within 10 s"}
    assert len(await bench.engine.notices(RunFailed)) == 1
    assert await bench.engine.orders() == []
