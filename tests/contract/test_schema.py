"""The table of collections on every store, and migrations killed at every statement."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from core.adapters.mongo.migrations import MIGRATIONS, SCHEMA_VERSION, forget_schema, migrate
from core.adapters.mongo.schema import COLLECTIONS, Collection, collection, index, validator
from core.adapters.mongo.store import MongoStore
from core.errors import ConfigurationError, DuplicateKey, StoreError
from core.ports.store import Change, Document, ServedStore
from tests.contract.conftest import PATIENT

NOW = datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
SERVERS_OWN = {"ns", "v", "background"}


@pytest.fixture
async def bare_store(store_uri: str, bare_database: str) -> AsyncIterator[MongoStore]:
    """A store without any collection."""
    async with await MongoStore.connect(store_uri, bare_database, PATIENT) as store:
        yield store


async def shape(store: MongoStore) -> dict[str, Any]:
    """Return what stands: each collection's validator and indexes."""
    reply = await store.command({"listCollections": 1})
    found: dict[str, Any] = {}
    for one in reply["cursor"]["firstBatch"]:
        indexes = (await store.command({"listIndexes": one["name"]}))["cursor"]["firstBatch"]
        found[one["name"]] = (
            one["options"].get("validator") or None,
            sorted(
                (
                    sorted((k, v) for k, v in each.items() if k not in SERVERS_OWN)
                    for each in indexes
                ),
                key=str,
            ),
        )
    return found


def account(broker_id: str = "zerodha_abc123", **fields: Any) -> Document:
    """An account as product.md section A has it."""
    document = {
        "_id": broker_id,
        "broker_id": broker_id,
        "broker_type": "zerodha",
        "display_name": "Main",
        "display_key": f"main {broker_id}",
        "live": True,
        "is_default": False,
        "enabled": False,
        "trading_mode": "NORMAL",
        "api_key": "key123",
        "api_secret": "sealed",
        "access_token": None,
        "token_generated_at": None,
        "token_status": "expired",
        "created_at": NOW,
        "last_run_at": None,
        "user_id": None,
    }
    return {**document, **fields}


# --- accounts ------------------------------------------------------------------------------------


@pytest.mark.row("A6")
async def test_only_one_account_is_the_default(store: ServedStore) -> None:
    """A second one is refused by the index, on insert and on update; others are free."""
    await store.insert("broker_accounts", account("zerodha_aaaaaa", is_default=True))
    await store.insert("broker_accounts", account("zerodha_bbbbbb"))
    await store.insert("broker_accounts", account("zerodha_cccccc"))
    with pytest.raises(DuplicateKey) as refused:
        await store.update(
            "broker_accounts", {"_id": "zerodha_bbbbbb"}, Change(set={"is_default": True})
        )
    assert refused.value.index == "is_default"


@pytest.mark.row("A9", "A10")
async def test_an_account_is_unique_by_key_and_user_while_it_lives(store: ServedStore) -> None:
    """One developer account serves a family; the same user twice is refused, after a disconnect not."""
    insert = store.insert
    await insert("broker_accounts", account("zerodha_aaaaaa", user_id="AB1234"))
    await insert("broker_accounts", account("zerodha_bbbbbb", user_id="CD5678"))
    await insert("broker_accounts", account("zerodha_cccccc", user_id=None))
    await insert("broker_accounts", account("zerodha_dddddd", user_id=None))
    with pytest.raises(DuplicateKey) as refused:
        await insert("broker_accounts", account("zerodha_eeeeee", user_id="AB1234"))
    assert refused.value.index == "broker_type_api_key_user_id"
    gone = Change(set={"live": False, "disconnected_at": NOW})
    await store.update("broker_accounts", {"_id": "zerodha_aaaaaa"}, gone)
    await insert("broker_accounts", account("zerodha_eeeeee", user_id="AB1234"))


@pytest.mark.row("A10")
async def test_a_display_name_is_unique_among_live_accounts(store: ServedStore) -> None:
    """A disconnected account gives its name back."""
    await store.insert("broker_accounts", account("zerodha_aaaaaa", display_key="main"))
    again = account("zerodha_bbbbbb", display_key="main")
    with pytest.raises(DuplicateKey) as refused:
        await store.insert("broker_accounts", again)
    assert refused.value.index == "display_key"
    await store.update("broker_accounts", {"_id": "zerodha_aaaaaa"}, Change(set={"live": False}))
    await store.insert("broker_accounts", again)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trading_mode": "normal"},
        {"token_status": "unknown"},
        {"broker_type": "Up Stox"},
        {"broker_id": "zerodha_ABC"},
        {"broker_id": "zerodha_abc"},
        {"display_name": ""},
        {"display_name": "x" * 41},
        {"is_default": 1},
        {"created_at": "2026-11-23"},
        {"enabled": None},
    ],
)
async def test_an_account_that_breaks_its_form_is_refused(
    store: ServedStore, wrong: Mapping[str, Any]
) -> None:
    """By the store itself, whoever writes it."""
    with pytest.raises(StoreError):
        await store.insert("broker_accounts", account(**wrong))
    await store.insert("broker_accounts", account())
    with pytest.raises(StoreError):
        await store.update("broker_accounts", {"_id": "zerodha_abc123"}, Change(set=dict(wrong)))


