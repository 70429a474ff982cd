"""What the store port promises of transactions, on every server and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.errors import (
    AlreadyDone,
    Denied,
    DuplicateKey,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
)
from core.ports.store import Change, Document, ServedStore, Store, StoreView
from tests.contract.conftest import Place


def order(key: str, **fields: Any) -> Document:
    """A row of the journal that its validator accepts."""
    row = {"broker_id": "zerodha_abc123", "state": "ACCEPTED", "side": "BUY", "purpose": "entry"}
    return {"_id": key, "quantity": 1, **row, **fields}


def add(key: str, amount: int = 1) -> Callable[[StoreView], Awaitable[int]]:
    """A body that adds to a counter and returns what it then is."""

    async def body(view: StoreView) -> int:
        await view.update("chats", {"_id": key}, Change(inc={"n": amount}), upsert=True)
        found = await view.get("chats", key)
        return int(found["n"]) if found else -1

    return body


async def counter(store: Store, key: str) -> int:
    """Return what the counter is."""
    found = await store.get("chats", key)
    return int(found["n"]) if found else 0


async def test_a_transaction_commits_whole_and_reads_its_own_writes(
    store: ServedStore,
) -> None:
    """Two collections change together, and the body's value comes back."""

    async def body(view: StoreView) -> str:
        await view.insert("runs", {"_id": "r", "strategy": "s"})
        await view.insert("orders", order("A"), order("B"))
        await view.delete("orders", {"_id": "B"})
        found = await view.find("orders", {"broker_id": "zerodha_abc123"})
        return ",".join(row["_id"] for row in found)

    assert await store.transaction(body, nonce="one") == "A"
    assert await store.get("runs", "r") is not None
    assert await store.get("orders", "A") is not None


async def test_an_exception_of_the_body_undoes_everything_and_comes_out_unchanged(
    store: ServedStore,
) -> None:
    """Any exception does, and its nonce stays free for the next try."""
    for error in (Denied("X", "no"), TimeoutError("the body's own"), KeyError("k")):

        async def body(view: StoreView, error: Exception = error) -> None:
            await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
            raise error

        with pytest.raises(type(error)) as caught:
            await store.transaction(body, nonce="same")
        assert caught.value is error
    assert await store.get("chats", "one") is None
    assert await store.transaction(add("one"), nonce="same") == 1


@pytest.mark.invariant("I9")
@pytest.mark.matrix("O01")
async def test_a_nonce_takes_effect_once(store: ServedStore) -> None:
    """Five taps at once and a sixth later: one effect, the others are told."""
    results = await asyncio.gather(
        *(store.transaction(add("one"), nonce="tap") for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(str(type(result).__name__) for result in results) == ["AlreadyDone"] * 4 + ["int"]
    with pytest.raises(AlreadyDone):
        await store.transaction(add("one"), nonce="tap")
    assert await counter(store, "one") == 1


@pytest.mark.matrix("D02")
async def test_conflicting_transactions_all_get_through(store: ServedStore) -> None:
    """More of them than sessions, on one document: each takes effect once, none is lost."""
    results = await asyncio.gather(
        *(store.transaction(add("one"), nonce=f"n{i}") for i in range(20))
    )
    assert sorted(results) == list(range(1, 21))
    assert await counter(store, "one") == 20


async def test_a_body_runs_again_after_a_conflict_and_sees_what_changed(
    store: ServedStore, other_store: ServedStore
) -> None:
    """The value is that of the run that was committed."""
    await store.insert("chats", {"_id": "one", "n": 0})
    seen: list[int] = []

    async def body(view: StoreView) -> int:
        seen.append(await counter(view, "one"))  # type: ignore[arg-type]
        if len(seen) == 1:
            await other_store.update("chats", {"_id": "one"}, Change(inc={"n": 10}))
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}))
        return len(seen)

    assert await store.transaction(body, nonce="one") == 2
    assert seen == [0, 10]
    assert await counter(store, "one") == 11


