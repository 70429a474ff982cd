"""Limits in planning, in the gate and between the two, over the engine in memory (row R1)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.instrument import InstrumentId, Product
from core.domain.limits import LimitKind
from core.domain.order import Order, OrderState
from core.domain.target import Direction
from core.engine.orders.gateway import Ticket
from core.engine.orders.limits import ALL, changes_of, limits_at
from core.errors import Denied, UserError
from core.ports.store import Change
from tests.fakes.held import Freezes, hold
from tests.fakes.run_bench import TEN, RunBench

pytestmark = pytest.mark.row("R1")
Kind = LimitKind
INFY = InstrumentId("NSE", "INFY")


async def a_bench(quantity: int = 10) -> RunBench:
    return await RunBench().opened(quantity)


async def limit(bench: RunBench, kind: LimitKind, value: int, scope: str = "") -> None:
    limits, command = bench.engine.control.limits, bench.engine.command()
    await limits.set(command, scope or bench.account.broker_id, kind, str(value))


async def planned(bench: RunBench) -> Order:
    """Plan an entry of ten SBIN at ₹815."""
    bench.strategy.want(Direction.LONG)
    await bench.run()
    (order,) = await bench.engine.orders()
    return order


async def states(bench: RunBench) -> list[tuple[OrderState, str]]:
    return [(one.state, one.reason) for one in await bench.engine.orders()]


WALLS = [
    (Kind.ORDER_VALUE, 8149, "order of ₹8,150 above the limit of ₹8,149"),
    (Kind.POSITION_VALUE, 8149, "position of ₹8,150 above the limit of ₹8,149"),
    (Kind.OPEN_POSITIONS, 1, "1 position open, the limit is 1"),
    (Kind.ORDERS_MINUTE, 1, "1 order in the last minute, the limit is 1 a minute"),
    (Kind.ORDERS_DAY, 1, "1 order today, the limit is 1 a day"),
]
COUNTS = {Kind.OPEN_POSITIONS, Kind.ORDERS_MINUTE, Kind.ORDERS_DAY}


async def fill_up(bench: RunBench, kind: LimitKind) -> None:
    """Let something else use the counts up."""
    if kind in COUNTS:
        await hold(bench.engine, bench.account, 1, strategy="other", instrument=INFY)


@pytest.mark.parametrize("scope", ["", ALL])
@pytest.mark.parametrize(("kind", "value", "said"), WALLS)
async def test_planning_denies_and_says_why_on_the_card(
    kind: LimitKind, value: int, said: str, scope: str
):
    """Nothing is planned; the run's card has the numbers."""
    bench = await a_bench()
    await fill_up(bench, kind)
    await limit(bench, kind, value, scope)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    assert [one for one in await bench.engine.orders() if one.strategy != "other"] == []
    assert await bench.note() == (
        said.replace(" above", " on all accounts together above")
        .replace(" open,", " open on all accounts together,")
        .replace("minute,", "minute on all accounts together,")
        .replace("today,", "today on all accounts together,")
        if scope
        else said
    )


@pytest.mark.parametrize("scope", ["", ALL])
@pytest.mark.parametrize(("kind", "value", "said"), WALLS)
async def test_a_limit_that_changes_after_planning_denies_in_the_gate(
    kind: LimitKind, value: int, said: str, scope: str
):
    """What was planned under the old number is not sent under the new one."""
    bench = await a_bench()
    order = await planned(bench)
    await fill_up(bench, kind)
    await limit(bench, kind, value, scope)
    await bench.turns()
    after = await bench.engine.wiring.journal.get(order.client_order_id)
    assert (after.state, bench.sent()) == (OrderState.DENIED, [])
    assert said.split(maxsplit=1)[0] in after.reason
    assert "limit" in after.reason


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.DAILY_LOSS])
async def test_exits_and_stops_pass_every_limit(kind: LimitKind):
    """A position is closed although every number is used up."""
    bench = await a_bench()
    bench.strategy.want(Direction.LONG, stop=Decimal(800))
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    for scope in ("", ALL):
        await limit(bench, kind, 1, scope)
    await bench.close()
    await bench.turns(8)
    assert await bench.held() == 0


