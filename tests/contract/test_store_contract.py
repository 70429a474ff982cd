"""The store port's contract, on every server that Saarthi runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.adapters.mongo.store import MongoStore, ServerKind
from core.domain.mode import TradingMode
from core.errors import (
    AlreadyDone,
    ConfigurationError,
    Denied,
    DuplicateKey,
    StoreError,
    StoreUnavailable,
    TransactionConflict,
)
from core.ports.store import Change, Document, Store, StoreView

NOW = datetime(2026, 11, 23, 4, 15, 30, 123000, tzinfo=UTC)


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1234567.05"),
        Decimal("0.10"),
        Decimal("-0.05"),
        Decimal("9999999999999999999999999999.99"),
        Decimal("1E+3"),
        0,
        -1,
        2**62,
        True,
        None,
        "रुपये ₹",
        b"\x00\xff",
        NOW,
        [1, [Decimal("2.50")], {"a": [NOW]}],
        {"nested": {"price": Decimal("101.05"), "at": NOW}},
    ],
)
async def test_a_value_comes_back_as_it_went_in(mongo_store: MongoStore, value: Any) -> None:
    """Money keeps every digit and its trailing zeros, times their zone, bytes their bytes."""
    await mongo_store.insert("settings", {"_id": "one", "value": value})
    found = await mongo_store.get("settings", "one")
    assert found is not None
    assert found["value"] == value
    assert repr(found["value"]) == repr(value)


async def test_times_come_back_in_utc_to_the_millisecond(mongo_store: MongoStore) -> None:
    """An IST time is the same instant in UTC afterwards; microseconds are cut."""
    ist = NOW.astimezone(ZoneInfo("Asia/Kolkata")) + timedelta(microseconds=456)
    await mongo_store.insert("settings", {"_id": "one", "at": ist})
    found = await mongo_store.get("settings", "one")
    assert found is not None
    assert found["at"] == NOW
    assert found["at"].utcoffset() == timedelta(0)


async def test_a_time_without_zone_is_refused(mongo_store: MongoStore) -> None:
    """BSON would take it for UTC silently, five and a half hours off."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="without a zone"):
        await mongo_store.insert("settings", {"_id": "one", "rows": [{"at": naive}]})
    with pytest.raises(ValueError, match="without a zone"):
        await mongo_store.update("settings", {"_id": "one"}, Change(set={"at": naive}))


async def test_an_enum_of_strings_is_kept_as_its_value(mongo_store: MongoStore) -> None:
    """What the domain writes reads back as plain text."""
    await mongo_store.insert("settings", {"_id": "one", "mode": TradingMode.PAUSED})
    assert await mongo_store.find("settings", {"mode": TradingMode.PAUSED}) == [
        {"_id": "one", "mode": "PAUSED"}
    ]


async def test_what_was_given_is_not_written_into(mongo_store: MongoStore) -> None:
    """The caller's document and the stored one are two things."""
    document = {"_id": "one", "rows": [1]}
    await mongo_store.insert("settings", document)
    assert document == {"_id": "one", "rows": [1]}


# --- reading and writing -------------------------------------------------------------------------


@pytest.fixture
async def numbers(mongo_store: MongoStore) -> MongoStore:
    """Ten documents, n from 0 to 9, even ones marked."""
    rows = [{"_id": f"k{n}", "n": n, "is_even": n % 2 == 0, "price": Decimal(n)} for n in range(10)]
    await mongo_store.insert("chats", *rows)
    return mongo_store


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"n": 3}, [3]),
        ({"n": {"$in": [1, 2, 99]}}, [1, 2]),
        ({"n": {"$gt": 7}}, [8, 9]),
        ({"n": {"$gte": 7, "$lt": 9}}, [7, 8]),
        ({"n": {"$lte": 1}}, [0, 1]),
        ({"n": {"$ne": 0}, "is_even": True}, [2, 4, 6, 8]),
        ({"price": {"$gte": Decimal("8.0")}}, [8, 9]),
        ({"absent": None, "n": {"$lt": 2}}, [0, 1]),
        ({"n": 77}, []),
    ],
)
async def test_flat_filters_find_what_they_say(
    numbers: MongoStore, where: Document, expected: list[int]
) -> None:
    """The filters that the port allows, ranges over money included."""
    found = await numbers.find("chats", where, sort=[("n", 1)])
    assert [row["n"] for row in found] == expected


async def test_sort_and_limit(numbers: MongoStore) -> None:
    """Several keys in order; limit 0 means all."""
    newest = await numbers.find("chats", {}, sort=[("is_even", 1), ("n", -1)], limit=3)
    assert [row["n"] for row in newest] == [9, 7, 5]
    assert len(await numbers.find("chats", {})) == 10


