"""What an order of unknown fate holds up: its instrument on its account, and nothing else (R4)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.account import Account
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.orders import OrderUnresolved
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose
from core.domain.outcome import Ambiguous, Refusal, Refused, WriteOutcome
from core.domain.protection import Lack, Shelter
from core.domain.sessions import trading_day
from core.engine.control import closing
from core.engine.orders.documents import order_row
from core.engine.orders.protections import Standing
from core.errors import UserError
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.held import hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.orders import entry_of, order_in
from tests.fakes.run_bench import TEN

pytestmark = [pytest.mark.row("R4"), pytest.mark.invariant("I2")]

S = OrderState
TAG = "SAAAAAAAAAAAAAAAAAAA"
RELIANCE, TCS = InstrumentId("NSE", "RELIANCE"), InstrumentId("NSE", "TCS")


async def unresolved(engine: MemoryEngine, broker_id: str, **changes: object) -> Order:
    """Let an entry of 5 SBIN of another strategy be of unknown fate, sent now."""
    now = engine.clock.now()
    given = {
        "broker_id": broker_id,
        "strategy": "other",
        "quantity": 5,
        "day": trading_day(engine.clock.market_now()),
        "created_at": now,
        "submitted_at": now,
        **changes,
    }
    order = order_in(S.UNRESOLVED, **given)
    await engine.wiring.journal.add(engine.store, [order])
    return order


async def decide(engine: MemoryEngine, account: Account, instrument: InstrumentId) -> None:
    """Leave an entry of a run that was not sent yet, as a run commits it."""
    ledger = Ledger("trend", account.broker_id, instrument, Product.MIS, 5, Decimal(815))
    today, now = trading_day(engine.clock.market_now()), engine.clock.now()
    filled = entry_of(ledger, f"{account.broker_id}{instrument}", today, now)
    entry = replace(filled, strategy="trend", run_id="r", state=S.INITIALIZED, filled_quantity=0)
    await engine.store.insert("orders", order_row(entry))
    await want(engine, ledger, 5, run_id="r")


@pytest.mark.matrix("S04")
async def test_only_its_instrument_on_its_account_waits() -> None:
    """Entries and exits of other instruments there, and of the same one elsewhere, go at once."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    here, there = await engine.connect("Here"), await engine.connect("There")
    held = [
        await hold(engine, here, 10, instrument=TCS),
        await hold(engine, there, 10, instrument=TCS),
    ]
    workers = [await worker_of(engine, one) for one in (here, there)]
    await unresolved(engine, here.broker_id)
    for account in (here, there):
        await decide(engine, account, SBIN)
        await decide(engine, account, RELIANCE)
    for ledger in held:
        await want(engine, ledger)
    for worker in workers:
        for _ in range(3):
            await worker.turn()
    sent = {
        account.display_name: {
            (one.instrument.symbol, one.side.value) for one in engine.at_broker(account).placed
        }
        for account in (here, there)
    }
    assert sent == {
        "Here": {("RELIANCE", "BUY"), ("TCS", "SELL")},
        "There": {("SBIN", "BUY"), ("RELIANCE", "BUY"), ("TCS", "SELL")},
    }
    denied = [one for one in await engine.orders() if one.state is S.DENIED]
    assert [one.broker_id for one in denied] == [here.broker_id]
    assert "not settled yet" in denied[0].reason


@pytest.fixture
async def desk() -> Desk:
    return await a_desk()


