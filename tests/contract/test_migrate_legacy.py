"""``saarthi migrate-legacy`` between real databases: an old program's, and the installation's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from console.legacy import LegacyOptions, migrate_legacy
from core.adapters.mongo import old_database
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore
from core.adapters.vault import FernetVault
from core.adapters.zerodha import ZERODHA
from core.bootstrap import PROFILES, attach
from core.config import Settings, load_settings
from core.domain.account import AccountDraft
from core.domain.mode import TradingMode
from core.engine.accounts.accounts import Accounts
from core.errors import SaarthiError, StoreUnavailable, UserError
from core.ports.store import Change, Document
from tests.contract.conftest import PATIENT
from tests.fakes.clock import clock_text

pytestmark = [pytest.mark.row("A11"), pytest.mark.timeout(900)]

NOON = "2026-11-23T12:00:00+05:30"
LOGIN = datetime.fromisoformat("2026-11-23T08:41:00+05:30")
KEY, SECRET, TOKEN = "AB1CD2EF3G-100", "CANARYSECRET1", "canary-token-000000000001"
DOCUMENT = {
    "_id": "fyers",
    "app_id": KEY,
    "secret_key": SECRET,
    "access_token": TOKEN,
    "refresh_token": "canary-refresh-000001",
    "fy_id": "XA12345",
    "created_at": LOGIN,
}
Run = Callable[..., Awaitable[str]]


@pytest.fixture
def old(store_uri: str, bare_database: str) -> Iterator[Any]:
    """The old program's database, with its document."""
    with pymongo.MongoClient[dict[str, Any]](store_uri) as client:
        client[bare_database]["fyers_tokens"].insert_one(dict(DOCUMENT))
        yield client[bare_database]


@pytest.fixture
def settings(store_uri: str, store_database: str, tmp_path: Path) -> Settings:
    """An installation on another database of the server."""
    return load_settings(
        environment={
            "MONGODB_URI": store_uri,
            "SAARTHI_DB": store_database,
            "SAARTHI_DATA": str(tmp_path),
            "SAARTHI_CLOCK": clock_text(NOON),
            "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE": "yes",
        }
    )


