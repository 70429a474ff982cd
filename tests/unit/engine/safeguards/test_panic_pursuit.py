"""What a panic does on one account, look by look: in which order, once, and until when (row R2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerStatus, Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.order import MANUAL, OrderType, Side
from core.domain.outcome import NotSent
from core.domain.panic import Hindrance, Line
from core.engine.safeguards.panic_facts import PanicFacts
from core.errors import BrokerReadError, LeaseLost, ReadFault, StoreUnavailable
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.pursuing import pursuing

pytestmark = pytest.mark.row("R2")

STOP = Decimal(800)


async def test_a_persons_order_goes_first_and_the_stop_last() -> None:
    """One cancel, then the strategy's stop makes way, then one exit; then it is flat."""
    one = await pursuing()
    await one.desk.holds(10, STOP)
    one.at.own(Side.SELL, 4)
    await one.desk.turns(2)
    one.at.asked.clear()
    await one.begins()
    line = await one.looks()
    assert (line.orders, line.positions) == (2, 1)
    assert one.at.asked == ["cancel"]
    (stop,) = one.at.resting()
    assert stop.trigger_price == STOP, "it protects while the exit may not go"
    await one.looks(4)
    assert one.at.asked == ["cancel", "cancel", "SELL 10"]
    assert one.pursuit.line.is_flat
    assert one.changes >= 3


async def test_a_persons_stop_protects_until_their_position_can_be_closed() -> None:
    """Held by hand with a stop: that goes, then the exit, with nothing between them."""
    one = await pursuing()
    one.at.bought(5)
    one.at.own(Side.SELL, 5, OrderType.SL_M, STOP)
    await one.desk.turns(2)
    await one.begins()
    await one.looks(6)
    assert one.at.asked == ["cancel", "SELL 5"]
    assert one.pursuit.line.is_flat


async def test_looks_before_the_workers_turn_close_nothing_twice() -> None:
    """However often it looks: one goal, one exit, of a strategy's and of what nobody owns."""
    one = await pursuing()
    await one.desk.holds(10)
    one.at.bought(5)
    await one.desk.turns(2)
    await one.begins()
    for _ in range(3):
        await one.pursuit.step()
    runs = await one.desk.engine.store.find("runs", {"kind": "panic"})
    assert len(runs) == 1, "what nobody owns waits for the strategy's exit"
    await one.looks(8)
    assert sorted(one.at.asked) == ["SELL 10", "SELL 5"]
    assert one.pursuit.line.is_flat
    goal = await one.goal("orb")
    assert goal is not None and goal.by_user and goal.despite_pause and goal.quantity == 0


async def test_what_nobody_owns_is_not_closed_again_on_old_figures() -> None:
    """The close has filled and its goal is gone; the fills that prove it are not read yet."""
    one = await pursuing()
    one.at.bought(5)
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    assert (await one.goal(MANUAL)) is not None
    await one.desk.engine.store.delete("goals", {})
    await one.desk.clock.advance(2.9)
    await one.pursuit.step()
    assert (await one.goal(MANUAL)) is None
    await one.desk.clock.advance(0.2)
    await one.pursuit.step()
    goal = await one.goal(MANUAL)
    assert goal is not None and goal.to_close == 5, "it is tried again after some seconds"
    assert goal.by_user and goal.despite_pause


async def test_each_position_that_nobody_owns_is_closed_by_a_run_of_its_own() -> None:
    """In one decision, so that the exits of each are told and followed apart."""
    one = await pursuing()
    one.at.bought(5)
    one.at.bought(-7, InstrumentId("NSE", "INFY"))
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    goals = await one.desk.engine.store.find("goals", {}, sort=[("_id", 1)])
    assert [goal["to_close"] for goal in goals] == [-7, 5]
    runs = await one.desk.engine.store.find("runs", {"kind": "panic"})
    assert sorted(run["_id"] for run in runs) == sorted(goal["run_id"] for goal in goals)
    await one.looks(6)
    assert sorted(one.at.asked) == ["BUY 7", "SELL 5"]
    assert one.pursuit.line.is_flat


