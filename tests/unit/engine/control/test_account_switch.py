"""Enabling and disabling an account: what the next run does, and what becomes of what is held (A5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.accounts import disable_question
from core.domain.account import Account, DisablePolicy
from core.domain.broker import Position
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.accounts import OrdersLeftResting
from core.domain.order import Purpose, Side
from core.domain.target import Direction
from core.engine.orders.gate import gate_at
from core.errors import StoreUnavailable
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.run_bench import TEN, RunBench

pytestmark = pytest.mark.row("A5")


async def switched_off(desk: Desk, policy: DisablePolicy) -> Account:
    """Disable an account with ten held and a stop resting, and let its worker go on."""
    await desk.holds(10, Decimal(800))
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    command = desk.engine.command()
    account = await desk.engine.control.switch.disable(command, desk.broker_id, policy)
    await desk.turns(4)
    return account


def at_broker(desk: Desk) -> int:
    return desk.at.position_list[SBIN, Product.MIS].quantity


async def test_the_very_next_run_knows_the_switch() -> None:
    """A disabled account gets nothing from the next run, an enabled one its entry from the next."""
    bench = await RunBench().opened()
    switch, command = bench.engine.control.switch, bench.engine.command
    await switch.disable(command(), bench.account.broker_id, None)
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    await bench.turns()
    assert bench.sent() == []
    await switch.enable(command(), bench.account.broker_id)
    await bench.engine.clock.advance(1)
    await bench.run()
    await bench.turns()
    assert bench.sent() == [("BUY", 10)]


async def test_an_entry_on_its_way_is_stopped_by_the_switch() -> None:
    """It was planned before and is not sent yet: the gate turns it away."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    await bench.engine.control.switch.disable(
        bench.engine.command(), bench.account.broker_id, DisablePolicy.EXITS_ONLY
    )
    await bench.turns()
    assert bench.sent() == []


async def test_exits_only_leaves_the_stop_and_lets_the_strategy_exit() -> None:
    """Nothing is sold for the switch itself; what the strategy closes later is closed."""
    desk = await a_desk()
    account = await switched_off(desk, DisablePolicy.EXITS_ONLY)
    assert (account.enabled, at_broker(desk), await desk.units()) == (False, 10, 10)
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    await desk.wants(0)
    await desk.turns(4)
    assert (at_broker(desk), await desk.units()) == (0, 0)
    assert desk.at.resting() == []


async def test_close_now_closes_what_strategies_hold() -> None:
    """The stop makes way, ten are sold once, and nothing is left at work."""
    desk = await a_desk()
    account = await switched_off(desk, DisablePolicy.CLOSE_NOW)
    assert (account.enabled, at_broker(desk), await desk.units()) == (False, 0, 0)
    assert [one.request.quantity for one in await desk.orders(Purpose.EXIT)] == [10]
    assert desk.at.resting() == []


async def test_i_manage_them_myself_leaves_the_position_and_takes_the_stop_away() -> None:
    """The strategy's books forget it, its order rests no more, and nothing of it is ever sold."""
    desk = await a_desk()
    account = await switched_off(desk, DisablePolicy.MANUAL)
    assert (account.enabled, at_broker(desk), await desk.units()) == (False, 10, 0)
    assert await desk.states(Purpose.STOP) == ["CANCELED"]
    assert desk.at.resting() == []
    await desk.wants(0)
    await desk.turns(4)
    assert (at_broker(desk), await desk.orders(Purpose.EXIT)) == (10, [])


