"""A strategy's decision fails its own run and nothing else, and is checked before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import InstrumentId
from core.domain.stop_rule import StopRule
from core.domain.target import Context, Direction, Target
from core.engine.runs.decider import Decider, StrategyFailed
from core.engine.runs.strikes import Strikes
from core.errors import DecisionFailed
from core.ports.decisions import Decisions
from tests.fakes.brokers import SBIN
from tests.fakes.deciding import InProcess
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient
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


def over(decisions: Decisions) -> Decider:
    """Return a decider over an engine in memory."""
    engine = MemoryEngine(market_clock(TEN), {"one": Obedient()}, decisions=decisions)
    strikes = Strikes(engine.store, engine.wiring.outbox, engine.wiring.strategies)
    return Decider(decisions, strikes)


def decider_of(*answers: Any) -> Decider:
    return over(Answers(*answers))


async def decided(decider: Decider, run_id: str = "run") -> Sequence[Target]:
    return await decider.decide("one", CONTEXT, [SBIN], run_id)


async def refused(decider: Decider) -> str:
    with pytest.raises(StrategyFailed) as caught:
        await decided(decider)
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
    assert "two targets" in await refused(over(decisions))


async def test_what_makes_sense_is_returned() -> None:
    """With all that a target may have."""
    whole = target(
        stop_price=Decimal("801.05"), reason="why", stop_rule=StopRule(None, Decimal("0.5"))
    )
    assert await decided(decider_of(whole)) == (whole,)


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

    decider = over(Slow(*[target()] * 5))
    found = await asyncio.gather(*(decided(decider, f"run{n}") for n in range(5)))
    assert (found, most) == ([()] * 5, 1)


async def test_failure_is_told_and_the_next_decision_begins() -> None:
    """In the words of the process."""
    decider = decider_of(DecisionFailed("it hung", was_ended=True), target())
    assert await refused(decider) == "it hung"
    assert await decided(decider) == (target(),)