async def test_an_account_without_positions_is_read_before_it_is_flat() -> None:
    """What was bought by hand since the last read would be open, and called flat."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    assert not one.pursuit.line.is_flat
    reads = one.at.reads
    await one.desk.clock.advance(1.9)
    await one.pursuit.step()
    assert (one.pursuit.line.is_flat, one.at.reads) == (False, reads), "the worker may read itself"
    await one.desk.clock.advance(0.2)
    await one.pursuit.step()
    assert one.at.reads == reads + 1
    assert one.pursuit.line == Line(one.desk.broker_id, is_flat=True, flat_after_s=2.1)
    assert one.at.asked == []


async def test_a_read_that_finds_something_is_not_the_last_one() -> None:
    """Bought by hand while it was flat by the read before: it is closed, and read again."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    one.at.bought(5)
    await one.desk.clock.advance(3)
    await one.pursuit.step()
    assert not one.pursuit.line.is_flat
    await one.looks(6)
    assert one.at.asked == ["SELL 5"]
    assert one.pursuit.line.is_flat


async def test_what_the_broker_shows_beside_a_moving_order_is_not_flat() -> None:
    """Its positions have a trade that its orders do not list, in the read of another order's end."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    await one.desk.clock.advance(3)
    own = one.at.own(Side.BUY, 3)
    one.at.put(own, status=BrokerStatus.REJECTED)
    one.at.shows(5)
    await one.pursuit.step()
    assert one.at.reads and not one.pursuit.line.is_flat
    await one.desk.clock.advance(3)
    await one.pursuit.step()
    assert one.standing == (Hindrance.DISPUTED, "NSE:SBIN MIS")


async def test_a_read_that_fails_makes_nothing_flat() -> None:
    """The broker cannot be read when it is to be proved."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    await one.desk.clock.advance(3)
    one.at.trouble = BrokerReadError(ReadFault.TIMEOUT, "no answer")
    await one.pursuit.step()
    assert not one.pursuit.line.is_flat
    await one.pursuit.step()
    assert one.standing == (Hindrance.SILENT, "no answer")


async def test_holdings_that_were_not_read_are_not_sold_out() -> None:
    """They were asked for: positions alone say nothing of them."""
    one = await pursuing()
    one.at.holding_list = [Holding(SBIN, 5, 0, Decimal(800), Decimal(815), names=frozenset({SBIN}))]
    await one.desk.turns(2)
    one.desk.worker.snapshot.holdings = None
    await one.begins(with_holdings=True)
    (account,) = await one.desk.engine.wiring.accounts.all()
    facts = one.desk.engine.wiring.panic_facts
    assert not (await facts.of(account, with_holdings=True)).is_read
    assert (await facts.of(account, with_holdings=False)).is_read
    await one.looks(8)
    assert one.at.asked == ["SELL 5"]
    assert one.pursuit.line.is_flat


