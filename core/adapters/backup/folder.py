"""The folder of an installation's backups: makes them, finds them, removes what is too many."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from core.adapters.backup.archive import KeptFile, Manifest, write
from core.adapters.backup.sealed_file import SealedWriter
from core.adapters.mongo.store import MongoStore
from core.adapters.vault import FernetVault
from core.domain.backup import KEPT, BackupFile, BackupKind
from core.errors import BackupFailed, StoreError, VaultError
from core.ports.clock import Clock

__all__ = ["BackupFolder", "backups_in"]

_log = logging.getLogger(__name__)
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"saarthi-(\d{8}T\d{6}Z)(?:\.\d+)?-([a-z-]+)\.backup")
_ABANDONED_S = 86_400.0
_KINDS = {kind.value: kind for kind in BackupKind}


def backups_in(directory: Path) -> list[BackupFile]:
    """Return the backups of a folder, the newest first; none where there is no folder."""
    try:
        paths = [(path, path.stat()) for path in directory.iterdir() if path.is_file()]
    except OSError:
        return []
    found = []
    for path, stat in paths:
        name = _NAME.fullmatch(path.name)
        # An empty one is the name that a killed process had reserved (``give_name``).
        if name is not None and name[2] in _KINDS and stat.st_size:
            made_at = datetime.strptime(name[1], _TIME).replace(tzinfo=UTC)
            found.append(BackupFile(path, _KINDS[name[2]], made_at, stat.st_size))
    return sorted(found, key=lambda one: (one.made_at, one.path.name), reverse=True)


class BackupFolder:
    """The port ``core.ports.backups`` on a folder.

    Args:
        directory: The folder; made when it is first needed.
        connect: Opens a connection of its own to the store.
        vault: Its newest key opens each backup.
        passphrase: Opens them too.
        clock: For their names.
        settings: Names of the settings that were given.
        files: Files that belong to the installation, those that are there.
    """

    def __init__(
        self,
        directory: Path,
        *,
        connect: Callable[[], Awaitable[MongoStore]],
        vault: FernetVault,
        passphrase: str | None,
        clock: Clock,
        settings: Sequence[str],
        files: Sequence[Path],
    ) -> None:
        self._directory = directory
        self._connect = connect
        self._vault = vault
        self._passphrase = passphrase
        self._clock = clock
        self._settings = tuple(settings)
        self._files = tuple(files)

    def newest(self) -> BackupFile | None:
        """Return the newest one, None where there is none."""
        return next(iter(backups_in(self._directory)), None)

    async def take(self, kind: BackupKind) -> BackupFile:
        """Make one (see the port)."""
        made_at = self._clock.now()
        try:
            path = await self._written(kind, made_at)
            size = path.stat().st_size
            self._prune(kind)
        except OSError as error:
            raise BackupFailed(f"{self._directory}: {error.strerror or error}.") from error
        except (StoreError, VaultError) as error:
            raise BackupFailed(str(error)) from error
        _log.info("backup %s: %d bytes", path.name, size)
        return BackupFile(path, kind, made_at, size)

    async def _written(self, kind: BackupKind, made_at: datetime) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._free(kind, made_at)
        writer = SealedWriter(path, vault=self._vault, passphrase=self._passphrase, made_at=made_at)
        try:
            async with await self._connect() as store:
                schema = await store.get("schema", "schema") or {}
                manifest = Manifest(
                    made_at=made_at,
                    kind=kind,
                    schema=int(schema.get("version", 0)),
                    store_kind=str(store.server_kind()),
                    settings=self._settings,
                    keys=self._vault.keys(),
                )
                files = [
                    KeptFile(one.name, one.read_bytes()) for one in self._files if one.exists()
                ]
                await write(writer, store, manifest, files)
        except BaseException:
            writer.drop()
            raise
        return path

    def _free(self, kind: BackupKind, made_at: datetime) -> Path:
        """Return a name that is not taken: two in one second are two."""
        stem = f"saarthi-{made_at.astimezone(UTC):{_TIME}}"
        names = (stem, *(f"{stem}.{number}" for number in range(2, 100)))
        paths = (self._directory / f"{name}-{kind.value}.backup" for name in names)
        return next(path for path in paths if not path.exists())

    def _prune(self, kind: BackupKind) -> None:
        """Remove the oldest of a kind, and what a killed process has left half written."""
        most = KEPT.get(kind)
        same = [one for one in backups_in(self._directory) if one.kind is kind]
        for old in same[most:] if most is not None else []:
            Path(old.path).unlink(missing_ok=True)
            _log.info("backup %s: removed, %d newer ones are kept", old.path.name, most)
        for left in self._directory.glob(".saarthi-*.backup.*"):
            if self._clock.now().timestamp() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink(missing_ok=True)
