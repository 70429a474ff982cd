"""An entry leaves with the commit of its run, where nothing stands in the way (decision 24)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.domain.order import OrderRequest, OrderState, Purpose
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.domain.target import Direction
from core.engine.runs.plan import RunRequest
from core.engine.workers.account_lane import try_lock
from core.errors import StoreUnavailable
from tests.fakes.laned_bench import Laned

pytestmark = [pytest.mark.invariant("I1"), pytest.mark.invariant("I3")]


async def test_entry_leaves_after_one_commit() -> None:
    """Born SUBMITTED in the run's commit, behind the gate, and sent once."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        states: list[str] = []
        place = bench.broker.place

        async def seen(order: object) -> object:
            rows = await bench.store.find("orders", {})
            states.extend(row["state"] for row in rows)
            commits.append(bench.store.commands["commit"])
            return await place(order)  # type: ignore[arg-type]

        commits: list[int] = []
        bench.broker.place = seen  # type: ignore[assignment, method-assign]
        bench.store.commands.clear()
        gate = await bench.store.get("account_gates", bench.account.broker_id)
        await bench.run()
        await bench.until(lambda: bench.sent() == [("BUY", 10)])
        assert (states, commits) == (["SUBMITTED"], [1])
        after = await bench.store.get("account_gates", bench.account.broker_id)
        assert gate is not None
        assert after is not None
        assert after["seq"] == gate["seq"] + 1
        await bench.until(lambda: not bench.engine.wiring.gateway.in_flight)
        await bench.until(lambda: not bench.worker.lock.locked())
    assert bench.sent() == [("BUY", 10)]


async def test_account_that_is_busy_enters_by_its_worker() -> None:
    """Whose lock is taken has no lane: its entry is an intent, and goes in its turn."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        async with bench.worker.lock:
            await bench.run()
            (order,) = await bench.engine.orders()
            assert (order.state, bench.sent()) == (OrderState.INITIALIZED, [])
        await bench.until(lambda: bench.sent() == [("BUY", 10)])


async def test_order_in_the_instrument_goes_before() -> None:
    """What is held or works there is the worker's to deal with first: a reversal is no plain entry."""
    async with Laned().running() as bench:
        bench.broker.answers.append(Acked("1"))
        bench.strategy.want(Direction.LONG)
        await bench.run()
        await bench.until(lambda: bench.sent() == [("BUY", 10)])
        await bench.until(lambda: not bench.worker.lock.locked())
        bench.strategy.want(Direction.SHORT)
        await bench.run()
        orders = await bench.engine.orders()
        newest = [one for one in orders if one.purpose is Purpose.ENTRY][-1]
        assert newest.submitted_at is None or newest.request.side.value == "BUY"


async def test_run_that_is_not_known_to_be_committed_sends_nothing() -> None:
    """Its lane is given back, and what it may have left is looked up as after a crash."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        planner, write = (
            bench.engine.wiring.runner._planner,
            bench.engine.wiring.runner._planner.write,
        )

        async def loses(*arguments: Any, **options: Any) -> Any:
            written = await write(*arguments, **options)
            bench.store.database.lost_answers = 1  # of the run's own commit, which comes next
            return written

        planner.write = loses  # type: ignore[method-assign]
        request = RunRequest("lost", bench.strategy.name, bench.engine.clock.market_now())
        with pytest.raises(StoreUnavailable):
            await bench.engine.wiring.runner.run(request)
        assert bench.sent() == []
        assert not bench.engine.wiring.gateway.in_flight
        assert not bench.worker.lock.locked()
        (row,) = await bench.store.find("orders", {})
        assert row["state"] == "SUBMITTED"


async def test_second_strategy_of_the_slot_waits_for_the_first() -> None:
    """What is on its way at this moment is not of unknown fate: the other entry is not dropped."""
    async with Laned().running() as bench:
        go, place = asyncio.Event(), bench.broker.place

        async def slow(order: object) -> object:
            await go.wait()
            return await place(order)  # type: ignore[arg-type]

        bench.broker.place = slow  # type: ignore[assignment, method-assign]
        bench.strategy.want(Direction.LONG)
        await bench.run()
        (first,) = await bench.engine.orders()
        assert first.state is OrderState.SUBMITTED
        on_its_way = bench.engine.wiring.gateway.before_sending([first])
        assert [one.state for one in on_its_way] == [OrderState.INITIALIZED]
        go.set()
        await bench.until(lambda: not bench.engine.wiring.gateway.in_flight)
        assert bench.engine.wiring.gateway.before_sending([first]) == [first]


@pytest.mark.row("A5")
async def test_switched_off_while_the_run_looks_at_prices_enters_nothing() -> None:
    """The run has read "on" before its transaction; in it the switch is read again (D4)."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        runner = bench.engine.wiring.runner
        doubts = runner._doubts

        async def meanwhile(*arguments: object) -> object:
            await bench.assign(is_on=False)
            return await doubts(*arguments)  # type: ignore[arg-type]

        runner._doubts = meanwhile  # type: ignore[assignment, method-assign]
        await bench.run()
        await bench.until(lambda: [row["state"] for row in bench.rows()] == ["DENIED"])
        (order,) = await bench.engine.orders()
        assert (order.state, bench.sent()) == (OrderState.DENIED, [])