# --- migrations ----------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


class DyingStore:
    """A store whose process ends before or after its k-th statement."""

    def __init__(self, store: MongoStore, statement: int, *, after: bool) -> None:
        self._store = store
        self._left = statement
        self._after = after

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            try:
                return await operation(*args, **kwargs)
            finally:
                if self._left == 0:
                    raise Killed  # whatever the answer was, nobody is there to hear it

        return call


OLD = (
    collection(
        "broker_accounts",
        index("broker_id", unique=True),
        index("enabled"),  # dropped since
        index("is_default", unique=False),  # became unique and partial
        rules=validator({"enabled": {"bsonType": "bool"}}, required=("broker_id",)),
    ),
    collection("inbox", index("received_at", keep_days=1, name="expiry")),
)
NEW = tuple(one for one in COLLECTIONS if one.name in {"broker_accounts", "inbox", "orders"})


async def _old(store: MongoStore) -> None:
    """Make a store of the schema before, with an account that lacks the derived fields."""
    await migrate(store, OLD, ())
    legacy = account("fyers_abc123", display_name="Main One", broker_type="fyers")
    del legacy["live"], legacy["display_key"]
    await store.insert("broker_accounts", legacy)


@pytest.mark.matrix("D05")
@pytest.mark.parametrize("after", [False, True])
async def test_a_migration_killed_at_each_statement_converges(
    bare_store: MongoStore, *, after: bool
) -> None:
    """Until it is through, the old version stands; the next start ends where a whole one would."""
    store = bare_store
    await _old(store)
    await migrate(store, NEW)
    expected = await shape(store)
    for statement in range(1, 100):
        await store.command({"dropDatabase": 1})
        await _old(store)
        try:
            await migrate(DyingStore(store, statement, after=after), NEW)
        except Killed:
            stands = await store.get("schema", "schema")
            assert stands is not None
            is_last = (
                after and await shape(store) == expected and stands["version"] == SCHEMA_VERSION
            )
            assert stands["version"] == 0 or is_last
        else:
            break
        await migrate(store, NEW)
        assert await shape(store) == expected
        legacy = await store.get("broker_accounts", "fyers_abc123")
        assert legacy is not None
        assert (legacy["live"], legacy["display_key"]) == (True, "main one")
    assert 12 < statement < 99, "the loop went through every statement"


async def test_needless_index_is_removed_only_where_that_is_quick(bare_store: MongoStore) -> None:
    """It costs an old store time; one that would refuse documents goes, however long it takes."""
    before = collection("things", index("n"), index("m", unique=True), index("o"))
    after = (collection("things", index("o")),)
    await migrate(bare_store, (before,), ())

    async def names() -> set[str]:
        (_, indexes) = (await shape(bare_store))["things"]
        return {str(dict(one)["name"]) for one in indexes} - {"_id_"}

    await migrate(bare_store, after, (), rebuilds=False)
    assert await names() == {"n", "o"}
    await forget_schema(bare_store, 0)
    await migrate(bare_store, after, ())
    assert await names() == {"o"}


async def test_equivalent_index_is_rebuilt_only_where_that_is_quick(bare_store: MongoStore) -> None:
    """The embedded server would take minutes for the journal; both filters hold the same rows."""
    older = index("n", unique=True, where={"n": {"$type": "string"}})
    newer = index("n", unique=True, where={"n": {"$gt": ""}}, was={"n": {"$type": "string"}})
    await migrate(bare_store, (collection("things", older),), ())
    before = await shape(bare_store)
    await migrate(bare_store, (collection("things", newer),), (), rebuilds=False)
    assert (await shape(bare_store))["things"] == before["things"]
    rebuilt = (collection("things", newer, index("other")),)
    await migrate(bare_store, rebuilt, ())
    (_, indexes) = (await shape(bare_store))["things"]
    assert any(("partialFilterExpression", {"n": {"$gt": ""}}) in one for one in indexes)


