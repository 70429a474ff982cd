"""The packing of finished days ends, fails or loses its lease at each command of the store.

A run without trouble counts the commands. After trouble at any of them each row is in one of its two
places, memory is what the store holds, and a controller that goes on comes to the same end. That a
lot is one transaction for a server, too, is in ``tests/contract/test_finished_days.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from core.domain.sessions import trading_day
from core.engine.runs.finished_days import FinishedDays
from core.engine.workers.lease import Lease
from core.errors import LeaseLost, StoreUnavailable
from core.ports.store import Change, Document
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.memory_store import MemoryDatabase, MemoryStore
from tests.fakes.past import everything, put_day, run_id
from tests.fakes.run_bench import TEN
from tests.faults.commands import COMMITTED, Commands, commanded

_STEPS = 4
"""More than it takes."""
_OWNERS = ("orders", "fills", "order_events")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lot of two orders and two lots a step: a short past has all the moments of a long one."""
    monkeypatch.setattr("core.engine.orders.journal.LOT", 2)
    monkeypatch.setattr("core.engine.runs.finished_days._LOTS", 2)


@dataclass
class Past:
    """Two accounts with two finished days, and what every controller must show of them.

    Attributes:
        engine: That made them; a controller of the test has its parts, over a copy of its store.
        days: The finished ones, the oldest first.
        rows: All rows of the journal.
        shown: What is answered about them.
    """

    engine: MemoryEngine
    days: list[str]
    ids: list[str]
    rows: dict[str, list[Document]]
    shown: list[object] = field(default_factory=list)

    def copy(self) -> MemoryDatabase:
        """Return the store as it was before anything was moved."""
        database = MemoryDatabase()
        database.committed = dict(self.engine.store.database.committed)
        return database

    def controller(self, database: MemoryDatabase, commands: Commands) -> MemoryEngine:
        """Return a controller over a store; it has not begun."""
        engine = self.engine
        return MemoryEngine(
            engine.clock,
            store=commanded(MemoryStore(database), commands),
            brokers=engine.brokers,
            masters=engine.masters,
            key=engine.key,
        )

    async def begun(self, database: MemoryDatabase, commands: Commands) -> MemoryEngine:
        """Return a controller that holds the lease, taken from whoever held it."""
        bare = MemoryStore(database)
        held = await bare.get("lease", "controller")
        await bare.kill_sessions(held["session_ids"] if held else [])
        await bare.update("lease", {"_id": "controller"}, Change(set={"holder": ""}))
        engine = self.controller(database, Commands())
        writer = engine.writer
        lease = Lease(
            writer,
            engine.clock,
            session_ids=lambda: writer.session_ids,
            kill_sessions=writer.kill_sessions,
            hold=writer.hold,
            release=writer.release,
        )
        await lease.take()
        engine.store._commands = commands  # type: ignore[attr-defined]
        return engine

    def questions(self, engine: MemoryEngine) -> list[Callable[[], Awaitable[list[Any]]]]:
        """Return what views, guards and results ask the journal about the finished days."""
        journal, found = engine.wiring.journal, list[Callable[[], Awaitable[list[Any]]]]()
        for broker_id in self.ids:
            found.append(partial(journal.filled, broker_id))
            for day in self.days:
                found.append(partial(journal.of_day, broker_id, day))
                found.append(partial(journal.trades_of_day, broker_id, day))
        found += [partial(journal.of_run, run_id(day, n)) for day in self.days for n in range(2)]

        async def one(key: str) -> list[Any]:
            return [await journal.get(key)]

        return [*found, *(partial(one, row["_id"]) for row in self.rows["orders"])]

    async def answers(self, engine: MemoryEngine) -> list[object]:
        """Return the answers, each in an order of its own."""
        return [sorted(map(repr, await ask())) for ask in self.questions(engine)]

    async def is_whole(self, database: MemoryDatabase, engine: MemoryEngine) -> None:
        """Assert that each row is there once, and that this controller knows and shows it."""
        assert await everything(MemoryStore(database)) == self.rows
        assert await engine.writer.differences() == []
        assert await self.answers(engine) == self.shown
        for row in self.rows["orders"]:
            shown = await engine.control.views.order(row["_id"])
            assert shown.state.value == row["state"]

    async def is_moved(self, database: MemoryDatabase, engine: MemoryEngine) -> None:
        """Assert that it is whole, and all of it in its new place, as without any trouble."""
        await self.is_whole(database, engine)
        store = MemoryStore(database)
        assert [await store.find(name, {}) for name in _OWNERS] == [[], [], []]
        lots = await store.find("past_orders", {})
        assert sorted(len(lot["ids"]) for lot in lots) == [1, 1, 2]
        through = await store.get("settings", "pruned|days")
        assert through is not None and through["left"] == []
        assert through["until"] >= self.days[-1]


