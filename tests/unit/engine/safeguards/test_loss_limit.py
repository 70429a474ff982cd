"""The daily loss: when it ends entries, who is told, and when a user may go on (row R1)."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.account_day import AccountDay
from core.domain.day_result import DayResult
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.notices.limits import DailyLossBlind, DailyLossReached
from core.engine.orders.gate import gate_at
from core.engine.orders.limits import ALL, changes_of, limits_at
from core.errors import TransactionConflict, UserError
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("R1")


class Desk:
    """Two accounts, and the looks at their results."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.accounts: list[Account] = []

    async def opened(self) -> Desk:
        await self.engine.owned()
        self.accounts.append(await self.engine.connect("One"))
        self.accounts.append(await self.engine.connect("Two", FYERS))
        return self

    @property
    def one(self) -> str:
        return self.accounts[0].broker_id

    @property
    def two(self) -> str:
        return self.accounts[1].broker_id

    async def limit(self, scope: str, rupees: int) -> None:
        limits = self.engine.control.limits
        await limits.set(self.engine.command(), scope, LimitKind.DAILY_LOSS, str(rupees))

    async def look(self, *results: int | None) -> None:
        """Judge the accounts' results, in their order; None is not known."""
        days = {
            one.broker_id: AccountDay(one.broker_id, None, "hung")
            if n is None
            else AccountDay(one.broker_id, DayResult(realised=Decimal(n)))
            for one, n in zip(self.accounts, results, strict=False)
        }
        await self.engine.wiring.loss_limit.judge(days)

    async def set(self, mode: TradingMode, broker_id: str | None) -> None:
        await self.engine.control.modes.set(self.engine.command(), mode, broker_id)

    async def modes(self) -> list[str]:
        gates = [await gate_at(self.engine.store, one.broker_id) for one in self.accounts]
        return [gate.account_mode.value for gate in gates if gate]

    async def told(self) -> list[DailyLossReached]:
        found = await self.engine.notices(DailyLossReached)
        return [one for one in found if isinstance(one, DailyLossReached)]

    def restart(self) -> Desk:
        """Another controller over the same store and clock."""
        engine = MemoryEngine(self.engine.clock, store=self.engine.store)
        after = Desk(engine)
        after.accounts = self.accounts
        return after


async def a_desk() -> Desk:
    return await Desk(MemoryEngine(ManualClock())).opened()


async def test_at_the_limit_the_account_turns_to_exit_only_and_says_so_once():
    """One notice with the numbers, however often it is looked at; the other account goes on."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-999, -5000)
    assert (await desk.modes(), await desk.told()) == (["NORMAL", "NORMAL"], [])
    for result in (-1000, -1100, -900):
        await desk.look(result, -5000)
    assert await desk.modes() == ["EXIT_ONLY", "NORMAL"]
    (said,) = await desk.told()
    assert (said.broker_id, said.result, said.limit) == (desk.one, Decimal(-1000), Decimal(1000))
    assert said.stopped == (desk.one,)
    tripped = (await limits_at(desk.engine.store, desk.one)).tripped
    assert tripped is not None
    assert (tripped.result, tripped.scope) == (Decimal(-1000), desk.one)


async def test_the_limit_of_all_together_turns_every_account():
    """Neither alone is at it; an account without a limit of its own is turned as well."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    assert await desk.engine.wiring.loss_limit.accounts() == {desk.one, desk.two}
    await desk.look(-600, -300)
    await desk.look(-600, -400)
    assert await desk.modes() == ["EXIT_ONLY", "EXIT_ONLY"]
    (said,) = await desk.told()
    assert (said.broker_id, said.result) == ("", Decimal(-1000))


async def test_a_profit_of_one_account_counts_for_all_together():
    """Together it is the sum; an account that cannot be read counts as at its last look."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.look(-5000, 4500)
    assert await desk.modes() == ["NORMAL", "NORMAL"]
    await desk.look(-5600, None)
    assert await desk.modes() == ["EXIT_ONLY", "EXIT_ONLY"]


async def test_only_accounts_that_are_bounded_are_judged():
    """Without a limit nobody is looked at for it."""
    desk = await a_desk()
    assert await desk.engine.wiring.loss_limit.accounts() == frozenset()
    await desk.limit(desk.two, 1000)
    assert await desk.engine.wiring.loss_limit.accounts() == {desk.two}


async def test_normal_is_refused_for_five_minutes_and_while_the_loss_is_beyond():
    """Then it is set, the record says by whom, and a further loss turns it again."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    with pytest.raises(UserError, match="Raise the limit in /limits first"):
        await desk.set(TradingMode.NORMAL, desk.one)
    await desk.limit(desk.one, 2000)
    with pytest.raises(UserError, match=r"less than five minutes ago.* from \d\d:\d\d on"):
        await desk.set(TradingMode.NORMAL, desk.one)
    await desk.engine.clock.advance(299)
    with pytest.raises(UserError, match="five minutes"):
        await desk.set(TradingMode.NORMAL, desk.one)
    await desk.engine.clock.advance(1)
    await desk.set(TradingMode.NORMAL, desk.one)
    assert (await limits_at(desk.engine.store, desk.one)).tripped is None
    rows = await changes_of(desk.engine.store, desk.one)
    assert [(one.what, one.new, one.by) for one in rows[:1]] == [
        ("daily loss reached", "re-armed", "1")
    ]
    await desk.look(-2000)
    assert await desk.modes() == ["EXIT_ONLY", "NORMAL"]
    assert len(await desk.told()) == 2