async def test_get_of_nothing_is_none(mongo_store: MongoStore) -> None:
    """A missing document is no error."""
    assert await mongo_store.get("chats", "nobody") is None


async def test_update_tells_how_many_matched(numbers: MongoStore) -> None:
    """Matched, not modified: a claim that finds its row counts even if nothing was different."""
    assert await numbers.update("chats", {"_id": "k1"}, Change(set={"n": 1})) == 1
    assert await numbers.update("chats", {"_id": "nobody"}, Change(set={"n": 1})) == 0
    assert await numbers.update("chats", {"is_even": True}, Change(inc={"n": 100})) == 1
    assert await numbers.update("chats", {"is_even": True}, Change(set={"x": 1}), many=True) == 5


async def test_every_kind_of_change(mongo_store: MongoStore) -> None:
    """Set, add and set on insert work in one call, on dotted names too."""
    change = Change(set={"a.b": Decimal("1.5")}, inc={"n": 2, "a.m": 1}, set_on_insert={"x": 1})
    assert await mongo_store.update("chats", {"_id": "one"}, change, upsert=True) == 1
    assert await mongo_store.update("chats", {"_id": "one"}, change, upsert=True) == 1
    assert await mongo_store.get("chats", "one") == {
        "_id": "one",
        "a": {"b": Decimal("1.5"), "m": 2},
        "n": 4,
        "x": 1,
    }
    with pytest.raises(ValueError, match="changes nothing"):
        await mongo_store.update("chats", {"_id": "one"}, Change())


async def test_delete_tells_how_many(numbers: MongoStore) -> None:
    """Every matching document goes."""
    assert await numbers.delete("chats", {"is_even": True}) == 5
    assert await numbers.delete("chats", {"is_even": True}) == 0


async def test_an_insert_without_id_is_refused(mongo_store: MongoStore) -> None:
    """The driver would invent an id of another type."""
    with pytest.raises(ValueError, match="no _id"):
        await mongo_store.insert("chats", {"n": 1})


# --- unique indexes ------------------------------------------------------------------------------


def order(key: str, **fields: Any) -> Document:
    """A row of the journal that its validator accepts."""
    row = {"broker_id": "zerodha_abc123", "state": "ACCEPTED", "side": "BUY", "purpose": "entry"}
    return {"_id": key, "quantity": 1, **row, **fields}


@pytest.mark.matrix("S03")
async def test_a_second_document_of_one_id_is_refused(mongo_store: MongoStore) -> None:
    """Also in a batch, and the error names the index."""
    await mongo_store.insert("orders", order("A"))
    with pytest.raises(DuplicateKey) as alone:
        await mongo_store.insert("orders", order("A"))
    with pytest.raises(DuplicateKey) as batch:
        await mongo_store.insert("orders", order("B"), order("A"))
    assert alone.value.index == batch.value.index == "_id_"


async def test_a_unique_index_is_named_in_the_error(mongo_store: MongoStore) -> None:
    """By insert and by update, alone and inside a transaction; partial ones skip nulls."""
    await mongo_store.insert("orders", order("A", broker_order_id="7"))
    await mongo_store.insert("orders", order("B", broker_order_id=None))
    await mongo_store.insert("orders", order("C", broker_order_id=None))
    name = "broker_id_broker_order_id"
    with pytest.raises(DuplicateKey) as by_insert:
        await mongo_store.insert("orders", order("D", broker_order_id="7"))
    take = Change(set={"broker_order_id": "7"})
    with pytest.raises(DuplicateKey) as by_update:
        await mongo_store.update("orders", {"_id": "B"}, take)

    async def body(view: StoreView) -> None:
        await view.update("orders", {"_id": "B"}, take)

    with pytest.raises(DuplicateKey) as inside:
        await mongo_store.transaction(body, nonce="one")
    assert {by_insert.value.index, by_update.value.index, inside.value.index} == {name}


async def test_a_validator_refuses_what_would_break_the_program(mongo_store: MongoStore) -> None:
    """An unknown state or a quantity of nothing is refused as an error of the store, not absence."""
    for wrong in (order("A", state="LOST"), order("A", quantity=0), order("A", side="HOLD")):
        with pytest.raises(StoreError) as refused:
            await mongo_store.insert("orders", wrong)
        assert not isinstance(refused.value, StoreUnavailable)
    assert await mongo_store.get("orders", "A") is None