async def test_orders_that_a_controller_left_resting_are_named_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ended after the hand-over: the stop could open a short once the user has sold."""
    desk = await a_desk()
    switch = desk.engine.control.switch

    async def ends(_account: Account) -> None:
        """The process is gone before the first cancel."""

    with monkeypatch.context() as killed:
        killed.setattr(switch, "_release", ends)
        await switched_off(desk, DisablePolicy.MANUAL)
    assert [one.tag for one in desk.at.resting()] != []
    await switch.name_unreleased()
    expected = OrdersLeftResting(desk.broker_id, 1, "I ended before they were cancelled")
    assert await desk.engine.notices(OrdersLeftResting) == [expected]
    await switch.name_unreleased()
    assert await desk.engine.notices(OrdersLeftResting) == [expected], "once"


async def test_account_that_was_enabled_again_is_not_called_the_users() -> None:
    """Its strategies' stops rest there as they should."""
    desk = await a_desk()
    switch, command = desk.engine.control.switch, desk.engine.command

    async def fails(_account: Account) -> None:
        raise StoreUnavailable("the store is away")

    with pytest.MonkeyPatch.context() as away:
        away.setattr(switch, "_release", fails)
        with pytest.raises(StoreUnavailable):
            await switched_off(desk, DisablePolicy.MANUAL)
    await switch.enable(command(), desk.broker_id)
    await switch.name_unreleased()
    assert await desk.engine.notices(OrdersLeftResting) == []


@pytest.mark.parametrize("stop", [Decimal(800), None])
async def test_orders_that_cannot_be_cancelled_are_counted_and_named(stop: Decimal | None) -> None:
    """The account's secret cannot be opened: it is switched off, and what rests is said to rest."""
    desk = await a_desk()
    await desk.holds(10, stop)
    await desk.engine.wiring.connections.drop(desk.broker_id)
    change = Change(set={"access_token": "damaged"})
    await desk.engine.store.update("broker_accounts", {"_id": desk.broker_id}, change)
    account = await desk.engine.control.switch.disable(
        desk.engine.command(), desk.broker_id, DisablePolicy.MANUAL
    )
    assert not account.enabled
    told = await desk.engine.notices(OrdersLeftResting)
    assert [one.count for one in told if isinstance(one, OrdersLeftResting)] == [1] * bool(stop)


async def test_nothing_is_said_of_orders_that_were_cancelled() -> None:
    """The next start has nothing to name."""
    desk = await a_desk()
    await switched_off(desk, DisablePolicy.MANUAL)
    await desk.engine.control.switch.name_unreleased()
    assert await desk.engine.notices(OrdersLeftResting) == []


@pytest.mark.row("S3")
async def test_a_new_account_is_looked_at_and_gets_no_order() -> None:
    """It starts disabled beside one that runs: read, shown, counted in no run, nothing sent."""
    bench = await RunBench().opened()
    engine = bench.engine
    explored = await engine.connect("New", enabled=False)
    gate = await gate_at(engine.store, explored.broker_id)
    assert gate is not None
    assert (explored.enabled, explored.drain, gate.enabled, gate.drain) == (False,) * 4
    worker = engine.wiring.new_worker(explored.broker_id)
    engine.wiring.pool._workers[explored.broker_id] = worker
    at = engine.at_broker(explored)
    key = (SBIN, Product.MIS)
    at.position_list[key] = Position(*key, 7, Decimal(810), Decimal(815), day_buy_quantity=7)
    bench.strategy.want(Direction.LONG, TEN)
    await bench.run()
    await bench.turns()
    for _ in range(3):
        await worker.turn()
    assert (bench.sent(), at.placed) == ([("BUY", 10)], [])
    board = await engine.control.views.dashboard(explored.broker_id)
    assert board.funds is not None and board.funds.available == Decimal(250000)
    assert [one.quantity for one in board.positions] == [7]
    (run,) = await engine.store.find("runs", {})
    assert run["broker_ids"] == [bench.account.broker_id]


async def test_what_strategies_hold_against_one_another_is_named_before_the_switch() -> None:
    """Ten long and ten short are nothing at the broker, and two positions to decide about."""
    desk = await a_desk()
    await desk.holds(10)
    short = Ledger("bear", desk.broker_id, SBIN, Product.MIS, -10, Decimal(812))
    await desk.engine.hold(short)
    desk.at.by_hand(Side.SELL, 10)
    exposure = await desk.engine.control.views.exposure(desk.broker_id)
    assert [(one.instrument, one.owners) for one in exposure.strategy_positions] == [
        (SBIN, {"orb": 10, "bear": -10})
    ]
    assert exposure.positions == ()
    question = disable_question(exposure)
    assert "hold 1 position there" in question and "SBIN" in question