@pytest.fixture
async def past() -> Past:
    """Of a controller that stands at an evening, with everything old enough to be moved."""
    engine = await MemoryEngine(market_clock(TEN.replace(hour=20))).owned()
    ids = [(await engine.connect(name)).broker_id for name in ("One", "Two")]
    now = engine.clock.market_now()
    days = [trading_day(now + timedelta(days=number)) for number in range(2)]
    for day, counts in zip(days, ((3, 0), (0, 1)), strict=True):
        for broker_id, number in zip(ids, counts, strict=True):
            await put_day(engine.store, broker_id, day, number, steps=1)
    await engine.clock.advance(timedelta(days=13).total_seconds())
    past = Past(engine, days, ids, await everything(engine.store))
    past.shown = await past.answers(engine)
    return past


async def step(engine: MemoryEngine) -> None:
    """Move what a minute may."""
    wiring = engine.wiring
    await FinishedDays(engine.writer, engine.clock, wiring.accounts, wiring.hours).step()


async def pack(engine: MemoryEngine) -> None:
    """Move all there is, minute by minute."""
    for _ in range(_STEPS):
        await step(engine)


async def moments(past: Past) -> list[str]:
    """Return the commands of a controller that nothing troubles."""
    commands, database = Commands(), past.copy()
    engine = await past.begun(database, commands)
    await pack(engine)
    met = list(commands.moments)
    await past.is_moved(database, engine)
    return met


async def ended_at(engine: MemoryEngine, commands: Commands) -> None:
    """Pack until the moment, and stop dead there."""
    others = asyncio.all_tasks()
    dying = asyncio.create_task(commands.struck.wait())
    await asyncio.wait(
        {asyncio.create_task(pack(engine)), dying}, return_when=asyncio.FIRST_COMPLETED
    )
    left = asyncio.all_tasks() - others
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def test_controller_ends_at_each_command(past: Past) -> None:
    """The next one finds each row once, and goes on to the same end."""
    names = await moments(past)
    assert len(names) > 30
    for number in range(1, len(names) + 1):
        commands, database = Commands(number), past.copy()
        commands.act = commands.die
        await ended_at(await past.begun(database, commands), commands)
        after = await past.begun(database, Commands())
        await past.is_whole(database, after)
        await pack(after)
        await past.is_moved(database, after)


async def test_command_is_not_answered(past: Past) -> None:
    """The store is away for a moment, or nobody hears that it committed: the controller goes on."""
    names = await moments(past)
    assert COMMITTED in names
    for number in range(1, len(names) + 1):
        database = past.copy()

        async def away() -> None:
            raise StoreUnavailable("It is not known whether the store committed.")

        engine = await past.begun(database, Commands(number, away))
        troubles = 0
        for _ in range(_STEPS):
            try:
                await step(engine)
            except StoreUnavailable:
                troubles += 1
                await past.is_whole(database, engine)
        assert troubles == 1, names[number - 1]
        await past.is_moved(database, engine)


async def test_each_order_is_shown_once_at_each_command(past: Past) -> None:
    """Also between the commit of a lot and the moment at which the controller hears of it."""
    names = await moments(past)
    for number in range(1, len(names) + 1):
        database, commands = past.copy(), Commands(number)
        engine = await past.begun(database, commands)
        asked: list[asyncio.Task[object]] = []

        async def ask(
            engine: MemoryEngine = engine, asked: list[asyncio.Task[object]] = asked
        ) -> None:
            asked.append(asyncio.create_task(past.answers(engine)))
            # It is through by then, unless it waits for what this command is a part of.
            for _ in range(500):
                await asyncio.sleep(0)

        commands.act = ask
        await pack(engine)
        assert await asked[0] == past.shown, names[number - 1]


async def test_each_order_is_shown_once_while_days_move(past: Past) -> None:
    """Whatever moves between the two places while both are asked."""
    database = past.copy()
    engine = await past.begun(database, Commands(latest=61))
    moving = asyncio.create_task(pack(engine))

    async def ask(question: Callable[[], Awaitable[list[Any]]], wanted: object) -> int:
        asked = 0
        while not moving.done():
            assert sorted(map(repr, await question())) == wanted
            asked += 1
            await asyncio.sleep(0)  # what memory answers lets nothing else run
        return asked

    asking = [ask(*one) for one in zip(past.questions(engine), past.shown, strict=True)]
    assert min(await asyncio.gather(*asking))
    await moving
    await past.is_moved(database, engine)


async def goes_on(engine: MemoryEngine) -> None:
    """Move all there is, and write once more: a lease that was lost at the end shows then."""
    await pack(engine)
    await engine.writer.update("settings", {"_id": "any"}, Change(set={"a": 1}), upsert=True)


@pytest.mark.invariant("I10")
async def test_another_controller_takes_over_at_each_command(past: Past) -> None:
    """It moves all that is left; whoever held the lease before moves nothing beside it or later."""
    names = await moments(past)
    for number in range(1, len(names) + 1):
        database, commands = past.copy(), Commands(number)
        later: list[MemoryEngine] = []
        stands: list[Any] = []

        async def take_over(
            database: MemoryDatabase = database,
            later: list[MemoryEngine] = later,
            stands: list[Any] = stands,
        ) -> None:
            later.append(await past.begun(database, Commands()))
            await pack(later[0])
            stands.append(dict(database.committed))

        commands.act = take_over
        before = await past.begun(database, commands)
        with pytest.raises(LeaseLost):
            await goes_on(before)
        assert database.committed == stands[0], names[number - 1]
        await past.is_moved(database, later[0])
