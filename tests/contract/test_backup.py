"""Backups and their way back, on both kinds of store: one moment, sealed, whole or refused (D04)."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pymongo
import pytest
from cryptography.fernet import Fernet

from console.backup import run_backup, run_restore
from core.adapters.backup.archive import Documents, contents
from core.adapters.backup.sealed_file import SealedReader
from core.adapters.fyers import FYERS
from core.adapters.mongo import migrations
from core.adapters.mongo.schema import COLLECTIONS
from core.adapters.mongo.store import MongoStore
from core.adapters.mongo.whole import insert_raw, read_whole
from core.adapters.vault import KEY_FILE, FernetVault
from core.bootstrap import PROFILES, attach
from core.bootstrap.backups import kept_backups
from core.config import Settings, load_settings
from core.domain.account import AccountDraft
from core.domain.backup import BackupKind
from core.engine.accounts.accounts import Accounts
from core.engine.orders.journal import move_finished
from core.errors import (
    BackupFailed,
    ConfigurationError,
    LeaseHeld,
    StoreUnavailable,
    UserError,
)
from core.ports.store import Change, Document, StoreView
from tests.fakes.past import everything, put_day

pytestmark = [pytest.mark.matrix("D04"), pytest.mark.timeout(900)]

SECRET = "CANARYSECRET1"
PASSPHRASE = "canary passphrase of the tests"
CALENDAR = """kind,date,open,close,square_off,text
session,2026-11-29,18:00,19:00,18:45,made up
"""
FINISHED = "2021-05-03"
THEN = datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
Place = Callable[..., Settings]


@pytest.fixture
def place(mongod_store_uri: str, tmp_path: Path) -> Iterator[Place]:
    """Makes installations on databases of their own, by name."""
    made: list[tuple[str, str]] = []
    mark = uuid.uuid4().hex[:10]

    def make(name: str, uri: str = mongod_store_uri, **more: str) -> Settings:
        made.append((uri, f"test_{mark}_{name}"))
        environment = {
            "MONGODB_URI": uri,
            "SAARTHI_DB": made[-1][1],
            "SAARTHI_DATA": str(tmp_path / name),
            "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE": "yes",
            **more,
        }
        return load_settings(environment=environment)

    yield make
    for uri, name in made:
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.drop_database(name)


@dataclass(frozen=True, slots=True)
class Made:
    """A backup, and the keys that open it."""

    file: Path
    keys: str

    @property
    def lines(self) -> list[bytes]:
        return self.file.read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def made(mongod_store_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A backup of an installation whose database is gone, with keys and a passphrase."""
    data = tmp_path_factory.mktemp("installation")
    name = f"test_{uuid.uuid4().hex[:10]}_made"
    settings = load_settings(
        environment={
            "MONGODB_URI": mongod_store_uri,
            "SAARTHI_DB": name,
            "SAARTHI_DATA": str(data),
            "SAARTHI_BACKUP_PASSPHRASE": PASSPHRASE,
        }
    )

    async def make() -> None:
        await filled(settings)
        await run_backup(settings, None)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(make())
    with pymongo.MongoClient[dict[str, Any]](mongod_store_uri) as client:
        client.drop_database(name)
    return Made(only(settings), (data / KEY_FILE).read_text().strip())


async def filled(settings: Settings, orders: int = 30) -> str:
    """Fill an installation with an account, orders and a panic; return the account's id."""
    assert settings.mongodb_uri is not None
    async with attach(settings, settings.mongodb_uri.get_secret_value()) as here:
        accounts = Accounts(here.store, here.vault, here.clock, PROFILES)
        draft = AccountDraft(FYERS, "Main", "AB1CD2EF3G-100", SECRET)
        account = await accounts.add(draft, nonce="first", fence=0, author="1")
        for first in range(0, orders, 100):
            some = [_order(account.broker_id, first + n) for n in range(min(100, orders - first))]
            await here.store.insert("orders", *some)
        await here.store.insert("panics", _panic(account.broker_id))
    settings.data_dir.joinpath("calendar.csv").write_text(CALENDAR)
    return account.broker_id


def _order(broker_id: str, number: int) -> Document:
    return {
        "_id": f"S{number:019d}",
        "broker_id": broker_id,
        "state": "FILLED",
        "side": "BUY",
        "purpose": "entry",
        "quantity": 1,
        "price": Decimal("812.05"),
        "at": THEN,
        "text": f"canary-text-{number}",
    }


