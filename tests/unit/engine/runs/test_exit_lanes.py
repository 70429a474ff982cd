"""An exit leaves with the commit of its run, where nothing stands in the way (decision 44)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerStatus
from core.domain.identifiers import client_order_id
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.order import EXTERNAL, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.domain.target import Direction
from core.engine.orders.documents import order_row
from core.engine.orders.gate import change_gate
from core.engine.orders.gateway import SnapshotStale
from core.engine.orders.lanes import Lane
from core.engine.orders.ledgers import ledger_row
from core.engine.runs.plan import RunRequest
from core.engine.runs.run_orders import WrittenRun
from core.errors import Denied, StoreUnavailable
from core.ports.store import StoreView
from tests.fakes.brokers import SBIN
from tests.fakes.laned_bench import Laned
from tests.fakes.run_bench import TEN

RELIANCE = InstrumentId("NSE", "RELIANCE")
pytestmark = [pytest.mark.invariant("I1"), pytest.mark.invariant("I3"), pytest.mark.invariant("I6")]


@asynccontextmanager
async def holding(stop: Decimal | None = None) -> AsyncIterator[Laned]:
    """Give an account that holds 10 bought shares, and rests."""
    async with Laned().running() as bench:
        await bench.holding(stop)
        yield bench


async def decided(bench: Laned) -> WrittenRun:
    """Let the strategy want nothing, run, and return what the run wrote."""
    planner, found = bench.engine.wiring.runner._planner, []
    write = planner.write

    async def noted(*arguments: Any, **options: Any) -> WrittenRun:
        found.append(await write(*arguments, **options))
        return found[-1]

    planner.write = noted  # type: ignore[method-assign]
    bench.strategy.want(Direction.FLAT)
    await bench.run()
    planner.write = write  # type: ignore[method-assign]
    return found[-1]


def exits_sent(bench: Laned) -> list[OrderRequest]:
    """Return the sales that the broker was asked for, stops left out."""
    return [
        one
        for one in bench.broker.placed
        if one.side is Side.SELL and one.order_type is OrderType.MARKET
    ]


async def left(bench: Laned) -> None:
    """Wait until what was bought is sold, and nothing is on its way."""
    await bench.until(lambda: exits_sent(bench))
    await bench.until(bench.is_calm)


async def test_exit_leaves_after_one_commit() -> None:
    """Born SUBMITTED in the run's commit, behind the gate, sized by the read ahead, and sent once."""
    async with holding() as bench:
        place, commits, states = bench.broker.place, [], []

        async def seen(order: OrderRequest) -> WriteOutcome:
            rows = await bench.store.find("orders", {})
            states.append(sorted(row["state"] for row in rows))
            commits.append(bench.store.commands["commit"])
            return await place(order)

        bench.broker.place = seen  # type: ignore[method-assign]
        await bench.warmed()
        reads = bench.broker.reads
        gate = await bench.store.get("account_gates", bench.account.broker_id)
        bench.store.commands.clear()
        written = await decided(bench)
        await bench.until(lambda: exits_sent(bench))
        assert (states, commits, bench.broker.reads) == ([["FILLED", "SUBMITTED"]], [1], reads)
        assert [(one.purpose, one.request.quantity) for one in written.exits] == [
            (Purpose.EXIT, 10)
        ]
        await left(bench)
        assert [row["state"] for row in bench.rows()] == ["FILLED", "FILLED"]
        after = await bench.store.get("account_gates", bench.account.broker_id)
        assert gate is not None
        assert after is not None
        assert after["seq"] == gate["seq"] + 1
    assert bench.sent() == [("BUY", 10), ("SELL", 10)]


async def _not_warmed(_bench: Laned) -> None:
    """Nothing was read ahead."""


async def _has_heard(bench: Laned) -> None:
    """An update came after the read: it may be a trade by hand."""
    await bench.warmed()
    bench.worker.updates.hints += 1


async def _is_sold_by_hand(bench: Laned) -> None:
    """The broker holds less than the strategy has bought."""
    key = (SBIN, Product.MIS)
    held = bench.broker.position_list[key]
    bench.broker.position_list[key] = replace(held, quantity=4)
    await bench.warmed()


async def _is_old(bench: Laned) -> None:
    """The read ahead is of too long ago."""
    await bench.warmed()
    await bench.engine.clock.advance(3)


