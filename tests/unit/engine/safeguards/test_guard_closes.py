"""What a guard that fires closes besides the strategies' ledgers, by what an account holds (R5)."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from core.domain.account import Account, TokenStatus
from core.domain.day_result import DayResult
from core.domain.goal import Goal
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import ledger_key
from core.domain.mode import TradingMode
from core.domain.notices.result_guards import GuardFired
from core.domain.order import EXTERNAL, MANUAL, OrderState, Purpose, Side
from core.domain.result_guard import Breach, Guard, GuardDay, GuardScope, Reached, step
from core.domain.sessions import trading_day
from core.domain.truth import Key, Net
from core.engine.orders.documents import order_row
from core.engine.orders.gate import change_gate
from core.engine.orders.goals import UserClose, goal_at, put_goal
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.shut import reason_of, unsure_since
from core.engine.safeguards.guard_firing import Firing, GuardFiring
from core.engine.safeguards.guard_store import guard_at
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.guarded import account_scope, set_guard, strategy_scope
from tests.fakes.held import hold, want
from tests.fakes.orders import order_in

pytestmark = pytest.mark.row("R5")
MIS: Key = (SBIN, Product.MIS)
TCS = InstrumentId("NSE", "TCS")
GOLD: Key = (InstrumentId("MCX", "GOLD26DECFUT"), Product.NRML)
RESULT = DayResult(realised=Decimal(-400))
BREACH = Breach(Reached.STOP, Decimal(-150), Decimal(-400))


class FixedNets:
    """What an account holds, as a test says."""

    def __init__(self, found: dict[Key, Net], meanwhile: list[Awaitable[None]]) -> None:
        self.found = found
        self.meanwhile = meanwhile

    async def carried(self, _broker_id: str, _day: str) -> Collection[Key]:
        return set(self.found)

    async def nets(self, _broker_id: str, keys: Collection[Key], *_rest: object) -> dict[Key, Net]:
        return {key: self.found.get(key, Net(0, 0)) for key in keys}

    async def net_in(self, _view: object, _broker_id: str, key: Key, _day: str) -> Net:
        if self.meanwhile:
            await self.meanwhile.pop()
        return self.found.get(key, Net(0, 0))


class Scene:
    """A guard of an account that fires over fixed positions."""

    def __init__(self, desk: Desk, account: Account) -> None:
        self.desk = desk
        self.account = account
        self.day = trading_day(desk.clock.market_now())
        self.woken: list[str] = []
        self.meanwhile: list[Awaitable[None]] = []

    def firing(self, found: dict[Key, Net]) -> GuardFiring:
        engine = self.desk.engine
        return GuardFiring(
            store=engine.store,
            clock=engine.clock,
            outbox=engine.wiring.outbox,
            journal=engine.wiring.journal,
            nets=cast(NetPositions, FixedNets(found, self.meanwhile)),
            wake=self.woken.append,
        )

    async def keep_shut(self, scope: GuardScope, found: dict[Key, Net] | None = None) -> None:
        """Look at a guard that has fired, a moment later."""
        await self.desk.clock.advance(3)
        guard = await guard_at(self.desk.engine.store, scope)
        self.woken.clear()
        await self.firing(found or {}).keep_shut(guard, self.account)

    async def fire(self, scope: GuardScope, found: dict[Key, Net], **changes: Any) -> bool:
        """Fire a guard that was judged just now."""
        engine = self.desk.engine
        firing = self.firing(found)
        guard = await guard_at(engine.store, scope)
        day = GuardDay(self.day, fired=BREACH, highest=Decimal(50))
        judged = Firing(replace(guard, **changes), day, BREACH, RESULT, [self.account], 0)
        return await firing.fire(judged)

    async def user_closes(self, outside: int, *, despite_pause: bool = False) -> None:
        """Let the user close what no strategy owns in the chat."""
        await put_goal(
            self.desk.engine.store,
            strategy=MANUAL,
            broker_id=self.desk.broker_id,
            instrument=SBIN,
            product=Product.MIS,
            quantity=0,
            stop_price=None,
            run_id="manual|1",
            day=self.day,
            at=self.desk.clock.now(),
            close=UserClose(despite_pause=despite_pause, outside=outside),
        )

    async def goal(self, key: Key = MIS) -> Goal | None:
        """Return what is wanted of what no strategy owns."""
        return await goal_at(self.desk.engine.store, ledger_key(MANUAL, self.desk.broker_id, *key))

    async def notice(self) -> GuardFired:
        """Return what was told."""
        (found,) = await self.desk.engine.notices(GuardFired)
        assert isinstance(found, GuardFired)
        return found


@pytest.fixture
async def scene() -> Scene:
    """An account, and a guard on it and on its strategy."""
    desk = await a_desk()
    for scope in (account_scope(desk), strategy_scope(desk)):
        await set_guard(desk.engine, scope, Guard(stop=Decimal(150)))
    return Scene(desk, await desk.engine.wiring.accounts.get(desk.broker_id))


def test_the_breach_here_is_one_that_a_guard_finds() -> None:
    """The firing of these tests is what the rule would make of the result."""
    _after, breach = step(Guard(stop=Decimal(150)), GuardDay("2026-11-23"), RESULT.judged)
    assert breach == BREACH


@pytest.mark.parametrize(
    ("net", "closes"),
    [
        (Net(5, 5), 5),
        (Net(1, 1), 1),
        (Net(-5, -5), -5),
        (Net(15, 15, 10), 5),
        (Net(10, 10, 10), 0),
        (Net(4, 4, 10), 0),  # the strategies own more than there is: nothing of it is nobody's
        (Net(0, 0, 5), 0),
        (Net(None, 5), 0),
        (Net(5, 3, is_disputed=True), 0),
    ],
)
async def test_it_closes_what_no_strategy_owns_and_no_more(
    scene: Scene, net: Net, closes: int
) -> None:
    """On the side of what is held, never turned over; what is not known is not traded."""
    assert await scene.fire(account_scope(scene.desk), {MIS: net})
    goal = await scene.goal()
    assert (goal.to_close if goal else 0) == closes
    assert (await scene.notice()).closing == (1 if closes else 0)
    assert scene.woken == [scene.desk.broker_id]


async def test_each_position_is_closed_by_a_run_of_its_own(scene: Scene) -> None:
    """Two of one product: the exits of each are told, counted and followed by their own run."""
    other = (InstrumentId("NSE", "TCS"), Product.MIS)
    assert await scene.fire(account_scope(scene.desk), {MIS: Net(5, 5), other: Net(3, 3)})
    goals = [await scene.goal(MIS), await scene.goal(other)]
    assert len({goal.run_id for goal in goals if goal is not None}) == 2
    assert (await scene.notice()).closing == 2


async def test_delivery_and_what_is_never_traded_here_stay(scene: Scene) -> None:
    """Delivery is no part of it; what has to be closed elsewhere is named."""
    cnc = (SBIN, Product.CNC)
    found = {cnc: Net(5, 5), GOLD: Net(1, 1), MIS: Net(5, 5)}
    assert await scene.fire(account_scope(scene.desk), found)
    assert (await scene.goal(cnc), await scene.goal(GOLD)) == (None, None)
    assert (await scene.notice()).left == (str(GOLD[0]),)


async def test_a_guard_of_a_strategy_closes_nothing_that_nobody_owns(scene: Scene) -> None:
    """What the user bought besides is not the strategy's."""
    assert await scene.fire(strategy_scope(scene.desk), {MIS: Net(5, 5)})
    assert await scene.goal() is None


