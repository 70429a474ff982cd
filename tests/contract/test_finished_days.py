"""Rows of finished days move as one, on every store: none is lost, none is there twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.engine.orders.journal import Journal, move_finished
from core.engine.orders.past import past_order
from core.engine.outbox import Outbox
from core.ports.store import Document, ServedStore, StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.orders import ACCOUNT
from tests.fakes.past import everything, order_id, put_day, run_id

DAY = "1969-05-03"  # long ago for the writer, too, whose clock stands at 1970 here
LATER = datetime(2021, 6, 1, tzinfo=UTC)
MANY = 23  # more than one lot


class _Killed(Exception):
    """The controller ends in the middle of a transaction."""


async def _move(store: ServedStore, nonce: str, *, is_killed: bool = False) -> int | None:
    async def body(view: StoreView) -> int | None:
        moved = await move_finished(view, ACCOUNT, DAY, LATER)
        if is_killed:
            raise _Killed
        return moved

    return await store.transaction(body, nonce=nonce)


async def test_each_row_is_in_one_place_after_each_lot(store: ServedStore) -> None:
    """And equal to what it was, whether a lot commits or is cut off before its commit."""
    await put_day(store, ACCOUNT, DAY, MANY)
    before = await everything(store)
    moved = []
    for number in range(4):
        with pytest.raises(_Killed):
            await _move(store, f"killed {number}", is_killed=True)
        assert await everything(store) == before
        moved.append(await _move(store, f"lot {number}"))
        assert await everything(store) == before
        if not moved[-1]:
            break
    assert moved == [20 * 5 + MANY, 3 * 5, 0]  # trades go up to a hundred at a time
    assert await store.find("orders", {}) == await store.find("order_events", {}) == []


async def test_what_was_moved_is_found_as_before(store: ServedStore) -> None:
    """By its id, its account and day, its run and its trades, while one lot of two is moved too."""
    await put_day(store, ACCOUNT, DAY, MANY)
    journal = Journal(store, ManualClock(), Outbox(ManualClock()))

    async def seen() -> list[object]:
        orders = await journal.of_day(ACCOUNT, DAY)
        trades = await journal.trades_of_day(ACCOUNT, DAY)
        return [
            sorted(orders, key=lambda order: order.client_order_id),
            sorted(trades, key=lambda trade: trade[0]),
            await journal.get(order_id(ACCOUNT, DAY, 7)),
            await journal.of_run(run_id(DAY, 7)),
            sorted(await journal.filled(ACCOUNT), key=lambda order: order.client_order_id),
        ]

    before = await seen()
    for number in range(3):
        await _move(store, f"lot {number}")
        assert await seen() == before
    assert await journal.has(order_id(ACCOUNT, DAY, MANY - 1))
    assert not await journal.has(order_id(ACCOUNT, DAY, MANY))


async def test_lot_is_found_inside_the_transaction_that_made_it(store: ServedStore) -> None:
    """A value in a list leads to its document there too, among several that memory alone knows."""
    days = [f"2021-05-{number:02}" for number in range(3, 9)]
    for day in days:
        await put_day(store, ACCOUNT, day, 1, steps=1)

    async def body(view: StoreView) -> list[Document | None]:
        for day in days:
            await move_finished(view, ACCOUNT, day, LATER)
        return [await past_order(view, order_id(ACCOUNT, day, 0)) for day in days]

    found = await store.transaction(body, nonce="1")
    assert [row and row["day"] for row in found] == days
