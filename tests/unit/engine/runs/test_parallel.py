"""One strategy on several accounts at once: one decision, each its own size, limits, result (S2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.domain.limits import LimitKind
from core.domain.order import OrderRequest, OrderState
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.target import Direction
from tests.fakes.laned_bench import Laned
from tests.fakes.run_bench import TEN, RunBench
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.row("S2")


async def another(
    bench: RunBench, name: str, broker: BrokerProfile, quantity: int
) -> tuple[Account, ScriptedAccount]:
    """Let the strategy run on one more account, with a size of its own."""
    engine = bench.engine
    account = await engine.connect(name, broker)
    await engine.control.strategy_settings.assign(
        engine.command(), bench.strategy.name, account.broker_id, size_value=Decimal(quantity)
    )
    return account, engine.at_broker(account)


async def test_one_decision_goes_to_every_account_in_its_own_way() -> None:
    """Two brokers, four accounts: three sizes, one that its limit denies, one that is refused.

    The strategy is asked once; the run's card has each account's own result.
    """
    bench = await RunBench().opened(10)
    engine = bench.engine
    father, at_father = await another(bench, "Father", ZERODHA, 4)
    mother, at_mother = await another(bench, "Mother", FYERS, 25)
    child, at_child = await another(bench, "Child", FYERS, 7)
    await engine.control.limits.set(
        engine.command(), mother.broker_id, LimitKind.ORDER_VALUE, "10000"
    )
    at_child.answers = [Refused(Refusal.REJECTED, "insufficient funds")]
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    workers = [engine.wiring.new_worker(one.broker_id) for one in (father, mother, child)]
    for worker in (bench.worker, *workers):
        for _ in range(4):
            await worker.turn()

    assert len(bench.strategy.seen) == 1
    sent = [
        [(str(order.side), order.quantity) for order in one.placed]
        for one in (bench.broker, at_father, at_mother, at_child)
    ]
    assert sent == [[("BUY", 10)], [("BUY", 4)], [], [("BUY", 7)]]
    (row,) = await engine.store.find("runs", {})
    lines = {one.broker_id: one for one in (await engine.control.views.run(row["_id"])).lines}
    assert len(lines) == 4
    results = {
        name: [(one.state, one.filled_quantity) for one in lines[account.broker_id].orders]
        for name, account in (
            ("Main", bench.account),
            ("Father", father),
            ("Mother", mother),
            ("Child", child),
        )
    }
    assert results == {
        "Main": [(OrderState.FILLED, 10)],
        "Father": [(OrderState.FILLED, 4)],
        "Mother": [],
        "Child": [(OrderState.REJECTED, 0)],
    }
    assert "above the limit of ₹10,000" in lines[mother.broker_id].note
    assert lines[bench.account.broker_id].note == lines[father.broker_id].note == ""
    (refused,) = lines[child.broker_id].orders
    assert refused.reason == "insufficient funds"


@asynccontextmanager
async def working(bench: Laned, account: Account) -> AsyncIterator[None]:
    """Let the worker of one more account run, as the pool does."""
    worker = bench.engine.wiring.new_worker(account.broker_id)
    bench.engine.wiring.pool._workers[account.broker_id] = worker
    task = asyncio.create_task(worker.run())
    try:
        await bench.until(lambda: worker.snapshot.funds is not None)
        await bench.until(lambda: worker.turn_since is None and not worker.lock.locked())
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.invariant("I7")
@pytest.mark.parametrize("slow", ["the first", "the second"])
async def test_a_broker_that_does_not_answer_delays_no_other_account(slow: str) -> None:
    """One decision is carried out on all accounts at once: the other's entry is filled meanwhile."""
    async with Laned().running() as bench:
        father, at_father = await another(bench, "Father", FYERS, 4)
        async with working(bench, father):
            answers, hangs, answering = asyncio.Event(), bench.broker, at_father
            units = 4
            if slow == "the second":
                hangs, answering, units = answering, hangs, 10
            place = hangs.place

            async def waits(order: OrderRequest) -> WriteOutcome:
                await answers.wait()
                return await place(order)

            hangs.place = waits  # type: ignore[method-assign]
            bench.strategy.want(Direction.LONG, TEN)
            await bench.run()
            await bench.until(lambda: "FILLED" in [row["state"] for row in bench.rows()])
            assert [one.quantity for one in answering.placed] == [units]
            assert hangs.placed == []
            assert sorted(row["state"] for row in bench.rows()) == ["FILLED", "SUBMITTED"]
            answers.set()
            await bench.until(lambda: {row["state"] for row in bench.rows()} == {"FILLED"})
    assert [len(one.placed) for one in (hangs, answering)] == [1, 1]
    assert len(bench.strategy.seen) == 1