@pytest.mark.parametrize(
    ("closing", "outside", "is_left"),
    [
        (5, 5, True),
        (5, 3, True),
        (1, 1, True),
        (-1, -1, True),
        (5, 6, False),
        (5, -5, False),
        (5, -3, False),
    ],
)
async def test_a_close_of_the_users_that_covers_it_is_left_alone(
    scene: Scene, closing: int, outside: int, *, is_left: bool
) -> None:
    """What is being closed gets no second exit: it would turn the position over."""
    await scene.user_closes(closing)
    assert await scene.fire(account_scope(scene.desk), {MIS: Net(outside, outside)})
    goal = await scene.goal()
    assert goal is not None
    assert (goal.run_id == "manual|1") is is_left
    assert goal.to_close == (closing if is_left else outside)


@pytest.mark.parametrize(
    ("closing", "despite_pause", "passes"),
    [(None, False, False), (5, True, True), (5, False, False), (0, True, False)],
)
async def test_what_passes_a_pause_is_what_the_user_let_pass(
    scene: Scene, closing: int | None, *, despite_pause: bool, passes: bool
) -> None:
    """A close that the user sent into a pause still does; a guard by itself waits for its end."""
    if closing is not None:
        await scene.user_closes(closing, despite_pause=despite_pause)
    assert await scene.fire(account_scope(scene.desk), {MIS: Net(8, 8)})
    goal = await scene.goal()
    assert goal is not None
    assert (goal.to_close, goal.despite_pause) == (8, passes)


