"""Writes that a transaction carries out in one go: on every server, in memory, over a bad line."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.adapters.mongo.store import MongoStore
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    GivenUp,
    StaleWrite,
    TransactionConflict,
    Unmatched,
)
from core.ports.store import Batch, BulkView, Change, Condition, Document, ServedStore
from tests.contract.conftest import OPTIONS
from tests.faults.proxy import Loss, through

AT = datetime.now(UTC).replace(microsecond=0)
COUNTED = Condition("chats", {"_id": "one", "by": "me"}, Change(inc={"n": 1}))


def rows(*keys: str) -> list[Document]:
    """Some documents of any content."""
    return [{"_id": key, "text": key} for key in keys]


def writing(*batches: tuple[str, Batch], condition: Condition = COUNTED):
    """A body that writes all of it in one go."""

    async def body(view: BulkView) -> None:
        await view.apply_all(condition, batches)

    return body


async def content(store: ServedStore) -> list[object]:
    """What is there: the counter, and the ids of two collections."""
    counter = await store.get("chats", "one")
    found = [
        sorted(row["_id"] for row in await store.find(name, {})) for name in ("cards", "inbox")
    ]
    return [counter and counter["n"], *found]


@pytest.fixture
async def begun(store: ServedStore) -> ServedStore:
    """A store with a counter and two cards."""
    await store.insert("chats", {"_id": "one", "by": "me", "n": 0})
    await store.insert("cards", *rows("a", "b"))
    return store


async def test_everything_written_in_one_go_is_there(begun: ServedStore) -> None:
    """Removed, changed and inserted in two collections, with the condition's own change."""
    cards = Batch(removals=["a"], changes=[("b", Change(set={"text": "new"}))], inserts=rows("c"))
    await begun.transaction(
        writing(("cards", cards), ("inbox", Batch(inserts=rows("x")))), nonce="1"
    )
    assert await content(begun) == [1, ["b", "c"], ["x"]]
    changed = await begun.get("cards", "b")
    assert changed is not None
    assert changed["text"] == "new"


async def test_a_condition_that_nothing_meets_refuses_all(begun: ServedStore) -> None:
    """Also where everything after it could be written."""
    other = Condition("chats", {"_id": "one", "by": "another"}, Change(inc={"n": 1}))
    batches = ("cards", Batch(inserts=rows("c"))), ("inbox", Batch(inserts=rows("x")))
    with pytest.raises(Unmatched):
        await begun.transaction(writing(*batches, condition=other), nonce="1")
    assert await content(begun) == [0, ["a", "b"], []]


async def test_waking_a_store_changes_nothing(begun: ServedStore) -> None:
    """Whoever commits meanwhile or after does so as ever."""
    before = await begun.find("commits", {})
    for _ in range(3):
        begun.wake()
    cards = ("cards", Batch(inserts=rows("c")))
    await begun.transaction(writing(cards), nonce="1")
    begun.wake()
    assert await content(begun) == [1, ["a", "b", "c"], []]
    after = await begun.find("commits", {})
    assert {row["_id"] for row in after} - {row["_id"] for row in before} <= {"1"} | {
        row["_id"] for row in after if row["_id"].startswith("group:")
    }


async def test_a_lock_is_named_to_a_body_that_gives_up(
    begun: ServedStore, other_store: ServedStore
) -> None:
    """It runs once, hears which of its commands met another's write, and leaves nothing."""
    wrote, finish = asyncio.Event(), asyncio.Event()

    async def holds(view: BulkView) -> None:
        await view.update("cards", {"_id": "b"}, Change(inc={"n": 1}))
        wrote.set()
        await finish.wait()

    met: list[object] = []

    async def gives_up(view: BulkView) -> None:
        batches = [("cards", Batch(changes=[(one, Change(inc={"n": 1}))])) for one in ("a", "b")]
        try:
            await view.apply_all(COUNTED, batches)
        except TransactionConflict as error:
            met.append(error.met)
            raise GivenUp("It is locked.") from error

    holder = asyncio.create_task(begun.transaction(holds, nonce="holder"))
    await wrote.wait()
    with pytest.raises(GivenUp):
        await other_store.transaction(gives_up, nonce="1")
    finish.set()
    await holder
    assert met == [("cards", ("b",))]
    assert [row.get("n", 0) for row in await begun.find("cards", {}, sort=[("_id", 1)])] == [0, 1]
    assert await content(begun) == [0, ["a", "b"], []]
    assert await begun.get("commits", "1") is None