async def test_holdings_that_are_asked_for_in_the_middle_of_a_look_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It worked on the reads without them: it must not call that flat."""
    one = await pursuing()
    one.at.holding_list = [Holding(SBIN, 5, 0, Decimal(800), Decimal(815), names=frozenset({SBIN}))]
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    await one.desk.worker.refresh()
    of = PanicFacts.of

    async def widened(self: PanicFacts, *given: Any, **named: Any) -> Any:
        found = await of(self, *given, **named)
        one.panic = replace(one.panic, holdings=(one.desk.broker_id,))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(PanicFacts, "of", widened)
        await one.desk.clock.advance(1)
        await one.desk.worker.refresh()
        await one.pursuit.step()
    assert not one.pursuit.line.is_flat
    await one.looks(6)
    assert one.at.asked == ["SELL 5"]


async def test_a_controller_that_ends_half_way_is_followed_by_one_that_closes_the_rest() -> None:
    """The goal is set, nothing was sent: the next life sends it once, and tells of one panic."""
    one = await pursuing()
    await one.desk.holds(10, STOP)
    await one.begins()
    await one.pursuit.step()
    one.at.asked.clear()
    before = one.desk.engine
    engine = MemoryEngine(before.clock, store=before.store, brokers=before.brokers, key=before.key)
    one.desk.engine = engine
    one.desk.worker = engine.wiring.new_worker(one.desk.broker_id)
    engine.wiring.pool._workers[one.desk.broker_id] = one.desk.worker
    await one.goes_on()
    await one.looks(6)
    assert one.at.asked == ["cancel", "SELL 10"]
    assert one.pursuit.line.is_flat


async def test_an_account_that_is_gone_is_named_as_that() -> None:
    """Disconnected meanwhile: its part ends, and is no success."""
    one = await pursuing()
    await one.begins()
    await one.desk.engine.store.delete("broker_accounts", {})
    await one.pursuit.step()
    assert one.pursuit.line == Line(one.desk.broker_id, hindrance=Hindrance.GONE)
    assert one.pursuit.line.is_over
    async with asyncio.timeout(10):
        await one.pursuit.run()


def away(_self: object) -> Exception:
    return StoreUnavailable("away")


def broken(_self: object) -> Exception:
    return RuntimeError("a defect of mine")


@pytest.mark.parametrize(
    ("failure", "standing"),
    [
        (away, (Hindrance.NONE, "")),
        (
            broken,
            (Hindrance.EXIT, "something went wrong on my side (an error that the log describes)"),
        ),
    ],
)
async def test_a_look_that_fails_is_followed_by_another(
    failure: Callable[[object], Exception], standing: tuple[Hindrance, str]
) -> None:
    """The store's outage is no account's fault; a defect is named, and ends no pursuit."""
    one = await pursuing()
    await one.begins()
    looks: list[int] = []

    async def fails(self: PanicFacts, *_: Any, **__: Any) -> Any:
        looks.append(1)
        raise failure(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PanicFacts, "of", fails)
        task = asyncio.create_task(one.pursuit.run())
        for seconds in (1.9, 0.2, 2.0):
            await one.desk.clock.advance(seconds)
        assert len(looks) == 3
        assert one.standing == standing
        assert not task.done()
        task.cancel()


async def test_a_controller_that_has_lost_its_lease_looks_no_more() -> None:
    """Another one pursues the panic by now."""
    one = await pursuing()
    await one.begins()

    async def lost(*_: Any, **__: Any) -> Any:
        raise LeaseLost("another one")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PanicFacts, "of", lost)
        with pytest.raises(LeaseLost):
            async with asyncio.timeout(10):
                await one.pursuit.run()


async def test_a_broker_of_which_nothing_is_heard_is_named_as_silent() -> None:
    """After eight seconds, without a word of anybody; not where more is known, nor once flat."""
    one = await pursuing()
    await one.desk.holds(10)
    await one.begins()
    await one.pursuit.step()
    await one.desk.clock.advance(7.9)
    assert one.pursuit.line.hindrance is Hindrance.NONE
    await one.desk.clock.advance(0.2)
    line = one.pursuit.line
    assert (line.hindrance, line.detail, line.positions) == (Hindrance.SILENT, "", 1)
    one.desk.worker.trouble, one.desk.worker.fault = "slow down", ReadFault.THROTTLED
    await one.pursuit.step()
    assert one.standing == (Hindrance.THROTTLED, "slow down")


async def test_what_is_flat_is_never_called_silent() -> None:
    """Nothing is waited for there any more."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.looks(4)
    await one.desk.clock.advance(60)
    assert one.pursuit.line.is_flat and one.standing == (Hindrance.NONE, "")


