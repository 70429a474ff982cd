"""The store port's contract, on every server that Saarthi runs on and in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.adapters.mongo.store import MongoStore, ServerKind
from core.domain.mode import TradingMode
from core.errors import (
    ConfigurationError,
    DuplicateKey,
    StoreError,
    StoreUnavailable,
)
from core.ports.store import Change, Document, ServedStore, StoreView

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
async def test_a_value_comes_back_as_it_went_in(store: ServedStore, value: Any) -> None:
    """Money keeps every digit and its trailing zeros, times their zone, bytes their bytes."""
    await store.insert("settings", {"_id": "one", "value": value})
    found = await store.get("settings", "one")
    assert found is not None
    assert found["value"] == value
    assert repr(found["value"]) == repr(value)


async def test_times_come_back_in_utc_to_the_millisecond(store: ServedStore) -> None:
    """An IST time is the same instant in UTC afterwards; microseconds are cut."""
    ist = NOW.astimezone(ZoneInfo("Asia/Kolkata")) + timedelta(microseconds=456)
    await store.insert("settings", {"_id": "one", "at": ist})
    found = await store.get("settings", "one")
    assert found is not None
    assert found["at"] == NOW
    assert found["at"].utcoffset() == timedelta(0)


async def test_a_time_without_zone_is_refused(store: ServedStore) -> None:
    """BSON would take it for UTC silently, five and a half hours off."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="without a zone"):
        await store.insert("settings", {"_id": "one", "rows": [{"at": naive}]})
    with pytest.raises(ValueError, match="without a zone"):
        await store.update("settings", {"_id": "one"}, Change(set={"at": naive}))


async def test_an_enum_of_strings_is_kept_as_its_value(store: ServedStore) -> None:
    """What the domain writes reads back as plain text."""
    await store.insert("settings", {"_id": "one", "mode": TradingMode.PAUSED})
    assert await store.find("settings", {"mode": TradingMode.PAUSED}) == [
        {"_id": "one", "mode": "PAUSED"}
    ]


async def test_what_was_given_is_not_written_into(store: ServedStore) -> None:
    """The caller's document and the stored one are two things."""
    document = {"_id": "one", "rows": [1]}
    await store.insert("settings", document)
    assert document == {"_id": "one", "rows": [1]}


async def test_what_was_found_is_the_callers_own(store: ServedStore) -> None:
    """Whoever writes into a document that was read changes nothing in the store."""
    await store.insert("settings", {"_id": "one", "rows": [{"a": 1}]})
    for _ in range(2):
        for found in (await store.get("settings", "one"), *await store.find("settings", {})):
            assert found == {"_id": "one", "rows": [{"a": 1}]}
            found["rows"][0]["a"] = 2
            found["more"] = True


# --- reading and writing -------------------------------------------------------------------------


@pytest.fixture
async def numbers(store: ServedStore) -> ServedStore:
    """Ten documents, n from 0 to 9, even ones marked, the one of 8 with a part."""
    rows = [{"_id": f"k{n}", "n": n, "is_even": n % 2 == 0, "price": Decimal(n)} for n in range(10)]
    rows[8]["at"] = {"day": 8}
    await store.insert("chats", *rows)
    return store


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
        ({"n": {"$nin": [0, 1, 2, 3, 4, 5, 6]}}, [7, 8, 9]),
        ({"n": 77}, []),
        ({"n": "3"}, []),
        ({"n": True}, []),
        ({"n": {"$gt": "3"}}, []),
        ({"absent": {"$gt": 0}}, []),
        ({"absent": {"$ne": 1}, "n": 4}, [4]),
        ({"at.day": {"$in": [8, None]}, "n": {"$gt": 7}}, [8, 9]),
    ],
)
async def test_flat_filters_find_what_they_say(
    numbers: ServedStore, where: Document, expected: list[int]
) -> None:
    """The filters that the port allows, ranges over money included."""
    found = await numbers.find("chats", where, sort=[("n", 1)])
    assert [row["n"] for row in found] == expected


async def test_sort_and_limit(numbers: ServedStore) -> None:
    """Several keys in order; limit 0 means all."""
    newest = await numbers.find("chats", {}, sort=[("is_even", 1), ("n", -1)], limit=3)
    assert [row["n"] for row in newest] == [9, 7, 5]
    assert len(await numbers.find("chats", {})) == 10
    missing_first = await numbers.find("chats", {}, sort=[("at.day", 1), ("n", 1)])
    assert [row["n"] for row in missing_first][-2:] == [9, 8]


async def test_get_of_nothing_is_none(store: ServedStore) -> None:
    """A missing document is no error."""
    assert await store.get("chats", "nobody") is None


async def test_update_tells_how_many_matched(numbers: ServedStore) -> None:
    """Matched, not modified: a claim that finds its row counts even if nothing was different."""
    assert await numbers.update("chats", {"_id": "k1"}, Change(set={"n": 1})) == 1
    assert await numbers.update("chats", {"_id": "nobody"}, Change(set={"n": 1})) == 0
    assert await numbers.update("chats", {"is_even": True}, Change(inc={"n": 100})) == 1
    assert await numbers.update("chats", {"is_even": True}, Change(set={"x": 1}), many=True) == 5


