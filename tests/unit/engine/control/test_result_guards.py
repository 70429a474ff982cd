"""Guards as users set them: tightening at once, loosening twice, a lock, and two users at once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.adapters.paper import PAPER_PROFILE
from core.domain.account import AccountDraft
from core.domain.command import Command
from core.domain.guard_views import GuardView
from core.domain.notices.result_guards import GuardFired
from core.domain.result_guard import Guard, GuardScope, Reached, ScopeKind, Trail
from core.engine.safeguards.result_guards import ScopeDay
from core.errors import AlreadyDone, NotFound, UserError
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.guarded import ALL, account_scope, look, stored
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = [pytest.mark.row("R5")]
STOP = Guard(stop=Decimal(5000))
TRAIL = Trail(Decimal(200), Decimal(100), Decimal(100), Decimal(100))


@pytest.fixture
async def desk() -> Desk:
    """At ten o'clock, in the session."""
    return await a_desk(market_clock(TEN))


async def change(
    desk: Desk, guard: Guard, scope: GuardScope | None = None, command: Command | None = None
) -> GuardView:
    """Change a guard as a user does who looks at it now."""
    guards = desk.engine.control.guards
    scope = scope or account_scope(desk)
    version = (await guards.get(scope)).version
    return await guards.set(command or desk.engine.command(), scope, guard, version)


async def test_tightening_holds_at_once(desk: Desk) -> None:
    """A new guard, a smaller stop, a target beside it."""
    for guard in (STOP, Guard(Decimal(4000)), Guard(Decimal(4000), Decimal(9000))):
        view = await change(desk, guard)
        assert (view.guard, view.pending) == (guard, None)
    assert (await stored(desk.engine, account_scope(desk))).changed_by == "1"


@pytest.mark.parametrize("looser", [Guard(Decimal(6000)), Guard()])
async def test_loosening_in_the_session_needs_a_second_confirmation(
    desk: Desk, looser: Guard
) -> None:
    """After two minutes, not before; until then the old guard holds."""
    await change(desk, STOP)
    view = await change(desk, looser)
    assert view.guard == STOP and view.pending is not None and view.pending.guard == looser
    guards, scope, waiting = desk.engine.control.guards, account_scope(desk), view.pending.id
    await desk.clock.advance(119)
    with pytest.raises(UserError, match="again in 1 s"):
        await guards.confirm(desk.engine.command(), scope, waiting)
    await desk.clock.advance(1)
    view = await guards.confirm(desk.engine.command(), scope, waiting)
    assert (view.guard, view.pending) == (looser, None)
    with pytest.raises(UserError, match="waits no more"):
        await guards.confirm(desk.engine.command(), scope, waiting)


async def test_second_confirmation_is_good_for_fifteen_minutes(desk: Desk) -> None:
    """After that it has to be asked for again."""
    await change(desk, STOP)
    waiting = (await change(desk, Guard())).pending
    assert waiting is not None
    await desk.clock.advance(15 * 60 + 1)
    assert (await desk.engine.control.guards.get(account_scope(desk))).pending is None
    with pytest.raises(UserError, match="fifteen minutes"):
        await desk.engine.control.guards.confirm(
            desk.engine.command(), account_scope(desk), waiting.id
        )
    assert (await desk.engine.control.guards.get(account_scope(desk))).guard == STOP


async def test_restart_keeps_what_waits(desk: Desk) -> None:
    """The second confirmation goes on where it was."""
    await change(desk, STOP)
    waiting = (await change(desk, Guard())).pending
    assert waiting is not None
    again = MemoryEngine(desk.clock, store=desk.engine.store, brokers=desk.engine.brokers)
    with pytest.raises(UserError, match="Too early"):
        await again.control.guards.confirm(again.command(), account_scope(desk), waiting.id)
    await desk.clock.advance(120)
    command = Command("after the restart", 1, 1)
    view = await again.control.guards.confirm(command, account_scope(desk), waiting.id)
    assert not view.guard.is_set


@pytest.mark.parametrize("step_s", [-3600, 3600])
async def test_clock_step_does_not_shorten_the_wait(desk: Desk, step_s: float) -> None:
    """Neither back nor forth: what counts is the time that has passed."""
    await change(desk, STOP)
    waiting = (await change(desk, Guard())).pending
    assert waiting is not None
    desk.clock.step_wall(step_s)
    guards, scope = desk.engine.control.guards, account_scope(desk)
    with pytest.raises(UserError, match="again in 2 min 0 s"):
        await guards.confirm(desk.engine.command(), scope, waiting.id)
    await desk.clock.advance(120)
    assert not (await guards.confirm(desk.engine.command(), scope, waiting.id)).guard.is_set


