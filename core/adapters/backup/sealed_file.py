"""A file of sealed parts: whoever has no key and no passphrase sees its age and its size alone.

Its first line names the form, its second holds a data key, made for this file alone and sealed
twice: with the installation's newest key, and by a passphrase (scrypt) where the user has set one.
Each further line is one Fernet token of a compressed BSON document, numbered from 0; the last one
says that it is the last. A part that is missing, changed or in another place is found.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Self

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from core.adapters.new_file import give_name
from core.adapters.vault import FernetVault
from core.errors import UserError, VaultError

__all__ = ["END", "Locked", "SealedReader", "SealedWriter"]

_FORM: Final = b"saarthi-backup 1\n"
_KEY, _PASSPHRASE = "key", "passphrase"
_SCRYPT: Final[Mapping[str, int]] = {"n": 2**15, "r": 8, "p": 1}
_LARGEST: Final[Mapping[str, int]] = {"n": 2**18, "r": 16, "p": 4}
"""What a file may ask of the machine before anything of it is proved: 512 MiB, some seconds."""
_LONGEST_PART: Final = 64 * 1024 * 1024
_LARGEST_PART: Final = 64 * 1024 * 1024
"""Unpacked: a document has 16 MiB at most, and what is added to others before it 1 MiB."""
_SALT_BYTES: Final = 16
_LONGEST_HEAD: Final = 64 * 1024
END: Final = "end"
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


class Locked(UserError):
    """No key and no passphrase that is known opens this file.

    Attributes:
        has_passphrase: Whether a passphrase would.
    """

    def __init__(self, message: str, *, has_passphrase: bool) -> None:
        super().__init__(message)
        self.has_passphrase = has_passphrase


class SealedWriter:
    """Writes a file beside its place and moves it there when it is whole.

    Args:
        path: Its place; there is none yet.
        vault: Its newest key opens the file.
        passphrase: Opens it as well.
        made_at: Readable by everybody.
    """

    def __init__(
        self, path: Path, *, vault: FernetVault, passphrase: str | None, made_at: datetime
    ) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        key = Fernet.generate_key()
        self._fernet = Fernet(key)
        self._n = 0
        locks = [{"kind": _KEY, "sealed": vault.seal(key.decode())}]
        if passphrase is not None:
            locks.append(_passphrase_lock(passphrase, key))
        head = {"made_at": made_at.isoformat(), "locks": locks}
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._file.write(_FORM + json.dumps(head).encode() + b"\n")

    def add(self, part: Mapping[str, Any]) -> None:
        """Append a part; it may hold raw documents."""
        packed = zlib.compress(bson.encode({"n": self._n, **part}))
        self._file.write(self._fernet.encrypt(packed) + b"\n")
        self._n += 1

    def finish(self) -> None:
        """Say that nothing follows, bring it onto the disk and give it its name."""
        self.add({"what": END})
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        give_name(self._draft, self._path)  # a backup that stands there already is never lost

    def drop(self) -> None:
        """Leave nothing behind of a file that is not finished."""
        self._file.close()
        self._draft.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Head:
    made_at: str
    locks: Sequence[Mapping[str, Any]]


class SealedReader:
    """Reads a file's parts, as often as they are asked for.

    Raises:
        UserError: There is no such file, or it is no backup, or it is damaged.
        Locked: Nothing that was given opens it.
    """

    def __init__(
        self, path: Path, *, vaults: Sequence[FernetVault], passphrase: str | None
    ) -> None:
        self._path = path
        with self._open() as file:
            head = _head_of(file, path)
            self._first = file.tell()
        self._fernet = Fernet(_data_key(head, path, vaults, passphrase))

    @classmethod
    def opened(
        cls,
        path: Path,
        *,
        vaults: Sequence[FernetVault],
        passphrase: str | None,
        ask: Callable[[], str | None],
    ) -> Self:
        """Return the reader; the user is asked for the passphrase where only that helps."""
        try:
            return cls(path, vaults=vaults, passphrase=passphrase)
        except Locked as locked:
            typed = ask() if locked.has_passphrase and passphrase is None else None
            if not typed:
                raise
            return cls(path, vaults=vaults, passphrase=typed)

    def parts(self) -> Iterator[RawBSONDocument]:
        """Yield the parts in order, without the last, which only ends them.

        Raises:
            UserError: A part is damaged or missing.
        """
        number = 0
        with self._open() as file:
            file.seek(self._first)
            while line := file.readline(_LONGEST_PART):
                part = self._part(line, number)
                if part.get("n") != number or "what" not in part:
                    raise self._damaged(number)
                if part["what"] == END:
                    if file.read(1):
                        raise self._damaged(number + 1)
                    return
                yield part
                number += 1
        raise UserError(f"{self._path} is cut short: its end is missing; take an older backup.")

    def _part(self, line: bytes, number: int) -> RawBSONDocument:
        try:
            packed = self._fernet.decrypt(line.rstrip(b"\n"))
            return bson.decode(_unpacked(packed), codec_options=_RAW)
        except (InvalidToken, zlib.error, bson.errors.BSONError):
            raise self._damaged(number) from None

    def _damaged(self, number: int) -> UserError:
        return UserError(f"{self._path} is damaged (part {number}); take an older backup.")

    def _open(self) -> IO[bytes]:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be read ({error.strerror}).") from None


def _unpacked(packed: bytes) -> bytes:
    """Unpack a part, as far as a part can be large: whoever made the file chose what is in it."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, _LARGEST_PART)
    if not unpacker.eof:
        raise zlib.error("a part that is too large or cut")
    return data