async def test_an_account_that_needs_a_login_is_named(scene: Scene) -> None:
    """What the guard closes waits there for the user; one that closes nothing is not named."""
    scene.account = replace(scene.account, token_status=TokenStatus.EXPIRED)
    assert await scene.fire(account_scope(scene.desk), {MIS: Net(5, 5)})
    assert (await scene.notice()).logged_out == (scene.desk.broker_id,)


async def test_an_account_without_anything_is_not_named(scene: Scene) -> None:
    """Its login is nobody's concern then."""
    scene.account = replace(scene.account, token_status=TokenStatus.EXPIRED)
    assert await scene.fire(account_scope(scene.desk), {})
    notice = await scene.notice()
    assert (notice.logged_out, notice.paused, notice.closing) == ((), (), 0)


async def test_a_guard_that_was_changed_since_fires_nothing(scene: Scene) -> None:
    """The user moved its limit while it was judged: the next look judges the new one."""
    scope = account_scope(scene.desk)
    assert not await scene.fire(scope, {MIS: Net(5, 5)}, version=0)
    assert await reason_of(scene.desk.engine.store, scope, scene.day) == ""
    assert (await scene.goal(), await scene.desk.engine.notices(GuardFired)) == (None, [])


async def test_a_guard_that_has_fired_fires_no_second_time(scene: Scene) -> None:
    """Not even when it was set anew after it: the day is shut, and that was told."""
    scope, engine = account_scope(scene.desk), scene.desk.engine
    assert await scene.fire(scope, {})
    assert not await scene.fire(scope, {MIS: Net(5, 5)})
    await set_guard(engine, scope, Guard(stop=Decimal(100)))
    assert not await scene.fire(scope, {MIS: Net(5, 5)})
    assert await scene.goal() is None
    await scene.notice()


@pytest.mark.parametrize(
    ("enabled", "drain", "by_user"),
    [(True, False, False), (True, True, False), (False, True, False), (False, False, True)],
)
async def test_a_ledger_is_closed_in_the_users_name_only_where_nothing_else_is_sent(
    scene: Scene, *, enabled: bool, drain: bool, by_user: bool
) -> None:
    """On a disabled account that keeps what it holds; a pause holds it back there too."""
    desk = scene.desk
    await desk.holds(10)
    await change_gate(
        desk.engine.store,
        desk.broker_id,
        at=desk.clock.now(),
        by="1",
        enabled=enabled,
        drain=drain,
    )
    assert await scene.fire(account_scope(desk), {MIS: Net(10, 10, 10)})
    goal = await desk.goal()
    assert (goal.quantity, goal.by_user, goal.despite_pause) == (0, by_user, False)
    assert (await scene.notice()).closing == 1


async def test_what_is_wanted_and_not_held_is_no_position_that_is_closed(scene: Scene) -> None:
    """An entry that has not filled gets its flat goal; the notice counts what is held."""
    await scene.desk.wants(10)
    assert await scene.fire(account_scope(scene.desk), {})
    assert ((await scene.desk.goal()).quantity, (await scene.notice()).closing) == (0, 0)


