"""A large collection is compared with the store a little at a time, in small questions.

The embedded server compares each document with each id that is asked for, so that four thousand ids
took it more than the five seconds that an answer may take, and everything else waited meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from core.adapters.single_writer.memory import IDS_AT_ONCE
from core.ports.store import Change, Document
from tests.fakes.held_writer import Held

DAY, ACCOUNTS, ORDERS, STEPS = "2026-11-23", 30, 300, 250
MOST, ROUNDS = 100, 8


def order(number: int) -> Document:
    """A row that the journal's validator accepts."""
    row = {"state": "FILLED", "side": "BUY", "purpose": "entry", "quantity": 1, "day": DAY}
    return {"_id": f"o{number}", "broker_id": f"zerodha_{number % ACCOUNTS:06d}", **row}


class Asked(list[tuple[Mapping[str, Any], int]]):
    """Every question of the store below, and how many documents it found."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        find = held.base.find

        async def seen(collection: str, where: Mapping[str, Any], **options: Any) -> list[Document]:
            rows = await find(collection, where, **options)
            self.append((where, len(rows)))
            return rows

        held.base.find = seen  # type: ignore[method-assign]


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    """A writer that holds the orders of a busy day, and knows many steps of orders one by one."""
    made = Held()
    await made.base.insert("orders", *map(order, range(ORDERS)))
    await made.opened()
    assert len(await made.writer.find("orders", {"day": DAY})) == ORDERS
    steps: list[Document] = [{"_id": f"o{n}#1", "client_order_id": f"o{n}"} for n in range(STEPS)]
    await made.writer.insert("order_events", *steps)
    yield made
    assert await made.writer.differences() == []


@pytest.mark.parametrize("collection", ["orders", "order_events"])
async def test_look_at_a_large_collection_is_small(held: Held, collection: str) -> None:
    """Whatever a day has brought: a few questions, each for few documents and few ids."""
    asked = Asked(held)
    for _ in range(ROUNDS):
        asked.clear()
        assert await held.writer.differences(collection, most=MOST) == []
        assert sum(found for _, found in asked) < ORDERS
        assert max(found for _, found in asked) < ORDERS
        assert len(asked) <= MOST / 10
        for where, _ in asked:
            assert len(dict(where.get("_id", {})).get("$in", ())) <= IDS_AT_ONCE


async def test_busy_accounts_are_asked_of_a_few_at_a_time(held: Held) -> None:
    """Twenty accounts of eight hundred orders each were sixteen thousand documents of a look."""
    some = [
        {**order(0), "_id": f"more{n}", "broker_id": f"zerodha_{n % 4:06d}"} for n in range(700)
    ]
    await held.writer.insert("orders", *some)
    asked = Asked(held)
    for _ in range(ROUNDS):
        assert await held.writer.differences("orders", most=MOST) == []
    assert max(found for _, found in asked) <= 200


async def test_ids_are_fetched_in_small_questions(held: Held) -> None:
    """Also what is asked for by id for the first time, as the steps of a day are for an export."""
    asked, ids = Asked(held), [f"o{n}#2" for n in range(STEPS)]
    await held.writer.find("order_events", {"_id": {"$in": ids}})
    assert max(len(where["_id"]["$in"]) for where, _ in asked) <= IDS_AT_ONCE


async def _found(held: Held, collection: str) -> list[str]:
    for _ in range(ROUNDS):
        if found := await held.writer.differences(collection, most=MOST):
            return found
    return []


async def test_difference_is_found_wherever_it_is(held: Held) -> None:
    """What differs, what is missing and what should not be there, of the first and of the last."""
    for number in (0, ORDERS - 1):
        await held.base.update("orders", {"_id": f"o{number}"}, Change(set={"quantity": 7}))
        assert await _found(held, "orders") == [f"orders/o{number}: quantity"]
        await held.writer.find("orders", {"day": DAY})  # everything was read anew
    await held.base.delete("orders", {"_id": "o150"})
    assert await _found(held, "orders") == ["orders/o150: is not in the store"]
    await held.writer.find("orders", {"day": DAY})
    await held.base.insert("orders", {**order(31), "_id": "by hand"})
    assert await _found(held, "orders") == ["orders/by hand: is not in memory"]
    await held.writer.find("orders", {"day": DAY})
    await held.base.update("orders", {"_id": "o31"}, Change(set={"day": "2026-11-20"}))
    assert await _found(held, "orders") == ["orders/o31: day"]
    await held.writer.find("order_events", {"_id": f"o{STEPS - 1}#1"})
    await held.base.update("order_events", {"_id": f"o{STEPS - 1}#1"}, Change(set={"n": 2}))
    assert await _found(held, "order_events") == [f"order_events/o{STEPS - 1}#1: n"]


async def test_whole_collection_of_many_accounts_is_asked_in_parts(held: Held) -> None:
    """Ledgers of fifty accounts in eighty shares are four thousand documents."""
    rows: list[Document] = [
        {"_id": f"l{n}", "broker_id": f"zerodha_{n % ACCOUNTS:06d}"} for n in range(ORDERS)
    ]
    await held.writer.insert("ledgers", *rows)
    asked = Asked(held)
    assert await held.writer.differences("ledgers", most=MOST) == []
    assert max(found for _, found in asked) < ORDERS
    await held.base.update("ledgers", {"_id": f"l{ORDERS - 1}"}, Change(set={"quantity": 1}))
    assert await _found(held, "ledgers") == [f"ledgers/l{ORDERS - 1}: quantity"]
    for number in ("", "l150x", "z"):
        await held.writer.find("ledgers", {"broker_id": "zerodha_000001"})  # was read anew
        await held.base.insert("ledgers", {"_id": number})
        assert await _found(held, "ledgers") == [f"ledgers/{number}: is not in memory"]
        await held.writer.find("ledgers", {"broker_id": "zerodha_000001"})
    await held.base.delete("ledgers", {"_id": "l0"})
    assert await _found(held, "ledgers") == ["ledgers/l0: is not in the store"]
