"""A journal that is older than what the broker knows: what is adopted, sent, and said (D04)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.mongo.schema import COLLECTIONS
from core.domain.broker import BrokerStatus, Holding
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.notices.backups import RestoredCompared, StoreRestored
from core.domain.notices.notice import Notice
from core.domain.notices.protection import ExitDenied
from core.domain.order import EXTERNAL, MANUAL, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.panic import PanicEnd
from core.domain.sessions import trading_day
from core.domain.target import Direction
from core.engine.control.restored import RestoredWatch, note_restored
from core.engine.orders.goals import UserClose, put_goal
from core.engine.safeguards.panics import add_panic, newest_panic
from core.engine.users import owner_ids, settle_owners
from core.ports.store import Document
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.matrix("D04")

Backup = dict[str, list[Document]]


async def backup(bench: RunBench) -> Backup:
    """Return everything in the store."""
    return {one.name: await bench.engine.store.find(one.name, {}) for one in COLLECTIONS}


async def restored(
    old: RunBench, kept: Backup, *, listed: Collection[int] = (1,), keeps_owners: bool = False
) -> RunBench:
    """Return a bench whose store is the backup, and whose broker has gone on."""
    await old.engine.clock.advance(60)
    new = RunBench(clock=old.engine.clock)
    new.engine.brokers = old.engine.brokers
    new.engine.vault = None
    new.engine.key = old.engine.key
    new.engine.__post_init__()
    for name, rows in kept.items():
        await new.engine.store.insert(name, *rows)
    at = new.engine.clock.now()
    await note_restored(
        new.engine.store,
        backup_at=at - timedelta(hours=2),
        at=at,
        listed=listed,
        keeps_owners=keeps_owners,
    )
    new.account = old.account
    new.worker = new.engine.wiring.new_worker(new.account.broker_id)
    new.engine.wiring.pool._workers[new.account.broker_id] = new.worker
    return new


def watch_of(bench: RunBench) -> RestoredWatch:
    store, wiring = bench.engine.writer, bench.engine.wiring
    return RestoredWatch(
        store,
        bench.engine.clock,
        wiring.outbox,
        wiring.accounts,
        wiring.journal,
        bench.engine.control.views,
        wiring.pool.get,
    )


async def normal(bench: RunBench) -> None:
    modes = bench.engine.control.modes
    await modes.set(bench.engine.command(), TradingMode.NORMAL, bench.account.broker_id)


async def test_entry_that_the_broker_has_is_not_sent_again() -> None:
    """It is adopted under the id of its tag; its run, planned anew, enters nothing, for ever."""
    old = await RunBench().opened()
    kept = await backup(old)
    old.strategy.want(Direction.LONG)
    await old.run()
    await old.turns()
    (entry,) = [one for one in await old.engine.orders() if one.purpose is Purpose.ENTRY]
    assert (entry.state, len(old.broker.placed)) == (OrderState.FILLED, 1)

    new = await restored(old, kept)
    new.strategy.want(Direction.LONG)
    await new.turns()

    (adopted,) = await new.engine.orders()
    assert (adopted.client_order_id, adopted.strategy) == (entry.client_order_id, EXTERNAL)
    assert (adopted.filled_quantity, await new.held()) == (10, 0)
    account = await new.engine.wiring.accounts.get(new.account.broker_id)
    assert account.trading_mode is TradingMode.EXIT_ONLY
    await normal(new)
    await new.run()
    await new.turns()
    assert len(new.broker.placed) == 1
    assert "sent before the backup was restored" in await new.note()
    assert [one.client_order_id for one in await new.engine.orders()] == [entry.client_order_id]


async def test_exit_never_takes_an_id_that_the_broker_has_seen() -> None:
    """The broker has cancelled it since; its run, planned anew, exits under the next id."""
    old = await RunBench().opened()
    old.strategy.want(Direction.LONG)
    await old.run()
    await old.turns()
    kept = await backup(old)
    old.strategy.want(Direction.FLAT)
    old.broker.is_slow = True
    await old.run()
    await old.turns(2)
    _, exit_ = old.broker.placed
    (shown,) = [o for o in old.broker.order_list.values() if o.tag == exit_.client_order_id]
    gone = replace(shown, status=BrokerStatus.CANCELED)
    old.broker.order_list[shown.broker_order_id] = gone
    old.broker.is_slow = False

    new = await restored(old, kept)
    next(new._numbers)
    new.strategy.want(Direction.FLAT)
    await new.run()
    await new.turns()

    ids = [order.client_order_id for order in new.broker.placed]
    assert ids[1] == exit_.client_order_id
    assert len(ids) == len(set(ids)) == 3
    assert (await new.held(), new.broker.placed[2].quantity) == (0, 10)
    rows = {order.client_order_id: order for order in await new.engine.orders()}
    assert rows[ids[1]].purpose is Purpose.EXTERNAL
    assert rows[ids[2]].purpose is Purpose.EXIT


async def long(stop: Decimal | None = None) -> RunBench:
    """Return a bench whose strategy holds ten."""
    old = await RunBench().opened()
    old.strategy.want(Direction.LONG, stop=stop)
    await old.run()
    await old.turns()
    return old


async def test_stop_of_after_the_backup_is_its_ledgers_again() -> None:
    """It protects on, at its price, and makes way for the strategy's exit."""
    old = await long()
    kept = await backup(old)
    old.strategy.want(Direction.LONG, stop=Decimal(800))
    await old.run()
    await old.turns()
    assert old.sent() == [("BUY", 10), ("SELL", 10)]

    new = await restored(old, kept)
    next(new._numbers)
    await new.turns()

    assert len(new.broker.placed) == 2
    (stop,) = [one for one in await new.engine.orders() if one.purpose is Purpose.STOP]
    assert (stop.strategy, stop.state) == (new.strategy.name, OrderState.ACCEPTED)
    assert stop.request.trigger_price == Decimal(800)
    watch = watch_of(new)
    await watch.tick()
    compared = RestoredCompared(new.account.broker_id, 0, (), stops=1)
    assert await new.engine.notices(RestoredCompared) == [compared]

    new.strategy.want(Direction.FLAT)
    await new.run()
    await new.turns()
    (stop,) = [one for one in await new.engine.orders() if one.purpose is Purpose.STOP]
    assert (await new.held(), stop.state) == (0, OrderState.CANCELED)
    assert new.sent()[2:] == [("SELL", 10)]


