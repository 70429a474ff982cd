"""A software stop is really watched: its price is asked for, and what is through it is closed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.bootstrap import build
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.notices.protection import StopHit
from core.domain.notices.system import Started
from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import Refusal, Refused, WriteOutcome
from tests.fakes.brokers import SBIN
from tests.fakes.deciding import InProcess
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import MemoryEngine

pytestmark = [pytest.mark.row("D9", "R7")]
STOP = Decimal("800.00")


def refusing_stops(order: OrderRequest) -> WriteOutcome | None:
    if order.order_type is OrderType.SL_M:
        return Refused(Refusal.REJECTED, "SL-M is not allowed for this instrument")
    return None


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN whose stop the broker refused."""
    desk = await a_desk()
    desk.at.answer = refusing_stops
    await desk.holds(10, STOP)
    return desk


async def watch(desk: Desk, times: int = 1) -> None:
    for _ in range(times):
        await desk.clock.advance(3)
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(2)


async def test_position_through_its_software_stop_is_closed(desk: Desk) -> None:
    """At the stop, not before; once, with a notice that says how."""
    desk.at.price = STOP + Decimal("0.05")
    await watch(desk, 3)
    assert await desk.units() == 10
    desk.at.price = STOP
    await watch(desk)
    await desk.turns(5)
    assert await desk.units() == 0
    assert await desk.states(Purpose.EXIT) == ["FILLED"]
    (notice,) = await desk.engine.notices(StopHit)
    assert isinstance(notice, StopHit) and "800.00" in notice.how


@pytest.mark.row("D10")
async def test_one_wrong_price_closes_nothing(desk: Desk) -> None:
    """A tenth of the price in one answer is another instrument's; a crash shows twice."""
    for wrong in (STOP / 10, STOP / 5):  # the first looks of all, and not of one price
        desk.at.price = wrong
        await watch(desk)
        assert await desk.units() == 10
    desk.at.price = STOP + 10
    await watch(desk)
    desk.at.price = STOP - 100
    await watch(desk)
    assert await desk.units() == 10
    await watch(desk)
    await desk.turns(5)
    assert await desk.units() == 0


def after_a_restart(desk: Desk) -> MemoryEngine:
    """Return another controller's engine over what the one before left."""
    old = desk.engine
    engine = MemoryEngine(
        desk.clock, store=old.store, brokers=old.brokers, masters=old.masters, key=old.key
    )
    desk.engine, desk.worker = engine, engine.wiring.new_worker(desk.broker_id)
    engine.wiring.pool._workers[desk.broker_id] = desk.worker
    return engine


@pytest.mark.parametrize("is_through", [False, True])
async def test_software_stop_is_watched_from_the_start_on(desk: Desk, *, is_through: bool) -> None:
    """After a restart too: what was passed meanwhile, or is passed later, is closed."""
    desk.at.price = STOP - 1 if is_through else STOP + 1
    after_a_restart(desk)
    await watch(desk, 2)
    assert await desk.units() == (0 if is_through else 10)
    desk.at.price = STOP - 1
    await watch(desk, 2)
    assert await desk.units() == 0
    assert len(await desk.engine.notices(StopHit)) == 1


async def begin(engine: MemoryEngine) -> Started:
    """Begin as a controller does, a minute after the one before, and return what it says of it."""
    await engine.clock.advance(60)
    await build(engine.foundation, {}, decisions=InProcess({}), brokers=engine.brokers).begin()
    notice = (await engine.notices(Started))[-1]
    assert isinstance(notice, Started)
    return notice


async def test_start_names_whose_stops_nobody_watched_meanwhile(desk: Desk) -> None:
    """A stop that rests at no broker was worth nothing while no controller ran."""
    assert (await begin(after_a_restart(desk))).watched == ("NSE:SBIN",)


async def test_start_names_no_stop_that_rests_or_goes_out_in_a_moment() -> None:
    """Nothing has happened to what the broker looked after; a stop to come is no software stop."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    assert desk.at.resting()
    assert (await begin(after_a_restart(desk))).watched == ()
    other = await a_desk()
    ledger = Ledger("orb", other.broker_id, SBIN, Product.MIS, 10, Decimal(810))
    await other.engine.hold(ledger)
    await other.wants(10, STOP)
    assert (await begin(after_a_restart(other))).watched == ()


async def test_paused_account_is_left_alone(desk: Desk) -> None:
    """PAUSED sends nothing; the stop is hit when the account trades again."""
    command = desk.engine.command()
    await desk.engine.control.modes.set(command, TradingMode.PAUSED, desk.broker_id)
    desk.at.price = Decimal(790)
    await watch(desk, 2)
    assert (await desk.units(), await desk.engine.notices(StopHit)) == (10, [])
    command = desk.engine.command()
    await desk.engine.control.modes.set(command, TradingMode.NORMAL, desk.broker_id)
    await watch(desk, 2)
    assert await desk.units() == 0


async def test_stop_cancelled_in_the_chat_is_not_watched(desk: Desk) -> None:
    """Whoever takes a stop away there wants none."""
    await desk.engine.control.stops.put_back(desk.engine.command(), desk.broker_id, "NSE:SBIN|MIS")
    desk.at.answer = lambda _order: None
    await desk.clock.advance(3)
    await desk.turns(3)
    stop = (await desk.orders(Purpose.STOP))[-1]
    await desk.engine.control.orders.cancel(
        desk.engine.command(), desk.broker_id, stop.client_order_id
    )
    desk.at.price = Decimal(790)
    await watch(desk, 3)
    assert await desk.units() == 10


async def test_resting_stop_that_the_price_has_left_behind_is_closed() -> None:
    """At a broker that does not say that it triggered: after 15 s through it."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    desk.at.price = Decimal(795)
    await watch(desk, 4)
    assert await desk.units() == 10
    await watch(desk, 4)
    await desk.turns(5)
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_price_beyond_the_stop_of_a_short_is_a_rise() -> None:
    """A short's stop is above the price."""
    desk = await a_desk()
    desk.at.answer = refusing_stops
    await desk.holds(-10, Decimal(830))
    await watch(desk, 2)
    assert await desk.units() == -10
    desk.at.price = Decimal(831)
    await watch(desk)
    await desk.turns(5)
    assert await desk.units() == 0
