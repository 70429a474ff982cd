"""An exit that is not through is said once, with its reason, and so is its end (row R3)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from core.domain.account import Account
from core.domain.backoff import RESTED
from core.domain.broker import BrokerStatus, PriceBand, Quote
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.exits import ExitStuck, ExitThrough
from core.domain.notices.protection import ExitDenied
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.order import OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.engine.workers.account_worker import AccountWorker
from tests.fakes.brokers import SBIN
from tests.fakes.held import STRATEGY, hold, want, worker_of
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.orders import order_in
from tests.fakes.run_bench import TEN
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.row("R3")

ORDER = "Sell 10 NSE:SBIN MIS"


class Closing:
    """An account whose strategy wants to be flat; it holds 10."""

    account: Account
    ledger: Ledger
    worker: AccountWorker

    def __init__(self, now: datetime = TEN) -> None:
        self.engine = MemoryEngine(market_clock(now))

    async def opened(self) -> Closing:
        await self.engine.owned()
        self.account = await self.engine.connect()
        self.ledger = await hold(self.engine, self.account, 10)
        self.worker = await worker_of(self.engine, self.account)
        self.broker.is_slow = True
        await want(self.engine, self.ledger)
        return self

    @property
    def broker(self) -> ScriptedAccount:
        return self.engine.at_broker(self.account)

    async def passes(self, seconds: int, step: int = 5) -> None:
        """Let time pass, with turns of the worker."""
        for _ in range(seconds // step):
            await self.engine.clock.advance(step)
            await self.worker.turn()
            await self.worker.turn()

    def fill(self) -> None:
        (shown,) = [
            one for one in self.broker.order_list.values() if one.status is BrokerStatus.WORKING
        ]
        self.broker.fill(shown.broker_order_id)

    async def stuck(self) -> list[tuple[str, str]]:
        found = await self.engine.notices(ExitStuck)
        return [(one.order, one.reason) for one in found if isinstance(one, ExitStuck)]


@pytest.fixture
async def closing() -> Closing:
    return await Closing().opened()


async def test_an_exit_that_does_not_fill_is_said_once_and_its_end_too(closing: Closing):
    """Nothing for 29 s, then one notice however long it lasts, and one when it is through (n04)."""
    await closing.worker.turn()
    await closing.passes(25)
    assert await closing.stuck() == []
    await closing.passes(180)
    assert await closing.engine.notices(ExitStuck) == [
        ExitStuck(
            closing.account.broker_id,
            ORDER,
            "the broker has taken the order, and it does not fill",
            STRATEGY,
        )
    ]
    assert await closing.engine.notices(ExitThrough) == []
    assert await closing.engine.notices(PositionClosed) == []
    closing.fill()
    await closing.passes(30)
    assert len(await closing.stuck()) == 1
    (told,) = await closing.engine.notices(PositionClosed)
    assert isinstance(told, PositionClosed)
    assert (told.closed_by, told.quantity, told.result is None) == (ClosedBy.LATE, 10, False)
    rows = await closing.engine.store.find(
        "outbox", {"kind": {"$in": ["exit_stuck", "exit_through"]}}
    )
    # The alarm goes from the chat, and what is left says how the position ended.
    assert {row["key"] for row in rows} == {f"stuck:{closing.ledger.key}"}
    assert rows[-1]["delivery"] == "remove"


async def test_a_cancel_that_changes_nothing_is_said_and_not_stormed(closing: Closing):
    """The exchange's link is down: one exit, few cancels, one notice that names the cancel (n04)."""
    asked = []

    async def accepted(broker_order_id: str) -> WriteOutcome:
        asked.append(broker_order_id)
        return Acked(broker_order_id)

    closing.broker.cancel = accepted  # type: ignore[method-assign]
    await closing.worker.turn()
    await closing.passes(45)
    reason = "a cancel of the exit that rests was sent, but the exchange does not cancel it"
    assert await closing.stuck() == [(ORDER, reason)]
    assert (len(closing.broker.placed), len(asked) <= 6) == (1, True)
    closing.fill()
    await closing.passes(10)
    assert len(await closing.engine.notices(PositionClosed)) == 1
    assert len(closing.broker.placed) == 1


async def test_a_cancel_without_effect_is_named_while_the_exit_works_on(closing: Closing):
    """Between two cancels of no effect the order is as it was: the reason does not depend on when."""
    fields = {"purpose": Purpose.EXIT, "broker_order_id": "b1"}
    works_on = order_in(OrderState.ACCEPTED, **fields, cancel_reason=RESTED)
    why = closing.worker.executor.why_not_through
    assert why([works_on]) == why([order_in(OrderState.PENDING_CANCEL, **fields)])
    assert why([works_on]) != why([order_in(OrderState.ACCEPTED, **fields)])