async def test_a_key_that_is_taken_refuses_all_and_says_where(begun: ServedStore) -> None:
    """The first refusal counts, not what the server says to the writes after it."""
    batches = (
        ("inbox", Batch(inserts=rows("x"))),
        ("cards", Batch(inserts=rows("a"))),
        ("chats", Batch(changes=[("gone", Change(set={"n": 9}))])),
    )
    with pytest.raises(DuplicateKey) as refused:
        await begun.transaction(writing(*batches), nonce="1")
    assert refused.value.collection == "cards"
    assert await content(begun) == [0, ["a", "b"], []]
    await begun.transaction(writing(("inbox", Batch(inserts=rows("x")))), nonce="2")
    assert await content(begun) == [1, ["a", "b"], ["x"]]


@pytest.mark.parametrize("is_change", [True, False])
async def test_a_document_that_is_gone_refuses_all(begun: ServedStore, is_change: bool) -> None:
    """Whether it was to be changed or removed."""
    change = Batch(changes=[("gone", Change(set={"n": 9}))])
    stale = change if is_change else Batch(removals=["gone"])
    batches = ("cards", stale), ("inbox", Batch(inserts=rows("x")))
    with pytest.raises(StaleWrite):
        await begun.transaction(writing(*batches), nonce="1")
    assert await content(begun) == [0, ["a", "b"], []]


async def test_what_many_are_given_alike_stands_in_each_of_them(begun: ServedStore) -> None:
    """As it was given: a decimal with its digits, whatever its neighbours were given."""
    keys = [f"{number:02}" for number in range(23)]
    given = [*[Decimal("1.0")] * 21, Decimal("1.00"), 1]
    await begun.insert("inbox", *rows(*keys))
    changes = [(key, Change(set={"price": price})) for key, price in zip(keys, given, strict=True)]
    await begun.transaction(writing(("inbox", Batch(changes=changes))), nonce="1")
    found = await begun.find("inbox", {}, sort=[("_id", 1)])
    assert [repr(row["price"]) for row in found] == [*map(repr, given)]
    assert [row["text"] for row in found] == keys


async def test_one_that_is_gone_refuses_what_all_were_given_alike(begun: ServedStore) -> None:
    """Nobody may take it for changed with the others."""
    changes = [(key, Change(set={"text": "new"})) for key in ("a", "gone", "b")]
    with pytest.raises(StaleWrite):
        await begun.transaction(writing(("cards", Batch(changes=changes))), nonce="1")
    assert {row["text"] for row in await begun.find("cards", {})} == {"a", "b"}


async def test_more_commands_than_are_sent_together_are_all_carried_out(
    begun: ServedStore,
) -> None:
    """Thirty of them, of one document each."""
    many = rows(*(f"{number:02}" for number in range(30)))
    await begun.transaction(writing(*(("inbox", Batch(inserts=[row])) for row in many)), nonce="1")
    assert (await content(begun))[2] == [row["_id"] for row in many]


# -- over a line -----------------------------------------------------------------------------------


@pytest.fixture
async def counted(mongo_store: MongoStore) -> MongoStore:
    """A direct store, with the counter."""
    await mongo_store.insert("chats", {"_id": "one", "by": "me", "n": 0})
    return mongo_store


BATCHES = (
    ("inbox", Batch(inserts=rows("x"))),
    ("cards", Batch(inserts=rows("c"))),
    ("runs", Batch(inserts=rows("r"))),
    ("fills", Batch(inserts=rows("f"))),
)