async def test_exit_of_what_is_held_waits_and_its_stop_rests_on(desk: Desk) -> None:
    """The stop is not taken away for an exit that may not go; settled, the exit goes at once."""
    await desk.holds(10, Decimal(800))
    await unresolved(desk.engine, desk.broker_id)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(8, apart_s=3)
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert await desk.orders(Purpose.EXIT) == []
    view = await desk.engine.control.unresolved.view(TAG)
    assert view.held == ("+10 SBIN: its stop rests at the broker at ₹800.00 until its exit may go",)
    await desk.engine.control.unresolved.not_placed(desk.engine.command(), TAG)
    await desk.clock.advance(6)
    await desk.turns(6)
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_close_by_the_user_waits_too_and_goes_when_it_is_settled(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not sent beside the doubt; the goal stays, and the horizon lets it go."""
    monkeypatch.setattr(closing, "_ANSWER_S", 0.1)
    await desk.holds(10, Decimal(800))
    await unresolved(desk.engine, desk.broker_id)
    key = f"{SBIN}|MIS"
    command = desk.engine.command()
    with pytest.raises(UserError):
        await _with_turns(
            desk,
            desk.engine.control.orders.close(command, desk.broker_id, key, despite_pause=False),
        )
    assert await desk.orders(Purpose.EXIT) == []
    await desk.turns(14, apart_s=10)
    assert (await desk.engine.wiring.journal.get(TAG)).state is S.NOT_PLACED
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def _with_turns(desk: Desk, wish: Coroutine[Any, Any, Order]) -> Order:
    task = asyncio.ensure_future(wish)
    while not task.done():
        await desk.worker.turn()
        await asyncio.sleep(0)
    return await task


async def test_exit_of_unknown_fate_is_not_sent_again_beside_itself(desk: Desk) -> None:
    """Its answer is lost and it did not arrive: worked out anew once it is given up, one time."""
    await desk.holds(10)
    lost: list[OrderRequest] = []

    def answer(order: OrderRequest) -> WriteOutcome | None:
        if lost or order.order_type is not OrderType.MARKET:
            return None
        lost.append(order)
        return Ambiguous("no answer within 7 s")

    desk.at.answer = answer
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(20, apart_s=2)
    (first,) = await desk.orders(Purpose.EXIT)
    assert first.state is S.UNRESOLVED
    view = await desk.engine.control.unresolved.view(first.client_order_id)
    assert view.order.reason == "no answer within 7 s"
    assert view.held == ("+10 SBIN: nobody knows yet whether its exit is at the broker",)
    await desk.engine.control.unresolved.not_placed(desk.engine.command(), first.client_order_id)
    await desk.turns(6, apart_s=3)
    assert await desk.states(Purpose.EXIT) == ["NOT_PLACED", "FILLED"]
    assert await desk.units() == 0
    keys = {one.client_order_id for one in await desk.engine.notices(OrderUnresolved)}  # type: ignore[union-attr]
    assert keys == {first.client_order_id}


async def standing(desk: Desk) -> Standing:
    (one,) = await desk.engine.wiring.protections.of_account(desk.broker_id, needs_login=False)
    return one


@pytest.mark.row("R6")
async def test_stop_that_is_watched_here_protects_nothing_beside_it(desk: Desk) -> None:
    """Its exit could not go: the position is named as unprotected, until the order is settled."""
    desk.at.answer = lambda order: (
        Refused(Refusal.REJECTED, "no stop orders here")
        if order.order_type is not OrderType.MARKET
        else None
    )
    await desk.holds(10, Decimal(800))
    desk.engine.wiring.prices.put(SBIN, Decimal(815), desk.clock.now())
    assert (await standing(desk)).protection.is_software
    await unresolved(desk.engine, desk.broker_id)
    protection = (await standing(desk)).protection
    assert (protection.shelter, protection.gap) == (Shelter.UNPROTECTED, Lack.NOT_SENT)
    assert "an order of SBIN is unresolved" in protection.how


@pytest.mark.row("R6")
async def test_stop_goes_back_when_an_order_becomes_unknown_behind_its_cancel(desk: Desk) -> None:
    """Another strategy's order: the exit may not go any more, so the stop rests again meanwhile."""
    await desk.holds(10, Decimal(800))
    cancel = desk.at.cancel

    async def cancel_and_doubt(broker_order_id: str) -> WriteOutcome:
        outcome = await cancel(broker_order_id)
        await unresolved(desk.engine, desk.broker_id)
        return outcome

    desk.at.cancel = cancel_and_doubt  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(4)
    assert await desk.orders(Purpose.EXIT) == []
    assert [one.quantity for one in desk.at.resting()] == [10]
    await desk.turns(8, apart_s=3)
    assert await desk.states(Purpose.STOP) == ["CANCELED", "ACCEPTED"]
    assert (await standing(desk)).protection.shelter is Shelter.PROTECTED
    desk.at.cancel = cancel  # type: ignore[method-assign]
    await desk.engine.control.unresolved.not_placed(desk.engine.command(), TAG)
    await desk.clock.advance(6)
    await desk.turns(6)
    assert (await desk.units(), desk.at.resting()) == (0, [])


@pytest.mark.row("R6", "D9")
async def test_what_has_just_filled_gets_its_stop_beside_it(desk: Desk) -> None:
    """An order of another strategy leaves nobody's entry without a stop until the horizon."""
    await unresolved(desk.engine, desk.broker_id)
    await desk.holds(10, Decimal(800))
    await desk.turns(3)
    assert [(one.quantity, one.trigger_price) for one in desk.at.resting()] == [(10, Decimal(800))]
    assert (await standing(desk)).protection.shelter is Shelter.PROTECTED


@pytest.mark.row("R6", "R7")
async def test_stop_waits_for_an_order_of_its_own_strategy(desk: Desk) -> None:
    """It is sized by what is held, and that order may change it; the position is named meanwhile."""
    await unresolved(desk.engine, desk.broker_id, strategy="orb")
    await desk.holds(10, Decimal(800))
    await desk.turns(3)
    assert desk.at.resting() == []
    protection = (await standing(desk)).protection
    assert (protection.gap, protection.is_to_come) == (Lack.NOT_RESTING, False)
    assert "an order of SBIN is unresolved" in protection.how
