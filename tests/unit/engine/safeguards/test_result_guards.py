"""A guard on the day's result fires once, closes what it covers, and keeps it shut for the day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.notices.protection import AlarmOver
from core.domain.notices.result_guards import GuardBlind, GuardFired, GuardPricesOld
from core.domain.order import EXTERNAL, MANUAL, OrderRequest, OrderType, Purpose, Side
from core.domain.outcome import Ambiguous, Refusal, Refused
from core.domain.result_guard import Guard, Reached, Trail
from core.domain.sessions import trading_day
from core.domain.truth import Key
from core.domain.views import RunView
from core.engine.orders.gaps import Gap
from core.engine.orders.gate import change_gate
from core.engine.orders.goals import UserClose, put_goal
from core.engine.orders.shut import why_shut
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.guarded import ALL, account_scope, look, set_guard, stored, strategy_scope
from tests.fakes.memory_engine import MemoryEngine

pytestmark = [pytest.mark.row("R5")]
KEY: Key = (SBIN, Product.MIS)
STOP = Guard(stop=Decimal(150))


async def card(desk: Desk) -> RunView:
    """Return what the card of the guard that fired shows."""
    rows = await desk.engine.store.find("runs", {"kind": "fired"})
    (row,) = rows
    return await desk.engine.control.views.run(row["_id"])


async def keys(desk: Desk) -> set[str | None]:
    """Return the messages of what was told since the guard fired; the end of an alarm is none."""
    rows = await desk.engine.store.find("outbox", {}, sort=[("_id", 1)])
    began = next(at for at, row in enumerate(rows) if row["kind"] == "guard_fired")
    return {row["key"] for row in rows[began:] if row["kind"] != AlarmOver.kind}


async def external(desk: Desk) -> list[str]:
    """Return the orders that were not placed by Saarthi."""
    return [one.client_order_id for one in await desk.engine.orders() if one.strategy == EXTERNAL]


async def fired(desk: Desk) -> list[GuardFired]:
    found = await desk.engine.notices(GuardFired)
    return [one for one in found if isinstance(one, GuardFired)]


@pytest.fixture
async def desk() -> Desk:
    """An account whose strategy bought 10 SBIN at 810."""
    desk = await a_desk()
    await desk.holds(10)
    return desk


async def user_closes(desk: Desk, outside: int) -> None:
    """Close in the chat what no strategy owns."""
    await put_goal(
        desk.engine.store,
        strategy=MANUAL,
        broker_id=desk.broker_id,
        instrument=SBIN,
        product=Product.MIS,
        quantity=0,
        stop_price=None,
        run_id="manual|1",
        day=trading_day(desk.clock.market_now()),
        at=desk.clock.now(),
        close=UserClose(despite_pause=False, outside=outside),
    )


async def test_stop_of_a_strategy_closes_it_and_shuts_it(desk: Desk) -> None:
    """Judged after charges; one notice with the numbers, one exit, the result told as the guard's."""
    await set_guard(desk.engine, strategy_scope(desk), STOP)
    await look(desk, "797", 2)  # -130 before charges
    assert (await desk.units(), await fired(desk)) == (10, [])
    await look(desk, "795")
    await desk.turns(4)
    assert await desk.units() == 0
    assert await desk.states(Purpose.EXIT) == ["FILLED"]
    (notice,) = await fired(desk)
    assert (notice.scope, notice.reached) == (strategy_scope(desk).key, Reached.STOP)
    assert notice.limit == notice.before == -150 and notice.closing == 1
    assert notice.after == notice.before - notice.charges and notice.after < -150
    assert await keys(desk) == {"run:" + (await card(desk)).run_id}, "one event, one message"
    run = await card(desk)
    assert run.fired == notice and not run.is_closing
    assert [(line.result, len(line.orders)) for one in run.parts for line in one.lines] == [
        (Decimal(51), 1)
    ]
    day = (await stored(desk.engine, strategy_scope(desk))).state.day
    shut = await why_shut(desk.engine.store, desk.broker_id, STRATEGY, day)
    assert shut.startswith("your guard: the stop of -₹150 was reached")