MIGRATE = """
import asyncio, sys
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore

async def main():
    uri, database = sys.stdin.readline().split()
    store = await MongoStore.connect(uri, database)
    print("ready", flush=True)
    await migrate(store)

asyncio.run(main())
"""


@pytest.mark.matrix("D05")
async def test_a_migrating_process_that_is_killed_leaves_a_store_that_converges(
    bare_store: MongoStore, store_uri: str, bare_database: str
) -> None:
    """The same with kill -9 at five moments of a first start."""
    for delay_s in (0.0, 0.01, 0.03, 0.06, 0.1):
        await bare_store.command({"dropDatabase": 1})
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", MIGRATE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{store_uri} {bare_database}\n".encode())
        assert await asyncio.wait_for(process.stdout.readline(), 150) == b"ready\n"
        await asyncio.sleep(delay_s)  # not to wait for anything: to kill at different moments
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()
        await migrate(bare_store)
        assert _declared(COLLECTIONS) == _names(await shape(bare_store))


def _declared(collections: Sequence[Collection]) -> dict[str, set[str]]:
    declared = {one.name: {"_id_", *(each.name for each in one.indexes)} for one in collections}
    return {**declared, "schema": {"_id_"}}


def _names(found: Mapping[str, Any]) -> dict[str, set[str]]:
    return {name: {dict(each)["name"] for each in indexes} for name, (_, indexes) in found.items()}


async def test_a_second_migration_changes_nothing(bare_store: MongoStore) -> None:
    """Not even a statement is sent when the schema stands, and all is as declared."""
    await migrate(bare_store)
    before = await shape(bare_store)
    assert _declared(COLLECTIONS) == _names(before)
    only_the_look = DyingStore(bare_store, 2, after=False)
    await migrate(only_the_look)
    assert await shape(bare_store) == before


async def test_a_changed_table_is_brought_in_without_a_new_version(bare_store: MongoStore) -> None:
    """A collection or an index that somebody added to the table is there after the next start."""
    await migrate(bare_store, [collection("one")])
    await migrate(bare_store, [collection("one", index("a", "b")), collection("two")])
    assert _names(await shape(bare_store)) == {
        "one": {"_id_", "a_b"},
        "two": {"_id_"},
        "schema": {"_id_"},
    }


async def test_a_store_of_a_newer_program_is_refused(mongo_store: MongoStore) -> None:
    """An older program would not know what it must keep."""
    await mongo_store.update(
        "schema", {"_id": "schema"}, Change(set={"version": SCHEMA_VERSION + 1})
    )
    with pytest.raises(ConfigurationError, match="newer program"):
        await migrate(mongo_store)


async def test_program_from_before_packed_days_refuses_a_store_that_may_have_them(
    mongo_store: MongoStore,
) -> None:
    """It would not find the orders of finished days; the version says so before one is packed."""
    with pytest.raises(ConfigurationError, match="schema version 2; this program knows up to 1"):
        await migrate(mongo_store, COLLECTIONS, MIGRATIONS[:1])


@pytest.mark.parametrize("is_led_to", [True, False])
async def test_lots_that_nothing_leads_to_go_with_the_upgrade(
    bare_store: MongoStore, *, is_led_to: bool
) -> None:
    """An older program that restored a backup has left them; those of a store stay."""
    tables = tuple(one for one in COLLECTIONS if one.name in {"past_orders", "past_steps"})
    await migrate(bare_store, tables, MIGRATIONS[:1])
    lot = {"_id": "lot", "broker_id": "fyers_abc123", "day": "2021-10-05", "at": NOW}
    for table in tables:
        await bare_store.insert(
            table.name, {**lot, "ids": [], "runs": [], "orders": b"", "trades": b""}
        )
    if is_led_to:
        await bare_store.insert("settings", {"_id": "past", "until": "2021-10-05"})
    for _ in range(2):
        await migrate(bare_store, tables, MIGRATIONS[:2])
        await forget_schema(bare_store, 1)
    for table in tables:
        assert len(await bare_store.find(table.name, {})) == is_led_to


async def test_data_that_break_a_unique_index_are_named(bare_store: MongoStore) -> None:
    """The start stops with the collection and the index; the version stays."""
    await bare_store.insert("ones", {"_id": "a", "n": 1}, {"_id": "b", "n": 1})
    with pytest.raises(ConfigurationError, match="ones"):
        await migrate(bare_store, [collection("ones", index("n", unique=True))])
    assert await bare_store.get("schema", "schema") is None