# --- transactions --------------------------------------------------------------------------------


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
    mongo_store: MongoStore,
) -> None:
    """Two collections change together, and the body's value comes back."""

    async def body(view: StoreView) -> str:
        await view.insert("runs", {"_id": "r", "strategy": "s"})
        await view.insert("orders", order("A"), order("B"))
        await view.delete("orders", {"_id": "B"})
        found = await view.find("orders", {"broker_id": "zerodha_abc123"})
        return ",".join(row["_id"] for row in found)

    assert await mongo_store.transaction(body, nonce="one") == "A"
    assert await mongo_store.get("runs", "r") is not None
    assert await mongo_store.get("orders", "A") is not None


async def test_an_exception_of_the_body_undoes_everything_and_comes_out_unchanged(
    mongo_store: MongoStore,
) -> None:
    """Any exception does, and its nonce stays free for the next try."""
    for error in (Denied("X", "no"), TimeoutError("the body's own"), KeyError("k")):

        async def body(view: StoreView, error: Exception = error) -> None:
            await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
            raise error

        with pytest.raises(type(error)) as caught:
            await mongo_store.transaction(body, nonce="same")
        assert caught.value is error
    assert await mongo_store.get("chats", "one") is None
    assert await mongo_store.transaction(add("one"), nonce="same") == 1


@pytest.mark.invariant("I9")
@pytest.mark.matrix("O01")
async def test_a_nonce_takes_effect_once(mongo_store: MongoStore) -> None:
    """Five taps at once and a sixth later: one effect, the others are told."""
    results = await asyncio.gather(
        *(mongo_store.transaction(add("one"), nonce="tap") for _ in range(5)),
        return_exceptions=True,
    )
    assert sorted(str(type(result).__name__) for result in results) == ["AlreadyDone"] * 4 + ["int"]
    with pytest.raises(AlreadyDone):
        await mongo_store.transaction(add("one"), nonce="tap")
    assert await counter(mongo_store, "one") == 1


@pytest.mark.matrix("D02")
async def test_conflicting_transactions_all_get_through(mongo_store: MongoStore) -> None:
    """More of them than sessions, on one document: each takes effect once, none is lost."""
    results = await asyncio.gather(
        *(mongo_store.transaction(add("one"), nonce=f"n{i}") for i in range(20))
    )
    assert sorted(results) == list(range(1, 21))
    assert await counter(mongo_store, "one") == 20


async def test_a_body_runs_again_after_a_conflict_and_sees_what_changed(
    mongo_store: MongoStore, other_store: MongoStore
) -> None:
    """The value is that of the run that was committed."""
    await mongo_store.insert("chats", {"_id": "one", "n": 0})
    seen: list[int] = []

    async def body(view: StoreView) -> int:
        seen.append(await counter(view, "one"))  # type: ignore[arg-type]
        if len(seen) == 1:
            await other_store.update("chats", {"_id": "one"}, Change(inc={"n": 10}))
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}))
        return len(seen)

    assert await mongo_store.transaction(body, nonce="one") == 2
    assert seen == [0, 10]
    assert await counter(mongo_store, "one") == 11


async def test_a_transaction_reads_one_snapshot(
    mongo_store: MongoStore, other_store: MongoStore
) -> None:
    """What others commit meanwhile is not seen; what is not committed is seen by nobody."""
    await mongo_store.insert("chats", {"_id": "one", "n": 0}, {"_id": "two", "n": 0})

    async def body(view: StoreView) -> tuple[int, int, int]:
        first = await counter(view, "one")  # type: ignore[arg-type]
        await view.update("chats", {"_id": "two"}, Change(inc={"n": 5}))
        outside = await counter(other_store, "two")
        await other_store.update("chats", {"_id": "one"}, Change(inc={"n": 1}))
        return first, await counter(view, "one"), outside  # type: ignore[arg-type]

    assert await mongo_store.transaction(body, nonce="one") == (0, 0, 0)


async def test_a_body_that_swallows_an_error_commits_nothing(mongo_store: MongoStore) -> None:
    """A server ends the transaction at its first error; writing on would be outside of it."""
    await mongo_store.insert("chats", {"_id": "taken"})

    async def body(view: StoreView) -> None:
        await view.insert("chats", {"_id": "before"})
        with pytest.raises(DuplicateKey):
            await view.insert("chats", {"_id": "taken"})
        with pytest.raises(DuplicateKey):
            await view.insert("chats", {"_id": "after"})

    with pytest.raises(DuplicateKey):
        await mongo_store.transaction(body, nonce="one")
    assert [row["_id"] for row in await mongo_store.find("chats", {})] == ["taken"]


