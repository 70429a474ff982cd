"""A file that says it is a backup: what it asks of the machine before it is proved is bounded (D04)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from core.adapters.backup import sealed_file
from core.adapters.backup.archive import KeptFile, check, manifest_of
from core.adapters.backup.sealed_file import SealedReader, SealedWriter
from core.adapters.calendar import FILE_NAME
from core.adapters.vault import FernetVault
from core.bootstrap.restoring import _put_file
from core.config import Settings
from core.errors import UserError

pytestmark = [pytest.mark.row("G2"), pytest.mark.matrix("D04")]

FORM = b"saarthi-backup 1\n"
PASSPHRASE = "a passphrase of the tests"
LOCK = {"kind": "passphrase", "salt": "00" * 16, "n": 2**15, "r": 8, "p": 1, "sealed": "gAAAA"}

VALUES: tuple[object, ...] = (10**9, 0, -1, "x", [])
BOMBS = [[{**LOCK, name: value}] for name in ("n", "r", "p") for value in VALUES]


def read(path: Path) -> list[Any]:
    """Read a file with a key and a passphrase."""
    vault = FernetVault([Fernet.generate_key().decode()])
    return list(SealedReader(path, vaults=[vault], passphrase=PASSPHRASE).parts())


@pytest.mark.parametrize(
    "locks",
    [
        *BOMBS,
        [{**LOCK, "n": 12345}],
        [{**LOCK, "salt": "zz"}],
        [{**LOCK, "salt": None}],
        [{"kind": "passphrase"}],
        [{"kind": "key", "sealed": {}}],
        [{"kind": []}],
        [1, None, "x"],
        [],
        {},
        7,
        None,
    ],
    ids=str,
)
def test_locks_ask_for_little(tmp_path: Path, locks: Any) -> None:
    """Neither gigabytes nor hours of scrypt, and what is no lock is said in a sentence."""
    file = tmp_path / "a.backup"
    head = json.dumps({"made_at": "2026-11-23", "locks": locks}).encode()
    file.write_bytes(FORM + head + b"\n")
    with pytest.raises(UserError):
        read(file)


@pytest.mark.parametrize(
    "content", [b"", FORM, FORM + b"[" * 60_000, FORM + b"{}" * 10**6, b"x" * 10**6, FORM + b"\xff"]
)
def test_what_is_no_backup_is_said_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    """Empty, cut, nested without end, of one endless line."""
    file = tmp_path / "a.backup"
    file.write_bytes(content)
    with pytest.raises(UserError):
        read(file)


def test_a_part_without_end_is_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup of ours to which somebody has added one endless line is damaged, and no more."""
    vault = FernetVault([Fernet.generate_key().decode()])
    file = tmp_path / "a.backup"
    writer = SealedWriter(
        file, vault=vault, passphrase=None, made_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    writer.add({"what": "file"})
    writer.finish()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + b"A" * 100_000)
    monkeypatch.setattr(sealed_file, "_LONGEST_PART", 1000)
    read_lengths: list[int] = []
    fernet = Fernet.decrypt

    def counted(self: Fernet, token: bytes, ttl: int | None = None) -> bytes:
        read_lengths.append(len(token))
        return fernet(self, token, ttl)

    monkeypatch.setattr(Fernet, "decrypt", counted)
    with pytest.raises(UserError, match="damaged"):
        list(SealedReader(file, vaults=[vault], passphrase=None).parts())
    assert max(read_lengths) <= 1000


def made_of(path: Path, parts: Sequence[dict[str, Any]]) -> SealedReader:
    """Return a file that is sealed as it must be, around whatever its maker chose."""
    vault = FernetVault([Fernet.generate_key().decode()])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    writer = SealedWriter(path, vault=vault, passphrase=None, made_at=at)
    for part in parts:
        writer.add(part)
    writer.finish()
    return SealedReader(path, vaults=[vault], passphrase=None)


def test_a_part_that_unpacks_without_end_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of a kilobyte that unpacks to gigabytes takes no more than a part may have."""
    monkeypatch.setattr(sealed_file, "_LARGEST_PART", 100_000)
    fits = {"what": "file", "name": "a", "data": b"0" * 90_000}
    assert list(made_of(tmp_path / "fits.backup", [fits]).parts())
    bomb = {"what": "file", "name": "a", "data": b"0" * 10_000_000}
    with pytest.raises(UserError, match="damaged"):
        list(made_of(tmp_path / "bomb.backup", [bomb]).parts())


MANIFEST = {
    "what": "manifest",
    "made_at": datetime(2026, 1, 1, tzinfo=UTC),
    "kind": "manual",
    "schema": 1,
    "store_kind": "mongod",
    "settings": [],
    "keys": [],
}


@pytest.mark.parametrize(
    "changes",
    [{"made_at": "x"}, {"kind": "x"}, {"schema": "x"}, {"settings": 7}, {"keys": None}],
    ids=str,
)
def test_a_manifest_that_is_none_is_said_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Whoever gives somebody a file and its passphrase chooses every field of it."""
    with pytest.raises(UserError, match="does not write"):
        manifest_of(made_of(tmp_path / "a.backup", [MANIFEST | changes]))


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"what": "documents"},
        {"what": "documents", "collection": 7, "documents": []},
        {"what": "documents", "collection": "lease", "documents": [{}]},
        {"what": "documents", "collection": "system.users", "documents": [{}]},
        {"what": "documents", "collection": "$cmd", "documents": [{}]},
        {"what": "documents", "collection": "orders", "documents": 7},
        {"what": "counts", "counts": [1]},
        {"what": "file", "name": "../../.ssh/authorized_keys", "data": b"x"},
        {"what": "file", "name": "/etc/passwd", "data": b"x"},
        {"what": "file", "name": "calendar.csv"},
    ],
    ids=str,
)
def test_parts_that_we_do_not_write_touch_nothing(tmp_path: Path, part: dict[str, Any]) -> None:
    """They are found when the file is read, before anything of the installation changes."""
    with pytest.raises(UserError):
        check(made_of(tmp_path / "a.backup", [MANIFEST, part]))


def test_a_file_is_restored_through_no_link(tmp_path: Path) -> None:
    """What somebody has pointed elsewhere stays as it is; what is written is private."""
    data = tmp_path / "data"
    data.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (data / FILE_NAME).symlink_to(elsewhere)
    _put_file(Settings(data=data), KeptFile(FILE_NAME, b"x"))
    assert not elsewhere.exists()
    (data / FILE_NAME).unlink()
    _put_file(Settings(data=data), KeptFile(FILE_NAME, b"mine"))
    _put_file(Settings(data=data), KeptFile(FILE_NAME, b"later"))
    assert (data / FILE_NAME).read_bytes() == b"mine"
    assert (data / FILE_NAME).stat().st_mode & 0o777 == 0o600
