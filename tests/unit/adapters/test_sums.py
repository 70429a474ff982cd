"""What documents add up to is what a walk over them says, and costs none (the port's ``total``)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from core.ports.store import Change, Document, StoreView, Tally
from tests.fakes.held_writer import Held

DAY, WHOSE = "2026-11-23", ("zerodha_000000", "zerodha_000001")
WHERES = ({"day": DAY}, {"day": DAY, "broker_id": WHOSE[0]}, {"broker_id": WHOSE[1], "day": DAY})


def order(number: int, quantity: int = 1, **fields: object) -> Document:
    """A row that the journal's validator accepts."""
    row = {"state": "FILLED", "side": "BUY", "purpose": "entry", "quantity": quantity, "day": DAY}
    return {"_id": f"o{number}", "broker_id": WHOSE[number % 2], **row, **fields}


class Counting:
    """A tally of quantities by state, under one heading, and of orders under another.

    Attributes:
        looked: How many documents it has looked at.
    """

    def __init__(self) -> None:
        self.looked = 0
        self.tally = Tally(self.of)

    def of(self, row: Document) -> list[tuple[str, str, int]]:
        self.looked += 1
        return [("units", row["state"], row["quantity"]), ("orders", row["broker_id"], 1)]


async def answers(view: StoreView, tally: Tally) -> list[tuple[dict[Any, int], dict[Any, int]]]:
    """Return each total, beside what a walk over all documents says."""
    return [
        (
            await view.total("orders", where, tally, heading),
            tally.over(await view.find("orders", where), heading),
        )
        for where in WHERES
        for heading in ("units", "orders")
    ]


async def some_writes(view: StoreView, choices: random.Random) -> None:
    """Insert, change, move to another day, or remove an order."""
    match choices.randrange(4):
        case 0:
            await view.insert("orders", order(choices.randrange(10**9)))
        case 1:
            state, units = choices.choice(["OPEN", "FILLED"]), choices.randrange(1, 9)
            change = Change(
                set={"state": {"OPEN": "ACCEPTED"}.get(state, state), "quantity": units}
            )
            await view.update("orders", {"day": DAY, "broker_id": choices.choice(WHOSE)}, change)
        case 2:
            day = choices.choice([DAY, "2026-11-22"])
            where = {"_id": f"o{choices.randrange(12)}"}
            await view.update("orders", where, Change(set={"day": day}))
        case 3:
            await view.delete("orders", {"_id": f"o{choices.randrange(12)}"})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("orders", [2, 12])
async def test_total_is_what_a_walk_says_after_any_writes(seed: int, orders: int) -> None:
    """Outside of transactions and inside, over what is on its way and what the body wrote."""
    choices, counting, held = random.Random(seed), Counting(), Held()
    await held.base.insert("orders", *map(order, range(orders)))
    await held.opened()
    seen = []

    async def body(view: StoreView) -> list[tuple[dict[Any, int], dict[Any, int]]]:
        found = await answers(view, counting.tally)
        for _ in range(3):
            await some_writes(view, choices)
            found += await answers(view, counting.tally)
        return found  # a run that others overtake may have seen both before and after

    for number in range(12):
        together = [
            held.writer.transaction(body, nonce=f"{number}-{one}") for one in range(number % 3)
        ]
        found, _ = await asyncio.gather(
            asyncio.gather(*together), some_writes(held.writer, choices)
        )
        seen += [one for some in found for one in some]
        seen += await answers(held.writer, counting.tally)
    assert [total for total, _ in seen] == [walked for _, walked in seen]
    held.writer._is_stale = True  # as after a write of another process
    assert all(total == walked for total, walked in await answers(held.writer, counting.tally))


async def test_total_looks_at_what_was_written_and_no_further() -> None:
    """Once it was added up; a thousand orders later it costs the same."""
    counting, held = Counting(), Held()
    await held.base.insert("orders", *map(order, range(1_000)))
    await held.opened()
    tally, looked = counting.tally, []
    for number in range(3):
        await held.writer.total("orders", {"day": DAY}, tally, "units")
        await held.writer.insert("orders", order(2_000 + number))
        looked.append(counting.looked)
    assert looked == [1_001, 1_002, 1_003]


async def test_body_that_relied_on_a_total_runs_again_when_that_has_moved() -> None:
    """As one does that found a document which was changed meanwhile; another total is none of it."""
    counting, held, runs = Counting(), Held(), list[dict[str, int]]()
    await held.base.insert("orders", *map(order, range(6)))
    await held.opened()

    async def body(view: StoreView, *, meanwhile: Document) -> None:
        runs.append(await view.total("orders", {"day": DAY}, counting.tally, "units"))
        if await held.writer.get("orders", meanwhile["_id"]) is None:
            await held.writer.insert("orders", meanwhile)
        await view.insert("chats", {"_id": meanwhile["_id"]})

    await held.writer.transaction(lambda view: body(view, meanwhile=order(7)), nonce="a")
    assert runs == [{"FILLED": 6}, {"FILLED": 7}]
    runs.clear()
    other = order(8, day="2026-11-22")
    await held.writer.transaction(lambda view: body(view, meanwhile=other), nonce="b")
    assert runs == [{"FILLED": 7}]


async def test_orders_are_added_up_in_pieces_beside_what_is_written_meanwhile() -> None:
    """A first look at a busy day holds nobody up, and misses nothing."""
    counting, held = Counting(), Held()
    await held.base.insert("orders", *map(order, range(2_000)))
    await held.opened()
    asked = asyncio.ensure_future(
        held.writer.total("orders", {"day": DAY}, counting.tally, "units")
    )
    while not counting.looked:
        await asyncio.sleep(0)
    assert counting.looked < 1_000
    for number in (0, 1_999):  # one is counted already, the other is not
        await held.writer.update("orders", {"_id": f"o{number}"}, Change(set={"quantity": 5}))
    await held.writer.delete("orders", {"_id": "o1"})
    await held.writer.delete("orders", {"_id": "o1998"})
    await held.writer.insert("orders", order(3_000))
    await asked
    found = await held.writer.total("orders", {"day": DAY}, counting.tally, "units")
    assert found == {"FILLED": 2_000 - 1 + 8}
