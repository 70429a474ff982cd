"""Both ways of deciding hold the port's contract: in this process (the fake), and in one of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import IO

import pytest

from core.adapters.strategies.process import StrategySource
from core.adapters.strategies.processes import StrategyProcesses
from core.domain.sessions import IST
from core.domain.stop_rule import StopRule
from core.domain.target import Direction
from core.errors import DecisionFailed
from core.ports.decisions import Decisions
from tests.fakes.brokers import SBIN
from tests.fakes.deciding import InProcess
from tests.fakes.sandbox_process import ROOT
from tests.fakes.unruly import REGISTRY, REGISTRY_AT, context_of, digest

LATE_S, SOON_S = 60.0, 0.2
"""Nothing takes so long; and what never ends is given up so soon."""


async def made() -> AsyncIterator[StrategyProcesses]:
    processes = StrategyProcesses(StrategySource(REGISTRY_AT))
    yield processes
    await processes.aclose()


processes = pytest.fixture(made)


@pytest.fixture(params=["in this process", "in their own"])
async def decisions(request: pytest.FixtureRequest) -> AsyncIterator[Decisions]:
    if request.param == "in this process":
        yield InProcess(REGISTRY)
        return
    async for one in made():
        yield one


async def said(decisions: Decisions, act: str = "well", name: str = "one") -> str:
    """Have a strategy decide, and return what it tells."""
    (target,) = await decisions.decide(name, context_of(act), LATE_S)
    return target.reason


async def failed(decisions: Decisions, act: str, within_s: float = LATE_S) -> DecisionFailed:
    with pytest.raises(DecisionFailed) as caught:
        await decisions.decide("one", context_of(act), within_s)
    return caught.value


async def gives_up(decisions: Decisions) -> DecisionFailed:
    """Have one that hangs given up; where no time was left when it was asked, once more."""
    while not (error := await failed(decisions, "hangs", SOON_S)).was_ended:
        assert "did not decide" in str(error) or "not ready" in str(error)
    return error


async def test_whole_decision_comes_back(decisions: Decisions) -> None:
    """Bars, parameters, stops and rules arrive as they left, slot after slot."""
    closes = [f"{815 + n}.05" for n in range(5)]
    for number in (2, 3, 3, 5, 1):
        context = context_of("whole", closes[:number], size=Decimal("0.10"), word="a b")
        (target,) = await decisions.decide("one", context, LATE_S)
        last = context.bars[SBIN][-1]
        assert (target.direction, target.signal_at) == (Direction.LONG, last.start)
        assert target.signal_at.tzinfo is IST
        assert target.stop_price == last.close * Decimal("0.99")
        assert target.stop_rule == StopRule(Decimal("0.5"), None)
        assert target.reason == digest(context)


async def test_what_a_strategy_raises_is_told(decisions: Decisions) -> None:
    """As a text; it had not to be ended, and decides again."""
    for act, words in RAISED.items():
        error = await failed(decisions, act)
        assert words in str(error)
        assert (error.was_ended, error.came_back) == (False, True)
    assert await said(decisions) == "well"


RAISED = {
    "raises": "it failed: odd",
    "stops": "it failed: 3",
    "exits": "it wanted to end the program (1)",
    "interrupts": "an error without a text, which the log shows",
    "times out": "it failed: own",
    "nothing": "NoneType",
    "words": "expected a Target",
}


async def test_one_that_hangs_is_ended_and_begins_anew(decisions: Decisions) -> None:
    """At its deadline; the other decides meanwhile, and it decides again at its next slot."""
    assert await said(decisions) == "well"
    hung = asyncio.create_task(gives_up(decisions))
    assert await said(decisions, name="other") == "well"
    error = await hung
    assert "did not decide within" in str(error) and error.was_ended
    assert await said(decisions) == "well"


async def test_one_that_ends_its_process_begins_anew(decisions: Decisions) -> None:
    """What has become of it is told, and the next slot works."""
    error = await failed(decisions, "perishes")
    assert "ended while it decided (signal 9, SIGKILL)" in str(error) and error.was_ended
    assert await said(decisions) == "well"


# --- processes alone ---------------------------------------------------------------------------


async def pid_of(processes: StrategyProcesses, name: str = "one") -> int:
    return int((await said(processes, "looks", name)).rpartition("|")[2])


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def kept_open() -> IO[bytes]:
    return Path(os.devnull).open("rb")


async def test_process_sees_nothing_of_the_controller(
    processes: StrategyProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret of the environment, and no descriptor but its three, its socket and this look."""
    monkeypatch.setenv("SAARTHI_SECRET_KEY", "sesame")
    monkeypatch.setenv("MONGODB_URI", "mongodb://user:sesame@127.0.0.1")
    with kept_open() as kept:
        os.set_inheritable(kept.fileno(), True)
        names, descriptors, pid = (await said(processes, "looks")).split("|")
    assert not re.search("SAARTHI|MONGODB|sesame", names)
    assert descriptors == "5" and int(pid) != os.getpid()


