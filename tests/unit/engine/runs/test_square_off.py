"""Ledgers are squared off whatever became of strategy, parameters, calendar and master."""

# ruff: noqa: ARG002 - a strategy gets what this one need not look at

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal

import pytest

from core.domain.account import DisablePolicy
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.accounts import SquareOffAlarm
from core.domain.notices.exits import LedgersLeft
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST, Schedule
from core.domain.target import Context, DataNeed, Parameter, ParameterValue, Strategy, Target
from core.errors import BrokerReadError, ReadFault
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.held import STRATEGY, hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("D7")

FUTURE = InstrumentId("NFO", "SBIN26NOVFUT")


class Trend:
    """A strategy that is never run here."""

    name = STRATEGY
    title = "Trend"
    description = "Does nothing."
    product = Product.MIS
    parameters: tuple[Parameter, ...] = ()

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        return (SBIN,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(time(9, 30), time(14, 30), 5)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        return []


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


async def engine_at(text: str, *strategies: Strategy) -> MemoryEngine:
    registry = {one.name: one for one in strategies}
    return await MemoryEngine(market_clock(at(text)), registry).owned()


async def sold(engine: MemoryEngine) -> list[int]:
    """Take a tick and two turns of the only account; return what was sold."""
    (account,) = await engine.wiring.accounts.all()
    worker = await worker_of(engine, account)
    await engine.wiring.scheduler.tick_square_offs()
    await worker.turn()
    await worker.turn()
    return [one.quantity for one in engine.at_broker(account).placed]


async def as_it_is(_engine: MemoryEngine) -> None:
    """Prepare nothing."""


async def undeclared(engine: MemoryEngine) -> None:
    """Store a parameter that the strategy does not declare any more."""
    await engine.store.insert(
        "strategies", {"_id": STRATEGY, "enabled": True, "parameters": {"of_old": "3"}}
    )


class Unreadable(Trend):
    """A strategy whose code fails."""

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        raise ValueError("no schedule")


@pytest.mark.parametrize(
    ("now", "strategy", "prepare"),
    [
        ("2026-11-23T15:00", Trend(), as_it_is),
        ("2026-11-23T15:00", None, as_it_is),
        ("2026-11-23T15:00", Trend(), undeclared),
        ("2026-11-23T15:00", Unreadable(), as_it_is),
        ("2031-03-11T15:00", Trend(), as_it_is),
        ("2026-11-23T15:16", Trend(), as_it_is),
    ],
    ids=["as ever", "left registry", "undeclared", "raises", "calendar ended", "back at 15:16"],
)
async def test_an_intraday_ledger_is_squared_off(
    now: str, strategy: Strategy | None, prepare: Callable[[MemoryEngine], Awaitable[None]]
):
    """Registry, parameters, schedule and calendar may be gone: the exit goes all the same."""
    engine = await engine_at(now, *([strategy] if strategy else []))
    await hold(engine, await engine.connect(), 10)
    await prepare(engine)
    assert await sold(engine) == [10]
    assert await engine.ledgers() != []


async def test_before_its_cut_off_nothing_is_closed():
    """A strategy that is gone is squared off at the latest cut-off, and not earlier."""
    engine = await engine_at("2026-11-23T14:59")
    await hold(engine, await engine.connect(), 10)
    assert await sold(engine) == []


async def test_each_instrument_has_its_own_cut_off():
    """At 15:05 a share is squared off and a future is not; at 15:15 the future follows."""
    engine = await engine_at("2026-11-23T15:05")
    account = await engine.connect()
    await hold(engine, account, 10)
    await hold(engine, account, 65, instrument=FUTURE)
    assert await sold(engine) == [10]
    await engine.clock.advance_to(at("2026-11-23T15:15"))
    assert await sold(engine) == [10, 65]


async def test_without_a_master_it_is_squared_off():
    """Instruments that cannot be loaded keep no square-off from being decided."""
    engine = await engine_at("2026-11-23T15:00", Trend())
    account = await engine.connect()
    ledger = await hold(engine, account, 10)

    async def away() -> Sequence[object]:
        raise BrokerReadError(ReadFault.UNREACHABLE, "HTTP 502")

    engine.brokers[account.broker].instruments.load = away  # type: ignore[method-assign, assignment]
    await engine.wiring.scheduler.tick_square_offs()
    (goal,) = await engine.store.find("goals", {"_id": ledger.key})
    assert goal["quantity"] == 0


async def test_an_open_intraday_ledger_is_an_alarm_at_any_hour_once_and_when_it_changes():
    """At night one alarm; another when what is open changes; none for what is carried."""
    engine = await engine_at("2026-11-23T23:30", Trend())
    account = await engine.connect()
    ledger = await hold(engine, account, 10)
    await hold(engine, account, 3, product=Product.NRML)
    tick = engine.wiring.scheduler.tick_square_offs
    for _ in range(3):
        await engine.clock.advance(120)
        await tick()
    alarm = SquareOffAlarm(
        account.broker_id, STRATEGY, ("NSE:SBIN +10", "NSE:SBIN +3"), is_closed=True
    )
    assert await engine.notices(SquareOffAlarm) == [alarm]
    # Of a strategy that ends each day flat NRML is due too; one that is gone leaves it alone.
    other = await engine_at("2026-11-23T23:30")
    account = await other.connect()
    ledger = await hold(other, account, 10)
    await hold(other, account, 3, product=Product.NRML)
    await other.wiring.scheduler.tick_square_offs()
    await other.clock.advance(16)
    await other.wiring.scheduler.tick_square_offs()
    await other.store.update("ledgers", {"_id": ledger.key}, Change(set={"quantity": 4}))
    await other.clock.advance(61)
    await other.wiring.scheduler.tick_square_offs()
    assert await other.notices(SquareOffAlarm) == [
        SquareOffAlarm(account.broker_id, STRATEGY, (f"NSE:SBIN +{units}",), is_closed=True)
        for units in (10, 4)
    ]
    assert {order.run_id for order in await other.orders()} == {"held"}


@pytest.mark.parametrize("closed", [False, True])
async def test_alarm_after_a_start_waits_for_the_first_read(*, closed: bool):
    """Away over the broker's square-off: what its orders show closed is no alarm (R8)."""
    engine = await engine_at("2026-11-23T15:13", Trend())
    account = await engine.connect()
    await hold(engine, account, 10)
    broker = engine.at_broker(account)
    if closed:
        byhand = OrderRequest("", SBIN, Side.SELL, 10, OrderType.MARKET, Product.MIS)
        shown = broker.show(byhand).broker_order_id
        broker.order_list[shown] = replace(broker.order_list[shown], tag=None)
        broker.fill(shown, Decimal(815))
    await engine.wiring.scheduler.tick_square_offs()
    assert await engine.notices(SquareOffAlarm) == []
    await worker_of(engine, account)
    await engine.wiring.scheduler.tick_square_offs()
    assert len(await engine.notices(SquareOffAlarm)) == (0 if closed else 1)


async def test_what_a_lost_strategy_carries_overnight_is_named_once():
    """NRML and delivery of a strategy that is gone are not closed; a notice names them, once."""
    engine = await engine_at("2026-11-23T15:05")
    account = await engine.connect()
    await hold(engine, account, 3, product=Product.NRML)
    for _ in range(3):
        assert await sold(engine) == []
    again = MemoryEngine(engine.clock, store=engine.store)  # a restart says nothing anew
    await again.wiring.scheduler.tick_square_offs()
    assert await engine.notices(LedgersLeft) == [
        LedgersLeft(
            account.broker_id,
            STRATEGY,
            ("NSE:SBIN NRML +3",),
            "the strategy is not in this program",
        )
    ]


@pytest.mark.row("A5")
async def goals(engine: MemoryEngine) -> list[tuple[int, str]]:
    """Return the units and the run of each goal."""
    return [(row["quantity"], row["run_id"]) for row in await engine.store.find("goals", {})]


async def test_where_strategies_send_nothing_nothing_is_squared_off():
    """On a disabled account the user manages the positions: nothing is wanted, and no alarm."""
    engine = await engine_at("2026-11-23T15:20", Trend())
    await hold(engine, await engine.connect(enabled=False), 10)
    assert await sold(engine) == []
    await engine.clock.advance(61)
    assert await sold(engine) == []
    assert (await goals(engine), await engine.notices(SquareOffAlarm)) == ([], [])


async def test_an_account_that_may_only_exit_is_squared_off():
    """Switched off with "exits only", its strategies' exits are sent still."""
    engine = await engine_at("2026-11-23T14:00", Trend())
    account = await engine.connect()
    await hold(engine, account, 10)
    await engine.control.switch.disable(
        engine.command(), account.broker_id, DisablePolicy.EXITS_ONLY
    )
    await engine.clock.advance_to(at("2026-11-23T15:00"))
    assert await sold(engine) == [10]


async def test_outside_the_session_nothing_is_decided():
    """It would be sent at the next open, when an intraday ledger is of the day before."""
    engine = await engine_at("2026-11-23T15:45", Trend())
    await hold(engine, await engine.connect(), 10)
    assert await sold(engine) == []
    assert await goals(engine) == []


async def test_a_square_off_is_decided_once():
    """Its goal keeps its run, and before 15:10 nobody is alarmed; what is wanted anew is closed."""
    engine = await engine_at("2026-11-23T15:00", Trend())
    account = await engine.connect()
    ledger = await hold(engine, account, 10)
    tick = engine.wiring.scheduler.tick_square_offs
    await tick()
    ((units, run_id),) = await goals(engine)
    assert units == 0
    await engine.clock.advance(90)
    await tick()
    assert await goals(engine) == [(0, run_id)]
    assert await engine.notices(SquareOffAlarm) == []
    await want(engine, ledger, 10, run_id="late")
    await tick()
    ((units, again),) = await goals(engine)
    assert (units, again in {run_id, "late"}) == (0, False)


async def test_a_slow_exit_is_no_series_of_alarms():
    """Each fill changes what is open; within a minute of an alarm there is no other."""
    engine = await engine_at("2026-11-23T23:30", Trend())
    account = await engine.connect()
    ledger = await hold(engine, account, 10)
    tick = engine.wiring.scheduler.tick_square_offs
    await tick()
    await engine.clock.advance(16)
    await tick()
    await engine.store.update("ledgers", {"_id": ledger.key}, Change(set={"quantity": 4}))
    await engine.clock.advance(30)
    await tick()
    assert len(await engine.notices(SquareOffAlarm)) == 1
    await engine.clock.advance(31)
    await tick()
    assert len(await engine.notices(SquareOffAlarm)) == 2


async def test_of_one_strategy_on_one_account_no_other_is_squared_off():
    """``saarthi live`` looks after its own (row D5)."""
    engine = await engine_at("2026-11-23T15:00", Trend())
    account = await engine.connect()
    await hold(engine, account, 10)
    await engine.wiring.square_off.tick(strategy="another")
    await engine.wiring.square_off.tick(broker_id="another")
    assert await goals(engine) == []
    await engine.wiring.square_off.tick(strategy=STRATEGY, broker_id=account.broker_id)
    assert [units for units, _ in await goals(engine)] == [0]