async def _is_in_a_turn(bench: Laned) -> None:
    """The worker was woken, perhaps for a stop."""
    await bench.warmed()
    bench.worker.wake()


async def _holds_another(bench: Laned) -> None:
    """Another ledger is left: its stop must not wait for this exit's answer."""
    ledger = Ledger(
        "obedient",
        bench.account.broker_id,
        RELIANCE,
        Product.MIS,
        5,
        Decimal(1200),
        day=trading_day(TEN),
    )
    await bench.engine.writer.insert("ledgers", ledger_row(ledger))
    await bench.warmed()


async def _has_order_by_hand(bench: Laned) -> None:
    """A user's own order rests in the same shares: only the worker weighs it (R8)."""
    order = OrderRequest(
        "by-hand", SBIN, Side.SELL, 4, OrderType.LIMIT, Product.MIS, limit_price=Decimal(900)
    )
    bench.broker.show(order, BrokerStatus.WORKING)
    await bench.worker.next_turn()
    await bench.until(lambda: len(bench.rows()) == 2)
    await bench.until(bench.is_calm)
    await bench.warmed()


async def _was_denied(bench: Laned) -> None:
    """Its exit was denied when last tried, which is told in words of its own."""
    await bench.warmed()
    bench.worker.executor._denied[next(iter(await _goals(bench)))] = "POSITION_UNKNOWN"


async def _pauses(bench: Laned) -> None:
    """The broker asked to slow down."""
    await bench.warmed()
    bench.worker.executor._pauses.pause(next(iter(await _goals(bench))), 1.0)


async def _goals(bench: Laned) -> list[str]:
    return [str(row["_id"]) for row in await bench.engine.writer.find("goals", {})]


async def _has_closed(bench: Laned) -> None:
    """The instrument does not trade at this moment."""
    await bench.warmed()
    hours = bench.worker.executor._hours
    hours.is_open = lambda *_: False  # type: ignore[method-assign]


async def _may_be_sliced(bench: Laned) -> None:
    """It takes more than one order."""
    await bench.warmed()
    masters = bench.engine.wiring.masters
    instruments = masters.instruments

    async def small(broker: Any) -> Any:
        found = dict(await instruments(broker))
        if SBIN in found:
            found[SBIN] = _of_freeze(found[SBIN], 6)
        return found

    masters.instruments = small  # type: ignore[method-assign]


def _of_freeze(instrument: Any, quantity: int) -> Any:
    return replace(instrument, freeze_quantity=quantity)


async def _is_known(bench: Laned) -> None:
    """The broker has an order of that id from before the journal was restored (D04)."""
    (bought,) = await bench.engine.orders()
    ids = (bench.account.broker_id, "obedient", f"{bought.day}|run1", f"{SBIN}|MIS|exit")
    request = replace(bought.request, client_order_id=client_order_id(*ids, 1), side=Side.SELL)
    adopted = replace(
        bought,
        request=request,
        strategy=EXTERNAL,
        run_id="",
        purpose=Purpose.EXTERNAL,
        state=OrderState.REJECTED,
        broker_order_id="adopted",
        filled_quantity=0,
    )
    await bench.engine.writer.insert("orders", order_row(adopted))
    await bench.warmed()


async def _ends(bench: Laned) -> None:
    """The controller is asked to stop."""
    await bench.warmed()
    await bench.engine.wiring.gateway.ending.begin(within_s=60)


HINDRANCES = (
    _not_warmed,
    _has_heard,
    _is_sold_by_hand,
    _is_old,
    _is_in_a_turn,
    _holds_another,
    _has_order_by_hand,
    _was_denied,
    _pauses,
    _has_closed,
    _may_be_sliced,
    _is_known,
    _ends,
)


@pytest.mark.parametrize("hinder", HINDRANCES, ids=lambda one: one.__name__.strip("_"))
async def test_exit_with_something_in_its_way_is_left_to_the_worker(
    hinder: Callable[[Laned], Awaitable[None]],
) -> None:
    """Its goal is written, and the worker looks and sends as it always does."""
    async with holding() as bench:
        await hinder(bench)
        written = await decided(bench)
        assert (written.exits, written.is_signal, await _wanted(bench)) == ([], True, 0)


async def _wanted(bench: Laned) -> int:
    goals = await bench.engine.writer.find("goals", {"instrument": str(SBIN)})
    return int(goals[0]["quantity"])


