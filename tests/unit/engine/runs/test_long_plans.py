"""A run of many accounts is planned a few at a time: others go on meanwhile, and what they change counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.sessions import trading_day
from core.domain.target import Direction
from core.engine.orders.ledgers import ledger_row
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import TEN, RunBench

ACCOUNTS, AT_ONCE = 12, 10
DAY = trading_day(TEN)


@pytest.fixture
async def bench() -> RunBench:
    """So many accounts that run one strategy, over the writer's memory."""
    made = await RunBench().opened()
    first = made.account
    for number in range(1, ACCOUNTS):
        made.account = await made.engine.connect(f"Account {number}")
        await made.assign(size_value=Decimal(10))
    made.account = first
    await made.engine.become_writer()
    made.strategy.want(Direction.LONG)
    return made


async def test_others_go_on_while_many_accounts_are_planned(
    bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tap is not answered later because two hundred accounts have a slot."""
    planner = bench.engine.wiring.runner._planner
    look = planner._account_state
    at: Counter[int] = Counter()
    passes = 0

    async def looked(*given: Any) -> Any:
        at[passes] += 1
        return await look(*given)

    async def others() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(planner, "_account_state", looked)
    beside = asyncio.create_task(others())
    await bench.run()
    beside.cancel()
    assert at.total() == ACCOUNTS
    assert max(at.values()) <= AT_ONCE


async def test_what_changes_meanwhile_counts(
    bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that got what it wants after it was planned enters nothing, and holds up nobody."""
    planner, engine = bench.engine.wiring.runner._planner, bench.engine
    look = planner._account_state
    seen: list[str] = []
    filling: list[asyncio.Task[Any]] = []

    async def looked(*given: Any) -> Any:
        seen.append(given[4].broker_id)
        if len(seen) == 1:  # is carried out in the first pause, when this one was planned
            held = Ledger("obedient", seen[0], SBIN, Product.MIS, quantity=10, day=DAY)
            change = engine.writer.insert("ledgers", ledger_row(held))
            filling.append(asyncio.create_task(change))
        return await look(*given)

    monkeypatch.setattr(planner, "_account_state", looked)
    await bench.run()
    await asyncio.gather(*filling)
    orders = await engine.orders()
    assert len(seen) == 2 * ACCOUNTS, "it was planned again, once"
    assert {one.broker_id for one in orders} == set(seen) - {seen[0]}
