"""The looks of one turn share a read of the positions, and none is older than what is known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from core.domain.account import Account
from core.domain.broker import Position
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import OrderType, Side
from core.engine.workers.account_worker import AccountWorker
from core.errors import StoreUnavailable
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, a_desk
from tests.fakes.held import hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("R2", "R3")
FIVE = [InstrumentId("NSE", f"SHARE{number}") for number in range(5)]


async def five(stop: Decimal | None = None) -> tuple[MemoryEngine, Account, AccountWorker]:
    """Return an account that holds five instruments, with stops where a price is given."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect()
    for name in FIVE:
        ledger = await hold(engine, account, 10, instrument=name)
        await want(engine, ledger, 10, stop_price=stop)
    worker = await worker_of(engine, account)
    for _ in range(3):
        await worker.turn()
    return engine, account, worker


async def flat(engine: MemoryEngine) -> None:
    """Let the strategy want nothing of the five."""
    for ledger in await engine.ledgers():
        await want(engine, ledger, 0, run_id="flat")


async def test_five_exits_of_one_turn_share_a_read() -> None:
    """One read before they are sent; the worker's own follows the fills, as in every turn."""
    engine, account, worker = await five()
    at = engine.at_broker(account)
    await flat(engine)
    before = at.reads
    await worker.turn()
    assert (len(at.placed), at.reads - before) == (5, 2)


async def test_five_exits_behind_stops_share_a_read_before_and_one_behind_the_cancels() -> None:
    """What clears the exits is one read, and another one is made when the stops are gone."""
    engine, account, worker = await five(Decimal(790))
    at = engine.at_broker(account)
    assert [one.order_type for one in at.placed] == [OrderType.SL_M] * 5
    await flat(engine)
    before = at.reads
    await worker.turn()
    assert len(at.placed) == 10
    assert at.reads - before <= 4
    for _ in range(2):
        await worker.turn()
    assert {one.quantity for one in await engine.ledgers()} == {0}


async def test_exits_that_are_denied_again_and_again_cost_a_read_each_time() -> None:
    """EXIT_ONLY and positions that contradict the fills: five exits, one read every five seconds."""
    engine, account, worker = await five()
    at = engine.at_broker(account)
    await engine.control.modes.set(engine.command(), TradingMode.EXIT_ONLY, account.broker_id)
    for key, one in list(at.position_list.items()):
        at.position_list[key] = replace(one, quantity=7)
    await flat(engine)
    reads = []
    for _ in range(6):
        before = at.reads
        await worker.executor.advance(at, {})
        reads.append(at.reads - before)
        worker.executor.looks.new_turn()
        await engine.clock.advance(6)
    assert max(reads) == 1


async def looked(desk: Desk, *, is_fresh: bool = False) -> int:
    """Look once; return how many reads of the positions that took."""
    before = desk.at.reads
    (key,) = desk.at.position_list
    await desk.worker.executor.looks.look(desk.at, *key, is_fresh=is_fresh)
    return desk.at.reads - before


async def test_a_read_serves_its_turn_alone_and_for_two_seconds() -> None:
    """A new turn, two seconds, a fresh look for a user, an order that moved: each reads anew."""
    desk = await a_desk()
    await desk.holds(10)
    desk.worker.executor.looks.new_turn()
    assert (await looked(desk), await looked(desk)) == (1, 0)
    assert await looked(desk, is_fresh=True) == 1
    await desk.clock.advance(2.1)
    assert (await looked(desk), await looked(desk)) == (1, 0)
    desk.worker.executor.looks.new_turn()
    assert (await looked(desk), await looked(desk)) == (1, 0)
    desk.at.by_hand(Side.SELL, 4)
    await desk.worker.refresh()
    assert (await looked(desk), await looked(desk)) == (1, 0)


async def test_a_read_ahead_serves_the_next_turn_for_two_seconds() -> None:
    """Exits that a run decides right after it wait for no read; an order that moved makes one."""
    desk = await a_desk()
    looks = desk.worker.executor.looks
    await looks.look_ahead(desk.at)
    assert desk.at.reads == 0, "nothing is held"
    await desk.holds(10)
    before = desk.at.reads
    for _ in range(2):  # two strategies of one slot
        await looks.look_ahead(desk.at)
    assert desk.at.reads - before == 1
    looks.new_turn()
    assert await looked(desk) == 0
    await desk.clock.advance(2.1)
    assert await looked(desk) == 1
    await looks.look_ahead(desk.at)
    desk.at.by_hand(Side.SELL, 4)
    await desk.worker.refresh()
    looks.new_turn()
    assert await looked(desk) == 1


