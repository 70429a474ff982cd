"""The vault: secrets sealed with Fernet under the newest of several keys (product.md G2).

The keys come from ``SAARTHI_SECRET_KEY`` (comma-separated, newest first) or, when that is unset,
from a key file under the data directory (one key a line, newest first, readable by its owner alone)
that is made at the first start. A vault on a file looks at it again when it has changed, so a
running controller goes on while ``saarthi rotate-key`` adds a key and seals everything anew.

Whatever happens to the file while it runs, the controller goes on with the keys that it has in
memory; ``trouble`` says what the next start would not have. ``core.adapters.sealed`` knows what is
sealed in the store.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.adapters.new_file import give_name, sync_directory
from core.errors import ConfigurationError, VaultError

__all__ = ["KEY_FILE", "FernetVault", "make_key_file", "put_key_file"]

_log = logging.getLogger(__name__)
KEY_FILE = "secret.key"

_OPEN_TO_OTHERS = 0o077
_EXPECTED = "expected keys of 44 URL-safe base64 characters, separated by commas, newest first"


class FernetVault:
    """Seals with the first key, opens with any; made by ``from_setting``."""

    def __init__(self, keys: Sequence[str], *, file: Path | None = None) -> None:
        self._file = file
        self._stamp = _stamp(file)
        self._keys = list(keys)
        self._fernet = _fernet(keys, "SAARTHI_SECRET_KEY" if file is None else str(file))
        self._former: list[str] = []
        self._trouble = ""
        self._is_former_needed = False

    @classmethod
    def from_setting(cls, setting: str | None, data_dir: Path) -> FernetVault:
        """Return the vault of this installation, making its key file when there is no key yet.

        Whoever has a store asks ``core.adapters.sealed.vault_beside`` instead, which makes no key
        where something is sealed with a key that is gone.

        Raises:
            ConfigurationError: A key is malformed, or others may read the key file.
        """
        if setting is not None and setting.strip():
            return cls([key.strip() for key in setting.split(",")])
        file = data_dir / KEY_FILE
        if not file.exists():
            _make_first(file)
        _refuse_open_directory(data_dir)
        return cls(_read_file(file), file=file)

    @classmethod
    def of_file(cls, file: Path) -> FernetVault:
        """Return the vault of a key file.

        Raises:
            ConfigurationError: It is not there, malformed, or others may read it.
        """
        try:
            return cls(_read_file(file), file=file)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be read ({error.strerror}).") from None

    def seal(self, plain: str) -> str:
        """Return ``plain`` encrypted with the newest key, as text."""
        self._reload()
        return self._fernet.encrypt(plain.encode()).decode()

    def trouble(self) -> str:
        """Return what the next start would not have, as a sentence, or ''."""
        self._reload()
        if self._trouble:
            return self._trouble
        if self._is_former_needed:
            return (
                f"The key file {self._file} no longer holds a key that stored secrets need: put "
                "that key back into it, or run saarthi rotate-key, before the next start."
            )
        return ""

    def open(self, sealed: str) -> str:
        """Return the plain text of ``sealed``, under any of the known keys."""
        try:
            return self._open(sealed)
        except VaultError:
            if not self._reload():
                raise
        return self._open(sealed)

    def reseal(self, sealed: str) -> str:
        """Return ``sealed`` sealed anew with the newest key.

        Raises:
            VaultError: No known key opens it.
        """
        return self.seal(self.open(sealed))

    def add_key(self) -> None:
        """Put a new key in front of the key file; what is sealed from now on is sealed with it.

        Raises:
            ConfigurationError: The keys are in the environment, where only the user can add one.
        """
        if self._file is None:
            raise ConfigurationError(
                "SAARTHI_SECRET_KEY holds the keys: put a new one in front of them there, restart, "
                "then run saarthi rotate-key."
            )
        # Two at once would each put a key in front of the old ones, and one of these be lost, with
        # all that was sealed with it in between.
        with _alone(self._file.parent):
            self._reload()
            if self._trouble:
                raise ConfigurationError(self._trouble)
            keys = [Fernet.generate_key().decode(), *_read_file(self._file)]
            temporary = _write_beside(self._file, keys)
            temporary.replace(self._file)
            sync_directory(self._file.parent)
        self._reload()

    def keys(self) -> tuple[str, ...]:
        """Return the keys, newest first: for a backup, whose parts are sealed."""
        self._reload()
        return tuple(self._keys)

    @property
    def is_file_based(self) -> bool:
        """Whether the keys are in a file, so that ``add_key`` can add one."""
        return self._file is not None

    def _open(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            pass
        if self._former:
            try:
                plain = MultiFernet([Fernet(key) for key in self._former]).decrypt(sealed.encode())
            except (InvalidToken, UnicodeError):
                pass
            else:
                self._is_former_needed = True
                return plain.decode()
        raise VaultError(
            "A stored secret cannot be opened: it is damaged, or its key is not known."
        )

    def _reload(self) -> bool:
        """Read the key file again if it has changed; return whether there are other keys now."""
        if self._file is None:
            return False
        stamp = _stamp(self._file)
        if stamp is not None and stamp == self._stamp:
            self._say("")
            return False
        try:
            keys = _read_file(self._file)
            fernet = _fernet(keys, str(self._file))
        except FileNotFoundError:
            self._say(f"The key file {self._file} is gone")
        except OSError as error:
            self._say(f"The key file {self._file} cannot be read ({error.strerror})")
        except ConfigurationError as error:
            self._say(str(error).rstrip("."))
        else:
            self._stamp = stamp
            self._former = [key for key in (*self._keys, *self._former) if key not in keys]
            self._is_former_needed = False
            self._keys, self._fernet = keys, fernet
            self._say("")
            return True
        return False

    def _say(self, what: str) -> None:
        """Keep what is wrong with the file, and log it once."""
        sentence = (
            f"{what}. Saarthi goes on with the keys in its memory; put the file back as it was "
            "before the next start, which needs it."
            if what
            else ""
        )
        if sentence and sentence != self._trouble:
            _log.error("%s", sentence)
        self._trouble = sentence


def _fernet(keys: Sequence[str], source: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # Not chained, and without what was found: it is a key, or nearly one.
        found = f"{len(keys)} of them, at least one malformed" if keys else "none"
        raise ConfigurationError(f"{source}: found {found}; {_EXPECTED}.") from None


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _refuse_open_directory(directory: Path) -> None:
    """Take no key from where others can put one of theirs: they would read all that it seals."""
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & stat.S_IWOTH:
        raise ConfigurationError(
            f"{directory} has mode {mode:04o}, so that others can put a key of theirs "
            f"into it; expected 0700: run chmod 700 on it, and look whose {KEY_FILE} is in it."
        )


def _read_file(file: Path) -> list[str]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & _OPEN_TO_OTHERS:
        raise ConfigurationError(
            f"The key file {file} has mode {mode:04o}; expected 0600: run chmod 600 on it."
        )
    return file.read_text(encoding="ascii", errors="replace").split()


def make_key_file(data_dir: Path) -> None:
    """Make the first key of an installation whose keys are lost.

    Raises:
        ConfigurationError: There is a key file.
    """
    file = data_dir / KEY_FILE
    if file.exists():
        raise ConfigurationError(
            f"The key file {file} exists; --lost-key is for an installation without one."
        )
    _make_first(file)


def put_key_file(data_dir: Path, keys: Sequence[str]) -> None:
    """Give an installation without keys those of a backup."""
    _make_first(data_dir / KEY_FILE, keys)


def _make_first(file: Path, keys: Sequence[str] = ()) -> None:
    """Make the key file, whole or not at all; another process that was faster wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = _write_beside(file, list(keys) or [Fernet.generate_key().decode()])
    try:
        give_name(temporary, file)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process changes the keys in a directory; a lock ends with its process."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks has one process at a time
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_beside(file: Path, keys: Sequence[str]) -> Path:
    """Write the keys to a new file next to ``file``, readable by its owner alone, onto the disk."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="ascii") as target:
        target.write("".join(f"{key}\n" for key in keys))
        target.flush()
        os.fsync(target.fileno())
    return Path(name)