async def test_clock_step_back_and_a_restart_do_not_shorten_it_either(desk: Desk) -> None:
    """What lies in the future counts as asked for now."""
    await change(desk, STOP)
    waiting = (await change(desk, Guard())).pending
    assert waiting is not None
    desk.clock.step_wall(-3600)
    again = MemoryEngine(desk.clock, store=desk.engine.store, brokers=desk.engine.brokers)
    await desk.clock.advance(60)
    with pytest.raises(UserError, match="Too early"):
        await again.control.guards.confirm(again.command(), account_scope(desk), waiting.id)


async def test_any_other_change_ends_what_waits(desk: Desk) -> None:
    """Tightened meanwhile: the looser guard was asked for over another one."""
    await change(desk, STOP)
    waiting = (await change(desk, Guard())).pending
    assert waiting is not None
    await change(desk, Guard(Decimal(3000)))
    await desk.clock.advance(120)
    with pytest.raises(UserError, match="waits no more"):
        await desk.engine.control.guards.confirm(
            desk.engine.command(), account_scope(desk), waiting.id
        )


async def test_only_what_was_asked_for_last_is_confirmed(desk: Desk) -> None:
    """The button of an earlier question confirms nothing that it did not show."""
    await change(desk, STOP)
    first = (await change(desk, Guard(Decimal(6000)))).pending
    last = (await change(desk, Guard(Decimal(5500)))).pending
    assert first is not None and last is not None
    await desk.clock.advance(120)
    guards, scope = desk.engine.control.guards, account_scope(desk)
    with pytest.raises(UserError, match="waits no more"):
        await guards.confirm(desk.engine.command(), scope, first.id)
    view = await guards.confirm(desk.engine.command(), scope, last.id)
    assert view.guard == Guard(Decimal(5500))


async def test_what_waits_can_be_dropped(desk: Desk) -> None:
    """The present guard stays, and nothing waits."""
    await change(desk, STOP)
    await change(desk, Guard())
    view = await desk.engine.control.guards.keep(desk.engine.command(), account_scope(desk))
    assert (view.guard, view.pending) == (STOP, None)


async def test_outside_the_session_loosening_holds_at_once() -> None:
    """Nothing could fire before the next one."""
    desk = await a_desk(market_clock(TEN.replace(hour=18)))
    await change(desk, STOP)
    assert not (await change(desk, Guard())).guard.is_set


async def test_locked_guard_is_only_tightened_until_the_next_trading_day(desk: Desk) -> None:
    """Neither loosened nor removed; tomorrow it is as any other."""
    guards, scope = desk.engine.control.guards, account_scope(desk)
    version = (await change(desk, STOP)).version
    view = await guards.lock(desk.engine.command(), scope, version)
    assert view.locked_until == "2026-11-25"  # the 24th is a holiday
    for looser in (Guard(), Guard(Decimal(5001))):
        with pytest.raises(UserError, match="locked until Wed 25 Nov"):
            await change(desk, looser)
    view = await change(desk, Guard(Decimal(4000)))
    assert view.guard.stop == 4000 and view.locked_until == "2026-11-25"
    await desk.clock.advance(48 * 3600)
    view = await change(desk, Guard())
    assert view.pending is not None and view.locked_until == ""


async def test_lock_of_the_evening_holds_for_the_next_session() -> None:
    """Who locks at night means tomorrow; over a weekend too."""
    friday = TEN.replace(day=27, hour=20)
    desk = await a_desk(market_clock(friday))
    version = (await change(desk, STOP)).version
    view = await desk.engine.control.guards.lock(
        desk.engine.command(), account_scope(desk), version
    )
    assert view.locked_until == "2026-12-01"


async def test_lock_also_holds_for_a_change_that_waits(desk: Desk) -> None:
    """Locked between the two confirmations, the second finds it changed."""
    await change(desk, STOP)
    view = await change(desk, Guard())
    assert view.pending is not None
    guards, scope = desk.engine.control.guards, account_scope(desk)
    await guards.lock(desk.engine.command(), scope, view.version)
    await desk.clock.advance(120)
    with pytest.raises(UserError, match="waits no more"):
        await guards.confirm(desk.engine.command(), scope, view.pending.id)


async def test_nothing_is_locked_where_nothing_is_set(desk: Desk) -> None:
    """An empty guard has nothing that could be loosened."""
    with pytest.raises(UserError, match="no guard to lock"):
        await desk.engine.control.guards.lock(desk.engine.command(), account_scope(desk), 0)


async def test_second_user_is_told_what_the_first_has_changed(desk: Desk) -> None:
    """Both looked at the same guard; nothing of the second's is done."""
    guards, scope = desk.engine.control.guards, account_scope(desk)
    version = (await change(desk, STOP)).version
    await guards.set(Command("first", 77, 1), scope, Guard(Decimal(4000)), version)
    with pytest.raises(UserError, match=r"User 77 .*stop -₹4,000 now"):
        await guards.set(Command("second", 78, 1), scope, Guard(Decimal(3000)), version)
    assert (await guards.get(scope)).guard.stop == 4000


