"""What a journal with a long past is asked for: the same answers, by what an index leads to."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.domain.order import OrderState
from core.engine.orders.documents import order_row
from core.engine.orders.journal import count_unknown
from core.engine.orders.run_rows import insert_run, newest_run
from core.ports.store import Store
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.orders import order_in
from tests.fakes.run_bench import TEN


async def test_start_counts_the_unknown_orders_of_every_account() -> None:
    """Those of an account that was disconnected since count too: their fate is as unknown."""
    engine = MemoryEngine(market_clock(TEN))
    here = await engine.connect("Here")
    gone = await engine.connect("Gone")
    states = (OrderState.SUBMITTED, OrderState.UNRESOLVED, OrderState.FILLED, OrderState.ACCEPTED)
    for account in (here, gone):
        for state in states:
            tag = f"{account.broker_id}{state}"
            order = order_in(state, client_order_id=tag, broker_id=account.broker_id)
            await engine.store.insert("orders", order_row(order))
    await engine.control.registration.disconnect(engine.command(), gone.broker_id)
    assert await count_unknown(engine.store, await engine.wiring.accounts.ids()) == 4


async def test_newest_run_is_found_however_old_it_is() -> None:
    """A strategy that has not run for weeks has a newest run all the same."""
    store = MemoryEngine(market_clock(TEN)).store
    assert await newest_run(store, "orb", TEN) is None
    for days in (40, 30, 50):
        await _ran(store, f"{days} days ago", TEN - timedelta(days=days))
    assert await newest_run(store, "orb", TEN) == "30 days ago"
    for hours in (2, 1, 3):
        await _ran(store, f"{hours} hours ago", TEN - timedelta(hours=hours))
    assert await newest_run(store, "orb", TEN) == "1 hours ago"


async def _ran(store: Store, run_id: str, slot_at: datetime) -> None:
    await insert_run(store, {"_id": run_id, "strategy": "orb", "slot_at": slot_at})
