"""What no day to come asks for is forgotten; whatever may still matter stays (decision 0019)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.logins import LoginDone
from core.domain.notices.post import Post, run_card
from core.domain.order import OrderState
from core.domain.sessions import trading_day
from core.engine.orders.documents import order_row
from core.engine.orders.goals import forget_goals, put_goal
from core.engine.orders.ledgers import ledger_row
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Blocked, Delivered
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.orders import order_in
from tests.fakes.run_bench import TEN, Obedient

EVENING = TEN.replace(hour=20)
OVER, HELD, WORKING, RECENT = (InstrumentId("NSE", name) for name in ("A", "B", "C", "D"))


async def goal(engine: MemoryEngine, broker_id: str, instrument: InstrumentId) -> None:
    await put_goal(
        engine.store,
        strategy="orb",
        broker_id=broker_id,
        instrument=instrument,
        product=Product.CNC,
        quantity=0,
        stop_price=None,
        run_id="run",
        day=trading_day(engine.clock.market_now()),
        at=engine.clock.now(),
        signal_at=engine.clock.market_now(),
    )


async def left(engine: MemoryEngine) -> set[str]:
    return {row["instrument"] for row in await engine.store.find("goals", {})}


@pytest.fixture
async def engine() -> MemoryEngine:
    """An account with goals of ten days ago, and one of yesterday."""
    engine = await MemoryEngine(market_clock(EVENING), {"obedient": Obedient()}).owned()
    account = await engine.connect()
    for instrument in (OVER, HELD, WORKING):
        await goal(engine, account.broker_id, instrument)
    ledger = Ledger("orb", account.broker_id, HELD, Product.CNC)
    await engine.store.insert("ledgers", ledger_row(replace(ledger, quantity=3)))
    await engine.store.insert("ledgers", ledger_row(replace(ledger, instrument=OVER)))
    order = order_in(
        OrderState.UNRESOLVED,
        broker_id=account.broker_id,
        instrument=WORKING,
        product=Product.CNC,
        strategy="orb",
    )
    await engine.store.insert("orders", order_row(order))
    await engine.clock.advance(timedelta(days=9).total_seconds())
    await goal(engine, account.broker_id, RECENT)
    return engine


async def test_goals_of_positions_that_are_long_over_are_forgotten(engine: MemoryEngine) -> None:
    """Not where something is held or an order's fate is open, nor those of the last days."""
    await engine.wiring.upkeep.pruning.tick()
    assert await left(engine) == {str(HELD), str(WORKING), str(RECENT)}


async def test_pruning_is_done_once_a_day(engine: MemoryEngine) -> None:
    """What grows old during a day waits for the next one."""
    pruning = engine.wiring.upkeep.pruning
    await pruning.tick()
    await engine.clock.advance(timedelta(days=9).total_seconds())
    await pruning.tick()
    assert await left(engine) == {str(HELD), str(WORKING)}


async def test_goal_that_is_set_anew_meanwhile_stays(engine: MemoryEngine) -> None:
    """The removal names the time that the goal was set: a run that sets it wins."""
    (account,) = await engine.wiring.accounts.all()
    now = engine.clock.now()
    await goal(engine, account.broker_id, OVER)
    before = now - timedelta(days=8)
    assert await forget_goals(engine.store, account.broker_id, before=before, keep=()) == 2
    assert await left(engine) == {str(OVER), str(RECENT)}


async def days(engine: MemoryEngine, number: int) -> None:
    """Let days pass, each with as many ticks as there are days of backlog."""
    await engine.clock.advance(timedelta(days=number).total_seconds())
    for _ in range(number + 1):
        await engine.wiring.upkeep.pruning.tick()


async def count(engine: MemoryEngine, collection: str) -> int:
    return len(await engine.store.find(collection, {}))


