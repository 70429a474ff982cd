"""A journal that is older than what the broker knows: what is adopted, sent, and said (D04)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.adapters.mongo.schema import COLLECTIONS
from core.domain.broker import BrokerStatus
from core.domain.mode import TradingMode
from core.domain.notices.backups import RestoredCompared, StoreRestored
from core.domain.notices.notice import Notice
from core.domain.order import EXTERNAL, OrderState, Purpose
from core.domain.panic import PanicEnd
from core.domain.target import Direction
from core.engine.control.restored import RestoredWatch, note_restored
from core.engine.safeguards.panics import add_panic, newest_panic
from core.ports.store import Document
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.matrix("D04")

Backup = dict[str, list[Document]]


async def backup(bench: RunBench) -> Backup:
    """Return everything in the store."""
    return {one.name: await bench.engine.store.find(one.name, {}) for one in COLLECTIONS}


async def restored(old: RunBench, kept: Backup) -> RunBench:
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
    await note_restored(new.engine.store, backup_at=at - timedelta(hours=2), at=at)
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
    assert "sent before the journal was restored" in await new.note()
    assert [one.client_order_id for one in await new.engine.orders()] == [entry.client_order_id]


async def test_exit_never_takes_an_id_that_the_broker_has_seen() -> None:
    """The broker has cancelled it since; the position is closed under the next id."""
    old = await RunBench().opened()
    old.strategy.want(Direction.LONG)
    await old.run()
    await old.turns()
    await old.close()
    kept = await backup(old)
    old.broker.is_slow = True
    await old.turns(2)
    _, exit_ = old.broker.placed
    (shown,) = [o for o in old.broker.order_list.values() if o.tag == exit_.client_order_id]
    gone = replace(shown, status=BrokerStatus.CANCELED)
    old.broker.order_list[shown.broker_order_id] = gone
    old.broker.is_slow = False

    new = await restored(old, kept)
    await new.turns()

    ids = [order.client_order_id for order in new.broker.placed]
    assert ids[1] == exit_.client_order_id
    assert len(ids) == len(set(ids)) == 3
    assert (await new.held(), new.broker.placed[2].quantity) == (0, 10)
    rows = {order.client_order_id: order for order in await new.engine.orders()}
    assert rows[ids[1]].purpose is Purpose.EXTERNAL
    assert rows[ids[2]].purpose is Purpose.EXIT


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