async def test_strategies_share_no_process(processes: StrategyProcesses) -> None:
    """What a module keeps lasts from slot to slot, for one strategy."""
    assert [await said(processes, "counts") for _ in range(2)] == ["1", "2"]
    assert await said(processes, "counts", "other") == "1"


async def test_memory_is_bounded(processes: StrategyProcesses) -> None:
    """One that asks for too much is refused it, and is told so."""
    error = await failed(processes, "eats")
    assert "needs more memory than it may have" in str(error) and not error.was_ended


async def test_what_it_prints_is_logged_and_capped(
    processes: StrategyProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred lines, none endless, and how many were dropped; the decision takes no harm."""
    caplog.set_level(logging.INFO, "strategy")
    assert await processes.decide("one", context_of("talks"), LATE_S) == ()
    await processes.aclose()
    lines = [one.getMessage() for one in caplog.records if one.name == "strategy"]
    assert lines[:2] == ["one: line 0", "one: line 1"] and len(lines) == 101
    assert re.fullmatch(r"one: \d+ more lines were dropped", lines[-1])
    assert max(map(len, lines)) < 600


async def test_expected_processes_stand_before_they_are_asked(
    processes: StrategyProcesses,
) -> None:
    """And again after one was killed while it was idle, without a failure; not expected, they go."""
    processes.expect(["one", "other"])
    keeping = asyncio.create_task(processes.run())

    async def standing(names: set[str]) -> dict[str, int]:
        while True:
            places = processes._places.items()
            found = {n: p.process for n, p in places if p.process and p.process.is_alive}
            if found.keys() == names and not any(place.lock.locked() for _, place in places):
                return {name: one._popen.pid for name, one in found.items()}
            await asyncio.sleep(0.005)

    before = await standing({"one", "other"})
    os.kill(before["one"], signal.SIGKILL)
    while (after := await standing({"one", "other"})) == before:
        await asyncio.sleep(0.005)
    assert after["other"] == before["other"] == await pid_of(processes, "other")
    assert await pid_of(processes) == after["one"]
    processes.expect(["other"])
    await standing({"other"})
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert is_gone(after["one"]) and is_gone(after["other"])


async def test_decision_that_is_given_up_leaves_no_process(processes: StrategyProcesses) -> None:
    """The end of the controller in the middle of one ends what decides."""
    pid = await pid_of(processes)
    deciding = asyncio.create_task(processes.decide("one", context_of("hangs"), LATE_S))
    while not processes._places["one"].lock.locked():
        await asyncio.sleep(0)
    deciding.cancel()
    await asyncio.gather(deciding, return_exceptions=True)
    assert is_gone(pid)


async def test_strategy_that_cannot_be_loaded_is_told() -> None:
    """It is the failure of the run, and not one of a decision."""
    processes = StrategyProcesses(StrategySource("tests.fakes.unruly:NOTHING"))
    error = await failed(processes, "well")
    assert "it could not be loaded: " in str(error) and "'NOTHING'" in str(error)
    assert (error.was_ended, error.came_back) == (False, False)
    await processes.aclose()


async def test_answer_that_is_none_ends_the_process(processes: StrategyProcesses) -> None:
    """What a process says is read as plain text, and never trusted."""
    error = await failed(processes, "lies")
    assert "no answer that can be read" in str(error) and error.was_ended
    assert await said(processes) == "well"


DIES_WITH_PARENT = """
import asyncio, sys
from core.adapters.strategies.process import StrategySource
from core.adapters.strategies.processes import StrategyProcesses
from tests.fakes.sandbox_process import ROOT
from tests.fakes.unruly import REGISTRY_AT, context_of

async def main():
    processes = StrategyProcesses(StrategySource(REGISTRY_AT))
    (target,) = await processes.decide("one", context_of("looks"), 60)
    print(target.reason.rpartition("|")[2], flush=True)
    await processes.decide("one", context_of("hangs"), 60)

asyncio.run(main())
"""


async def test_process_dies_with_the_controller() -> None:
    """Even one that hangs, when the controller is killed."""
    controller = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES_WITH_PARENT, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert controller.stdout is not None
    pid = int(await controller.stdout.readline())
    controller.kill()
    await controller.wait()
    async with asyncio.timeout(LATE_S):
        while not is_gone(pid) and not is_zombie(pid):
            await asyncio.sleep(0.01)


def is_zombie(pid: int) -> bool:
    """Whether it has ended and only waits for somebody to take its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_process_that_is_late_leaves_the_strategy_without_blame(
    processes: StrategyProcesses,
) -> None:
    """What had no time to decide in had not to be ended for it."""
    error = await failed(processes, "well", 0.0)
    assert "not ready" in str(error) and not error.was_ended
    assert await said(processes) == "well"
    assert (await gives_up(processes)).was_ended