def _head_of(file: IO[bytes], path: Path) -> _Head:
    if file.readline(len(_FORM)) != _FORM:
        raise UserError(
            f"{path} is no backup of Saarthi's, or of a newer form than this program's."
        )
    try:
        head = json.loads(file.readline(_LONGEST_HEAD))
        return _Head(str(head["made_at"]), [dict(lock) for lock in head["locks"]])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is damaged (its head); take an older backup.") from None


def _data_key(
    head: _Head, path: Path, vaults: Sequence[FernetVault], passphrase: str | None
) -> bytes:
    kinds = {str(lock.get("kind")) for lock in head.locks}
    for lock in head.locks:
        found = None
        if lock.get("kind") == _KEY:
            found = _by_key(str(lock.get("sealed")), vaults)
        elif lock.get("kind") == _PASSPHRASE and passphrase is not None:
            found = _by_passphrase(lock, passphrase)
        if found is not None:
            return found
    if passphrase is not None and _PASSPHRASE in kinds:
        message = f"{path}: the passphrase is another one, and no key here opens it."
    else:
        message = (
            f"{path}: no key here opens it. Put its secret.key into the data directory, name it "
            "with --key-file, or set SAARTHI_SECRET_KEY or SAARTHI_BACKUP_PASSPHRASE."
        )
    raise Locked(message, has_passphrase=_PASSPHRASE in kinds)


def _by_key(sealed: str, vaults: Sequence[FernetVault]) -> bytes | None:
    for vault in vaults:
        try:
            return vault.open(sealed).encode()
        except VaultError:
            continue
    return None


def _passphrase_lock(passphrase: str, key: bytes) -> dict[str, Any]:
    salt = secrets.token_bytes(_SALT_BYTES)
    sealed = Fernet(_derived(passphrase, salt, _SCRYPT)).encrypt(key).decode()
    return {"kind": _PASSPHRASE, "salt": salt.hex(), **_SCRYPT, "sealed": sealed}


def _by_passphrase(lock: Mapping[str, Any], passphrase: str) -> bytes | None:
    try:
        cost = {name: int(lock[name]) for name in _SCRYPT}
        if any(not 1 <= cost[name] <= most for name, most in _LARGEST.items()):
            return None
        derived = _derived(passphrase, bytes.fromhex(lock["salt"]), cost)
        return Fernet(derived).decrypt(str(lock["sealed"]).encode())
    except (InvalidToken, KeyError, ValueError, TypeError, MemoryError, OverflowError):
        return None


def _derived(passphrase: str, salt: bytes, cost: Mapping[str, int]) -> bytes:
    made = Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode())
    return base64.urlsafe_b64encode(made)