async def test_a_transaction_reads_one_snapshot(
    store: ServedStore, other_store: ServedStore
) -> None:
    """What others commit meanwhile is not seen; what is not committed is seen by nobody."""
    await store.insert("chats", {"_id": "one", "n": 0}, {"_id": "two", "n": 0})

    async def body(view: StoreView) -> tuple[int, int, int]:
        first = await counter(view, "one")  # type: ignore[arg-type]
        await view.update("chats", {"_id": "two"}, Change(inc={"n": 5}))
        outside = await counter(other_store, "two")
        await other_store.update("chats", {"_id": "one"}, Change(inc={"n": 1}))
        return first, await counter(view, "one"), outside  # type: ignore[arg-type]

    assert await store.transaction(body, nonce="one") == (0, 0, 0)


async def test_a_document_deleted_meanwhile_is_a_conflict(
    store: ServedStore, other_store: ServedStore
) -> None:
    """The body runs again and finds nothing to change."""
    await store.insert("chats", {"_id": "one", "n": 0})
    matched: list[int] = []

    async def body(view: StoreView) -> None:
        await view.get("chats", "one")
        if not matched:
            matched.append(-1)
            await other_store.delete("chats", {"_id": "one"})
        matched.append(await view.update("chats", {"_id": "one"}, Change(inc={"n": 1})))

    await store.transaction(body, nonce="one")
    assert matched == [-1, 0]
    assert await store.find("chats", {}) == []


async def test_a_body_that_swallows_an_error_commits_nothing(store: ServedStore) -> None:
    """A server ends the transaction at its first error; writing on would be outside of it."""
    await store.insert("chats", {"_id": "taken"})

    async def body(view: StoreView) -> None:
        await view.insert("chats", {"_id": "before"})
        with pytest.raises(DuplicateKey):
            await view.insert("chats", {"_id": "taken"})
        with pytest.raises(DuplicateKey):
            await view.insert("chats", {"_id": "after"})

    with pytest.raises(DuplicateKey):
        await store.transaction(body, nonce="one")
    assert [row["_id"] for row in await store.find("chats", {})] == ["taken"]


async def test_a_cancelled_transaction_leaves_nothing_open(
    store: ServedStore, other_store: ServedStore
) -> None:
    """What it had written is free at once, and its session is back."""
    await store.insert("chats", {"_id": "one", "n": 0})
    for turn in range(len(store.session_ids) + 1):
        wrote = asyncio.Event()

        async def body(view: StoreView, wrote: asyncio.Event = wrote) -> None:
            await view.update("chats", {"_id": "one"}, Change(inc={"n": 100}))
            wrote.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(store.transaction(body, nonce=f"cancelled{turn}"))
        await wrote.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await other_store.transaction(add("one"), nonce=f"after{turn}") == turn + 1


async def test_a_body_that_takes_too_long_is_stopped(
    hasty_store: ServedStore, other_store: ServedStore
) -> None:
    """After the deadline the caller gets StoreUnavailable and what it wrote is free."""

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        await asyncio.Event().wait()

    with pytest.raises(StoreUnavailable, match="in time"):
        await hasty_store.transaction(body, nonce="long")
    assert await other_store.transaction(add("one"), nonce="next") == 1


async def test_a_lock_that_stays_ends_in_transaction_conflict(
    store: ServedStore, resigning_store: ServedStore
) -> None:
    """Attempts are bounded, and nothing was changed."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        wrote.set()
        await finish.wait()

    holder = asyncio.create_task(store.transaction(body, nonce="holder"))
    await wrote.wait()
    with pytest.raises(TransactionConflict):
        await resigning_store.transaction(add("one"), nonce="waiter")
    finish.set()
    await holder
    assert await counter(store, "one") == 1
    assert await store.get("commits", "waiter") is None


async def test_a_single_write_waits_for_a_transaction_that_holds_its_document(
    store: ServedStore, place: Place
) -> None:
    """It takes effect once, after the commit, on every store (the embedded one refuses at once)."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        wrote.set()
        await finish.wait()

    holder = asyncio.create_task(store.transaction(body, nonce="holder"))
    await wrote.wait()
    writer = asyncio.create_task(
        store.update("chats", {"_id": "one"}, Change(inc={"n": 10}), upsert=True)
    )
    done, _ = await asyncio.wait({writer}, timeout=0.2)
    # The only writer locks nothing: the transaction runs again upon what was written meanwhile.
    assert place.is_held or not done
    finish.set()
    await holder
    assert await writer == 1
    assert await counter(store, "one") == 11


