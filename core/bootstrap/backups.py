"""The backups of an installation: where they are, what opens them, what is in each."""

from __future__ import annotations

from pathlib import Path

from core.adapters.backup.folder import BackupFolder, backups_in
from core.adapters.calendar import FILE_NAME as CALENDAR_FILE
from core.adapters.clock import clock_from_setting
from core.adapters.mongo.migrations import is_newer, refuse_half_restored
from core.adapters.mongo.server import launch, read_store_file
from core.adapters.mongo.store import MongoStore, StoreOptions
from core.adapters.sealed import vault_beside
from core.adapters.vault import FernetVault
from core.config import Settings, setting_name
from core.domain.backup import BackupFile, BackupKind
from core.errors import UserError
from core.ports.clock import Clock

__all__ = ["PATIENT", "back_up", "backups_of", "kept_backups", "passphrase_of"]

PATIENT = StoreOptions(sessions=1, connections=4, server_selection_s=5.0, operation_s=60.0)
"""One part of a large store takes its time; the controller's own connections are others."""


def passphrase_of(settings: Settings) -> str | None:
    """Return the passphrase that opens backups beside the keys, None where none is set."""
    given = settings.backup_passphrase
    return given.get_secret_value() if given is not None else None


def backups_of(
    settings: Settings,
    uri: str,
    vault: FernetVault,
    clock: Clock,
    *,
    directory: Path | None = None,
) -> BackupFolder:
    """Return the folder of backups, or another one, for the store at ``uri``."""

    async def connect() -> MongoStore:
        return await MongoStore.connect(uri, settings.db, PATIENT)

    return BackupFolder(
        directory or settings.backups_dir,
        connect=connect,
        vault=vault,
        passphrase=passphrase_of(settings),
        clock=clock,
        settings=[setting_name(field) for field in settings.given],
        files=[settings.data_dir / CALENDAR_FILE],
    )


async def back_up(settings: Settings, directory: Path | None) -> BackupFile:
    """Make a backup by hand, beside a running controller or without one; nothing is migrated.

    Args:
        settings: Of the installation.
        directory: Where to; None is the installation's folder.

    Raises:
        UserError: There is nothing to back up.
        StoreError: The store cannot be reached.
        BackupFailed: It could not be made.
    """
    running = None
    if settings.mongodb_uri is not None:
        uri = settings.mongodb_uri.get_secret_value()
    elif (found := read_store_file(settings.data_dir)) is not None:
        uri = found.uri
    elif (settings.data_dir / "store").is_dir():
        running = await launch(settings.data_dir, uri=None, mongod=settings.mongod)
        uri = running.server.uri
    else:
        raise UserError(f"There is nothing to back up: no store under {settings.data_dir} yet.")
    try:
        async with await MongoStore.connect(uri, settings.db, PATIENT) as store:
            await refuse_half_restored(store)
            if await store.get("schema", "schema") is None:
                raise UserError("There is nothing to back up: the store is empty.")
            if await is_newer(store):
                raise UserError(
                    "A newer Saarthi wrote this store, and its backup would lack what this one "
                    "does not know: back it up with the newer one."
                )
            given = settings.secret_key.get_secret_value() if settings.secret_key else None
            vault = await vault_beside(store, given, settings.data_dir)
        clock = clock_from_setting(settings.clock)
        folder = backups_of(settings, uri, vault, clock, directory=directory)
        return await folder.take(BackupKind.BY_HAND)
    finally:
        if running is not None:
            await running.stop()


def kept_backups(settings: Settings) -> list[BackupFile]:
    """Return the backups that are there, the newest first."""
    return backups_in(settings.backups_dir)