def _panic(broker_id: str) -> Document:
    return {
        "_id": "000001",
        "began_at": THEN,
        "day": "2026-11-23",
        "by": "1",
        "holdings": [],
        "is_global": False,
        "lines": [],
        "end": "",
        "ended_at": None,
        "ended_by": "",
        "seq": 0,
    }


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[MongoStore]:
    assert settings.mongodb_uri is not None
    uri = settings.mongodb_uri.get_secret_value()
    async with await MongoStore.connect(uri, settings.db) as store:
        yield store


async def held(settings: Settings) -> dict[str, list[Document]]:
    """Return everything in a store, but who holds it."""
    async with opened(settings) as store:
        return {
            one.name: sorted(await store.find(one.name, {}), key=lambda row: str(row["_id"]))
            for one in COLLECTIONS
            if one.name not in {"lease", "commits"}
        }


@asynccontextmanager
async def renewing(store: MongoStore, since: datetime) -> AsyncIterator[None]:
    """Renew the lease in a store again and again, as a controller that lives."""

    async def renew() -> None:
        for times in count(1):
            renewed = {"renewed_at": since + timedelta(seconds=times)}
            await store.update("lease", {"_id": "controller"}, Change(set=renewed))
            await asyncio.sleep(0.05)

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def only(settings: Settings) -> Path:
    (made,) = kept_backups(settings)
    return Path(made.path)


@pytest.mark.parametrize(("here", "there"), [("embedded", "mongod"), ("mongod", "embedded")])
async def test_backup_comes_back_into_either_kind_of_store(
    place: Place, here: str, there: str, embedded_store_uri: str, mongod_store_uri: str
) -> None:
    """All of it, by the passphrase alone; the account may only exit, a panic is not taken up."""
    phrase = {"SAARTHI_BACKUP_PASSPHRASE": PASSPHRASE}
    uris = {"embedded": embedded_store_uri, "mongod": mongod_store_uri}
    old = place("old", uris[here], **phrase)
    broker_id = await filled(old, 600)
    async with opened(old) as store:
        await put_day(store, broker_id, FINISHED, 23)
        await _packed(store, broker_id)
        journal = await everything(store)
    before = await held(old)
    assert len(before["past_orders"]) == 1, "of two lots"

    assert await run_backup(old, None) == 0

    file = only(old)
    new = place("new", uris[there], **phrase)
    assert await run_restore(new, file, key_file=None, replace=False) == 0
    after = await held(new)

    (account,) = after["broker_accounts"]
    (gate,) = after["account_gates"]
    vault = FernetVault.from_setting(None, new.data_dir)
    assert vault.open(account["api_secret"]) == SECRET
    assert (account["trading_mode"], gate["mode"]) == ("EXIT_ONLY", "EXIT_ONLY")
    assert after["orders"] == before["orders"]
    assert after["panics"][0]["end"] == "stopped"
    (noted,) = [row for row in after["settings"] if row["_id"] == "restored"]
    assert (noted["waiting"], noted["panic"], noted["is_told"]) == ([broker_id], True, False)
    changed = {"broker_accounts", "account_gates", "panics", "settings"}
    assert {n: r for n, r in after.items() if n not in changed} == {
        name: rows for name, rows in before.items() if name not in changed
    }
    keys = [(one.data_dir / KEY_FILE).read_text() for one in (old, new)]
    assert keys[0] == keys[1]
    assert (new.data_dir / "calendar.csv").read_text() == CALENDAR
    async with opened(new) as store:
        lease = await store.get("lease", "controller")
        assert lease is not None
        assert lease["holder"] == ""
        await _packed(store, broker_id)
        assert len(await store.find("past_orders", {})) == 2
        assert await everything(store) == journal, "each row of the finished day once"


async def _packed(store: MongoStore, broker_id: str) -> None:
    """Pack a lot of the finished day."""

    async def body(view: StoreView) -> int | None:
        return await move_finished(view, broker_id, FINISHED, THEN)

    assert await store.transaction(body, nonce=uuid.uuid4().hex)


def test_nothing_of_it_is_in_the_file_in_clear(made: Made) -> None:
    """Neither secrets nor the journal, whatever is unpacked; and only its owner may read it."""
    raw = made.file.read_bytes()
    canaries = [SECRET, PASSPHRASE, "canary-text", "AB1CD2EF3G", "broker_accounts", made.keys]
    for found in (raw, *_unpacked(raw)):
        assert not [one for one in canaries if one.encode() in found]
    assert made.file.stat().st_mode & 0o777 == 0o600
    assert made.file.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(json.loads(made.lines[1])) == ["locks", "made_at"]


def _unpacked(raw: bytes) -> Iterator[bytes]:
    for line in raw.split(b"\n"):
        for unpack in (zlib.decompress, gzip.decompress):
            try:
                yield unpack(line)
            except (zlib.error, OSError, EOFError):
                continue