async def event(engine: MemoryEngine, broker_id: str) -> None:
    """File an order that does not come to its end, with its first step."""
    day = trading_day(engine.clock.market_now())
    order = order_in(
        OrderState.UNRESOLVED, broker_id=broker_id, day=day, client_order_id="SSTEPS" + "A" * 14
    )
    await engine.store.insert("orders", order_row(order))
    at, name = engine.clock.now(), order.client_order_id
    row = {"_id": f"{name}#0", "client_order_id": name, "n": 0, "broker_id": broker_id, "at": at}
    await engine.store.insert("order_events", row)


async def test_steps_of_orders_go_after_more_than_a_financial_year(engine: MemoryEngine) -> None:
    """Also those of an account that was disconnected since; the order itself stays."""
    account = await engine.connect("Gone since")
    await event(engine, account.broker_id)
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    await days(engine, 399)
    assert await count(engine, "order_events") == 1
    await days(engine, 3)
    assert await count(engine, "order_events") == 0
    assert await count(engine, "orders") == 2


async def test_delivered_notices_go_and_undelivered_ones_stay(engine: MemoryEngine) -> None:
    """With the place of a card that was not shown since; what waits or is dead stays."""
    outbox, chat = engine.wiring.outbox, _Chat()
    sender = OutboxSender(engine.store, engine.clock, outbox, chat)

    async def post(*posts: Post) -> None:
        for one in posts:
            await outbox.post(engine.store, one)

    async def deliver() -> None:
        for chat_id in await sender._chats():
            await sender._drain(chat_id)

    async def states() -> list[str]:
        return [row["state"] for row in await engine.store.find("outbox", {}, sort=[("seq", 1)])]

    await engine.store.delete("outbox", {})
    await post(Post(LoginDone("a")), run_card("old"), run_card("shown again"))
    await deliver()
    chat.blocked = True
    await post(Post(LoginDone("dead")))
    await deliver()
    await post(Post(LoginDone("waits")))
    await days(engine, 29)
    assert await states() == ["SENT", "SENT", "SENT", "DEAD", "WAITING"]
    chat.blocked = False
    await post(run_card("shown again"))
    await deliver()
    await days(engine, 3)
    assert await states() == ["DEAD", "SENT"], "what waited was sent with the last"
    assert await engine.card(run_card("old").key or "") is None
    assert await engine.card(run_card("shown again").key or "") is not None


async def test_runs_that_changed_nothing_go(engine: MemoryEngine) -> None:
    """A run that decided something is kept for good, and so is what nobody carried out yet."""
    at = engine.clock.market_now()
    for name, is_signal in (("quiet", False), ("signal", True)):
        row = {"_id": name, "strategy": "obedient", "slot_at": at, "is_signal": is_signal}
        await engine.store.insert("runs", row)
    for name, state in (("carried out", "done"), ("filed", "filed")):
        row = {"_id": name, "state": state, "filed_at": engine.clock.now()}
        await engine.store.insert("run_requests", row)
    await days(engine, 29)
    assert (await count(engine, "runs"), await count(engine, "run_requests")) == (2, 2)
    await days(engine, 3)
    (run,), (asked,) = [await engine.store.find(name, {}) for name in ("runs", "run_requests")]
    assert (run["_id"], asked["_id"]) == ("signal", "filed")


async def test_nothing_is_removed_while_something_trades(engine: MemoryEngine) -> None:
    """The store has better things to do then."""
    await event(engine, "anybody")
    await engine.clock.advance_to((EVENING + timedelta(days=403)).replace(hour=11))
    day = engine.clock.market_now()
    while not engine.wiring.hours.is_any_open():
        day += timedelta(days=1)
        await engine.clock.advance_to(day)
    store = CountedStore(database=engine.store.database)
    pruning = MemoryEngine(engine.clock, store=store).wiring.upkeep.pruning
    await pruning.tick()
    assert store.commands.total() == 0


class _Chat:
    """A chat that can be blocked."""

    blocked = False

    async def deliver(self, *_: object, **__: object) -> Delivered | Blocked:
        return Blocked("by the user") if self.blocked else Delivered(1)