async def test_a_cancelled_transaction_leaves_nothing_open(
    mongo_store: MongoStore, other_store: MongoStore
) -> None:
    """What it had written is free at once, and its session is back."""
    await mongo_store.insert("chats", {"_id": "one", "n": 0})
    for turn in range(len(mongo_store.session_ids) + 1):
        wrote = asyncio.Event()

        async def body(view: StoreView, wrote: asyncio.Event = wrote) -> None:
            await view.update("chats", {"_id": "one"}, Change(inc={"n": 100}))
            wrote.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(mongo_store.transaction(body, nonce=f"cancelled{turn}"))
        await wrote.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await other_store.transaction(add("one"), nonce=f"after{turn}") == turn + 1


async def test_a_body_that_takes_too_long_is_stopped(other_store: MongoStore) -> None:
    """After the deadline the caller gets StoreUnavailable and what it wrote is free."""

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        await asyncio.Event().wait()

    with pytest.raises(StoreUnavailable, match="in time"):
        await other_store.transaction(body, nonce="long")
    assert await other_store.transaction(add("one"), nonce="next") == 1


async def test_a_lock_that_stays_ends_in_transaction_conflict(
    mongo_store: MongoStore, other_store: MongoStore
) -> None:
    """Attempts are bounded, and nothing was changed."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        wrote.set()
        await finish.wait()

    holder = asyncio.create_task(mongo_store.transaction(body, nonce="holder"))
    await wrote.wait()
    with pytest.raises(TransactionConflict):
        await other_store.transaction(add("one"), nonce="waiter")
    finish.set()
    await holder
    assert await counter(mongo_store, "one") == 1
    assert await mongo_store.get("commits", "waiter") is None


async def test_a_single_write_waits_for_a_transaction_that_holds_its_document(
    mongo_store: MongoStore,
) -> None:
    """It takes effect once, after the commit, on both servers (the embedded one refuses at once)."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def body(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}), upsert=True)
        wrote.set()
        await finish.wait()

    holder = asyncio.create_task(mongo_store.transaction(body, nonce="holder"))
    await wrote.wait()
    writer = asyncio.create_task(
        mongo_store.update("chats", {"_id": "one"}, Change(inc={"n": 10}), upsert=True)
    )
    done, _ = await asyncio.wait({writer}, timeout=0.2)
    assert not done
    finish.set()
    await holder
    assert await writer == 1
    assert await counter(mongo_store, "one") == 11


async def test_calls_made_at_once_in_a_body_take_turns(mongo_store: MongoStore) -> None:
    """A session takes one operation at a time; a body may gather all the same."""

    async def body(view: StoreView) -> int:
        await asyncio.gather(*(view.insert("chats", {"_id": f"k{n}"}) for n in range(10)))
        return len(await view.find("chats", {}))

    assert await mongo_store.transaction(body, nonce="one") == 10
    assert len(await mongo_store.find("chats", {})) == 10


async def test_a_view_is_dead_after_its_transaction(mongo_store: MongoStore) -> None:
    """Its session may serve another transaction by then."""
    kept: list[StoreView] = []

    async def body(view: StoreView) -> None:
        kept.append(view)

    await mongo_store.transaction(body, nonce="one")
    with pytest.raises(StoreError, match="after its transaction"):
        await kept[0].insert("chats", {"_id": "late"})
    assert await mongo_store.get("chats", "late") is None


async def test_the_pool_of_sessions_is_fixed(mongo_store: MongoStore) -> None:
    """Its ids, which the lease records, stay the same whatever happened."""
    before = mongo_store.session_ids
    await asyncio.gather(*(mongo_store.transaction(add("one"), nonce=f"n{i}") for i in range(12)))
    assert mongo_store.session_ids == before
    assert len(set(before)) == 8


# --- reaching the server -------------------------------------------------------------------------


async def test_the_kind_of_server_is_known(mongo_store: MongoStore, store_uri: str) -> None:
    """F5 asks for an explicit yes before live orders rest on the embedded one."""
    assert mongo_store.server_kind() in {ServerKind.EMBEDDED, ServerKind.MONGOD}
    await mongo_store.ping()


async def test_a_malformed_address_is_explained_without_its_password() -> None:
    """The sentence names the setting and the expected form."""
    for uri in ("http://u:hunter2@h", "mongodb://u:hunter2@h:notaport/", "mongodb://u:hun/ter2@h/"):
        with pytest.raises(ConfigurationError, match="MONGODB_URI") as wrong:
            await MongoStore.connect(uri, "saarthi")
        assert "hunter2" not in str(wrong.value)
        assert wrong.value.__cause__ is None


async def test_a_wrong_password_is_unavailable_and_not_repeated(store_uri: str) -> None:
    """The password does not come back in the message."""
    head, at, tail = store_uri.partition("@")
    user = head.rpartition(":")[0]
    with pytest.raises(StoreUnavailable) as refused:
        await MongoStore.connect(f"{user}:hunter2{at}{tail}", "saarthi")
    assert "hunter2" not in str(refused.value)