async def test_a_flat_account_is_looked_at_every_five_seconds() -> None:
    """What comes to it while the panic runs is closed too; where nothing came, nothing is asked."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.looks(4)
    task = asyncio.create_task(one.pursuit.run())
    await one.desk.clock.advance(5.1)
    one.at.bought(5)
    await one.desk.turns(2)
    is_flat = [one.pursuit.line.is_flat]
    await one.desk.clock.advance(5)
    assert [*is_flat, one.pursuit.line.is_flat] == [True, False]
    goal = await one.goal(MANUAL)
    assert goal is not None and goal.to_close == 5
    task.cancel()


async def test_nothing_is_closed_for_a_panic_that_has_ended_meanwhile() -> None:
    """The user ended it between the look and its transaction."""
    one = await pursuing()
    await one.desk.holds(10, STOP)
    await one.begins()
    await one.desk.engine.control.panic.stop(one.desk.engine.command(), one.panic.panic_id)
    await one.pursuit.step()
    goal = await one.goal("orb")
    assert goal is not None and (goal.quantity, goal.stop_price) == (10, STOP)


async def test_delivery_stays_with_its_orders_where_it_was_not_asked_for() -> None:
    """The account is flat with it; asked for, it is sold once."""
    one = await pursuing()
    one.at.holding_list = [Holding(SBIN, 5, 0, Decimal(800), Decimal(815), names=frozenset({SBIN}))]
    one.at.own(Side.SELL, 5, OrderType.SL_M, STOP, Product.CNC)
    await one.desk.turns(2)
    await one.begins()
    await one.looks(4)
    assert one.pursuit.line.is_flat and one.at.asked == []
    await one.begins(with_holdings=True)
    await one.looks(6)
    assert one.at.asked == ["cancel", "SELL 5"]
    assert one.pursuit.line.is_flat


async def test_flat_is_what_positions_say_that_were_read_after_the_last_change() -> None:
    """The orders alone say that a person's order is gone: what it brought is in the positions."""
    one = await pursuing()
    own = one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    one.at.cancels = [NotSent("no connection")] * 9
    await one.begins()
    await one.pursuit.step()
    await one.desk.worker.refresh()
    await one.pursuit.step()
    one.at.put(own, status=BrokerStatus.CANCELED)
    await one.desk.clock.advance(0.1)
    assert await one.desk.worker._read_orders(one.at, one.panic.day)
    await one.pursuit.step()
    assert not one.pursuit.line.is_flat
    await one.desk.clock.advance(0.1)
    await one.desk.worker.refresh()
    await one.pursuit.step()
    assert one.pursuit.line.is_flat


async def test_a_flat_account_stays_flat_after_a_restart_until_it_is_read() -> None:
    """What the journal says of before may have ended since; the first read says what is there."""
    one = await pursuing()
    await one.desk.turns(2)
    await one.begins()
    await one.looks(4)
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    one.desk.worker = one.desk.engine.wiring.new_worker(one.desk.broker_id)
    one.desk.engine.wiring.pool._workers[one.desk.broker_id] = one.desk.worker
    task = asyncio.create_task(one.pursuit.run())
    await one.desk.clock.advance(11)
    is_flat = [one.pursuit.line.is_flat]
    await one.desk.turns(1)
    await one.desk.clock.advance(6)
    assert [*is_flat, one.pursuit.line.is_flat] == [True, False]
    task.cancel()


async def test_the_worker_is_woken_for_what_is_to_be_closed_and_for_nothing_else() -> None:
    """At once after a decision and after a cancel: a look that finds nothing new leaves it alone."""
    one = await pursuing()
    await one.desk.holds(10)
    await one.begins()
    woken: list[bool] = []
    for _ in range(2):
        one.desk.worker._wake.clear()
        await one.pursuit.step()
        woken.append(one.desk.worker._wake.is_set())
    one.at.own(Side.BUY, 3)
    await one.desk.worker.refresh()
    one.desk.worker._wake.clear()
    await one.pursuit.step()
    assert [*woken, one.desk.worker._wake.is_set()] == [True, False, True]
    assert one.at.asked == ["cancel"]
