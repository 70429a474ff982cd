"""What is shut for the day enters nothing, in planning and in the gate; the next day it may."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.order import Purpose
from core.domain.result_guard import GuardScope, ScopeKind
from core.domain.sessions import trading_day
from core.domain.target import Direction
from core.engine.orders.gate import pass_gate
from core.engine.orders.shut import shut_day, why_shut
from core.ports.store import StoreView
from tests.fakes.run_bench import TEN, RunBench

pytestmark = [pytest.mark.row("R5")]


@pytest.fixture
async def bench() -> RunBench:
    return await RunBench().opened()


def scopes(bench: RunBench) -> list[GuardScope]:
    broker_id = bench.account.broker_id
    return [
        GuardScope(ScopeKind.STRATEGY, broker_id, bench.strategy.name),
        GuardScope(ScopeKind.ACCOUNT, broker_id),
        GuardScope(ScopeKind.ALL),
    ]


async def shut(bench: RunBench, scope: GuardScope, reason: str = "your guard") -> None:
    day = trading_day(bench.engine.clock.market_now())

    async def body(view: StoreView) -> None:
        await shut_day(
            view,
            scope,
            day,
            reason=reason,
            at=bench.engine.clock.now(),
            broker_ids=[bench.account.broker_id],
        )

    await bench.engine.store.transaction(body, nonce=f"shut {scope.key} {reason}")


@pytest.mark.parametrize("which", range(3))
async def test_run_plans_no_entry_under_a_shut_scope(bench: RunBench, which: int) -> None:
    """The chat says why; a scope that does not cover the strategy shuts nothing."""
    await shut(bench, GuardScope(ScopeKind.ACCOUNT, "another"))
    await shut(bench, scopes(bench)[which])
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    assert (bench.sent(), await bench.note()) == ([], "shut for today: your guard")


async def test_scope_that_covers_something_else_shuts_nothing(bench: RunBench) -> None:
    """Another account's, another strategy's."""
    await shut(bench, GuardScope(ScopeKind.ACCOUNT, "another"))
    await shut(bench, GuardScope(ScopeKind.STRATEGY, bench.account.broker_id, "another"))
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    assert bench.sent() == [("BUY", 10)]


@pytest.mark.parametrize("which", range(3))
async def test_gate_denies_what_was_planned_before(bench: RunBench, which: int) -> None:
    """Shut between planning and sending: the entry is denied, with its code."""
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await shut(bench, scopes(bench)[which])
    await bench.turns()
    assert bench.sent() == []
    (entry,) = [one for one in await bench.engine.orders() if one.purpose is Purpose.ENTRY]
    assert (entry.state.value, entry.reason) == ("DENIED", "shut for today: your guard")


async def test_shutting_collides_with_a_submission(bench: RunBench) -> None:
    """It writes the gate of each account that it covers, so one of the two runs again (I6)."""
    broker_id = bench.account.broker_id
    before = await bench.engine.store.get("account_gates", broker_id)
    await shut(bench, GuardScope(ScopeKind.ALL))
    after = await bench.engine.store.get("account_gates", broker_id)
    assert before is not None and after is not None and after["seq"] > before["seq"]


async def test_exit_passes_under_a_shut_scope(bench: RunBench) -> None:
    """What is held is closed as ever."""
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    await shut(bench, GuardScope(ScopeKind.ALL))
    bench.strategy.want(Direction.FLAT, TEN + timedelta(minutes=1))
    await bench.run()
    await bench.turns()
    assert (await bench.held(), bench.sent()) == (0, [("BUY", 10), ("SELL", 10)])


async def test_day_stays_shut_for_its_first_reason_and_no_longer(bench: RunBench) -> None:
    """A second cause does not replace the first; the next trading day is not shut."""
    scope = GuardScope(ScopeKind.ALL)
    await shut(bench, scope, "the first")
    await shut(bench, scope, "the second")
    store, broker_id = bench.engine.store, bench.account.broker_id
    assert await why_shut(store, broker_id, "any", "2026-11-23") == "the first"
    assert await why_shut(store, broker_id, "any", "2026-11-24") == ""


@pytest.mark.invariant("I6")
async def test_submission_that_read_an_open_day_does_not_commit(bench: RunBench) -> None:
    """The day is shut between its read and the gate: it runs again, and finds it shut."""
    engine, broker_id = bench.engine, bench.account.broker_id
    found: list[str] = []

    async def submit(view: StoreView) -> None:
        found.append(await why_shut(view, broker_id, bench.strategy.name, "2026-11-23"))
        if len(found) == 1:
            await shut(bench, GuardScope(ScopeKind.ALL))
        await pass_gate(view, broker_id, fence=engine.wiring.lease.fence)

    await engine.store.transaction(submit, nonce="submit")
    assert found == ["", "your guard"]


async def test_a_shut_day_is_said_once_however_often_it_signals(bench: RunBench) -> None:
    """One card a day for one cause, whatever the instrument; who asks for a run is answered."""
    await shut(bench, GuardScope(ScopeKind.ALL))
    for minute in range(3):
        bench.strategy.want(Direction.LONG, TEN + minute * timedelta(minutes=1))
        await bench.run()
        await bench.engine.clock.advance(60)
    rows = await bench.engine.store.find("runs", {})
    told = [row for row in rows if row["is_signal"]]
    assert (len(rows), len(told)) == (3, 1)
    assert told[0]["notes"] == {bench.account.broker_id: "shut for today: your guard"}


CAUSES = {
    "close": "no longer wanted: you have closed it since",
    "panic": "no longer wanted: you have closed it since, by panic",
    "square-off": "no longer wanted: it was squared off since",
    "guard": "no longer wanted: your guard has closed it since",
    "run": "no longer wanted: the strategy has decided otherwise since",
}


@pytest.mark.parametrize("kind", CAUSES)
async def test_an_entry_that_was_overtaken_names_by_whom(bench: RunBench, kind: str) -> None:
    """A user, a guard or the clock has replaced the goal: the strategy has decided nothing."""
    bench.strategy.want(Direction.LONG)
    await bench.run()
    if kind == "run":
        bench.strategy.want(Direction.FLAT, TEN + timedelta(minutes=1))
        await bench.run()
    else:
        await bench.close(kind)
    await bench.turns()
    (entry,) = [one for one in await bench.engine.orders() if one.purpose is Purpose.ENTRY]
    assert (bench.sent(), entry.reason) == ([], CAUSES[kind])


async def test_an_entry_that_a_fired_guard_overtook_says_what_the_guard_was(
    bench: RunBench,
) -> None:
    """The words are those of the day that is shut."""
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await shut(bench, GuardScope(ScopeKind.ALL), "your guard: the stop of -₹500 was reached")
    await bench.close("guard")
    await bench.turns()
    (entry,) = [one for one in await bench.engine.orders() if one.purpose is Purpose.ENTRY]
    reason = "no longer wanted: your guard: the stop of -₹500 was reached"
    assert (bench.sent(), entry.reason) == ([], reason)