async def test_same_command_changes_it_once(desk: Desk) -> None:
    """A tap that arrives twice."""
    command = Command("tapped", 1, 1)
    await change(desk, STOP, command=command)
    with pytest.raises(AlreadyDone):
        await desk.engine.control.guards.set(command, account_scope(desk), Guard(), 1)


async def test_values_that_make_no_sense_are_refused(desk: Desk) -> None:
    """With what was found and what is expected; an account that is gone too."""
    with pytest.raises(UserError, match="expected ₹1 to"):
        await change(desk, Guard(Decimal("0.5")))
    with pytest.raises(NotFound):
        await desk.engine.control.guards.get(GuardScope(ScopeKind.ACCOUNT, "gone"))


async def test_preview_says_what_a_change_would_do(desk: Desk) -> None:
    """Looser parts, a second confirmation, and what is reached already."""
    await desk.holds(10)
    desk.engine.wiring.prices.put(SBIN, Decimal(780), desk.clock.now())
    guards, scope = desk.engine.control.guards, account_scope(desk)
    preview = await guards.preview(scope, Guard(Decimal(200)))
    assert (preview.looser, preview.is_waiting) == ((), False)
    assert preview.at_once is not None and preview.at_once.reached is Reached.STOP
    await change(desk, STOP)
    preview = await guards.preview(scope, Guard(Decimal(6000)))
    assert (preview.looser, preview.is_waiting, preview.at_once) == (("stop",), True, None)


async def test_changed_trail_goes_by_the_high_of_the_day(desk: Desk) -> None:
    """A tighter one never lowers the floor; a looser one that was confirmed may."""
    await desk.holds(10)
    guards, scope = desk.engine.control.guards, account_scope(desk)
    await change(desk, Guard(trail=TRAIL))
    await look(desk, "850")
    assert (await guards.get(scope)).day.floor == 200
    view = await change(desk, Guard(trail=replace(TRAIL, keep=Decimal(150))))
    assert view.day.floor == 250
    waiting = (await change(desk, Guard(trail=replace(TRAIL, keep=Decimal(0))))).pending
    assert waiting is not None
    await desk.clock.advance(120)
    assert (await guards.confirm(desk.engine.command(), scope, waiting.id)).day.floor == 100
    waiting = (await change(desk, STOP)).pending
    assert waiting is not None
    await desk.clock.advance(120)
    assert (await guards.confirm(desk.engine.command(), scope, waiting.id)).day.floor is None


async def test_change_between_judging_and_firing_is_judged_anew(desk: Desk) -> None:
    """A guard that was removed a moment ago closes nothing."""
    await desk.holds(10)
    await change(desk, Guard(Decimal(150)))
    wiring = desk.engine.wiring
    guard = await stored(desk.engine, account_scope(desk))
    account = await wiring.accounts.get(desk.broker_id)
    wiring.prices.put(SBIN, Decimal(780), desk.clock.now())
    day = await wiring.day_results.of(account)
    changed = Change(inc={"version": 1})
    await desk.engine.store.update("result_guards", {"_id": guard.scope.key}, changed)
    await wiring.result_guards._judge(guard, [account], ScopeDay(day.result))
    assert await desk.engine.notices(GuardFired) == []


async def test_overview_has_all_accounts_each_account_and_guarded_strategies(desk: Desk) -> None:
    """With names, and the results as they stand."""
    await change(desk, STOP, ALL)
    views = await desk.engine.control.guards.overview()
    assert [one.name for one in views] == ["All accounts", "Zerodha - Main"]
    assert [one.guard.is_set for one in views] == [True, False]
    scope = GuardScope(ScopeKind.STRATEGY, desk.broker_id, "orb")
    await change(desk, STOP, scope)
    views = await desk.engine.control.guards.overview()
    assert views[2].name == "orb · Zerodha - Main"
    assert await _age(desk) is None


async def _age(desk: Desk) -> int | None:
    return (await desk.engine.control.guards.get(account_scope(desk))).price_age_s


async def test_old_prices_show_their_age(desk: Desk) -> None:
    """Beside the result that they made."""
    await desk.holds(10)
    desk.engine.wiring.prices.put(SBIN, Decimal(780), desk.clock.now())
    await desk.clock.advance(14)
    assert await _age(desk) == 14


async def test_only_beside_a_paper_account_it_is_said_that_it_does_not_count(desk: Desk) -> None:
    """Of all accounts together; an account's own guard says nothing of others."""
    control = desk.engine.control
    for is_there in (False, True):
        if is_there:
            draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
            await control.registration.add(desk.engine.command(), draft)
        views = [await control.guards.get(ALL), *await control.guards.overview()]
        assert {one.scope for one in views if one.leaves_out_paper} == (
            {ALL} if is_there else set()
        )
        limits = await control.limits.overview()
        assert [one.account for one in limits if one.leaves_out_paper] == [None] * is_there
