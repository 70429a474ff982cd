"""Secrets at rest: sealing, keys and their file, rotation."""

from __future__ import annotations

import stat
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from cryptography.fernet import Fernet

from core.adapters.vault import KEY_FILE, FernetVault, make_key_file
from core.errors import ConfigurationError, VaultError
from tests.fakes.log_lines import lines_of

pytestmark = pytest.mark.row("G2")

SECRET = "the-canary-secret"


def key() -> str:
    """Return a new key."""
    return Fernet.generate_key().decode()


def test_what_was_sealed_opens_and_does_not_show() -> None:
    """Twice the same secret gives two texts, neither of which holds it."""
    vault = FernetVault([key()])
    one, other = vault.seal(SECRET), vault.seal(SECRET)
    assert vault.open(one) == vault.open(other) == SECRET
    assert one != other
    assert SECRET not in one


def test_the_first_start_makes_a_private_key_file_that_the_next_start_uses(tmp_path: Path) -> None:
    """Mode 0600 in a directory of mode 0700; nothing else is left beside it."""
    data = tmp_path / "data"
    sealed = FernetVault.from_setting(None, data).seal(SECRET)
    assert stat.S_IMODE((data / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in data.iterdir()] == [KEY_FILE]
    assert FernetVault.from_setting("", data).open(sealed) == SECRET


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """One sentence: the file, its mode, what to do."""
    FernetVault.from_setting(None, tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(ConfigurationError, match=f"{mode:04o}.*0600.*chmod"):
        FernetVault.from_setting(None, tmp_path)


def test_the_setting_holds_several_keys_newest_first(tmp_path: Path) -> None:
    """All of them open, the first one seals, and no file is made."""
    old, new = key(), key()
    sealed = FernetVault([old]).seal(SECRET)
    vault = FernetVault.from_setting(f" {new} , {old} ", tmp_path)
    assert vault.open(sealed) == SECRET
    assert FernetVault([new]).open(vault.seal(SECRET)) == SECRET
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["short", "canary-key-canary-key-canary-key-canary-key-", ","])
def test_a_malformed_key_is_refused_without_showing_it(tmp_path: Path, wrong: str) -> None:
    """Not in the sentence and not in the traceback."""
    with pytest.raises(ConfigurationError, match="SAARTHI_SECRET_KEY") as refused:
        FernetVault.from_setting(f"{key()},{wrong}", tmp_path)
    shown = "".join(traceback.format_exception_only(refused.value))
    assert wrong == "," or wrong not in shown
    assert refused.value.__suppress_context__, "the cause would show what was found"


@pytest.mark.matrix("A06")
def test_damaged_and_foreign_texts_raise_a_vault_error_only() -> None:
    """Corrupted, of an unknown key, empty, not even ASCII: one kind of error, nothing of it shown."""
    vault = FernetVault([key()])
    good = vault.seal(SECRET)
    damaged = good[:40] + ("A" if good[40] != "A" else "B") + good[41:]
    for text in (damaged, FernetVault([key()]).seal(SECRET), "", "रहस्य", good[:-10]):
        with pytest.raises(VaultError) as refused:
            vault.open(text)
        assert refused.value.__cause__ is None
        assert not text or text not in str(refused.value)


@pytest.mark.matrix("A06")
def test_a_running_vault_goes_on_while_a_key_is_added(tmp_path: Path) -> None:
    """It opens what another process sealed with the new key, and seals with it from then on."""
    running = FernetVault.from_setting(None, tmp_path)
    old = running.seal(SECRET)
    rotating = FernetVault.from_setting(None, tmp_path)
    rotating.add_key()
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert running.open(rotating.seal(SECRET)) == SECRET
    assert running.open(old) == SECRET
    newest, *before = (tmp_path / KEY_FILE).read_text().split()
    assert FernetVault([newest]).open(running.seal(SECRET)) == SECRET
    assert FernetVault(before).open(old) == SECRET


def _emptied(file: Path) -> None:
    file.write_text("")


def _malformed(file: Path) -> None:
    file.write_text("canary-key\n")


def _open_to_others(file: Path) -> None:
    file.chmod(0o644)


def _a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir(mode=0o700)


@pytest.mark.matrix("A06")
@pytest.mark.parametrize("harm", [Path.unlink, _emptied, _malformed, _open_to_others, _a_directory])
def test_a_running_vault_goes_on_when_its_file_is_harmed(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It seals and opens with the keys in memory, says so, makes no new key, and recovers."""
    running = FernetVault.from_setting(None, tmp_path)
    file, kept = tmp_path / KEY_FILE, (tmp_path / KEY_FILE).read_text()
    sealed = running.seal(SECRET)
    assert running.trouble() == ""

    harm(file)

    assert running.open(sealed) == running.open(running.seal(SECRET)) == SECRET
    assert str(file) in running.trouble() and "in its memory" in running.trouble()
    assert "canary" not in running.trouble() + caplog.text
    assert len(lines_of(caplog, "core")) == 1
    with pytest.raises(ConfigurationError, match="in its memory"):
        running.add_key()

    if file.is_dir():
        file.rmdir()
    file.write_text(kept)
    file.chmod(0o600)
    assert running.trouble() == ""
    assert running.open(sealed) == SECRET
    assert FernetVault.from_setting(None, tmp_path).open(running.seal(SECRET)) == SECRET


@pytest.mark.matrix("A06")
def test_a_key_that_left_the_file_is_missed_once_it_is_needed(tmp_path: Path) -> None:
    """Old keys may be taken out after a rotation; a vault says so only when one still is needed."""
    running = FernetVault.from_setting(None, tmp_path)
    sealed = running.seal(SECRET)
    (tmp_path / KEY_FILE).write_text(f"{key()}\n")
    anew = running.seal(SECRET)
    assert running.trouble() == ""
    assert FernetVault.from_setting(None, tmp_path).open(anew) == SECRET
    assert running.open(sealed) == SECRET
    assert "no longer holds a key that stored secrets need" in running.trouble()


def test_a_lost_key_is_replaced_only_where_it_is_lost(tmp_path: Path) -> None:
    """A key file that is there is not overwritten."""
    make_key_file(tmp_path)
    before = (tmp_path / KEY_FILE).read_text()
    with pytest.raises(ConfigurationError, match="exists"):
        make_key_file(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == before


def test_keys_of_the_environment_cannot_be_added_to() -> None:
    """A user does that; the sentence says how."""
    with pytest.raises(ConfigurationError, match="SAARTHI_SECRET_KEY"):
        FernetVault([key()]).add_key()


@pytest.mark.row("G2")
def test_rotations_at_once_lose_no_key(tmp_path: Path) -> None:
    """What each of them has sealed meanwhile is opened afterwards, by whoever reads the file."""
    first = FernetVault.from_setting(None, tmp_path)
    several = [FernetVault.of_file(tmp_path / KEY_FILE) for _ in range(8)]
    start = Barrier(len(several))

    def rotate(vault: FernetVault) -> str:
        start.wait()
        vault.add_key()
        return vault.seal("a secret")

    with ThreadPoolExecutor(len(several)) as pool:
        sealed = [first.seal("a secret"), *pool.map(rotate, several)]
    after = FernetVault.from_setting(None, tmp_path)
    assert len(after.keys()) == len(several) + 1
    assert {after.open(one) for one in sealed} == {"a secret"}
