"""The vault: secrets sealed with Fernet under the newest of several keys (product.md G2).

The keys come from ``SAARTHI_SECRET_KEY`` (comma-separated, newest first) or, when that is unset,
from a key file under the data directory (one key a line, newest first, readable by its owner alone)
that is made at the first start. A vault on a file looks at it again when it has changed, so a
running controller goes on while ``saarthi rotate-key`` adds a key and seals everything anew.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import ConfigurationError, VaultError
from core.ports.store import Change, Store, StoreView, parts

__all__ = ["KEY_FILE", "SEALED_COLLECTIONS", "FernetVault", "Rotation", "rotate"]

KEY_FILE = "secret.key"

SEALED_COLLECTIONS = ("broker_accounts", "inbox", "prompts", "logins", "login_links", "settings")
"""Collections whose documents may hold sealed texts, at any depth."""

_OPEN_TO_OTHERS = 0o077
_TOKEN_START = "gAAAA"  # noqa: S105 - how every Fernet token begins: version 128, a time before 2106
_EXPECTED = "expected keys of 44 URL-safe base64 characters, separated by commas, newest first"


class FernetVault:
    """Seals with the first key, opens with any; made by ``from_setting``."""

    def __init__(self, keys: Sequence[str], *, file: Path | None = None) -> None:
        self._file = file
        self._stamp = _stamp(file)
        self._fernet = _fernet(keys, "SAARTHI_SECRET_KEY" if file is None else str(file))

    @classmethod
    def from_setting(cls, setting: str | None, data_dir: Path) -> FernetVault:
        """Return the vault of this installation, making its key file when there is no key yet.

        Raises:
            ConfigurationError: A key is malformed, or others may read the key file.
        """
        if setting is not None and setting.strip():
            return cls([key.strip() for key in setting.split(",")])
        file = data_dir / KEY_FILE
        if not file.exists():
            _make_first(file)
        return cls(_read(file), file=file)

    def seal(self, plain: str) -> str:
        """Return ``plain`` encrypted with the newest key, as text."""
        self._reload()
        return self._fernet.encrypt(plain.encode()).decode()

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
        keys = [Fernet.generate_key().decode(), *_read(self._file)]
        temporary = _write_beside(self._file, keys)
        temporary.replace(self._file)
        _sync_directory(self._file.parent)
        self._reload()

    @property
    def is_file_based(self) -> bool:
        """Whether the keys are in a file, so that ``add_key`` can add one."""
        return self._file is not None

    def _open(self, sealed: str) -> str:
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except (InvalidToken, UnicodeError):
            # Not chained: nothing of the ciphertext belongs in a traceback.
            raise VaultError(
                "A stored secret cannot be opened: it is damaged, or its key is not known."
            ) from None

    def _reload(self) -> bool:
        """Read the key file again if it has changed; return whether it had."""
        if self._file is None:
            return False
        stamp = _stamp(self._file)
        if stamp is None or stamp == self._stamp:
            return False
        self._fernet = _fernet(_read(self._file), str(self._file))
        self._stamp = stamp
        return True


@dataclass(slots=True)
class Rotation:
    """What ``rotate`` did: how many texts it sealed anew, and which documents it had to leave."""

    resealed: int = 0
    unreadable: list[str] = field(default_factory=list)


_Anew = tuple[str, str, str, str]  # id, dotted path, the text as it was, and as it will be


async def _nothing(_view: StoreView) -> None:
    return None


async def rotate(
    store: Store,
    vault: FernetVault,
    collections: Sequence[str] = SEALED_COLLECTIONS,
    *,
    beside: Callable[[StoreView], Awaitable[None]] = _nothing,
) -> Rotation:
    """Seal every sealed text of ``store`` anew with the newest key; call after ``add_key``.

    ``beside`` belongs in each transaction that changes something: a controller may run.

    Safe while a controller runs: a text that changed meanwhile is left, for it was sealed with the
    newest key. A damaged text is reported and leaves all others untouched. Running it again is
    harmless.
    """
    done = Rotation()
    for collection in collections:
        anew: list[_Anew] = []
        for document in await store.find(collection, {}):
            for path, sealed in _sealed_texts(document):
                try:
                    anew.append((document["_id"], path, sealed, vault.reseal(sealed)))
                except VaultError:
                    done.unreadable.append(f"{collection}/{document['_id']}: {path}")
        for some in parts(anew):
            done.resealed += await _put(store, collection, some, beside)
    return done


async def _put(
    store: Store,
    collection: str,
    anew: Sequence[_Anew],
    beside: Callable[[StoreView], Awaitable[None]],
) -> int:
    """Put texts in the places of those that still stand; return how many there were."""

    async def body(view: StoreView) -> int:
        done = [
            await view.update(collection, {"_id": key, path: old}, Change(set={path: new}))
            for key, path, old, new in anew
        ]
        if any(done):
            await beside(view)
        return sum(done)

    return await store.transaction(body, nonce=f"reseal:{secrets.token_hex(12)}")


def _sealed_texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of every text in a document that has the form of a sealed one."""
    if isinstance(value, str):
        if value.startswith(_TOKEN_START):
            yield path, value
        return
    parts: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        parts = iter(value.items())
    elif isinstance(value, list):
        parts = iter(enumerate(value))
    else:
        return
    for name, part in parts:
        yield from _sealed_texts(part, f"{path}.{name}" if path else str(name))


def _fernet(keys: Sequence[str], source: str) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # Not chained, and without what was found: it is a key, or nearly one.
        found = f"{len(keys)} of them, at least one malformed" if keys else "none"
        raise ConfigurationError(f"{source}: found {found}; {_EXPECTED}.") from None


def _stamp(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


def _read(file: Path) -> list[str]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & _OPEN_TO_OTHERS:
        raise ConfigurationError(
            f"The key file {file} has mode {mode:04o}; expected 0600: run chmod 600 on it."
        )
    return file.read_text(encoding="ascii", errors="replace").split()


def _make_first(file: Path) -> None:
    """Make the key file, whole or not at all; another process that was faster wins."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = _write_beside(file, [Fernet.generate_key().decode()])
    try:
        os.link(temporary, file)
    except FileExistsError:
        return
    finally:
        temporary.unlink()
    _sync_directory(file.parent)


def _write_beside(file: Path, keys: Sequence[str]) -> Path:
    """Write the keys to a new file next to ``file``, readable by its owner alone, onto the disk."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="ascii") as target:
        target.write("".join(f"{key}\n" for key in keys))
        target.flush()
        os.fsync(target.fileno())
    return Path(name)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