async def test_it_fires_once_and_never_again_that_day(desk: Desk) -> None:
    """Whatever the result does afterwards, a restart included."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "790")
    await desk.turns(4)
    again = MemoryEngine(desk.clock, store=desk.engine.store, brokers=desk.engine.brokers)
    for _ in range(3):
        await look(desk, "700")
        await again.wiring.price_watch.tick()
    assert len(await fired(desk)) == 1
    assert len(await desk.orders(Purpose.EXIT)) == 1


async def test_target_is_reached_by_the_result_after_charges(desk: Desk) -> None:
    """A profit that charges eat is none."""
    await set_guard(desk.engine, strategy_scope(desk), Guard(target=Decimal(150)))
    await look(desk, "825")  # +150 before charges
    assert await fired(desk) == []
    await look(desk, "826")
    (notice,) = await fired(desk)
    assert notice.reached is Reached.TARGET
    assert notice.limit == 150 <= notice.after


async def test_lock_and_trail_keeps_what_was_reached_over_a_restart(desk: Desk) -> None:
    """The floor is stored before anything is done by it."""
    trail = Trail(Decimal(200), Decimal(100), Decimal(100), Decimal(100))
    await set_guard(desk.engine, strategy_scope(desk), Guard(trail=trail))
    await look(desk, "850")
    before = (await stored(desk.engine, strategy_scope(desk))).state
    assert before.floor == 200 and before.highest is not None
    again = MemoryEngine(desk.clock, store=desk.engine.store, brokers=desk.engine.brokers)
    again.wiring.pool._workers[desk.broker_id] = desk.worker
    desk.at.price = Decimal(831)
    await desk.clock.advance(3)
    await desk.turns(1)
    await again.wiring.price_watch.tick()
    (notice,) = await fired(desk)
    assert notice.reached is Reached.FLOOR and notice.limit == 200
    assert notice.floor_from == before.highest.quantize(Decimal("0.01"))


async def test_account_closes_what_is_outside_saarthi_too_but_no_holdings(desk: Desk) -> None:
    """Its own exits, in the name of the guard; delivery shares stay."""
    desk.at.by_hand(Side.BUY, 5)
    await desk.turns(3)
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    await desk.turns(8, apart_s=1)
    assert desk.at.position_list[KEY].quantity == 0
    (notice,) = await fired(desk)
    assert notice.closing == 2
    run = await card(desk)
    filled = [one.filled_quantity for part in run.parts for one in part.lines[0].orders]
    assert (sorted(filled), run.is_closing) == ([5, 10], False)
    assert await keys(desk) - {"external:" + key for key in await external(desk)} == {
        f"run:{run.run_id}"
    }
    rows = await desk.engine.store.find("outbox", {"key": f"run:{run.run_id}"}, sort=[("_id", 1)])
    assert rows[-1]["delivery"] == "replace", "its end is a new message"


async def test_close_of_what_is_outside_outlasts_a_read_that_leaves_it_out(desk: Desk) -> None:
    """The exit is refused, then the positions miss a row: once they are whole it goes."""
    desk.at.by_hand(Side.BUY, 5)
    await desk.turns(3)
    refusals = [Refused(Refusal.REJECTED, "RMS: blocked")] * 2
    desk.at.answer = lambda _order: refusals.pop() if refusals else None
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    await desk.turns(2)
    assert refusals == []
    shown = dict(desk.at.position_list)
    desk.at.position_list.clear()
    await desk.turns(8, apart_s=1)
    desk.at.position_list.update(shown)
    await desk.turns(60, apart_s=2)
    assert desk.at.position_list[KEY].quantity == 0


async def test_account_closes_what_a_users_close_does_not_cover(desk: Desk) -> None:
    """The user closes five in the chat, three more are bought outside: all are closed."""
    desk.at.by_hand(Side.BUY, 5)
    await desk.turns(3)
    desk.at.rests = True
    await user_closes(desk, 5)
    await desk.turns(2)
    (resting,) = [one for one in desk.at.resting() if one.order_type is OrderType.MARKET]
    assert resting.quantity == 5
    desk.at.by_hand(Side.BUY, 3)
    await desk.turns(3)
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    desk.at.rests = False
    desk.at.fill(resting.broker_order_id)
    await desk.turns(20, apart_s=2)
    assert desk.at.position_list[KEY].quantity == 0


@pytest.mark.parametrize("sold_after", [0, 3])
async def test_account_closes_what_an_order_of_unknown_fate_has_made_of_it(sold_after: int) -> None:
    """A user's close had filled when the guard fired, and is found later: the rest is closed too.

    What a hand sells after the guard has fired is the user's.
    """
    desk = await a_desk()
    desk.at.by_hand(Side.BUY, 5)
    await desk.turns(3)
    lost: list[OrderRequest] = []

    def silence(order: OrderRequest) -> Ambiguous | None:
        if lost:
            return None
        lost.append(order)
        return Ambiguous("no answer in time")

    desk.at.answer = silence
    await user_closes(desk, 5)
    await desk.turns(2)
    desk.at.by_hand(Side.SELL, 9)
    await desk.turns(3)
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "860")
    await desk.turns(3, apart_s=1)
    assert len(await fired(desk)) == 1 and len(desk.at.placed) == 1
    desk.at.fill(desk.at.show(lost[0]).broker_order_id)
    if sold_after:
        desk.at.by_hand(Side.SELL, sold_after)
    for _ in range(4):
        await desk.turns(5, apart_s=2)
        await look(desk, "860")
    assert desk.at.position_list[KEY].quantity == -sold_after


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
async def test_what_is_never_traded_here_is_named_as_not_closed(
    desk: Desk, product: Product
) -> None:
    """Its result counts, and nothing is sent for it: the person has to close it."""
    gold = InstrumentId("MCX", "GOLD26DECFUT")
    order = OrderRequest("gold", gold, Side.BUY, 1, OrderType.MARKET, product)
    desk.at.fill(desk.at.show(order).broker_order_id)
    await desk.turns(2)
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    (notice,) = await fired(desk)
    assert (notice.closing, notice.left) == (1, ("MCX:GOLD26DECFUT",))


async def test_strategy_guard_leaves_the_rest_of_the_account_alone(desk: Desk) -> None:
    """A person's own units are not the strategy's."""
    desk.at.by_hand(Side.BUY, 5)
    await desk.turns(3)
    await set_guard(desk.engine, strategy_scope(desk), STOP)
    await set_guard(desk.engine, strategy_scope(desk, "another"), STOP)
    await look(desk, "780")
    await desk.turns(6)
    assert desk.at.position_list[KEY].quantity == 5
    assert [one.scope for one in await fired(desk)] == [strategy_scope(desk).key]


async def test_disputed_truth_fires_nothing_and_is_said_once(desk: Desk) -> None:
    """And once more when it can be judged again; then it fires."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    gaps = desk.engine.wiring.nets.gaps
    shown = desk.at.position_list[KEY]
    desk.at.position_list[KEY] = type(shown)(*KEY, 3, Decimal(810), Decimal(700))
    await look(desk, "815", 8)
    await look(desk, "700", 12)
    assert gaps.at(desk.broker_id, KEY) == Gap(10, 3)
    assert await fired(desk) == []
    blind = await desk.engine.notices(GuardBlind)
    assert len(blind) == 1 and isinstance(blind[0], GuardBlind) and "contradict" in blind[0].why
    desk.at.position_list[KEY] = shown
    await look(desk, "700", 6)
    told = [one.why for one in await desk.engine.notices(GuardBlind) if isinstance(one, GuardBlind)]
    assert len(told) == 2 and told[1] == ""
    assert len(await fired(desk)) == 1


