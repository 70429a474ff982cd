"""The view that asks once for many: the same answers as the transaction's own view, always."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.engine.runs.read_ahead import ReadAhead
from core.errors import StoreUnavailable
from core.ports.store import Change, StoreView
from tests.fakes.counted_store import CountedStore


@pytest.fixture
async def store() -> CountedStore:
    store = CountedStore()
    rows = [
        {"_id": f"{broker}|{number}", "broker_id": broker, "strategy": "orb", "n": number}
        for broker in ("a", "b")
        for number in range(3)
    ]
    await store.insert("ledgers", *rows)
    store.commands.clear()
    return store


async def in_transaction(
    store: CountedStore, body: Callable[[ReadAhead, StoreView], Awaitable[None]]
) -> None:
    await store.transaction(lambda view: body(ReadAhead(view), view), nonce="once")


async def test_reads_at_one_moment_are_one_question(store: CountedStore) -> None:
    """Each gets what it asked for, and no more."""

    async def body(view: ReadAhead, _plain: StoreView) -> None:
        keys, brokers = ("a|0", "b|2", "nobody", "a|0"), "abc"
        found, of = await asyncio.gather(
            asyncio.gather(*(view.get("ledgers", key) for key in keys)),
            asyncio.gather(
                *(view.find("ledgers", {"broker_id": b, "strategy": "orb"}) for b in brokers)
            ),
        )
        assert [row and row["n"] for row in found] == [0, 2, None, 0]
        assert [[row["n"] for row in rows] for rows in of] == [[0, 1, 2], [0, 1, 2], []]
        assert store.commands["find ledgers"] == 2
        of[0].clear()
        found[0].clear() if found[0] else None
        again = await view.get("ledgers", "a|0")
        assert again is not None and again["n"] == 0, "an answer belongs to its caller"

    await in_transaction(store, body)


async def test_own_writes_are_seen(store: CountedStore) -> None:
    """After each kind of write the view answers as the transaction's own view does."""

    async def body(view: ReadAhead, plain: StoreView) -> None:
        async def same() -> None:
            for key in ("a|0", "a|1", "new", "later"):
                assert await view.get("ledgers", key) == await plain.get("ledgers", key)
            for where in ({"broker_id": "a"}, {"broker_id": "z"}, {}, {"n": {"$gt": 1}}):
                found, wanted = [await one.find("ledgers", where) for one in (view, plain)]
                assert sorted(row["_id"] for row in found) == sorted(r["_id"] for r in wanted)
                assert sorted(map(str, found)) == sorted(map(str, wanted))

        await same()
        await view.update("ledgers", {"_id": "a|0"}, Change(set={"broker_id": "z"}))
        await same()
        await view.insert("ledgers", {"_id": "new", "broker_id": "a", "strategy": "orb", "n": 7})
        await same()
        await view.update("ledgers", {"broker_id": "a"}, Change(inc={"n": 1}), many=True)
        await same()
        await view.update("ledgers", {"_id": "later"}, Change(set={"n": 1}), upsert=True)
        await same()
        await view.delete("ledgers", {"broker_id": "z"})
        await same()
        await view.delete("ledgers", {"_id": {"$in": ["a|1", "new"]}})
        await same()

    await in_transaction(store, body)


async def test_failed_question_fails_for_all_who_asked(store: CountedStore) -> None:
    """Nobody waits for ever for an answer that does not come."""

    async def body(view: ReadAhead, _plain: StoreView) -> None:
        store.database.is_away = True
        asked = [asyncio.create_task(view.get("ledgers", key)) for key in ("a|0", "a|1", "a|0")]
        await asyncio.wait(asked)
        assert all(one.cancelled() or one.exception() for one in asked)
        store.database.is_away = False
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        await in_transaction(store, body)