async def test_order_of_ours_that_is_not_proved_a_stop_is_not_called_the_users() -> None:
    """It rests for nobody, and the exit that waits for it says whose it is."""
    old = await long()
    kept = await backup(old)
    new = await restored(old, kept)
    tagged = OrderRequest(
        "S" + "A" * 19, SBIN, Side.SELL, 10, OrderType.LIMIT, Product.MIS, limit_price=Decimal(900)
    )
    await new.broker.place(tagged)
    new.strategy.want(Direction.FLAT)
    next(new._numbers)
    await new.run()
    await new.turns()
    for _ in range(3):
        await new.engine.clock.advance(10)
        await new.turns()

    (denied,) = await new.engine.notices(ExitDenied)
    assert isinstance(denied, ExitDenied)
    assert "an order that Saarthi sent before the restore, Sell 10 NSE:SBIN" in denied.reason
    assert await new.held() == 10


async def test_close_of_the_backup_is_not_carried_out_again() -> None:
    """What a user closed then is kept: it may have been closed, and bought back by hand, since."""
    old = await long(stop=Decimal(800))
    await old.close()
    kept = await backup(old)

    new = await restored(old, kept)
    await new.turns()

    assert new.sent() == [("BUY", 10), ("SELL", 10)]
    assert (await new.held(), await new.goal()) == (10, 10)
    (stop,) = [one for one in await new.engine.orders() if one.purpose is Purpose.STOP]
    assert stop.state is OrderState.ACCEPTED


async def test_close_of_what_nobody_owns_is_not_carried_out_again() -> None:
    """Its goal asks for nothing more, and goes."""
    old = await RunBench().opened()
    at, now = old.engine.clock.now(), old.engine.clock.market_now()
    await put_goal(
        old.engine.store,
        strategy=MANUAL,
        broker_id=old.account.broker_id,
        instrument=SBIN,
        product=Product.MIS,
        quantity=0,
        stop_price=None,
        run_id="close",
        day=trading_day(now),
        at=at,
        close=UserClose(despite_pause=False, outside=10),
    )
    await old.broker.place(OrderRequest("hand", SBIN, Side.BUY, 10, OrderType.MARKET, Product.MIS))
    new = await restored(old, await backup(old))
    await new.turns()
    assert new.sent() == [("BUY", 10)]
    assert await new.engine.store.find("goals", {}) == []


