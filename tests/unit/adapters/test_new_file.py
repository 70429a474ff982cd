"""Files that get their name when they are whole, on file systems with hard links and without."""

from __future__ import annotations

import errno
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from core.adapters.backup.folder import backups_in
from core.adapters.backup.sealed_file import SealedReader, SealedWriter
from core.adapters.new_file import give_name
from core.adapters.vault import KEY_FILE, FernetVault

MADE_AT = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
NAME = "saarthi-20261123T113000Z-upgrade.backup"
ERRORS = (0, errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


@pytest.fixture(params=ERRORS, ids=lambda code: errno.errorcode.get(code, "links"))
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses hard links in one of the usual ways, or has them (0)."""

    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param:
        monkeypatch.setattr(os, "link", refuse)


def write_backup(path: Path, vault: FernetVault, number: int = 1) -> None:
    writer = SealedWriter(path, vault=vault, passphrase=None, made_at=MADE_AT)
    try:
        writer.add({"what": "manifest", "number": number})
        writer.finish()
    except BaseException:
        writer.drop()
        raise


@pytest.mark.usefixtures("links")
def test_backup_is_made_in_any_folder_and_never_replaced(tmp_path: Path) -> None:
    """Whole, private, alone in the folder; a second one of the same name changes nothing."""
    vault = FernetVault([Fernet.generate_key().decode()])
    path = tmp_path / NAME
    write_backup(path, vault)
    with pytest.raises(FileExistsError):
        write_backup(path, vault, number=2)
    (part,) = SealedReader(path, vaults=[vault], passphrase=None).parts()
    assert part["number"] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert [one.path for one in backups_in(tmp_path)] == [path]


@pytest.mark.row("G2")
@pytest.mark.usefixtures("links")
def test_key_file_is_made_in_any_data_directory(tmp_path: Path) -> None:
    """The first start needs no hard links either."""
    sealed = FernetVault.from_setting(None, tmp_path).seal("the-canary-secret")
    assert FernetVault.from_setting(None, tmp_path).open(sealed) == "the-canary-secret"
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.usefixtures("links")
def test_nothing_is_left_of_a_name_that_could_not_be_given(tmp_path: Path) -> None:
    """Without its draft a file gets no name, and the name stays free."""
    with pytest.raises(OSError, match=r"."):
        give_name(tmp_path / "draft", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_reserved_name_is_no_backup(tmp_path: Path) -> None:
    """What a process has left that was killed between the two steps is not the newest backup."""
    (tmp_path / NAME).touch()
    assert backups_in(tmp_path) == []
