"""The first read of a day of all accounts lets others go on: the loop stands still for no account."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from core.adapters.single_writer.shelf import Shelf
from core.engine.remembered import Remembered
from core.ports.store import Change, Document, SharedRow
from tests.fakes.held_writer import Held

T = TypeVar("T")
DAY, ORDERS = "2026-11-23", 6_000


def order(number: int, **fields: object) -> Document:
    """A row that the journal's validator accepts."""
    row = {"state": "FILLED", "side": "BUY", "purpose": "entry", "quantity": 1, "day": DAY}
    return {"_id": f"o{number}", "broker_id": f"zerodha_{number % 3:06d}", **row, **fields}


async def held_with(orders: int) -> Held:
    made = Held()
    # Side by side: the fake store compares each with all that are there.
    await made.base.insert("orders", *map(order, range(orders)))
    return await made.opened()


async def turns_during(call: Awaitable[T]) -> tuple[T, int]:
    """Return what a call answers, and how often others had their turn meanwhile."""
    turns, task = 0, asyncio.ensure_future(call)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    return task.result(), turns


async def test_a_day_of_many_orders_is_taken_in_pieces() -> None:
    """A hundred at a time, whoever asks; the next who asks waits for nothing."""
    held = await held_with(ORDERS)
    rows, turns = await turns_during(
        held.writer.find("orders", {"broker_id": "zerodha_000001", "day": DAY})
    )
    assert len(rows) == ORDERS / 3
    assert turns >= ORDERS / 100
    _, turns = await turns_during(held.writer.find("orders", {"day": DAY}))
    assert turns <= 3


async def test_what_is_written_while_a_day_is_taken_stands() -> None:
    """A commit between two pieces is newer than what was read before it."""
    held = await held_with(ORDERS)
    reading = asyncio.ensure_future(held.writer.find("orders", {"day": DAY}))
    shelf = held.writer._memory.shelf("orders")
    while not shelf.docs:
        await asyncio.sleep(0)
    last, before = f"o{ORDERS - 1}", f"o{ORDERS - 2}"
    assert last not in shelf.docs
    await held.writer.update("orders", {"_id": last}, Change(set={"quantity": 2}))
    await held.writer.delete("orders", {"_id": before})
    await held.writer.insert("orders", order(ORDERS))
    await reading
    found = {row["_id"]: row for row in await held.writer.find("orders", {"day": DAY})}
    assert found[last]["quantity"] == 2
    assert before not in found
    assert len(found) == ORDERS
    assert await held.writer.differences("orders") == []


async def test_an_index_grows_with_a_day_and_is_not_made_at_once() -> None:
    """What is asked of a day is there when the day is: to go through all would stop the loop."""
    held = await held_with(300)
    await held.writer.find("orders", {"day": DAY})
    shelf: Shelf = held.writer._memory.shelf("orders")
    known = set(shelf._places), set(shelf._index)
    for where in (
        {"broker_id": "zerodha_000001", "day": DAY},
        {"day": DAY, "broker_id": "zerodha_000001"},
        {"broker_id": "zerodha_000001", "instrument": "NSE:SBIN", "day": DAY},
        {"broker_id": "zerodha_000001", "state": {"$in": ["FILLED"]}, "day": DAY},
        {"run_id": "r", "day": DAY},
    ):
        await held.writer.find("orders", where)
    assert (set(shelf._places) - {("run_id", "day")}, set(shelf._index)) == known


@pytest.mark.parametrize("count", [1, 350])
async def test_what_was_read_is_made_into_values_in_pieces(count: int) -> None:
    """An account's busy day is eight hundred orders, each of which takes tens of microseconds."""
    read: list[str] = []

    def value_of(row: Document) -> Decimal:
        read.append(row["_id"])
        return Decimal(1)

    values = Remembered[Decimal](value_of)
    rows: list[Document] = []
    for number in range(count):
        row = SharedRow({"_id": str(number)})
        row.meaning = None
        rows.append(row)
    _, turns = await turns_during(values.ahead(rows))
    assert turns >= count / 100
    assert len(read) == count
    _, turns = await turns_during(values.ahead(rows))
    assert len([*map(values, rows)]) == len(read) == count
    assert turns <= 2


@pytest.mark.invariant("I2")
async def test_no_order_is_gone_because_everything_is_read_anew_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was asked for before is known where it was put, or not at all."""
    held = await held_with(150)
    memory, find, asked = held.writer._memory, held.base.find, 0

    async def reads(collection: str, where: Document, **more: Any) -> list[Document]:
        nonlocal asked
        rows = await find(collection, where, **more)
        asked += collection == "orders" and "_id" in where
        if asked == 2:
            asked += 1
            await memory.open()
        return rows

    monkeypatch.setattr(held.base, "find", reads)
    ids = [f"o{number}" for number in range(150)]
    await memory.fetch_keys("orders", ids)
    assert asked > 2
    shelf = memory.shelf("orders")
    assert [one for one in ids if memory.knows("orders", one) and shelf.docs.get(one) is None] == []