async def test_who_paired_is_served_on_only_where_that_is_asked_for() -> None:
    """They may have been removed since; links and a pairing code of then open nothing."""
    old = await RunBench().opened()
    store = old.engine.store
    await store.insert("users", {"_id": "2", "role": "owner", "by": "pairing", "name": "Ravi"})
    await store.insert("login_links", {"_id": "link", "broker_id": old.account.broker_id})
    await store.insert("settings", {"_id": "pairing", "code": "ABCD"})
    kept = await backup(old)

    new = await restored(old, kept, listed={1})
    assert await owner_ids(new.engine.store) == {1}
    await settle_owners(new.engine.store, {1})
    assert await owner_ids(new.engine.store) == {1}
    assert await new.engine.store.find("login_links", {}) == []
    assert await new.engine.store.get("settings", "pairing") is None
    await watch_of(new).tick()
    (told,) = await new.engine.notices(StoreRestored)
    assert isinstance(told, StoreRestored)
    assert (told.kept, told.dropped) == ((), ("Ravi",))

    asked = await restored(old, kept, listed={1}, keeps_owners=True)
    assert await owner_ids(asked.engine.store) == {1, 2}
    await watch_of(asked).tick()
    (told,) = await asked.engine.notices(StoreRestored)
    assert isinstance(told, StoreRestored)
    assert (told.kept, told.dropped) == (("Ravi",), ())


@pytest.mark.parametrize(("there", "apart"), [(4, ("NSE:SBIN CNC +4, strategies +10",)), (10, ())])
async def test_delivery_is_compared_with_the_holdings(there: int, apart: tuple[str, ...]) -> None:
    """Shares that were sold since are told; more than strategies hold is the user's own."""
    old = await RunBench().opened()
    held = Ledger(old.strategy.name, old.account.broker_id, SBIN, Product.CNC, 10)
    await old.engine.hold(held)
    kept = await backup(old)
    new = await restored(old, kept)
    new.broker.holding_list.append(Holding(SBIN, there, 0, Decimal(800), Decimal(815)))
    await new.turns()
    await watch_of(new).tick()
    (told,) = await new.engine.notices(RestoredCompared)
    assert told == RestoredCompared(new.account.broker_id, 0, apart)


async def test_user_hears_what_was_found() -> None:
    """Once of the restored store, and once of each account after its first reads."""
    old = await RunBench().opened()
    kept = await backup(old)
    old.strategy.want(Direction.LONG)
    await old.run()
    await old.turns()
    new = await restored(old, kept)
    watch = watch_of(new)

    await watch.tick()
    told: list[Notice] = [StoreRestored(new.engine.clock.now() - timedelta(hours=2), 1)]
    assert await new.engine.notices(StoreRestored, RestoredCompared) == told
    await new.turns()
    await watch.tick()
    await watch.tick()
    await watch_of(new).tick()

    apart = ("NSE:SBIN MIS +10",)
    compared = RestoredCompared(new.account.broker_id, 1, apart)
    assert await new.engine.notices(StoreRestored, RestoredCompared) == [*told, compared]
    assert await new.engine.store.get("settings", "restored") is None


async def test_panic_of_the_backup_is_not_taken_up() -> None:
    """It would close what was bought since; the user is told, and accounts may only exit."""
    old = await RunBench().opened()
    await add_panic(
        old.engine.store,
        [old.account.broker_id],
        at=old.engine.clock.now(),
        day="2026-11-23",
        by="1",
        with_holdings=False,
        is_global=False,
    )
    new = await restored(old, await backup(old))
    panic = await newest_panic(new.engine.store)
    assert panic is not None
    assert (panic.end, panic.ended_by) == (PanicEnd.STOPPED, "restore")
    await watch_of(new).tick()
    (told,) = await new.engine.notices(StoreRestored)
    assert isinstance(told, StoreRestored)
    assert told.had_panic


async def test_store_that_was_never_restored_costs_nothing() -> None:
    """One look, and no more."""
    bench = await RunBench().opened()
    watch = watch_of(bench)
    await watch.tick()
    await bench.engine.store.insert("settings", {"_id": "restored"})
    await watch.tick()
    assert await bench.engine.notices(StoreRestored) == []