async def test_what_opens_it(place: Place, made: Made, tmp_path: Path) -> None:
    """Its keys or its passphrase; with others nothing is touched. Secrets get the keys of here."""
    key_file = tmp_path / "kept.key"
    key_file.write_text(made.keys)
    key_file.chmod(0o600)
    own = Fernet.generate_key().decode()
    wrong = place("new", SAARTHI_SECRET_KEY=own, SAARTHI_BACKUP_PASSPHRASE="another passphrase")
    with pytest.raises(UserError, match="the passphrase is another one"):
        await run_restore(wrong, made.file, key_file=None, replace=False)
    here = place("new", SAARTHI_SECRET_KEY=own)
    with pytest.raises(UserError, match="no key here opens it"):
        await run_restore(here, made.file, key_file=None, replace=False)
    assert await _names(here) == []

    assert await run_restore(here, made.file, key_file=key_file, replace=False) == 0

    async with opened(here) as store:
        (account,) = await store.find("broker_accounts", {})
    assert Fernet(own).decrypt(account["api_secret"].encode()).decode() == SECRET
    assert not (here.data_dir / KEY_FILE).exists()


async def _names(settings: Settings) -> list[str]:
    async with opened(settings) as store:
        return list(await store.database.list_collection_names())


async def test_damaged_file_changes_nothing(place: Place, made: Made, tmp_path: Path) -> None:
    """Cut short, changed, reordered, or no backup at all: one sentence, and an empty store."""
    lines = made.lines
    changed = [*lines[:-2], lines[-2][:-9] + b"AAAAAAA=\n", lines[-1]]
    broken = {
        "cut short": (lines[:-1], "is cut short"),
        "changed": (changed, "is damaged"),
        "without a part": ([*lines[:4], *lines[5:]], "is damaged"),
        "longer": ([*lines, lines[-1]], "is damaged"),
        "no head": ([lines[0], b"{}\n", *lines[2:]], "is damaged"),
        "something else": ([b"hello\n"], "is no backup"),
    }
    new = place("new", SAARTHI_SECRET_KEY=made.keys)
    for name, (content, said) in broken.items():
        file = tmp_path / "broken.backup"
        file.write_bytes(b"".join(content))
        with pytest.raises(UserError, match=said) as error:
            await run_restore(new, file, key_file=None, replace=False)
        assert "\n" not in str(error.value), name
    with pytest.raises(UserError, match="cannot be read"):
        await run_restore(new, tmp_path / "nowhere", key_file=None, replace=False)
    assert await _names(new) == []


async def test_store_that_is_not_empty_is_refused(place: Place, made: Made) -> None:
    """Unless told; and then what is there is backed up first."""
    here = place("new", SAARTHI_SECRET_KEY=made.keys)
    await run_restore(here, made.file, key_file=None, replace=False)
    with pytest.raises(UserError, match=r"not empty \(1 in broker_accounts, 30 in orders\)"):
        await run_restore(here, made.file, key_file=None, replace=False)
    async with opened(here) as store:
        await store.delete("orders", {"_id": {"$nin": [f"S{0:019d}"]}})
        await store.insert("goals", {"_id": "newer", "broker_id": "b"})

    assert await run_restore(here, made.file, key_file=None, replace=True) == 0

    after = await held(here)
    assert (len(after["orders"]), after["goals"]) == (30, [])
    (replaced,) = kept_backups(here)
    assert replaced.kind is BackupKind.REPLACED
    reader = SealedReader(Path(replaced.path), vaults=[FernetVault([made.keys])], passphrase=None)
    kept = [one for one in contents(reader) if isinstance(one, Documents)]
    counts = {one.collection: len(one.documents) for one in kept}
    assert (counts["orders"], counts["goals"]) == (1, 1)


async def test_controllers_store_is_refused(place: Place, made: Made) -> None:
    """Whoever renews the lease works on the store; nothing of it is touched, --replace or not."""
    here = place("new", SAARTHI_SECRET_KEY=made.keys)
    async with opened(here) as store:
        await migrations.migrate(store)
        far = THEN.replace(year=9000)
        fields = {"holder": "other", "fence": 3, "renewed_at": far, "session_ids": []}
        await store.insert("lease", {"_id": "controller", **fields})
        await store.insert("goals", {"_id": "theirs", "broker_id": "b"})
    before = await held(here)
    async with opened(here) as store, renewing(store, far):
        with pytest.raises(LeaseHeld):
            await run_restore(here, made.file, key_file=None, replace=True)
    assert await held(here) == before