@pytest.mark.parametrize("error", [Denied("LATER", "not now"), SnapshotStale("it moved")])
async def test_what_the_gate_holds_back_is_left_to_the_worker(error: Exception) -> None:
    """The run commits all the same, and the worker hears it from the gate itself."""
    async with holding() as bench:
        await bench.warmed()
        gateway = bench.engine.wiring.gateway

        async def holds_back(*_: object) -> Any:
            raise error

        gateway.bear_exit = holds_back  # type: ignore[assignment, method-assign]
        written = await decided(bench)
        assert (written.exits, written.is_signal) == ([], True)
        await left(bench)
        assert [one.quantity for one in exits_sent(bench)] == [10]


@pytest.mark.row("C6")
async def test_stop_that_rests_goes_before() -> None:
    """Both would close the same units: the worker cancels the stop, and sends the exit then."""
    async with holding(stop=Decimal("800.00")) as bench:
        await bench.until(lambda: [one.order_type for one in bench.broker.placed][1:])
        await bench.until(bench.is_calm)
        await bench.warmed()
        written = await decided(bench)
        assert written.exits == []
        await left(bench)
        stop = next(one for one in await bench.engine.orders() if one.purpose is Purpose.STOP)
        assert stop.state is OrderState.CANCELED
        assert [one.quantity for one in exits_sent(bench)] == [10]


@pytest.mark.row("C2", "C3")
@pytest.mark.parametrize(("mode", "leaves"), [(TradingMode.PAUSED, 0), (TradingMode.EXIT_ONLY, 1)])
async def test_mode_holds_for_an_exit_that_is_born(mode: TradingMode, leaves: int) -> None:
    """PAUSED sends nothing, and costs no turn at each slot; EXIT_ONLY what the broker's net allows."""
    async with holding() as bench:
        broker_id, runner, taken = bench.account.broker_id, bench.engine.wiring.runner, []
        lanes = runner._lanes

        def noted(broker_ids: Iterable[str]) -> Mapping[str, Lane]:
            taken.extend(found := list(broker_ids))
            return lanes(found)

        runner._lanes = noted

        async def body(view: StoreView) -> None:
            now = bench.engine.clock.now()
            await change_gate(view, broker_id, account_mode=mode, by="u", at=now)

        await bench.engine.writer.transaction(body, nonce="mode")
        await bench.warmed()
        written = await decided(bench)
        assert len(written.exits) == leaves
        if leaves:
            await left(bench)
        assert len(exits_sent(bench)) == leaves
        assert taken == [broker_id] * leaves


async def test_refused_exit_is_worked_out_anew() -> None:
    """What was born is an exit like any other: the worker sends the next when it is refused."""
    async with holding() as bench:
        await bench.warmed()
        bench.broker.answers.append(Refused(Refusal.REJECTED, "not now"))
        written = await decided(bench)
        assert len(written.exits) == 1
        await bench.until(lambda: exits_sent(bench))
        await bench.until(bench.is_calm)
        await bench.engine.clock.advance(30)
        bench.worker.wake()
        await bench.until(lambda: len(exits_sent(bench)) == 2)
        first, second = exits_sent(bench)
        assert first.client_order_id != second.client_order_id


@pytest.mark.matrix("C12")
async def test_exit_that_was_born_is_sent_before_the_end() -> None:
    """It is committed as sent, and nobody else would send it."""
    async with holding() as bench:
        await bench.warmed()
        await decided(bench)
        await bench.engine.wiring.gateway.ending.begin(within_s=60)
        assert len(exits_sent(bench)) == 1
        assert not bench.engine.wiring.gateway.in_flight


async def test_run_that_is_not_known_to_be_committed_sends_no_exit() -> None:
    """What it may have left is looked up as after a crash, and nothing stays locked."""
    async with holding() as bench:
        await bench.warmed()
        planner = bench.engine.wiring.runner._planner
        write = planner.write

        async def loses(*arguments: Any, **options: Any) -> Any:
            written = await write(*arguments, **options)
            bench.store.database.lost_answers = 1  # of the run's own commit, which comes next
            return written

        planner.write = loses  # type: ignore[method-assign]
        bench.strategy.want(Direction.FLAT)
        request = RunRequest("lost", bench.strategy.name, bench.engine.clock.market_now())
        with pytest.raises(StoreUnavailable):
            await bench.engine.wiring.runner.run(request)
        assert exits_sent(bench) == []
        assert not bench.engine.wiring.gateway.in_flight
        assert not bench.worker.lock.locked()
