"""What is sealed in the store: a first key only where nothing is, and rotation by field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from core.adapters.sealed import SEALED, rotate, vault_beside
from core.adapters.vault import KEY_FILE, FernetVault
from core.errors import ConfigurationError
from tests.fakes.memory_store import MemoryDatabase, MemoryStore

pytestmark = pytest.mark.row("G2")

ROOT = Path(__file__).parents[3]
SECRET = "the-canary-secret"
# What begins as a sealed text does, in fields that people fill.
LOOKS_SEALED = "gAAAAABm-my-account"


def account(**fields: Any) -> dict[str, Any]:
    """Return a stored account."""
    return {
        "_id": "zerodha_abc123",
        "broker_id": "zerodha_abc123",
        "broker_type": "zerodha",
        "display_name": LOOKS_SEALED,
        "display_key": LOOKS_SEALED.lower(),
        "api_key": LOOKS_SEALED,
        "api_secret": "",
        "is_default": False,
        "enabled": True,
        "trading_mode": "NORMAL",
        "token_status": "expired",
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
        "live": True,
    } | fields


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(MemoryDatabase())


@pytest.mark.matrix("A06")
async def test_lost_key_is_not_replaced_in_silence(store: MemoryStore, tmp_path: Path) -> None:
    """Where something is sealed, a start without the key file is refused and says what to do."""
    vault = await vault_beside(store, None, tmp_path)
    await store.insert("broker_accounts", account(api_secret=vault.seal(SECRET)))
    kept = (tmp_path / KEY_FILE).read_text()
    (tmp_path / KEY_FILE).unlink()

    for setting in (None, "", " "):
        with pytest.raises(ConfigurationError, match=r"is gone.*backup.*--lost-key"):
            await vault_beside(store, setting, tmp_path)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / KEY_FILE).write_text(kept)
    (tmp_path / KEY_FILE).chmod(0o600)
    again = await vault_beside(store, None, tmp_path)
    row = await store.get("broker_accounts", "zerodha_abc123")
    assert row is not None and again.open(row["api_secret"]) == SECRET


@pytest.mark.parametrize(
    "fields", [{}, {"api_secret": "", "access_token": None}], ids=["none", "cleared"]
)
async def test_first_key_where_nothing_is_sealed(
    store: MemoryStore, tmp_path: Path, fields: dict[str, Any]
) -> None:
    """An empty store, or one whose accounts were all disconnected, gets its first key."""
    await store.insert("broker_accounts", account(**fields))
    await store.insert("inbox", {"_id": "1", "payload": ""})
    await vault_beside(store, None, tmp_path)
    assert (tmp_path / KEY_FILE).exists()


async def test_keys_of_the_environment_need_no_file(store: MemoryStore, tmp_path: Path) -> None:
    """A key that is given is used, whatever is sealed."""
    key = Fernet.generate_key().decode()
    await store.insert("broker_accounts", account(api_secret=FernetVault([key]).seal(SECRET)))
    await vault_beside(store, key, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.matrix("A06")
async def test_name_that_looks_sealed_is_a_name(store: MemoryStore, tmp_path: Path) -> None:
    """Rotation goes by the fields that are sealed: a user's text is neither read nor named."""
    vault = await vault_beside(store, None, tmp_path)
    await store.insert("broker_accounts", account(api_secret=vault.seal(SECRET), access_token=None))
    draft = {"name": LOOKS_SEALED, "secret": vault.seal(SECRET)}
    await store.insert("prompts", {"_id": "1:2", "data": draft, "text": LOOKS_SEALED})
    await store.insert(
        "inbox", {"_id": "1", "payload": vault.seal(SECRET)}, {"_id": "2", "payload": ""}
    )

    for _ in range(2):
        vault.add_key()
        done = await rotate(store, vault)
        assert (done.resealed, done.unreadable) == (3, [])

    newest = FernetVault([(tmp_path / KEY_FILE).read_text().split()[0]])
    row, prompt = (
        await store.get("broker_accounts", "zerodha_abc123"),
        await store.get("prompts", "1:2"),
    )
    assert row is not None and prompt is not None
    assert row["display_name"] == prompt["data"]["name"] == prompt["text"] == LOOKS_SEALED
    assert newest.open(row["api_secret"]) == newest.open(prompt["data"]["secret"]) == SECRET


def test_every_field_that_is_sealed_is_rotated() -> None:
    """Wherever the program seals, it puts the text into a field that rotation knows."""
    sealing = re.compile(r"""["'](\w+)["']\]?\s*[:=]\s*(?:None if \w+ else )?[\w.]*vault\.seal\(""")
    found, named = [], []
    for package in ("bot", "console", "core", "webhooks"):
        for file in (ROOT / package).rglob("*.py"):
            if file.name in {"vault.py", "sealed.py", "sealed_file.py", "restoring.py"}:
                continue  # the last two seal a file, and what SEALED itself names
            text = file.read_text(encoding="utf-8")
            found += [f"{file.name}" for _ in re.finditer(r"vault\.seal\(", text)]
            named += sealing.findall(text)
    assert found and len(found) == len(named), "a seal call that names no field in its line"
    assert set(named) == {field for fields in SEALED.values() for field in fields}