@pytest.mark.parametrize("mode", [TradingMode.NORMAL, TradingMode.EXIT_ONLY])
async def test_a_read_ahead_that_failed_is_made_again(mode: TradingMode) -> None:
    """One answer of 503 in the second before a slot: the exit reads anew, and goes by what it shows.

    By the fills alone it would sell what was sold by hand a moment before; in EXIT_ONLY it would not
    go at all.
    """
    desk = await a_desk()
    await desk.holds(10)
    await desk.engine.control.modes.set(desk.engine.command(), mode, desk.broker_id)
    await desk.worker.turn()
    desk.at.has_positions = False
    await desk.worker.executor.looks.look_ahead(desk.at)
    desk.at.has_positions = True
    desk.at.by_hand(Side.SELL, 4)
    await desk.wants(0)
    await desk.worker.turn()
    assert [order.quantity for order in desk.at.placed] == [6]


async def test_a_store_that_is_away_for_a_read_ahead_costs_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What goes wrong ahead of a slot is no reason to send nothing in it."""
    desk = await a_desk()
    await desk.holds(10)

    async def is_away(_client: object, _heard: int) -> None:
        raise StoreUnavailable("The store does not answer.")

    monkeypatch.setattr(desk.worker.executor.looks, "look_ahead", is_away)
    await desk.worker._beside(partial(desk.worker._look_ahead, desk.at))
    await desk.wants(0)
    await desk.worker.turn()
    assert [order.quantity for order in desk.at.placed] == [10]


async def test_a_read_ahead_does_not_outlive_an_update_that_came_after_it() -> None:
    """The update may be a trade by hand; it waits for its read, and the exit must not pass it."""
    desk = await a_desk()
    await desk.holds(10)
    await desk.worker.executor.looks.look_ahead(desk.at, desk.worker.updates.hints)
    desk.at.by_hand(Side.SELL, 4)
    desk.worker.updates.hints += 1
    await desk.wants(0)
    desk.worker.wake()
    await desk.worker.turn()
    assert [order.quantity for order in desk.at.placed] == [6]


async def test_exits_of_a_run_wait_for_no_read_after_a_look_ahead() -> None:
    """The scheduler warms a run a second before its slot; its exits are sent without a request."""
    desk = await a_desk()
    await desk.holds(10)
    await desk.worker.executor.looks.look_ahead(desk.at)
    order: list[str] = []
    for name in ("positions", "place"):
        _noted(desk, name, order)
    await desk.wants(0)
    await desk.worker.turn()
    assert order[0] == "place"


def _noted(desk: Desk, name: str, order: list[str]) -> None:
    call = getattr(desk.at, name)

    async def noted(*arguments: object) -> object:
        order.append(name)
        return await call(*arguments)

    setattr(desk.at, name, noted)


async def test_positions_that_cannot_be_read_are_asked_for_once() -> None:
    """The fills say what is held; the next look of the turn does not wait for the broker again."""
    desk = await a_desk()
    await desk.holds(10)
    desk.at.has_positions = False
    asked = 0
    positions = desk.at.positions

    async def counted() -> object:
        nonlocal asked
        asked += 1
        return await positions()

    desk.at.positions = counted  # type: ignore[method-assign, assignment]
    desk.worker.executor.looks.new_turn()
    key = next(iter(desk.at.position_list))
    for _ in range(3):
        held = await desk.worker.executor.looks.look(desk.at, *key)
        assert held is not None and held.quantity == 10
    assert asked == 1


async def test_shares_in_delivery_are_looked_for_in_the_holdings_too() -> None:
    """A read without the holdings does not serve a look at a delivery product."""
    desk = await a_desk()
    await desk.holds(10)
    desk.worker.executor.looks.new_turn()
    assert await looked(desk) == 1
    (instrument, _product), *_ = desk.at.position_list
    key = (instrument, Product.CNC)
    desk.at.position_list[key] = Position(*key, 3, Decimal(810), Decimal(815))
    before = desk.at.reads
    held = await desk.worker.executor.looks.look(desk.at, *key)
    assert desk.at.reads - before == 1
    assert held is None or held.by_positions == 3
