"""``saarthi rotate-key`` on a real store: everything is sealed anew, nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.adapters.mongo.store import MongoStore
from core.adapters.sealed import rotate
from core.adapters.vault import KEY_FILE, FernetVault
from core.errors import VaultError

pytestmark = [pytest.mark.row("G2"), pytest.mark.matrix("A06")]


async def test_rotation_seals_everything_anew_and_leaves_the_rest(
    mongo_store: MongoStore, tmp_path: Path
) -> None:
    """At any depth; afterwards the newest key alone opens it; a damaged text harms only itself."""
    vault = FernetVault.from_setting(None, tmp_path)
    damaged = vault.seal("lost")[:-8]
    account = {
        "broker_type": "fyers",
        "is_default": False,
        "enabled": True,
        "trading_mode": "NORMAL",
        "token_status": "expired",
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
        "live": True,
        "api_key": "gAAAA-not-sealed",
    }
    for name, token in (("fyers_aaaaaa", vault.seal("token a")), ("fyers_bbbbbb", damaged)):
        await mongo_store.insert(
            "broker_accounts",
            {
                "_id": name,
                "broker_id": name,
                "display_name": name,
                "display_key": name,
                "api_secret": vault.seal(f"secret {name}"),
                "access_token": token,
                **account,
            },
        )
    draft = {"steps": [{"secret": vault.seal("typed")}, "plain"]}
    await mongo_store.insert("prompts", {"_id": "1:2", "draft": draft})

    vault.add_key()
    done = await rotate(mongo_store, vault)

    assert done.resealed == 4
    assert done.unreadable == ["broker_accounts/fyers_bbbbbb: access_token"]
    newest = FernetVault([(tmp_path / KEY_FILE).read_text().split()[0]])
    one = await mongo_store.get("broker_accounts", "fyers_aaaaaa")
    other = await mongo_store.get("broker_accounts", "fyers_bbbbbb")
    prompt = await mongo_store.get("prompts", "1:2")
    assert one is not None
    assert other is not None
    assert prompt is not None
    assert newest.open(one["access_token"]) == "token a"
    assert newest.open(one["api_secret"]) == "secret fyers_aaaaaa"
    assert newest.open(other["api_secret"]) == "secret fyers_bbbbbb"
    assert newest.open(prompt["draft"]["steps"][0]["secret"]) == "typed"
    assert prompt["draft"]["steps"][1] == "plain"
    assert other["access_token"] == damaged
    with pytest.raises(VaultError):
        vault.open(other["access_token"])