async def test_a_limit_that_is_lowered_below_the_loss_trips_at_the_next_look():
    """The present result is judged by the present number."""
    desk = await a_desk()
    await desk.limit(desk.one, 5000)
    await desk.look(-1200)
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    assert await desk.modes() == ["EXIT_ONLY", "NORMAL"]


async def test_a_restart_changes_neither_the_mode_nor_the_wait():
    """What is stored holds: the mode, the five minutes, and the loss until a look says better."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    after = desk.restart()
    await after.engine.clock.advance(400)
    with pytest.raises(UserError, match=r"loss of this account is ₹1,200\.00"):
        await after.set(TradingMode.NORMAL, after.one)
    await after.look(-1300)
    assert len(await after.told()) == 1
    await after.look(-200)
    await after.set(TradingMode.NORMAL, after.one)
    assert await after.modes() == ["NORMAL", "NORMAL"]


async def test_a_restart_does_not_forget_the_loss_of_all_together():
    """Before a look, and while no account can be read: not known is no loss of zero."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.look(-700, -500)
    after = desk.restart()
    await after.engine.clock.advance(400)
    for _ in range(3):
        with pytest.raises(UserError, match=r"loss of all accounts together is ₹1,200\.00"):
            await after.set(TradingMode.NORMAL, after.one)
        await after.engine.clock.advance(30)
        await after.look(None, None)


async def test_yesterdays_loss_is_none_of_today():
    """Before the first look of a new day a person may set NORMAL."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    await desk.engine.clock.advance(24 * 3600)
    await desk.set(TradingMode.NORMAL, desk.one)
    assert await desk.modes() == ["NORMAL", "NORMAL"]


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_a_step_of_the_clock_does_not_shorten_the_five_minutes(step: float):
    """The later of the stored time and of a clock that never steps."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    desk.engine.clock.step_wall(step)
    await desk.look(-200)
    await desk.engine.clock.advance(290)
    with pytest.raises(UserError, match="five minutes"):
        await desk.set(TradingMode.NORMAL, desk.one)
    await desk.engine.clock.advance(20 - min(step, 0))
    await desk.set(TradingMode.NORMAL, desk.one)


async def test_a_step_back_and_a_restart_do_not_shorten_it_either():
    """The stored time is then in the future: it is waited for."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    desk.engine.clock.step_wall(-600)
    after = desk.restart()
    await after.look(-200)
    await after.engine.clock.advance(310)
    with pytest.raises(UserError, match="five minutes"):
        await after.set(TradingMode.NORMAL, after.one)


async def test_the_next_morning_it_still_stands_until_a_user_sets_normal():
    """Nothing re-arms itself; a new day's result is judged anew."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    await desk.engine.clock.advance(24 * 3600)
    await desk.look(0)
    assert await desk.modes() == ["EXIT_ONLY", "NORMAL"]
    assert (await desk.engine.control.limits.view(desk.one)).tripped is not None
    await desk.set(TradingMode.NORMAL, desk.one)
    assert await desk.modes() == ["NORMAL", "NORMAL"]


@pytest.mark.row("B9")
async def test_dashboard_and_morning_say_why_it_stands():
    """Until a user sets NORMAL: the day of the loss, and what to do."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.look(-1200)
    await desk.engine.clock.advance(24 * 3600)
    why = "daily loss reached on 2026-11-23, exit only until you set Normal"
    assert (await desk.engine.control.views.dashboard(desk.one)).held_back == (why,)
    for account in desk.accounts:
        await desk.engine.log_in(account)
        worker = desk.engine.wiring.new_worker(account.broker_id)
        desk.engine.wiring.pool._workers[account.broker_id] = worker
    first, second = await desk.engine.control.health.readiness()
    assert (first.is_ready, first.note) == (False, why)
    assert (second.is_ready, second.note) == (True, "")


async def test_paused_stays_paused_and_the_global_mode_goes_around_nothing():
    """EXIT_ONLY never loosens PAUSED; the global NORMAL leaves the account's own mode."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.set(TradingMode.PAUSED, desk.one)
    await desk.look(-1200)
    assert await desk.modes() == ["PAUSED", "NORMAL"]
    assert len(await desk.told()) == 1
    await desk.set(TradingMode.EXIT_ONLY, desk.one)
    await desk.set(TradingMode.NORMAL, None)
    gate = await gate_at(desk.engine.store, desk.one)
    assert gate is not None
    assert gate.mode is TradingMode.EXIT_ONLY


