"""The keeper of the demo's controller: one that ends comes back, one that cannot live ends the demo."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.demo import keeper as module
from console.demo.child import ChildEnded
from console.demo.keeper import Keeper
from console.demo.options import DemoOptions
from console.demo.stage import DemoClock, Ports, Stage, set_stage
from core.adapters.clock import clock_from_setting

pytestmark = pytest.mark.row("F1")

PORTS = Ports.parse('{"control": 1, "kite": 2, "fyers": 3, "telegram": 4}')


class Program:
    """A controller without a process; those that are slow are never ready."""

    started: list[Program]
    slow: frozenset[int]

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.pid = len(self.started) + 1
        self.has_ended = False
        self._ended = asyncio.Event()
        self.started.append(self)

    @classmethod
    async def start(
        cls, _name: str, _arguments: Sequence[str], environment: Mapping[str, str], _log: Path
    ) -> Program:
        return cls(environment)

    async def watch(self) -> None:
        await self._ended.wait()
        raise ChildEnded("the controller was killed (SIGKILL).")

    def kill(self) -> None:
        self.has_ended = True
        self._ended.set()

    async def stop(self, _within_s: float) -> None:
        self.kill()

    def last_line(self) -> str:
        return ""


class World:
    """A keeper whose programs are ready at once, and what it says."""

    def __init__(self, stage: Stage, *, revives: bool = True) -> None:
        self.stage = stage
        self.said: list[tuple[str, str]] = []
        self.heard = asyncio.Condition()
        self.http = httpx.AsyncClient(
            transport=httpx.MockTransport(self._clock), base_url="http://sandbox"
        )
        self.asked: list[dict[str, Any]] = []
        self.clock = ""
        self.clock_at = stage.clock.now()
        self.keeper = Keeper(stage, PORTS, self.http, self._tell, revives=revives, stands_s=0.2)

    async def _tell(self, note: str, sentence: str) -> None:
        async with self.heard:
            self.said.append((note, sentence))
            self.heard.notify_all()

    def _clock(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        stands_s = self.asked[-1]["stands_s"]
        until = datetime.now(UTC) + timedelta(seconds=stands_s)
        self.clock = (
            f"{self.asked[0].get('to') or self.clock_at.isoformat()}@{until.isoformat()}*10"
        )
        return httpx.Response(200, json={"clock": self.clock, "stands_s": stands_s})


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    async def is_healthy(_http: httpx.AsyncClient, _stage: Stage) -> bool:
        last = Program.started[-1]
        return not last.has_ended and last.pid not in Program.slow

    Program.started, Program.slow = [], frozenset()
    monkeypatch.setattr(module, "Child", Program)
    monkeypatch.setattr(module, "_is_healthy", is_healthy)
    return Program.started


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return set_stage(tmp_path, DemoOptions())


def afternoon(stage: Stage) -> datetime:
    return stage.clock.now().replace(hour=14, minute=55, second=0, microsecond=0)


async def test_one_that_is_killed_comes_back_and_the_demo_says_so(
    programs: list[Program], stage: Stage
) -> None:
    """It is another process, and the note goes when it is ready."""
    world = World(stage)
    await world.keeper.start()
    watching = asyncio.get_running_loop().create_task(world.keeper.watch())
    world.keeper.kill()
    await world.keeper.is_back(after=1)
    async with world.heard:
        await world.heard.wait_for(lambda: len(world.said) == 2)
    assert world.keeper.pid == 2
    assert world.said == [
        (
            "Saarthi starts again",
            "The controller was killed (SIGKILL). It is started again.",
        ),
        ("", "The controller is back, with all that it knew."),
    ]
    watching.cancel()


async def test_one_that_ends_again_and_again_ends_the_demo(
    programs: list[Program], stage: Stage
) -> None:
    """After five ends within two minutes the reason is the demo's; autoplay allows none."""
    world = World(stage)
    await world.keeper.start()
    watching = asyncio.get_running_loop().create_task(world.keeper.watch())
    for number in range(1, 7):
        world.keeper.kill()
        if number < 6:
            await world.keeper.is_back(after=number)
    with pytest.raises(ChildEnded, match="was killed"):
        await watching
    assert len(programs) == 6

    strict = World(stage, revives=False)
    await strict.keeper.start()
    strict.keeper.kill()
    with pytest.raises(ChildEnded, match="was killed"):
        await strict.keeper.watch()


async def test_the_clock_moves_ahead_while_nobody_follows_it(
    programs: list[Program], stage: Stage
) -> None:
    """The controller is stopped first, and the next one is given the clock of the sandbox."""
    world = World(stage)
    await world.keeper.start()
    watching = asyncio.get_running_loop().create_task(world.keeper.watch())
    before = str(stage.clock)
    await world.keeper.move_to(afternoon(stage))
    assert programs[0].has_ended
    assert programs[-1].environment["SAARTHI_CLOCK"] == str(stage.clock)
    assert str(stage.clock).startswith(f"{before};{afternoon(stage):%Y-%m-%d}T14:5")
    assert world.asked[0]["to"] == afternoon(stage).isoformat()
    assert [note for note, _ in world.said] == ["the clock moves ahead", ""]
    assert not watching.done()
    watching.cancel()


async def test_the_day_begins_when_somebody_comes(programs: list[Program], stage: Stage) -> None:
    """Market time stands for the first controller, and goes on for the one that follows it."""
    world = World(stage)
    world.clock_at = stage.clock.now()
    await world.keeper.wait_for_user()
    await world.keeper.start()
    standing = clock_from_setting(programs[0].environment["SAARTHI_CLOCK"])
    later = datetime.now(UTC) + timedelta(days=1)
    assert standing.market_at(later) - world.clock_at < timedelta(seconds=1)
    await world.keeper.begin()
    assert programs[0].has_ended and not programs[1].has_ended
    going = clock_from_setting(programs[1].environment["SAARTHI_CLOCK"])
    assert going.market_at(later) - world.clock_at > timedelta(days=1)
    assert not stage.waits
    assert [note for note, _ in world.said] == ["the market's day begins", ""]


async def test_the_clock_stands_until_a_slow_controller_is_back(
    programs: list[Program], stage: Stage
) -> None:
    """A start that outlives the stand is given up for another; no second of the market is missed."""
    world = World(stage)
    await world.keeper.start()
    Program.slow = frozenset({2, 3})
    await world.keeper.move_to(afternoon(stage))
    assert [one.has_ended for one in programs[:3]] == [True, True, True]
    followed = clock_from_setting(programs[-1].environment["SAARTHI_CLOCK"])
    went_on = stage.clock.wall
    assert followed.market_at(went_on) == DemoClock.parse(world.clock).market_at(went_on)
    assert [one.get("by") for one in world.asked[:3]] == [None, 0, 0]
    assert world.asked[2]["stands_s"] == 2 * world.asked[1]["stands_s"]