async def test_a_slice_is_judged_by_the_whole_entry():
    """A limit below the whole denies each slice, though one alone would pass it."""
    bench = RunBench()
    bench.engine.brokers[next(iter(bench.engine.brokers))].exchange_facts = Freezes(40)
    await bench.opened(100)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await limit(bench, Kind.ORDER_VALUE, 50 * 815)
    await bench.turns(6)
    found = await bench.engine.orders()
    assert (len(found), bench.sent()) == (3, [])
    assert {one.state for one in found} == {OrderState.DENIED}
    assert all("order of ₹81,500 above" in one.reason for one in found)


async def test_slices_within_a_limit_go_out():
    """Together they are at the limit, not above it."""
    bench = RunBench()
    bench.engine.brokers[next(iter(bench.engine.brokers))].exchange_facts = Freezes(40)
    await bench.opened(100)
    for kind in (Kind.ORDER_VALUE, Kind.POSITION_VALUE):
        await limit(bench, kind, 81500)
        await limit(bench, kind, 81500, ALL)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns(8)
    assert await bench.held() == 100


@pytest.mark.parametrize(
    ("kind", "each"), [(Kind.ORDERS_DAY, "day"), (Kind.ORDERS_MINUTE, "minute")]
)
async def test_an_entry_that_takes_more_orders_than_are_left_is_not_begun(
    kind: LimitKind, each: str
):
    """Three slices and two orders left: denied as a whole in planning, no part of it is sent."""
    bench = RunBench()
    bench.engine.brokers[next(iter(bench.engine.brokers))].exchange_facts = Freezes(40)
    await bench.opened(100)
    await limit(bench, kind, 2)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    assert await bench.engine.orders() == []
    assert f"0 orders {'today' if each == 'day' else 'in the last minute'}" in await bench.note()
    assert f"and 3 for this entry, the limit is 2 a {each}" in await bench.note()
    await limit(bench, kind, 3)
    bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=1))
    await bench.run()
    assert len(await bench.engine.orders()) == 3


async def test_the_same_cause_is_said_once_a_day():
    """A strategy that signals at each slot has one card; a changed limit is said anew."""
    bench = await a_bench()
    await limit(bench, Kind.ORDER_VALUE, 1000)
    for minute in range(4):
        bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=minute))
        await bench.run()
        await bench.engine.clock.advance(60)
    notes = [row["notes"] for row in await bench.engine.store.find("runs", {})]
    assert sum(1 for one in notes if one) == 1
    await limit(bench, Kind.ORDER_VALUE, 2000)
    bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=5))
    await bench.run()
    assert "above the limit of ₹2,000" in await bench.note()


async def test_orders_leave_the_minute_after_a_minute():
    """The rate is of real time; the count of the day stays."""
    bench = await a_bench()
    await planned(bench)
    await bench.turns()
    limits = bench.engine.control.limits
    used = (await limits.view(bench.account.broker_id)).used
    assert (used[Kind.ORDERS_MINUTE], used[Kind.ORDERS_DAY]) == (1, 1)
    await bench.engine.clock.advance(61)
    used = (await limits.view(bench.account.broker_id)).used
    assert (used[Kind.ORDERS_MINUTE], used[Kind.ORDERS_DAY]) == (0, 1)


async def holds_elsewhere(bench: RunBench, product: Product) -> str:
    """Let another account hold something while one open position is the limit of all."""
    other = await bench.engine.connect("Two", FYERS)
    await hold(bench.engine, other, 1, strategy="other", instrument=INFY, product=product)
    await limit(bench, Kind.OPEN_POSITIONS, 1, ALL)
    return other.broker_id


async def test_what_a_disconnected_account_held_counts_no_longer_than_its_day():
    """Nobody here could ever close it, so it may not deny every entry for ever."""
    bench = await a_bench()
    gone = await holds_elsewhere(bench, Product.NRML)
    await bench.engine.control.registration.disconnect(bench.engine.command(), gone)
    await planned(bench)
    await bench.turns()
    assert await bench.held() == 10


async def test_intraday_units_of_yesterday_count_no_more_before_a_login_either():
    """The ledger is only emptied by a read; the position ended with its day."""
    bench = await a_bench()
    away = await holds_elsewhere(bench, Product.MIS)
    store = bench.engine.store
    await store.update("ledgers", {"broker_id": away}, Change(set={"day": "2026-11-20"}))
    await store.delete("orders", {"broker_id": away})
    await planned(bench)
    await bench.turns()
    assert len(bench.sent()) == 1