async def test_two_looks_at_once_tell_once():
    """Two controllers' looks, or one that was slow, meet at one record."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    other = desk.restart()
    await asyncio.gather(desk.look(-1200), other.look(-1200))
    assert len(await desk.told()) == 1
    assert (await limits_at(desk.engine.store, desk.one)).version == 2


async def test_an_account_in_normal_does_not_stay_there_beyond_the_limit_of_all():
    """One that is connected later is turned at the next look, and that is said."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.look(-1200, 0)
    desk.accounts.append(await desk.engine.connect("Three"))
    await desk.look(-1200, 0, 0)
    assert await desk.modes() == ["EXIT_ONLY"] * 3
    assert [one.stopped for one in await desk.told()][1:] == [(desk.accounts[2].broker_id,)]


async def test_an_account_whose_store_writes_fail_keeps_no_other_from_its_limit(
    monkeypatch: pytest.MonkeyPatch,
):
    """One that meets a conflict is judged at the next look; the other is turned now."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    await desk.limit(desk.two, 1000)
    transaction = desk.engine.store.transaction

    async def contended(body: Any, *, nonce: str) -> Any:
        if nonce.startswith(f"loss:{desk.one}"):
            raise TransactionConflict("busy")
        return await transaction(body, nonce=nonce)

    monkeypatch.setattr(desk.engine.store, "transaction", contended)
    with pytest.raises(TransactionConflict):
        await desk.look(-1200, -1200)
    assert await desk.modes() == ["NORMAL", "EXIT_ONLY"]


async def test_its_own_limit_is_told_after_that_of_all_and_has_five_minutes_of_its_own():
    """An account that all together have turned reaches its own later: that is a new cause."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.limit(desk.one, 2000)
    await desk.look(-1200, 0)
    await desk.engine.clock.advance(600)
    for _ in range(3):
        await desk.look(-2100, 0)
    assert [one.broker_id for one in await desk.told()] == ["", desk.one]
    for scope in (ALL, desk.one):
        await desk.limit(scope, 5000)
    with pytest.raises(UserError, match="five minutes"):
        await desk.set(TradingMode.NORMAL, desk.one)


@pytest.mark.parametrize("is_all", [False, True])
async def test_a_result_that_stays_unknown_is_told_once_and_so_is_its_end(is_all: bool):
    """A limit that nobody can judge would hold nothing, and nobody would know."""
    desk = await a_desk()
    await desk.limit(ALL if is_all else desk.one, 1000)
    await desk.look(-40, 0)
    for _ in range(9):
        await desk.look(None, None if not is_all else 0)
        await desk.engine.clock.advance(3)
    after = desk.restart()
    for _ in range(9):
        await after.look(None, 0)
        await after.engine.clock.advance(3)
    (told,) = await desk.engine.notices(DailyLossBlind)
    assert isinstance(told, DailyLossBlind)
    assert (told.broker_id, told.why, told.result) == (desk.one, "hung", Decimal(-40))
    for _ in range(2):
        await after.look(-50, 0)
    found = await desk.engine.notices(DailyLossBlind)
    assert [one.why for one in found if isinstance(one, DailyLossBlind)] == ["hung", ""]


async def test_a_result_that_is_unknown_for_a_moment_is_not_told():
    """A fill on its way; and where nothing is bounded nobody is told anything."""
    desk = await a_desk()
    await desk.limit(desk.one, 1000)
    for result in (0, None, None, None, 0, None, None, None, 0):
        await desk.look(result, None)
        await desk.engine.clock.advance(5)
    assert await desk.engine.notices(DailyLossBlind) == []


async def test_after_a_start_one_accounts_loss_is_not_that_of_all():
    """The others are read a moment later; one that stays unknown counts as nothing after 20 s."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.look(-5000, 4500)
    after = desk.restart()
    await after.look(-5000, None)
    assert after.engine.wiring.loss_limit.result(None) is None
    await after.look(-5000, 4500)
    assert await after.modes() == ["NORMAL", "NORMAL"]
    after = desk.restart()
    for _ in range(3):
        await after.look(-5000, None)
        await after.engine.clock.advance(10)
    assert await after.modes() == ["EXIT_ONLY", "EXIT_ONLY"]


async def test_a_disconnected_accounts_profit_hides_no_loss():
    """It is of no account any more; connected again, its positions would count twice."""
    desk = await a_desk()
    await desk.limit(ALL, 1000)
    await desk.look(-1200, 4500)
    gone = desk.accounts.pop()
    await desk.engine.control.registration.disconnect(desk.engine.command(), gone.broker_id)
    await desk.look(-1200)
    assert await desk.modes() == ["EXIT_ONLY"]