async def test_half_restored_store_is_not_started(
    place: Place, made: Made, mongod_store_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a restore leaves that broke off refuses every start; the next one needs no yes."""
    here = place("new", SAARTHI_SECRET_KEY=made.keys)

    async def away(store: MongoStore, name: str, documents: Sequence[Any]) -> None:
        if name == "orders":
            raise StoreUnavailable("The server went away.")
        await insert_raw(store, name, documents)

    with monkeypatch.context() as broken:
        broken.setattr("core.bootstrap.restoring.insert_raw", away)
        with pytest.raises(StoreUnavailable):
            await run_restore(here, made.file, key_file=None, replace=False)
    assert len((await held(here))["broker_accounts"]) == 1
    with pytest.raises(ConfigurationError, match="was not finished: run saarthi restore again"):
        async with attach(here, mongod_store_uri):
            pass
    with pytest.raises(ConfigurationError, match="was not finished"):
        await run_backup(here, None)

    assert await run_restore(here, made.file, key_file=None, replace=False) == 0

    async with attach(here, mongod_store_uri) as started:
        assert len(await started.store.find("orders", {})) == 30


async def test_upgrade_is_backed_up_first(place: Place, mongod_store_uri: str) -> None:
    """Before the schema moves on; and where that cannot be, nothing moves."""
    here = place("new")
    async with attach(here, mongod_store_uri):
        assert kept_backups(here) == []
    async with opened(here) as store:
        await store.update("schema", {"_id": "schema"}, Change(set={"digest": "older"}))
    here.data_dir.joinpath("backups").write_text("in the way")
    with pytest.raises(
        BackupFailed, match=r"has to back it up first, which failed: .*backups: File exists"
    ):
        async with attach(here, mongod_store_uri):
            pass
    async with opened(here) as store:
        row = await store.get("schema", "schema")
        assert row is not None
        assert row["digest"] == "older"
    here.data_dir.joinpath("backups").unlink()

    async with attach(here, mongod_store_uri):
        (first,) = kept_backups(here)
    async with opened(here) as store:  # as after a start that was killed while it migrated
        await store.update("schema", {"_id": "schema"}, Change(set={"digest": "older"}))
    async with attach(here, mongod_store_uri):
        assert kept_backups(here) == [first]

    assert first.kind is BackupKind.UPGRADE
    async with opened(here) as store:
        await store.update("schema", {"_id": "schema"}, Change(set={"version": 99}))
    with pytest.raises(ConfigurationError, match="Start the newer program"):
        async with attach(here, mongod_store_uri):
            pass
    with pytest.raises(UserError, match="A newer Saarthi wrote this store, and its backup would"):
        await run_backup(here, None)
    with pytest.raises(UserError, match="A newer Saarthi wrote this store, and what this one"):
        await run_restore(here, Path(first.path), key_file=None, replace=True)
    assert kept_backups(here) == [first]


async def test_older_backup_moves_on_as_a_start_does(
    place: Place, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is restored as it was, then migrated; a newer one than this program is refused."""
    moved: list[str] = []

    async def step(store: Any) -> None:
        moved.extend(row["_id"] for row in await store.find("broker_accounts", {}))

    steps = (*migrations.MIGRATIONS, step)
    for function in (migrations.migrate, migrations.is_current):
        monkeypatch.setattr(function, "__defaults__", (COLLECTIONS, steps))
    monkeypatch.setattr("core.bootstrap.restoring.SCHEMA_VERSION", len(steps))
    here = place("new", SAARTHI_SECRET_KEY=made.keys)
    await run_restore(here, made.file, key_file=None, replace=False)
    assert len(moved) == 1
    monkeypatch.setattr("core.bootstrap.restoring.SCHEMA_VERSION", 0)
    with pytest.raises(UserError, match="Restore it with the newer Saarthi"):
        await run_restore(here, made.file, key_file=None, replace=True)


async def test_documents_are_of_one_moment(mongo_store: MongoStore) -> None:
    """What is committed in two collections while they are read is in both, or in neither."""
    rows = [{"_id": f"x{number:04d}", "broker_id": "b"} for number in range(1500)]
    for first in range(0, len(rows), 500):
        await mongo_store.insert("ledgers", *rows[first : first + 500])
    found: dict[str, set[str]] = {"ledgers": set(), "goals": set()}
    written = 0

    async def pair(view: StoreView) -> None:
        await view.insert("ledgers", {"_id": f"y{written}", "broker_id": "b"})
        await view.insert("goals", {"_id": f"y{written}", "broker_id": "b"})

    async for name, documents in read_whole(mongo_store, ["ledgers", "goals"]):
        found[name] |= {document["_id"] for document in documents}
        await mongo_store.transaction(pair, nonce=f"pair:{written}")
        written += 1
    assert written > 1
    assert {one for one in found["ledgers"] if one.startswith("y")} == found["goals"]
    assert len(found["ledgers"]) == 1500 + len(found["goals"])