# Side by side


async def two_accounts(bench: RunBench) -> tuple[Account, Account]:
    second = await bench.engine.connect("Second")
    settings = bench.engine.control.strategy_settings
    await settings.assign(
        bench.engine.command(), bench.strategy.name, second.broker_id, size_value=Decimal(10)
    )
    return bench.account, second


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.OPEN_POSITIONS, 1), (Kind.ORDERS_DAY, 1), (Kind.POSITION_VALUE, 10 * 815)],
)
async def test_of_two_accounts_at_once_one_passes_a_limit_of_all(kind: LimitKind, value: int):
    """Their submissions share no gate; the document of all accounts makes them meet."""
    bench = await a_bench()
    accounts = await two_accounts(bench)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await limit(bench, kind, value, ALL)
    gateway = bench.engine.wiring.gateway
    rows = await bench.engine.orders()
    assert len(rows) == 2

    async def send(order: Order, account: Account) -> bool:
        try:
            await gateway.submit(bench.engine.at_broker(account), Ticket(order))
        except Denied:
            return False
        return True

    by_id = {one.broker_id: one for one in accounts}
    ends = await asyncio.gather(*(send(one, by_id[one.broker_id]) for one in rows))
    assert sorted(ends) == [False, True]


@pytest.mark.parametrize("kind", [Kind.OPEN_POSITIONS, Kind.ORDERS_DAY])
async def test_the_counts_of_one_run_add_up_in_planning(kind: LimitKind):
    """One position left for two accounts: the second is denied at once, on the card."""
    bench = await a_bench()
    _, second = await two_accounts(bench)
    await limit(bench, kind, 1, ALL)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    assert len(await bench.engine.orders()) == 1
    (row,) = await bench.engine.store.find("runs", {})
    assert "on all accounts together" in row["notes"][second.broker_id]


async def test_two_users_at_once_both_take_effect():
    """Neither change undoes the other; each has its row in the record, in order."""
    bench = await a_bench()
    limits, scope = bench.engine.control.limits, bench.account.broker_id
    await asyncio.gather(
        limits.set(bench.engine.command(), scope, Kind.ORDER_VALUE, "1,00,000"),
        limits.set(bench.engine.command(), scope, Kind.DAILY_LOSS, "5000"),
        limits.set(bench.engine.command(), scope, Kind.ORDERS_DAY, "100"),
    )
    standing = await limits_at(bench.engine.store, scope)
    assert standing.limits.order_value == Decimal(100000)
    assert standing.limits.daily_loss == Decimal(5000)
    assert (standing.limits.orders_day, standing.version) == (100, 3)
    rows = await changes_of(bench.engine.store, scope)
    assert [one.version for one in rows] == [3, 2, 1]
    assert {(one.what, one.old, one.new, one.by) for one in rows} == {
        ("order_value", "", "100000", "1"),
        ("daily_loss", "", "5000", "1"),
        ("orders_day", "", "100", "1"),
    }


async def test_who_takes_away_what_another_has_changed_is_told():
    """The question named another number: nothing is changed."""
    bench = await a_bench()
    limits, scope = bench.engine.control.limits, bench.account.broker_id
    await limit(bench, Kind.ORDER_VALUE, 100000)
    await limit(bench, Kind.ORDER_VALUE, 50000)
    with pytest.raises(UserError, match="it is ₹50,000 now, not ₹1,00,000"):
        await limits.remove(bench.engine.command(), scope, Kind.ORDER_VALUE, "₹1,00,000")
    await limits.remove(bench.engine.command(), scope, Kind.ORDER_VALUE, "₹50,000")
    assert (await limits_at(bench.engine.store, scope)).limits.order_value is None


async def test_the_same_tap_twice_is_one_change():
    """A command carries a nonce (I9)."""
    bench = await a_bench()
    limits, command = bench.engine.control.limits, bench.engine.command()
    await limits.set(command, ALL, Kind.ORDERS_DAY, "10")
    with pytest.raises(UserError):
        await limits.set(command, ALL, Kind.ORDERS_DAY, "20")
    assert (await limits_at(bench.engine.store, ALL)).limits.orders_day == 10