async def test_account_that_cannot_be_read_fires_nothing(desk: Desk) -> None:
    """Its result is not known: it is said, and nothing is closed on a guess."""
    await set_guard(desk.engine, ALL, STOP)
    desk.at.has_positions = False
    await look(desk, "815", 12)
    await look(desk, "700", 8)
    assert await fired(desk) == []
    (told,) = await desk.engine.notices(GuardBlind)
    assert isinstance(told, GuardBlind) and told.broker_id == desk.broker_id


async def test_read_that_comes_and_goes_is_said_once(desk: Desk) -> None:
    """A broker that answers once a minute: two messages each time would hide what matters."""
    await set_guard(desk.engine, account_scope(desk), Guard(stop=Decimal(100_000)))
    for _ in range(4):
        await desk.turns(1)
        for _ in range(19):
            await desk.clock.advance(3)
            await desk.engine.wiring.price_watch.tick()
    told = [one.why for one in await desk.engine.notices(GuardBlind) if isinstance(one, GuardBlind)]
    assert told[1:] == [""] and told[0]


async def test_old_prices_are_said_once_and_judged_by(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last prices decide, and the notice says how old they were."""
    watch = desk.engine.wiring.price_watch
    await set_guard(desk.engine, account_scope(desk), Guard(stop=Decimal(100_000)))
    await look(desk, "795")
    monkeypatch.setattr(desk.engine.wiring.market_data, "sources", _no_sources)
    shown = desk.at.position_list[KEY]
    desk.at.position_list[KEY] = type(shown)(*KEY, 10, Decimal(810), Decimal(0))
    await look(desk, None, 8)
    (old,) = await desk.engine.notices(GuardPricesOld)
    assert isinstance(old, GuardPricesOld) and old.age_s > 15
    await set_guard(desk.engine, account_scope(desk), STOP)
    await desk.clock.advance(3)
    await desk.turns(1)
    await watch.tick()
    (notice,) = await fired(desk)
    assert notice.price_age_s > 20


async def test_prices_that_only_come_with_the_positions_are_said_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old before each read and fresh after it: two messages each time would hide what matters."""
    await set_guard(desk.engine, account_scope(desk), Guard(stop=Decimal(100_000)))
    monkeypatch.setattr(desk.engine.wiring.market_data, "sources", _no_sources)
    for _ in range(4):
        await desk.turns(1)
        for _ in range(6):
            await desk.clock.advance(3)
            await desk.engine.wiring.price_watch.tick()
    told = await desk.engine.notices(GuardPricesOld)
    assert [one.is_over for one in told if isinstance(one, GuardPricesOld)] == [False]
    monkeypatch.undo()
    await look(desk, "815", 25)
    told = await desk.engine.notices(GuardPricesOld)
    assert [one.is_over for one in told if isinstance(one, GuardPricesOld)] == [False, True]


async def test_clock_that_is_set_back_leaves_nothing_standing(desk: Desk) -> None:
    """What was read before looks newer than what is read now; it would be judged by for an hour."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "815", 2)
    desk.clock.step_wall(-1800)
    shown = desk.at.position_list[KEY]
    desk.at.position_list[KEY] = type(shown)(*KEY, 10, Decimal(810), Decimal(700))
    reads = desk.at.reads
    await look(desk, "700", 2)
    assert desk.at.reads > reads
    assert len(await fired(desk)) == 1


async def _no_sources() -> tuple[()]:
    return ()


async def test_paused_account_is_named_and_closed_after_the_pause(desk: Desk) -> None:
    """PAUSED sends nothing; what the guard wants flat goes out when the pause ends."""
    modes = desk.engine.control.modes
    await modes.set(desk.engine.command(), TradingMode.PAUSED, desk.broker_id)
    idle = await desk.engine.connect("Idle", logged_in=False)
    await modes.set(desk.engine.command(), TradingMode.PAUSED, idle.broker_id)
    await set_guard(desk.engine, ALL, STOP)
    await look(desk, "780")
    await desk.turns(3)
    (notice,) = await fired(desk)
    assert (await desk.units(), notice.paused) == (10, (desk.broker_id,))
    assert notice.logged_out == ()
    await modes.set(desk.engine.command(), TradingMode.NORMAL, desk.broker_id)
    await desk.turns(4)
    assert await desk.units() == 0


async def test_what_filled_after_an_account_was_disabled_is_closed(desk: Desk) -> None:
    """Strategies send nothing there any more, and the guard has said that it closes it."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    await disable(desk)
    await look(desk, "790", 2)
    await desk.turns(4)
    (notice,) = await fired(desk)
    assert (notice.closing, await desk.units()) == (1, 0)


async def disable(desk: Desk) -> None:
    """Disable the account, positions left to the user, as before a late fill."""
    now = desk.clock.now()
    store, broker_id = desk.engine.store, desk.broker_id
    await change_gate(store, broker_id, at=now, by="1", enabled=False, drain=False)


async def test_what_somebody_wants_again_is_closed_again(desk: Desk) -> None:
    """A run that was planned at the very moment of the firing keeps nothing open."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    await desk.wants(10, run_id="orb|late")
    await look(desk, "780")
    await desk.turns(5)
    assert await desk.units() == 0
    assert len(await fired(desk)) == 1


async def test_exit_on_its_way_keeps_its_run(desk: Desk) -> None:
    """A goal that is flat already is not set anew: its exit works."""
    desk.at.rests = True
    await desk.wants(0, run_id="orb|exit")
    await desk.turns(2)
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    assert (await desk.goal()).run_id == "orb|exit"
    (notice,) = await fired(desk)
    assert notice.closing == 0


async def test_guard_of_all_closes_each_account_for_itself() -> None:
    """One whose broker hangs keeps its goal, and delays no other."""
    desk = await a_desk()
    await desk.holds(10)
    engine = desk.engine
    second = await engine.connect("Second")
    worker = engine.wiring.new_worker(second.broker_id)
    engine.wiring.pool._workers[second.broker_id] = worker
    other = Desk(engine, second.broker_id, worker, type(desk.at)())
    other.at = engine.at_broker(second)  # type: ignore[assignment]
    await other.holds(10)
    await set_guard(engine, ALL, Guard(stop=Decimal(400)))
    for one in (desk, other):
        one.at.price = Decimal(788)
        await one.turns(1)
    await engine.wiring.price_watch.tick()
    desk.at.answer = lambda _order: None
    await other.turns(4)
    held = {one.broker_id: one.quantity for one in await engine.ledgers()}
    assert held == {desk.broker_id: 10, second.broker_id: 0}
    goals = {row["broker_id"]: row["quantity"] for row in await engine.store.find("goals", {})}
    assert goals == {desk.broker_id: 0, second.broker_id: 0}


async def test_next_day_begins_without_a_state(desk: Desk) -> None:
    """High, floor and firing are of one trading day."""
    await set_guard(desk.engine, account_scope(desk), STOP)
    await look(desk, "780")
    guard = await stored(desk.engine, account_scope(desk))
    assert guard.state.fired is not None
    tomorrow = guard.on("2030-01-01")
    assert (tomorrow.fired, tomorrow.highest, tomorrow.floor) == (None, None, None)
