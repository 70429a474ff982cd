"""A strategy's decision runs by itself: what hangs or fails there concerns no other."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest

from core.domain.notices.runs import RunFailed
from core.domain.target import Context, Direction, Strategy, Target
from core.engine.runs.decider import Decider, StrategyFailed
from tests.fakes.run_bench import Obedient, RunBench

NOTHING = cast(Context, None)
SOON_S, LATE_S = 0.05, 60.0


class Code(Obedient):
    """A strategy that does what it is given to do."""

    def __init__(self, name: str, code: Callable[[], Sequence[Target]]) -> None:
        super().__init__()
        self.name = name
        self._code = code

    def decide(self, context: Context) -> Sequence[Target]:  # noqa: ARG002 - the port names it
        return self._code()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hung strategies wait for; they end with the test."""
    event = threading.Event()
    yield event
    event.set()


def hung(name: str, released: threading.Event) -> Strategy:
    def code() -> Sequence[Target]:
        released.wait()
        return []

    return Code(name, code)


async def refused(decider: Decider, strategy: Strategy) -> str:
    with pytest.raises(StrategyFailed) as caught:
        await decider.decide(strategy, NOTHING)
    return str(caught.value)


async def test_hung_strategies_stop_nobody_else(released: threading.Event) -> None:
    """However many hang, others decide, and the threads that look names up stay free."""
    decider = Decider(SOON_S)
    await asyncio.gather(*(refused(decider, hung(f"hung {n}", released)) for n in range(50)))
    assert await Decider(LATE_S).decide(Code("well", list), NOTHING) == []
    assert await asyncio.to_thread(lambda: "free") == "free"


async def test_hung_strategy_is_not_begun_again_until_it_has_ended(
    released: threading.Event,
) -> None:
    """It has one thread; when that has ended after all, the strategy decides again."""
    begun: list[int] = []

    def code() -> Sequence[Target]:
        begun.append(1)
        released.wait()
        return []

    decider, strategy = Decider(SOON_S), Code("hung", code)
    first = await refused(decider, strategy)
    assert [await refused(decider, strategy) for _ in range(3)] == [first] * 3, "the same words"
    released.set()
    while decider._running:
        await asyncio.sleep(0.001)
    assert len(begun) == 1
    decider._deadline_s = LATE_S
    assert await decider.decide(strategy, NOTHING) == []


async def test_two_runs_of_one_strategy_decide_one_after_the_other() -> None:
    """A run that a user asks for beside a slot waits; neither is refused."""
    at_once, most = 0, 0

    def code() -> Sequence[Target]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        at_once -= 1
        return []

    decider, strategy = Decider(LATE_S), Code("asked twice", code)
    found = await asyncio.gather(*(decider.decide(strategy, NOTHING) for _ in range(5)))
    assert (found, most) == ([[]] * 5, 1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("odd"), "ValueError: odd"),
        (StopIteration(3), "StopIteration: 3"),
        (TimeoutError("own"), "TimeoutError: own"),
        (SystemExit(1), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
async def test_whatever_a_strategy_raises_is_its_own_failure(
    error: BaseException, words: str
) -> None:
    """Not the controller's end, and the next decision begins."""
    wanted: list[BaseException] = [error]

    def code() -> Sequence[Target]:
        if wanted:
            raise wanted.pop()
        return []

    decider, strategy = Decider(LATE_S), Code("raises", code)
    assert words in await refused(decider, strategy)
    assert await decider.decide(strategy, NOTHING) == []


async def test_given_up_decision_that_fails_later_says_nothing(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is awaited by nobody, and no report of the loop comes of it."""
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: reports.append(told))
    monkeypatch.setattr(sys, "unraisablehook", reports.append)

    def code() -> Sequence[Target]:
        released.wait()
        raise ValueError("too late")

    decider = Decider(SOON_S)
    await refused(decider, Code("late", code))
    released.set()
    while decider._running:
        await asyncio.sleep(0.001)
    assert reports == []


async def test_hung_strategy_is_said_once(
    released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slot after slot fails; the chat hears of it with the first."""
    bench = RunBench(cast(Obedient, hung("hung", released)))
    await bench.opened()
    monkeypatch.setattr(bench.engine.wiring.runner._decider, "_deadline_s", SOON_S)
    bench.strategy.want(Direction.LONG)
    lines = {await bench.run() for _ in range(3)}
    assert lines == {"it did not decide within 0 s"}
    assert len(await bench.engine.notices(RunFailed)) == 1