async def test_calls_made_at_once_in_a_body_take_turns(store: ServedStore) -> None:
    """A session takes one operation at a time; a body may gather all the same."""

    async def body(view: StoreView) -> int:
        await asyncio.gather(*(view.insert("chats", {"_id": f"k{n}"}) for n in range(10)))
        return len(await view.find("chats", {}))

    assert await store.transaction(body, nonce="one") == 10
    assert len(await store.find("chats", {})) == 10


async def test_a_view_is_dead_after_its_transaction(store: ServedStore) -> None:
    """Its session may serve another transaction by then."""
    kept: list[StoreView] = []

    async def body(view: StoreView) -> None:
        kept.append(view)

    await store.transaction(body, nonce="one")
    with pytest.raises(StoreError, match="after its transaction"):
        await kept[0].insert("chats", {"_id": "late"})
    assert await store.get("chats", "late") is None


async def test_the_pool_of_sessions_is_fixed(store: ServedStore) -> None:
    """Its ids, which the lease records, stay the same whatever happened."""
    before = store.session_ids
    await asyncio.gather(*(store.transaction(add("one"), nonce=f"n{i}") for i in range(12)))
    assert store.session_ids == before
    assert len(set(before)) == 8


# --- unique indexes inside of transactions ---


async def test_a_unique_value_moves_within_one_transaction(store: ServedStore) -> None:
    """Taken from one document it is free for another, in the transaction and after it."""
    await store.insert("orders", order("A", broker_order_id="7"), order("B"))

    async def body(view: StoreView) -> None:
        await view.update("orders", {"_id": "A"}, Change(set={"broker_order_id": None}))
        await view.update("orders", {"_id": "B"}, Change(set={"broker_order_id": "7"}))

    await store.transaction(body, nonce="one")
    # By the fields of the index, from its first on: by the second alone the embedded server finds
    # nothing (docs/spec/facts/store.md 11).
    account = order("B")["broker_id"]
    found = await store.find("orders", {"broker_id": account, "broker_order_id": "7"})
    assert [row["_id"] for row in found] == ["B"]


async def test_a_unique_value_committed_meanwhile_is_seen_by_the_next_run(
    store: ServedStore, other_store: ServedStore
) -> None:
    """The snapshot did not hold it: the body runs again and meets it as a duplicate."""
    runs = 0

    async def body(view: StoreView) -> None:
        nonlocal runs
        runs += 1
        assert len(await view.find("orders", {})) == runs - 1
        if runs == 1:
            await other_store.insert("orders", order("A", broker_order_id="7"))
        await view.insert("orders", order("B", broker_order_id="7"))

    with pytest.raises(DuplicateKey) as refused:
        await store.transaction(body, nonce="one")
    assert (runs, refused.value.index) == (2, "broker_id_broker_order_id")


async def test_two_transactions_cannot_both_take_a_unique_value(
    store: ServedStore, resigning_store: ServedStore
) -> None:
    """The second meets the first's, which is not committed, as a conflict; then as a duplicate."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def first(view: StoreView) -> None:
        await view.insert("orders", order("A", broker_order_id="7"))
        wrote.set()
        await finish.wait()

    async def second(view: StoreView) -> None:
        await view.insert("orders", order("B", broker_order_id="7"))

    holder = asyncio.create_task(store.transaction(first, nonce="first"))
    await wrote.wait()
    with pytest.raises(TransactionConflict):
        await resigning_store.transaction(second, nonce="second")
    finish.set()
    await holder
    with pytest.raises(DuplicateKey):
        await resigning_store.transaction(second, nonce="second")
