"""What a run on many accounts asks the store: once for all of them, not once for each."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.target import Direction
from core.engine.orders.limits import ALL, set_limit
from core.engine.runs.plan import RunRequest
from core.errors import StoreUnavailable
from core.ports.store import StoreView
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, RunBench


class Fleet(RunBench):
    """Many accounts that run ``Obedient``."""

    def __init__(self) -> None:
        super().__init__()
        self.store = CountedStore()
        registry = {self.strategy.name: self.strategy}
        self.engine = MemoryEngine(market_clock(TEN), registry, self.store)

    async def of(self, accounts: int) -> Fleet:
        """Connect so many accounts."""
        await self.opened(quantity=10)
        for number in range(1, accounts):
            await self.engine.connect(f"Account {number}")
        await self.engine.become_writer()
        return self

    async def commands_of_run(self, run_id: str = "first") -> Counter[str]:
        """Run once, and return what the store was asked for it."""
        self.store.commands.clear()
        request = RunRequest(run_id, self.strategy.name, self.engine.clock.market_now())
        await self.engine.wiring.runner.run(request)
        return Counter(self.store.commands)


async def test_run_costs_the_same_for_any_number_of_accounts() -> None:
    """A run reads nothing of what is known, and writes what all its accounts need in one commit."""
    asked = {}
    for accounts in (2, 12):
        fleet = await Fleet().of(accounts)
        fleet.strategy.want(Direction.FLAT)
        await fleet.commands_of_run("what each account had today is known from here on")
        fleet.strategy.want(Direction.LONG)
        asked[accounts] = await fleet.commands_of_run()
        assert len(await fleet.engine.orders()) == accounts
    assert asked[12] == asked[2]
    assert asked[12]["commit"] <= 2


async def test_accounts_decide_as_if_each_were_alone() -> None:
    """What one account may not, holds or has limited stays its own."""
    fleet = await Fleet().of(4)
    engine, (first, second, third, fourth) = fleet.engine, await fleet.engine.wiring.accounts.all()
    modes, settings = engine.control.modes, engine.control.strategy_settings
    await settings.assign(engine.command(), "obedient", second.broker_id, size_value=Decimal(3))
    await settings.assign(engine.command(), "obedient", third.broker_id, is_on=False)
    await modes.set(engine.command(), TradingMode.PAUSED, fourth.broker_id)
    fleet.strategy.want(Direction.LONG)
    await fleet.commands_of_run()
    units = {order.broker_id: order.request.quantity for order in await engine.orders()}
    assert units == {first.broker_id: 10, second.broker_id: 3}
    (run,) = await engine.store.find("runs", {})
    assert set(run["notes"]) == {fourth.broker_id}


async def test_limit_of_all_counts_what_the_run_has_planned_before() -> None:
    """Accounts are decided one after another, though they are read at once."""
    fleet = await Fleet().of(4)
    engine = fleet.engine

    async def body(view: StoreView) -> None:
        await set_limit(view, ALL, LimitKind.OPEN_POSITIONS, 2, at=engine.clock.now(), by="test")

    await engine.writer.transaction(body, nonce="limit")
    fleet.strategy.want(Direction.LONG)
    await fleet.commands_of_run()
    assert len(await engine.orders()) == 2


async def test_workers_are_woken_before_anything_else_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was committed can go out: the note of the last run is written a moment later."""
    fleet = await Fleet().of(3)
    wiring = fleet.engine.wiring
    woken: list[str] = []
    monkeypatch.setattr(wiring.runner, "_wake", woken.append)
    fleet.strategy.want(Direction.LONG)
    await fleet.commands_of_run()
    assert len(woken) == 3
    assert {one.last_run_at for one in await wiring.accounts.all()} == {None}
    marks = wiring.accounts.mark_run

    async def fails(*_: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(wiring.accounts, "mark_run", fails)
    with pytest.raises(StoreUnavailable):
        await wiring.upkeep.last_runs.tick()
    monkeypatch.setattr(wiring.accounts, "mark_run", marks)
    await wiring.upkeep.last_runs.tick()
    assert None not in {one.last_run_at for one in await wiring.accounts.all()}
