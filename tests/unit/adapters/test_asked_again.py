"""What a body asks twice is answered once, and never with what it has changed or others have."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.single_writer.documents import differ
from core.ports.store import Change, StoreView
from tests.fakes.held_writer import THEN, Held

OPEN = {"broker_id": "a", "state": {"$in": ["HELD", "ACCEPTED"]}}


def order(key: str, state: str = "HELD") -> dict[str, Any]:
    names = {"side": "BUY", "purpose": "entry", "day": "d", "run_id": "r", "instrument": "NSE:X"}
    return {"_id": key, "broker_id": "a", "state": state, "quantity": 1, **names}


async def found(view: StoreView) -> list[str]:
    return sorted([row["_id"] for row in await view.find("orders", OPEN)])


async def test_a_body_finds_what_it_has_written_since_it_asked_before() -> None:
    """A document that is new, one that matches no more, one that is gone."""
    held = await Held().opened()

    async def body(view: StoreView) -> list[list[str]]:
        seen = [await found(view)]
        await view.insert("orders", order("1"), order("2"))
        seen.append(await found(view))
        await view.update("orders", {"_id": "1"}, Change(set={"state": "FILLED"}))
        seen.append(await found(view))
        await view.delete("orders", {"_id": "2"})
        seen.append(await found(view))
        return seen

    assert await held.writer.transaction(body, nonce="n") == [[], ["1", "2"], ["2"], []]
    assert await held.writer.differences() == []


async def test_two_filters_that_differ_in_a_list_alone_are_two_questions() -> None:
    """Among them one whose number reads like the text of another."""
    held = await Held().opened()

    async def body(view: StoreView) -> list[int]:
        await view.insert("chats", {"_id": "x", "n": 1}, {"_id": "y", "n": 1}, {"_id": "z", "n": 2})
        asked: list[Any] = [1, "1", {"$in": [2]}, {"$in": [1, 2]}, 2]
        return [len(await view.find("chats", {"n": one})) for one in asked]

    assert await held.writer.transaction(body, nonce="n") == [2, 0, 1, 3, 1]


async def test_a_document_is_read_as_the_body_has_left_it() -> None:
    """By its id, before and after it changes it, after it removes it, and when it makes it again."""
    held = await Held().opened()
    await held.add("x", 5)

    async def body(view: StoreView) -> list[int]:
        async def now() -> int:
            row = await view.get("chats", "x")
            return int(row["n"]) if row else -1

        seen = [await now(), await now()]
        await view.update("chats", {"_id": "x"}, Change(inc={"n": 1}))
        seen.append(await now())
        await view.delete("chats", {"_id": "x", "n": 6})
        seen.append(await now())
        await view.insert("chats", {"_id": "x", "n": 9})
        return [*seen, await now()]

    assert await held.writer.transaction(body, nonce="n") == [5, 5, 6, -1, 9]
    assert await held.count("x") == 9


@pytest.mark.invariant("I6")
@pytest.mark.parametrize("how", ["found", "read"])
async def test_what_others_change_between_two_questions_makes_the_body_run_again(how: str) -> None:
    """The second answer is the first one; it is never committed upon."""
    held = await Held().opened()
    asked, go_on = asyncio.Event(), asyncio.Event()
    seen: list[list[str]] = []

    async def ask(view: StoreView) -> list[str]:
        if how == "found":
            return await found(view)
        row = await view.get("orders", "1")
        return [row["_id"]] if row else []

    async def body(view: StoreView) -> None:
        first = await ask(view)
        asked.set()
        await go_on.wait()
        seen.append([*first, "then", *await ask(view)])
        await view.insert("cards", {"_id": f"{len(seen)}"})

    async def meanwhile(view: StoreView) -> None:
        await view.insert("orders", order("1"))

    running = asyncio.create_task(held.writer.transaction(body, nonce="n"))
    await asked.wait()
    await held.writer.transaction(meanwhile, nonce="m")
    go_on.set()
    await running
    assert seen == [["then"], ["1", "then", "1"]]
    assert [row["_id"] for row in await held.base.find("cards", {})] == ["2"]


async def test_a_filter_on_more_than_the_id_still_holds() -> None:
    """Whoever asks for a document in a state it is not in changes nothing."""
    held = await Held().opened()
    await held.add("x", 5)

    async def body(view: StoreView) -> list[int]:
        wrong = await view.update("chats", {"_id": "x", "n": 4}, Change(set={"n": 0}))
        right = await view.update("chats", {"_id": "x", "n": 5}, Change(set={"n": 7}))
        absent = await view.update("chats", {"_id": "y", "n": 5}, Change(set={"n": 7}))
        return [wrong, right, absent, len(await view.find("chats", {"_id": "x", "n": 5}))]

    assert await held.writer.transaction(body, nonce="n") == [0, 1, 0, 0]
    assert await held.count("x") == 7


@pytest.mark.parametrize(
    ("old", "new", "is_other"),
    [
        ("a", "a", False),
        ("a", "b", True),
        (1, True, True),
        (1, Decimal(1), True),
        (None, 0, True),
        (Decimal("1.0"), Decimal("1.00"), True),
        (Decimal("1.0"), Decimal("1.0"), False),
        (0.0, -0.0, True),
        (THEN, THEN + timedelta(milliseconds=1), True),
        (THEN, THEN + timedelta(0), False),
        ({"a": [Decimal("1.0")]}, {"a": [Decimal("1.00")]}, True),
        ({"a": [1]}, {"a": [1]}, False),
    ],
)
def test_values_differ_where_a_server_would_keep_other_bytes(
    old: object, new: object, is_other: bool
) -> None:
    """Equal is not enough where the kind or the digits are another."""
    assert differ(old, new) is is_other


async def test_a_filter_that_wants_one_of_none_asks_nobody_and_binds_nothing() -> None:
    """A run without lanes asks so; what others write meanwhile is no reason to make it again."""
    held = await Held().opened()
    none = {"broker_id": {"$in": []}, "state": {"$in": ["HELD"]}}
    asked, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def body(view: StoreView) -> None:
        nonlocal runs
        runs += 1
        assert await view.find("orders", none) == []
        asked.set()
        await go_on.wait()
        await view.insert("cards", {"_id": "1"})

    async def meanwhile(view: StoreView) -> None:
        await view.insert("orders", order("1"))

    running = asyncio.create_task(held.writer.transaction(body, nonce="n"))
    await asked.wait()
    assert not held.base.commands
    assert await held.writer.find("orders", none) == []
    assert not held.base.commands
    await held.writer.transaction(meanwhile, nonce="m")
    go_on.set()
    await running
    assert runs == 1