@pytest.fixture
def run(settings: Settings, old: Any, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command against the old database; returns what it has said."""

    async def typed(**options: Any) -> str:
        capsys.readouterr()
        chosen = LegacyOptions(None, old.name, None, None, **options)
        assert await migrate_legacy(settings, chosen) == 0
        said = capsys.readouterr().out
        assert "canary" not in said.lower()
        return said

    return typed


@pytest.fixture
async def store(settings: Settings, store_uri: str) -> AsyncIterator[MongoStore]:
    """The installation's store, as another process sees it."""
    async with await MongoStore.connect(store_uri, settings.db, PATIENT) as opened:
        await migrate(opened)
        yield opened


async def rows(store: MongoStore) -> tuple[list[Document], list[Document]]:
    sort = [("created_at", 1)]
    return await store.find("broker_accounts", {}, sort=sort), await store.find("account_gates", {})


async def test_document_becomes_the_default_account(
    run: Run, store: MongoStore, settings: Settings, old: Any
) -> None:
    """Named first by a dry run, then added once, its secrets sealed; the old document stays."""
    before = await rows(store)
    kept = (list(old["fyers_tokens"].find()), ["fyers_tokens"])

    told = await run(dry_run=True)

    assert "would add Fyers - Main: default, enabled, EXIT_ONLY, its login is alive" in told
    assert told.endswith("nothing was changed (--dry-run)\n")
    assert await rows(store) == before
    assert not (settings.data_dir / "secret.key").exists()

    told = await run()

    # Its user is not in the token: the first login decides.
    assert "found     fyers_tokens/fyers: AB1CD2EF3G-100, its secret" in told
    assert "left      refresh_token" in told
    ((account,), (gate,)) = await rows(store)
    vault = FernetVault.from_setting(None, settings.data_dir)
    assert account["broker_id"].startswith("fyers_")
    assert (account["is_default"], account["enabled"], account["live"]) == (True, True, True)
    assert (account["trading_mode"], gate["mode"]) == ("EXIT_ONLY", "EXIT_ONLY")
    assert (account["token_status"], account["user_id"]) == ("valid", None)
    assert account["token_market_at"] == LOGIN
    assert vault.open(account["api_secret"]) == SECRET
    assert vault.open(account["access_token"]) == TOKEN
    assert (gate["enabled"], gate["_id"]) == (True, account["_id"])

    told = await run(mode=TradingMode.NORMAL)

    assert "is here   Fyers - Main" in told
    assert told.endswith("nothing was changed\n")
    assert await rows(store) == ([account], [gate])
    assert (list(old["fyers_tokens"].find()), old.list_collection_names()) == kept


async def test_mark_moves_and_an_old_token_asks_for_a_login(
    run: Run, store: MongoStore, settings: Settings, old: Any, store_uri: str, tmp_path: Path
) -> None:
    """Beside an account that is here; NORMAL as asked, under a global mode that is stricter.

    Key and secret are in the old program's file of settings, as many keep them.
    """
    yesterday = {"$set": {"created_at": LOGIN - timedelta(days=1)}}
    old["fyers_tokens"].update_one({}, {**yesterday, "$unset": {"app_id": 1, "secret_key": 1}})
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"# Flask\nDEBUG=1\nexport FYERS_CLIENT_ID='{KEY}'\nFYERS_SECRET_KEY={SECRET}\n"
    )
    async with attach(settings, store_uri) as here:
        accounts = Accounts(here.store, here.vault, here.clock, PROFILES)
        draft = AccountDraft(ZERODHA, "Main", "kitekey0001", "kitesecret0001")
        first = await accounts.add(draft, nonce="first", fence=0, author="1")
    change = Change(set={"value": "PAUSED"})
    await store.update("settings", {"_id": "global_mode"}, change, upsert=True)
    await store.insert("lease", {"_id": "controller", "fence": 7, "outside": 2})

    with pytest.raises(UserError, match="called 'Main' already; expected a new name"):
        await run(env_file=env_file)
    told = await run(name="Old", mode=TradingMode.NORMAL, env_file=env_file)

    assert "took the default mark from Zerodha - Main" in told
    assert "log in with /login in the chat" in told
    ((_, account), gates) = await rows(store)
    assert (account["trading_mode"], account["token_status"]) == ("NORMAL", "expired")
    assert account["api_key"] == KEY
    (gate,) = [one for one in gates if one["_id"] == account["_id"]]
    assert (gate["account_mode"], gate["mode"], gate["fence"]) == ("NORMAL", "PAUSED", 7)
    lease = await store.get("lease", "controller")
    assert lease is not None
    assert lease["outside"] == 3  # a controller that runs reads its state anew
    defaults = await store.find("broker_accounts", {"is_default": True})
    assert [one["_id"] for one in defaults] == [account["_id"]] != [first.broker_id]


async def test_nothing_is_changed_by_what_is_wrong(
    run: Run, store: MongoStore, settings: Settings, old: Any, store_uri: str
) -> None:
    """A broken document, a database or collection that is not there, a beta store: one sentence."""

    async def refused(said: str, **options: Any) -> None:
        chosen = replace(LegacyOptions(None, old.name, None, None), **options)
        with pytest.raises(SaarthiError) as error:
            await migrate_legacy(settings, chosen)
        assert said in str(error.value)
        assert "\n" not in str(error.value)
        assert "canary" not in str(error.value).lower()

    await refused("--uri holds a password", uri=store_uri)
    await refused("cannot be read (No such file", env_file=settings.data_dir / "nowhere")
    await refused("has no collection fyers_tokens, fyers_token", db="nowhere")
    await refused("it has fyers_tokens; the server's databases are", collection="things")
    old["fyers_tokens"].update_one({}, {"$unset": {"secret_key": 1}})
    await refused("fyers_tokens/fyers: the Secret ID is missing")
    old["fyers_tokens"].update_one({}, {"$set": {"secret_key": SECRET, "app_id": "AB1"}})
    await refused("fyers_tokens/fyers: app_id: found 3 characters")
    assert await rows(store) == ([], [])


async def test_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as what it is, without its address."""
    monkeypatch.setattr(old_database, "_WAIT_MS", 200)
    away = load_settings(environment={"SAARTHI_LEGACY_URI": "mongodb://u:canary@127.0.0.1:9/x"})
    with pytest.raises(StoreUnavailable, match="The old database cannot be read") as error:
        await migrate_legacy(away, LegacyOptions(None, None, None, None))
    assert "canary" not in str(error.value)
    wrong = load_settings(environment={"SAARTHI_LEGACY_URI": "canary://x"})
    with pytest.raises(UserError, match="address is not understood"):
        await migrate_legacy(wrong, LegacyOptions(None, None, None, None))
