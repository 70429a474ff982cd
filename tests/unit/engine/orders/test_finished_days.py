"""Finished days move to where a start does not see them; whatever may still move stays."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from core.domain.account import Account
from core.domain.order import OrderState
from core.domain.sessions import trading_day
from core.engine.orders.folding import OrderEvent
from core.engine.orders.past import packed, unpacked
from core.errors import NotFound, StoreUnavailable
from core.ports.store import Change
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.past import everything, order_id, put_day
from tests.fakes.run_bench import TEN

EVENING = TEN.replace(hour=20)


@pytest.fixture
async def engine() -> MemoryEngine:
    """A controller that has worked for twenty days."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    await engine.connect("One")
    await engine.connect("Two")
    return engine


def day_after(engine: MemoryEngine, number: int) -> str:
    return trading_day(engine.clock.market_now() + timedelta(days=number))


async def days(engine: MemoryEngine, number: int, ticks: int = 3) -> None:
    await engine.clock.advance(timedelta(days=number).total_seconds())
    for _ in range(ticks):
        await engine.wiring.upkeep.pruning.tick()


async def accounts(engine: MemoryEngine) -> list[Account]:
    return list(await engine.wiring.accounts.all())


async def held(engine: MemoryEngine) -> set[str]:
    return {row["day"] for row in await engine.store.find("orders", {})}


async def test_days_move_in_their_order_and_the_last_ones_stay(engine: MemoryEngine) -> None:
    """Of every account; no row is lost or changed, and those of the last eight days stay."""
    names = [day_after(engine, number) for number in (0, 1, 9, 12)]
    for account in await accounts(engine):
        for name in names:
            await put_day(engine.store, account.broker_id, name, 3)
    before = await everything(engine.store)
    await days(engine, 13)
    assert await held(engine) == set(names[2:])
    assert await everything(engine.store) == before
    await days(engine, 20)
    assert await held(engine) == set()
    assert await everything(engine.store) == before


async def test_day_with_an_order_that_is_not_final_stays_until_it_is(
    engine: MemoryEngine,
) -> None:
    """All of it, for what it does then is judged beside its day; the days after it move."""
    one, two = await accounts(engine)
    first, second = day_after(engine, 0), day_after(engine, 1)
    await put_day(engine.store, one.broker_id, first, 3)
    await put_day(engine.store, two.broker_id, first, 3)
    await put_day(engine.store, one.broker_id, second, 3)
    key = order_id(one.broker_id, first, 1)
    await engine.store.update(
        "orders", {"_id": key}, Change(set={"state": "UNRESOLVED", "settled_at": None})
    )
    await days(engine, 20)
    left = await engine.store.find("orders", {})
    assert {(row["broker_id"], row["day"]) for row in left} == {(one.broker_id, first)}
    assert len(left) == 3
    settled = Change(set={"state": "NOT_PLACED", "settled_at": engine.clock.now()})
    await engine.store.update("orders", {"_id": key}, settled)
    await days(engine, 2)
    assert await held(engine) == {first}, "it was final two days ago"
    await days(engine, 8)
    assert await held(engine) == set()


async def test_nothing_moves_while_something_trades(engine: MemoryEngine) -> None:
    """The store has better things to do then."""
    (one, _), day = await accounts(engine), day_after(engine, 0)
    await put_day(engine.store, one.broker_id, day, 1)
    await engine.clock.advance_to((EVENING + timedelta(days=14)).replace(hour=11))
    await engine.wiring.upkeep.pruning.tick()
    assert await held(engine) == {day}
    await engine.clock.advance(timedelta(hours=9).total_seconds())
    await engine.wiring.upkeep.pruning.tick()
    assert await held(engine) == set()


async def test_long_day_moves_in_steps(engine: MemoryEngine) -> None:
    """A tick moves so many lots and no more, and the next one goes on."""
    (one, _), day = await accounts(engine), day_after(engine, 0)
    await put_day(engine.store, one.broker_id, day, 450, steps=1)
    before = await everything(engine.store)
    await days(engine, 13, ticks=1)
    assert len(await engine.store.find("orders", {})) == 450 - 20 * 20
    assert await everything(engine.store) == before
    await days(engine, 0, ticks=2)
    assert await held(engine) == set()
    assert await everything(engine.store) == before


async def test_past_order_is_shown_and_changes_no_more(engine: MemoryEngine) -> None:
    """An old button finds it; an event that comes a fortnight late moves nothing."""
    (one, _), day = await accounts(engine), day_after(engine, 0)
    await put_day(engine.store, one.broker_id, day, 2)
    await days(engine, 13)
    before, key = await everything(engine.store), order_id(one.broker_id, day, 0)
    shown = await engine.control.views.order(key)
    assert shown.state is OrderState.FILLED
    late = OrderEvent(OrderState.CANCELED, f"b{day}0", 1, Decimal("801.50"))
    with pytest.raises(NotFound):
        await engine.wiring.journal.apply(key, late)
    assert await everything(engine.store) == before


async def test_controller_that_is_cut_off_goes_on_where_it_was(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit of a lot or after it: no row is lost, none is there twice."""
    for account in await accounts(engine):
        await put_day(engine.store, account.broker_id, day_after(engine, 0), 50, steps=1)
    before = await everything(engine.store)
    await engine.clock.advance(timedelta(days=13).total_seconds())
    transaction, calls = engine.writer.transaction, count()

    async def cut_off(body: Any, *, nonce: str) -> Any:
        number = next(calls)
        if number in {0, 3, 8}:
            raise StoreUnavailable("cut off before the commit")
        done = await transaction(body, nonce=nonce)
        if number in {1, 5, 9}:
            raise StoreUnavailable("cut off after the commit")
        return done

    monkeypatch.setattr(engine.writer, "transaction", cut_off)
    cuts = 0
    for _ in range(8):
        try:
            await engine.wiring.upkeep.pruning.tick()
        except StoreUnavailable:
            cuts += 1
        assert await everything(engine.store) == before
    assert cuts == 6
    assert await held(engine) == set()
    assert len(await engine.store.find("past_orders", {})) == 2 * 3


def test_packed_rows_are_what_they_were() -> None:
    """Exactly: the digits of a price, the millisecond and the zone, nothing and no text."""
    rows = [{"_id": "a", "price": None, "text": "“₹”\n", "is_it": True, "n": 3, "list": [1, "x"]}]
    assert unpacked(packed(rows)) == rows
    with pytest.raises(TypeError, match="set cannot be packed"):
        packed([{"_id": "a", "what": {1}}])