async def test_a_server_is_waited_for_twice_however_much_is_written(
    counted: MongoStore, store_uri: str, store_database: str
) -> None:
    """Once for the nonce with all the writes, once for the commit."""
    async with (
        through(store_uri) as (proxy, uri),
        await MongoStore.connect(uri, store_database, OPTIONS) as store,
    ):
        await store.transaction(writing(BATCHES[0]), nonce="warm")
        proxy.trace.clear()
        await store.transaction(writing(*BATCHES[1:]), nonce="1")
    turns = "".join(proxy.trace).split("<")
    assert sum(len(part) for part in turns) == 6, "claim, condition, three batches, commit"
    assert len([part for part in turns if part]) == 2
    assert await content(counted) == [2, ["c"], ["x"]]


def remembering(*nonces: str) -> tuple[str, Batch]:
    """What remembers that a group's members are committed."""
    then = datetime.now(UTC)
    found = [{"_id": nonce, "by": "group", "run": 0, "at": then} for nonce in nonces]
    return "commits", Batch(inserts=found)


@pytest.mark.invariant("I9")
async def test_nonces_go_in_one_command_and_each_refuses_by_itself(
    counted: MongoStore, store_uri: str, store_database: str
) -> None:
    """The transaction's own stands before those of its members: another's is told from theirs."""
    async with (
        through(store_uri) as (proxy, uri),
        await MongoStore.connect(uri, store_database, OPTIONS) as store,
    ):
        await store.transaction(writing(BATCHES[0]), nonce="warm")
        proxy.trace.clear()
        await store.transaction(writing(remembering("a", "b"), BATCHES[1]), nonce="1")
        assert "".join(proxy.trace).count(">") == 4, "all nonces, condition, a batch, commit"
        with pytest.raises(DuplicateKey) as refused:
            await store.transaction(writing(remembering("c", "b")), nonce="2")
        assert refused.value.collection == "commits"
        with pytest.raises(AlreadyDone):
            await store.transaction(writing(remembering("d")), nonce="1")
        await store.transaction(writing(remembering("c", "d")), nonce="2")
    found = await counted.find("commits", {"_id": {"$in": ["1", "2", "a", "b", "c", "d"]}})
    assert sorted(row["_id"] for row in found) == ["1", "2", "a", "b", "c", "d"]
    assert {row["by"] for row in found if row["_id"] in "abcd"} == {"group"}


async def test_what_remembers_a_transaction_is_kept_from_the_time_that_is_given(
    counted: MongoStore,
) -> None:
    """It is one insert then, alone or before those of members, and refuses the nonce as ever."""
    asked = replace(COUNTED, at=AT)
    await counted.transaction(writing(BATCHES[0], condition=asked), nonce="1")
    await counted.transaction(writing(remembering("a"), condition=asked), nonce="2")
    with pytest.raises(AlreadyDone):
        await counted.transaction(writing(BATCHES[1], condition=asked), nonce="1")
    found = [await counted.get("commits", key) for key in ("1", "2")]
    assert [row and row["at"] for row in found] == [AT, AT]
    assert await content(counted) == [2, [], ["x"]]


@pytest.mark.parametrize("loss", list(Loss))
@pytest.mark.invariant("I1")
async def test_a_line_that_breaks_between_the_writes_loses_and_doubles_none(
    counted: MongoStore, store_uri: str, store_database: str, loss: Loss
) -> None:
    """Nothing had been asked to commit, so all of it runs again."""
    async with (
        through(store_uri) as (proxy, uri),
        await MongoStore.connect(uri, store_database, OPTIONS) as store,
    ):
        proxy.lose(loss, "cards")
        await store.transaction(writing(*BATCHES), nonce="1")
        assert proxy.lost == 1
    assert await content(counted) == [1, ["c"], ["x"]]


async def test_a_cancellation_between_the_writes_leaves_nothing(
    counted: MongoStore, store_uri: str, store_database: str
) -> None:
    """Answers that nobody has read are not taken for those of the next transaction."""
    async with (
        through(store_uri) as (proxy, uri),
        await MongoStore.connect(uri, store_database, OPTIONS) as store,
    ):
        proxy.hold("cards")
        task = asyncio.create_task(store.transaction(writing(*BATCHES), nonce="1"))
        await proxy.held.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        proxy.gate.set()
        await store.transaction(writing(*BATCHES), nonce="2")
    assert await content(counted) == [1, ["c"], ["x"]]