async def test_a_restart_neither_repeats_it_nor_forgets_the_end(closing: Closing):
    """What was said stands in the goal."""
    await closing.worker.turn()
    await closing.passes(40)
    closing.worker = await worker_of(closing.engine, closing.account)
    await closing.passes(60)
    assert len(await closing.stuck()) == 1
    closing.fill()
    closing.worker = await worker_of(closing.engine, closing.account)
    await closing.passes(10)
    assert len(await closing.engine.notices(PositionClosed)) == 1


async def test_an_exit_that_is_refused_backs_off_and_is_said_with_the_words(closing: Closing):
    """It is never given up: a handful of orders in five minutes, and one notice that says why."""
    words = "Something that nobody has seen before"
    closing.broker.answers = [Refused(Refusal.REJECTED, words)] * 50
    await closing.worker.turn()
    await closing.passes(300)
    assert 6 <= len(closing.broker.placed) <= 11
    assert await closing.stuck() == [(ORDER, words)]
    closing.broker.answers = []
    closing.broker.is_slow = False
    await closing.passes(120)
    assert len(await closing.engine.notices(PositionClosed)) == 1


async def test_at_the_circuit_limit_an_exit_keeps_its_place(closing: Closing):
    """It is not cancelled and sent anew each 15 s, and the notice names the limit (n14)."""
    price = Decimal(733)
    closing.broker.quote_list[SBIN] = Quote(SBIN, price, lower_circuit=price)
    await closing.worker.turn()
    await closing.passes(300)
    assert len(closing.broker.placed) == 1
    (told,) = await closing.stuck()
    assert told == (ORDER, "the price stands at its circuit limit; the order keeps its place there")
    closing.broker.quote_list[SBIN] = Quote(SBIN, price + 1, lower_circuit=price)
    await closing.passes(30)
    assert len(closing.broker.placed) > 1, "away from the limit it is chased"


@pytest.mark.row("R3")
async def test_an_exit_keeps_its_place_where_quotes_do_not_name_the_limit(closing: Closing):
    """Its limit is asked for then: Fyers' quotes name none."""
    price = Decimal(733)

    async def price_band(_instrument: InstrumentId) -> PriceBand:
        return PriceBand(price, None)

    closing.broker.price_band = price_band  # type: ignore[attr-defined]
    closing.broker.quote_list[SBIN] = Quote(SBIN, price)
    await closing.worker.turn()
    await closing.passes(300)
    assert len(closing.broker.placed) == 1
    closing.broker.quote_list[SBIN] = Quote(SBIN, price + 1, day_low=price)
    await closing.passes(30)
    assert len(closing.broker.placed) > 1, "away from the limit it is chased"


async def test_without_a_quote_an_exit_is_chased_more_and_more_rarely(closing: Closing):
    """A market that does not trade and is not known to: five exits in three minutes, one at work."""
    closing.broker.quote_list[SBIN] = None
    await closing.worker.turn()
    await closing.passes(180)
    assert len(closing.broker.placed) <= 5
    working = [o for o in closing.broker.order_list.values() if o.status is BrokerStatus.WORKING]
    assert [one.quantity for one in working] == [10]


async def test_a_restart_does_not_blame_the_stop_for_what_waits_for_a_person(closing: Closing):
    """The rest of an exit waits for a person's own order, which was said: its stop is no news.

    After a restart it was reported at once, as a stop whose cancel is not confirmed (row R8).
    """
    closing.broker.is_slow = False
    await want(closing.engine, closing.ledger, 10, stop_price=Decimal(800), run_id="stop")
    await closing.passes(5)
    target = OrderRequest("", SBIN, Side.SELL, 7, OrderType.LIMIT, Product.MIS, Decimal(830))
    closing.broker.show(target)
    await closing.passes(5)
    await want(closing.engine, closing.ledger, run_id="flat")
    await closing.passes(60)
    assert [one.quantity for one in await closing.engine.ledgers()] == [7]
    assert len(await closing.engine.notices(ExitDenied)) == 1
    closing.worker = await worker_of(closing.engine, closing.account)
    await closing.passes(60)
    assert await closing.stuck() == []


async def test_what_waits_for_the_open_is_not_stuck():
    """At night an exit waits and is announced; it is not reported as stuck."""
    closing = await Closing(TEN.replace(hour=20)).opened()
    await closing.passes(120)
    assert await closing.stuck() == []