async def test_every_kind_of_change(store: ServedStore) -> None:
    """Set, add and set on insert work in one call, on dotted names too."""
    change = Change(set={"a.b": Decimal("1.5")}, inc={"n": 2, "a.m": 1}, set_on_insert={"x": 1})
    assert await store.update("chats", {"_id": "one"}, change, upsert=True) == 1
    assert await store.update("chats", {"_id": "one"}, change, upsert=True) == 1
    assert await store.get("chats", "one") == {
        "_id": "one",
        "a": {"b": Decimal("1.5"), "m": 2},
        "n": 4,
        "x": 1,
    }
    with pytest.raises(StoreError):
        await store.update("chats", {"_id": "one"}, Change(set={"n.b": 1}))
    with pytest.raises(StoreError):
        await store.update("chats", {"_id": "one"}, Change(set={"_id": "two"}))
    with pytest.raises(ValueError, match="changes nothing"):
        await store.update("chats", {"_id": "one"}, Change())


async def test_an_upsert_that_inserts_keeps_what_it_looked_for(store: ServedStore) -> None:
    """The equalities of its filter stand in the new document; one that is there is refused."""
    where = {"_id": "one", "state": "open", "n": {"$gte": 0}}
    with pytest.raises(ValueError, match="without a zone"):
        await store.update(
            "chats", where, Change(set_on_insert={"at": NOW.replace(tzinfo=None)}), upsert=True
        )
    assert await store.update("chats", where, Change(set_on_insert={"n": 1}), upsert=True) == 1
    assert await store.get("chats", "one") == {"_id": "one", "state": "open", "n": 1}
    assert await store.update("chats", where, Change(inc={"n": 1}), upsert=True) == 1
    with pytest.raises(DuplicateKey) as other:
        await store.update(
            "chats", {"_id": "one", "state": "closed"}, Change(set={"n": 5}), upsert=True
        )
    assert other.value.index == "_id_"
    assert await store.get("chats", "one") == {"_id": "one", "state": "open", "n": 2}


async def test_delete_tells_how_many(numbers: ServedStore) -> None:
    """Every matching document goes."""
    assert await numbers.delete("chats", {"is_even": True}) == 5
    assert await numbers.delete("chats", {"is_even": True}) == 0


async def test_an_insert_without_id_is_refused(store: ServedStore) -> None:
    """The driver would invent an id of another type."""
    with pytest.raises(ValueError, match="no _id"):
        await store.insert("chats", {"n": 1})


# --- unique indexes ------------------------------------------------------------------------------


def order(key: str, **fields: Any) -> Document:
    """A row of the journal that its validator accepts."""
    row = {"broker_id": "zerodha_abc123", "state": "ACCEPTED", "side": "BUY", "purpose": "entry"}
    return {"_id": key, "quantity": 1, **row, **fields}


@pytest.mark.matrix("S03")
async def test_a_second_document_of_one_id_is_refused(store: ServedStore) -> None:
    """Also in a batch, and the error names the index."""
    await store.insert("orders", order("A"))
    with pytest.raises(DuplicateKey) as alone:
        await store.insert("orders", order("A"))
    with pytest.raises(DuplicateKey) as batch:
        await store.insert("orders", order("B"), order("A"))
    assert alone.value.index == batch.value.index == "_id_"


async def test_a_unique_index_is_named_in_the_error(store: ServedStore) -> None:
    """By insert and by update, alone and inside a transaction; partial ones skip nulls."""
    await store.insert("orders", order("A", broker_order_id="7"))
    await store.insert("orders", order("B", broker_order_id=None))
    await store.insert("orders", order("C", broker_order_id=None))
    name = "broker_id_broker_order_id"
    with pytest.raises(DuplicateKey) as by_insert:
        await store.insert("orders", order("D", broker_order_id="7"))
    take = Change(set={"broker_order_id": "7"})
    with pytest.raises(DuplicateKey) as by_update:
        await store.update("orders", {"_id": "B"}, take)

    async def body(view: StoreView) -> None:
        await view.update("orders", {"_id": "B"}, take)

    with pytest.raises(DuplicateKey) as inside:
        await store.transaction(body, nonce="one")
    assert {by_insert.value.index, by_update.value.index, inside.value.index} == {name}


async def test_a_validator_refuses_what_would_break_the_program(store: ServedStore) -> None:
    """An unknown state or a quantity of nothing is refused as an error of the store, not absence."""
    for wrong in (order("A", state="LOST"), order("A", quantity=0), order("A", side="HOLD")):
        with pytest.raises(StoreError) as refused:
            await store.insert("orders", wrong)
        assert not isinstance(refused.value, StoreUnavailable)
    assert await store.get("orders", "A") is None


# --- reaching the server -------------------------------------------------------------------------


async def test_the_kind_of_server_is_known(mongo_store: MongoStore, store_uri: str) -> None:
    """F5 asks for an explicit yes before live orders rest on the embedded one."""
    assert mongo_store.server_kind() in {ServerKind.EMBEDDED, ServerKind.MONGOD}
    await mongo_store.ping()


async def test_a_malformed_address_is_explained_without_its_password() -> None:
    """The sentence names the setting and the expected form."""
    for uri in (
        "http://u:hunter2@h",
        "mongodb://u:hunter2@h:notaport/",
        "mongodb://u:hun/ter2@h/",
        "u:hunter2@h",
        "hunter2",
    ):
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