@pytest.mark.parametrize(
    ("strategy", "state", "is_unsure"),
    [
        (MANUAL, OrderState.UNRESOLVED, True),
        (MANUAL, OrderState.SUBMITTED, True),
        (MANUAL, OrderState.FILLED, False),
        ("orb", OrderState.UNRESOLVED, False),
        (EXTERNAL, OrderState.ACCEPTED, False),
    ],
)
@pytest.mark.parametrize("is_of_strategy", [True, False])
async def test_where_an_order_of_the_users_may_have_filled_is_looked_at_later(
    scene: Scene, strategy: str, state: OrderState, *, is_unsure: bool, is_of_strategy: bool
) -> None:
    """Only there: what is traded elsewhere after the firing is the user's own again."""
    desk = scene.desk
    given = {"strategy": strategy, "day": scene.day, "broker_id": desk.broker_id}
    order = order_in(state, **given, instrument=SBIN, purpose=Purpose.EXIT)
    await desk.engine.store.insert("orders", order_row(order))
    scope = strategy_scope(desk) if is_of_strategy else account_scope(desk)
    assert await scene.fire(scope, {})
    found = await unsure_since(desk.engine.store, scope, scene.day, desk.broker_id)
    assert (found is not None) is (is_unsure and not is_of_strategy)
    assert found is None or list(found[0]) == [MIS]


async def test_what_is_wanted_again_and_again_is_closed_each_time(scene: Scene) -> None:
    """Twice on one day, each by a run of its own; while all is flat nobody is woken for it."""
    desk, scope = scene.desk, account_scope(scene.desk)
    await desk.holds(10)
    assert await scene.fire(scope, {})
    runs = {(await desk.goal()).run_id}
    for number in range(2):
        await desk.wants(10, run_id=f"orb|late{number}")
        await scene.keep_shut(scope)
        goal = await desk.goal()
        assert (goal.quantity, scene.woken) == (0, [desk.broker_id])
        runs.add(goal.run_id)
    assert len(runs) == 3
    await scene.keep_shut(scope)
    assert scene.woken == []
    assert (await desk.goal()).run_id in runs


async def test_a_firing_that_meets_another_write_is_told_as_one(scene: Scene) -> None:
    """The transaction runs again, and its card shows each of its runs once."""
    scene.meanwhile.append(scene.user_closes(0))
    assert await scene.fire(account_scope(scene.desk), {MIS: Net(5, 5)})
    assert scene.meanwhile == []
    goal = await scene.goal()
    assert goal is not None and goal.to_close == 5
    (card,) = await scene.desk.engine.store.find("runs", {"kind": "fired"})
    assert (card["runs"], card["broker_ids"]) == ([goal.run_id], [scene.desk.broker_id])


@pytest.mark.invariant("I6")
async def test_a_firing_collides_with_a_submission(scene: Scene) -> None:
    """Though nothing is held: an entry that has read an open day passes no gate any more."""
    store, broker_id = scene.desk.engine.store, scene.desk.broker_id
    before = await store.get("account_gates", broker_id)
    assert await scene.fire(account_scope(scene.desk), {})
    after = await store.get("account_gates", broker_id)
    assert before is not None and after is not None and after["seq"] > before["seq"]


async def by_others(
    scene: Scene, key: str, state: OrderState = OrderState.FILLED, **changes: Any
) -> None:
    """Let somebody else's order of SBIN be in the journal since now."""
    given = {"strategy": EXTERNAL, "broker_id": scene.desk.broker_id, "day": scene.day, **changes}
    now = scene.desk.clock.now()
    order = order_in(state, client_order_id=key, created_at=now, **given)
    await scene.desk.engine.store.insert("orders", order_row(order))


