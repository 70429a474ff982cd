"""The single writer's memory is compared with the store while commits go on (decision 22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.ports.store import Change, Document
from tests.fakes.held_writer import Held


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    """A writer; at the end it remembers what is stored."""
    made = await Held().opened()
    yield made
    assert await made.writer.differences() == []


def hold_commits(held: Held, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Hold up each commit when it is in the store and its answer is not here yet."""
    commit, go_on = held.base.transaction, asyncio.Event()

    async def slowly(*given: Any, **named: Any) -> Any:
        done = await commit(*given, **named)
        await go_on.wait()
        return done

    monkeypatch.setattr(held.base, "transaction", slowly)
    return go_on


async def test_difference_is_found_while_commits_never_pause(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy day must not hide what memory has wrong; what is being written says nothing."""
    await held.add("one")
    await held.add("busy")
    go_on = hold_commits(held, monkeypatch)
    busy = [asyncio.create_task(held.add("busy")), asyncio.create_task(held.add("new"))]
    while await held.count("new") == 0:
        await asyncio.sleep(0)
    assert await held.writer.differences("chats") == []
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 40}))
    assert await held.writer.differences("chats") == ["chats/one: n"]
    go_on.set()
    assert await asyncio.gather(*busy, held.add("one")) == [2, 1, 41]


async def test_what_lands_during_a_comparison_is_no_difference(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's answer is older than memory then, in both of its readings."""
    await held.add("one")
    find = held.base.find

    async def find_then_commit(collection: str, where: Any, **options: Any) -> list[Document]:
        rows = await find(collection, where, **options)
        if collection == "chats":
            await held.add("one")
        return rows

    monkeypatch.setattr(held.base, "find", find_then_commit)
    assert await held.writer.differences("chats") == []
    monkeypatch.undo()


async def test_what_is_in_flight_when_a_difference_is_found_lands_before_memory_is_read(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was worked out upon what was wrong, and would bring that back."""
    await held.add("one")
    go_on = hold_commits(held, monkeypatch)
    row = {"_id": "one", "by": "hand"}
    adding = asyncio.create_task(held.add("one"))
    while await held.count("one") == 1:
        await asyncio.sleep(0)
    await held.base.update("chats", {"_id": "one"}, Change(set=row))
    await held.base.insert("chats", {"_id": "two", "n": 7})
    assert await held.writer.differences("chats") == ["chats/two: is not in memory"]
    reading = asyncio.create_task(held.writer.get("chats", "one"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not reading.done()
    go_on.set()
    assert (await adding, await reading) == (2, {**row, "n": 2})