async def test_worker_in_a_turn_or_woken_for_one_gives_no_lane() -> None:
    """It may have a stop or an exit to send, which must not wait for an entry's answer."""
    async with Laned().running() as bench:
        worker = bench.worker
        worker.wake()
        assert worker.take_lane() is None
        await bench.until(bench.is_calm)
        lane = worker.take_lane()
        assert lane is not None
        assert worker.take_lane() is None
        lane.leave()


async def test_lock_that_somebody_waits_for_is_not_free() -> None:
    """Released with a waiter, a lock is not locked, and whoever asks for it waits behind."""
    lock = asyncio.Lock()
    assert try_lock(lock)
    waiting = asyncio.create_task(lock.acquire())
    await asyncio.sleep(0)
    assert not try_lock(lock)
    lock.release()
    assert not try_lock(lock)
    await waiting
    lock.release()
    assert try_lock(lock)


async def test_lane_of_a_worker_that_has_ended_is_given_back() -> None:
    """What was born for it is left to the reconciliation, and nothing stays locked."""
    async with Laned().running() as bench:
        lane = bench.worker.take_lane()
    assert lane is not None
    bench.strategy.want(Direction.LONG)
    await bench.run()
    (order,) = await bench.engine.orders()
    in_flight = bench.engine.wiring.gateway.in_flight
    in_flight.add(order.client_order_id)
    lane.send([order])
    assert not in_flight
    assert not bench.worker.lock.locked()
    assert bench.sent() == []


async def test_what_goes_wrong_beside_a_turn_is_raised_by_the_next() -> None:
    """Raised at once, it would cut off what the turn has on its way."""
    async with Laned().running() as bench:
        bench.broker.answers.append(Refused(Refusal.PERMISSION, "no permission"))
        bench.strategy.want(Direction.LONG)
        await bench.run()
        await bench.until(lambda: bench.worker.trouble == "no permission")
        assert bench.sent() == [("BUY", 10)]
        assert not bench.worker.lock.locked()


@pytest.mark.row("B8", "B10")
@pytest.mark.matrix("A03")
async def test_late_refusal_of_an_old_login_does_not_end_the_new_one() -> None:
    """The user logs in while an entry is on its way: what comes of it says nothing of that login."""
    async with Laned().running() as bench:
        go_on, before = asyncio.Event(), bench.worker._token_time

        async def refuse_late(order: OrderRequest) -> WriteOutcome:
            bench.broker.placed.append(order)
            await go_on.wait()
            return Refused(Refusal.AUTH_REQUIRED, "the session has ended")

        bench.broker.place = refuse_late  # type: ignore[method-assign]
        bench.strategy.want(Direction.LONG)
        await bench.run()
        await bench.until(bench.sent)
        await bench.engine.clock.advance(1)
        await bench.engine.log_in(bench.account)
        await bench.until(lambda: bench.worker._token_time != before)
        go_on.set()
        await bench.until(lambda: [row["state"] for row in bench.rows()] == ["DENIED"])
        await bench.until(bench.is_calm)
        account = await bench.engine.wiring.accounts.get(bench.account.broker_id)
        assert (account.needs_login, account.parked_reason, bench.worker.trouble) == (False, "", "")


@pytest.mark.matrix("C12")
async def test_entry_of_a_controller_that_ends_is_left_to_the_next() -> None:
    """As an intent, which the next one sends in time; born SUBMITTED it would be given up."""
    async with Laned().running() as bench:
        await bench.engine.wiring.gateway.ending.begin(within_s=60)
        bench.strategy.want(Direction.LONG)
        await bench.run()
        assert ([row["state"] for row in bench.rows()], bench.sent()) == (["INITIALIZED"], [])


@pytest.mark.matrix("C12")
async def test_entry_that_was_born_is_sent_before_the_end() -> None:
    """It is committed as sent, and nobody else would send it."""
    async with Laned().running() as bench:
        go_on, place = asyncio.Event(), bench.broker.place

        async def slowly(order: OrderRequest) -> WriteOutcome:
            await go_on.wait()
            return await place(order)

        bench.broker.place = slowly  # type: ignore[method-assign]
        bench.strategy.want(Direction.LONG)
        await bench.run()
        ending = asyncio.create_task(bench.engine.wiring.gateway.ending.begin(within_s=60))
        await bench.until(lambda: bench.engine.wiring.gateway.ending.has_begun)
        assert not ending.done()
        go_on.set()
        await ending
        assert [row["state"] for row in bench.rows()] == ["ACCEPTED"]