@pytest.mark.parametrize(
    ("traded", "outside", "closes"),
    [(0, 5, 5), (3, 8, 5), (-3, 2, 2), (-8, -3, 0)],
)
async def test_what_an_order_of_unknown_fate_has_made_is_closed_once_it_is_known(
    scene: Scene, traded: int, outside: int, closes: int
) -> None:
    """Not beside that order, not while the net is unknown, and once: later trades are the user's."""
    desk, scope, store = scene.desk, account_scope(scene.desk), scene.desk.engine.store
    order = order_in(
        OrderState.UNRESOLVED,
        strategy=MANUAL,
        purpose=Purpose.EXIT,
        broker_id=desk.broker_id,
        day=scene.day,
        quantity=5,
    )
    await store.insert("orders", order_row(order))
    await by_others(scene, "before", quantity=7, filled_quantity=7)
    await desk.clock.advance(3)
    assert await scene.fire(scope, {})
    await desk.clock.advance(3)
    await by_others(scene, "rests", OrderState.ACCEPTED)
    await by_others(scene, "elsewhere", instrument=TCS, quantity=7, filled_quantity=7)
    await by_others(scene, "in the chat", strategy=MANUAL, quantity=7, filled_quantity=7)
    await scene.keep_shut(scope, {MIS: Net(5, 5)})
    assert (await scene.goal(), scene.woken) == (None, [])
    await store.delete("orders", {"_id": order.client_order_id})
    filled = replace(order, state=OrderState.FILLED, filled_quantity=5)
    await store.insert("orders", order_row(filled))
    await scene.keep_shut(scope, {MIS: Net(None, 5)})
    assert (await scene.goal(), scene.woken) == (None, [])
    if traded:
        units: dict[str, Any] = {"quantity": abs(traded), "filled_quantity": abs(traded)}
        await by_others(scene, "after", side=Side.of(traded), **units)
    await scene.keep_shut(scope, {MIS: Net(outside, outside)})
    goal = await scene.goal()
    assert (goal.to_close if goal else 0) == closes
    assert scene.woken == [desk.broker_id]
    await scene.keep_shut(scope, {MIS: Net(8, 8)})
    assert (await scene.goal(), scene.woken) == (goal, [])
    assert await unsure_since(store, scope, scene.day, desk.broker_id) is None


async def test_each_strategy_is_closed_by_one_run_whatever_it_holds(scene: Scene) -> None:
    """Two positions of one and one of another: two cards, and all three are closed."""
    engine = scene.desk.engine
    for strategy, instrument in (("orb", SBIN), ("other", SBIN), ("orb", TCS)):
        ledger = await hold(engine, scene.account, 5, strategy=strategy, instrument=instrument)
        await want(engine, ledger, 5)
    assert await scene.fire(account_scope(scene.desk), {})
    assert (await scene.notice()).closing == 3
    goals = await engine.store.find("goals", {})
    assert [row["quantity"] for row in goals] == [0, 0, 0]
    runs = {(row["strategy"], row["run_id"]) for row in goals}
    assert sorted(strategy for strategy, _ in runs) == ["orb", "other"]


@pytest.mark.parametrize("is_traded", [True, False])
async def test_what_nobody_knows_of_is_named_where_it_was_traded(
    scene: Scene, *, is_traded: bool
) -> None:
    """Of an exchange whose hours are not known it is open what was carried, not what was traded."""
    if is_traded:
        gold: dict[str, Any] = {"instrument": GOLD[0], "product": GOLD[1], "filled_quantity": 1}
        await by_others(scene, "gold", **gold)
    assert await scene.fire(account_scope(scene.desk), {GOLD: Net(None, 1), MIS: Net(None, 5)})
    notice = await scene.notice()
    assert (notice.closing, notice.left) == (0, (str(GOLD[0]),) if is_traded else ())


async def test_a_pause_is_named_before_a_login(scene: Scene) -> None:
    """What is closed waits for both: the account is named once. A stop has no floor to tell of."""
    desk = scene.desk
    scene.account = replace(scene.account, token_status=TokenStatus.EXPIRED)
    await desk.engine.control.modes.set(desk.engine.command(), TradingMode.PAUSED, desk.broker_id)
    assert await scene.fire(account_scope(desk), {MIS: Net(5, 5)})
    notice = await scene.notice()
    assert (notice.paused, notice.logged_out) == ((desk.broker_id,), ())
    assert notice.floor_from is None
