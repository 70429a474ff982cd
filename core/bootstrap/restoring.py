"""Restoring an installation from a backup, into either kind of store (D04).

The whole file is read and checked before anything is touched. The target's lease is held
meanwhile, so that no controller starts on what is half there; a restore that was killed leaves a
mark that every start refuses, and running it again goes on from the beginning.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from core.adapters.backup.archive import KeptFile, Manifest, check, contents, manifest_of
from core.adapters.backup.sealed_file import SealedReader
from core.adapters.calendar import FILE_NAME as CALENDAR_FILE
from core.adapters.clock import clock_from_setting
from core.adapters.mongo.codec import CODEC
from core.adapters.mongo.migrations import (
    SCHEMA_VERSION,
    begin_restoring,
    end_restoring,
    forget_schema,
    is_current,
    is_half_restored,
    is_newer,
    migrate,
)
from core.adapters.mongo.schema import COLLECTIONS
from core.adapters.mongo.server import launch
from core.adapters.mongo.store import MongoStore
from core.adapters.mongo.whole import insert_raw
from core.adapters.sealed import SEALED, resealed
from core.adapters.vault import KEY_FILE, FernetVault, put_key_file
from core.bootstrap.backups import PATIENT, backups_of, passphrase_of
from core.config import Settings, setting_name
from core.domain.backup import BackupFile, BackupKind
from core.domain.owner import BotOwner
from core.engine.control.restored import note_restored
from core.engine.workers.lease import Lease
from core.errors import UserError, VaultError
from core.ports.clock import Clock

__all__ = ["RestoreDone", "open_backup", "restore"]

_LEFT = frozenset({"lease"})
_TELLING = ("broker_accounts", "users", "orders", "runs", "strategies")
"""A store with documents in one of these is not empty."""


@dataclass(frozen=True, slots=True)
class RestoreDone:
    """What was restored.

    Attributes:
        manifest: Of the backup.
        counts: Documents by collection.
        replaced: The backup that was made of what was there before.
        had_panic: A panic was running in the backup; it is over.
        unreadable: How many secrets no key opens.
        missing: Settings that were given when it was made and are not now.
        made_keys: The key file was written from the backup.
        kept: Owners who paired before the backup and are served on.
        dropped: Owners of the backup who are served no more.
    """

    manifest: Manifest
    counts: Mapping[str, int]
    replaced: BackupFile | None
    had_panic: bool
    unreadable: int
    missing: tuple[str, ...]
    made_keys: bool
    kept: tuple[BotOwner, ...] = ()
    dropped: tuple[BotOwner, ...] = ()


def open_backup(
    settings: Settings, file: Path, key_file: Path | None, ask: Callable[[], str | None]
) -> SealedReader:
    """Open a backup with what is at hand; the user is asked where only a passphrase helps.

    Raises:
        UserError: It is no backup, is damaged, or nothing opens it.
        ConfigurationError: A key is malformed, or others may read the key file.
    """
    vaults = []
    if key_file is not None:
        vaults.append(FernetVault.of_file(key_file))
    if (own := _own_vault(settings)) is not None:
        vaults.append(own)
    passphrase = passphrase_of(settings)
    return SealedReader.opened(file, vaults=vaults, passphrase=passphrase, ask=ask)


def _own_vault(settings: Settings) -> FernetVault | None:
    """Return the vault of this installation, None where it has no key yet."""
    given = settings.secret_key.get_secret_value() if settings.secret_key else ""
    if not given.strip() and not (settings.data_dir / KEY_FILE).exists():
        return None
    return FernetVault.from_setting(given, settings.data_dir)


async def restore(
    settings: Settings, reader: SealedReader, *, replace: bool, keeps_owners: bool = False
) -> RestoreDone:
    """Restore a backup into the store that the settings name.

    Whoever paired before the backup is served on with ``keeps_owners`` alone: they may have been
    removed since.

    Raises:
        UserError: The backup is damaged or newer, or the store is newer or not empty.
        LeaseHeld: A controller works on the store.
        StoreError: The store cannot be reached or written; run it again.
        BackupFailed: What is there could not be backed up before it is replaced.
    """
    manifest = await asyncio.to_thread(manifest_of, reader)
    counts = await asyncio.to_thread(check, reader)
    if manifest.schema > SCHEMA_VERSION:
        raise UserError(
            f"The backup is of schema version {manifest.schema}; this program knows up to "
            f"{SCHEMA_VERSION}. Restore it with the newer Saarthi that made it."
        )
    clock = clock_from_setting(settings.clock)
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    running = await launch(settings.data_dir, uri=uri, mongod=settings.mongod)
    address = running.server.uri
    try:
        async with await MongoStore.connect(address, settings.db, PATIENT) as store:
            await _refuse_newer(store)

            async def work() -> RestoreDone:
                replaced = await _made_free(settings, store, address, clock, replace=replace)
                vault, made_keys = _vault_for(settings, manifest)
                lost = await _fill(store, reader, manifest, vault, settings)
                prepared = await note_restored(
                    store,
                    backup_at=manifest.made_at,
                    at=clock.now(),
                    listed=settings.owners,
                    keeps_owners=keeps_owners,
                )
                await end_restoring(store)
                missing = {*manifest.settings} - {setting_name(one) for one in settings.given}
                return RestoreDone(
                    manifest,
                    counts,
                    replaced=replaced,
                    had_panic=prepared.had_panic,
                    unreadable=lost,
                    missing=tuple(sorted(missing)),
                    made_keys=made_keys,
                    kept=prepared.kept,
                    dropped=prepared.dropped,
                )

            return await _while_held(store, clock, work)
    finally:
        await running.stop()


async def _refuse_newer(store: MongoStore) -> None:
    if await is_newer(store):
        raise UserError(
            "A newer Saarthi wrote this store, and what this one does not know of it would stay: "
            "restore into an empty one, in another SAARTHI_DATA or SAARTHI_DB."
        )


async def _made_free(
    settings: Settings, store: MongoStore, uri: str, clock: Clock, *, replace: bool
) -> BackupFile | None:
    """Return the backup of what is there, None where there is nothing; nothing is removed yet.

    Raises:
        UserError: Something is there, and nobody said that it goes.
    """
    if await is_half_restored(store):
        return None
    there = await _held(store, _TELLING)
    if not there:
        return None
    if not replace:
        raise UserError(_not_empty(there))
    return await _kept(settings, uri, clock)


async def _while_held(
    store: MongoStore, clock: Clock, work: Callable[[], Awaitable[RestoreDone]]
) -> RestoreDone:
    """Do something while the store's lease is held, so that no controller starts on it."""
    if await store.get("schema", "schema") is None:
        await migrate(store)
    lease = Lease(
        store,
        clock,
        session_ids=lambda: store.session_ids,
        kill_sessions=store.kill_sessions,
        hold=store.hold,
        release=store.release,
    )
    await lease.wait_and_take()
    try:
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(lease.keep(), name="lease of the restore")
            done = await work()
            keeping.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
    finally:
        await lease.give_back()
    return done


async def _held(store: MongoStore, names: Iterable[str]) -> dict[str, int]:
    """Return how many documents there are in those of the collections that have any."""
    found: dict[str, int] = {}
    for name in names:
        reply = await store.command({"count": name})
        if reply["n"]:
            found[name] = int(reply["n"])
    return found


def _not_empty(there: Mapping[str, int]) -> str:
    held = ", ".join(f"{count} in {name}" for name, count in there.items())
    return (
        f"This store is not empty ({held}), and a restore replaces all of it; if that is meant, "
        "add --replace: what is there is backed up first."
    )


async def _kept(settings: Settings, uri: str, clock: Clock) -> BackupFile:
    given = settings.secret_key.get_secret_value() if settings.secret_key else None
    vault = FernetVault.from_setting(given, settings.data_dir)
    return await backups_of(settings, uri, vault, clock).take(BackupKind.REPLACED)


def _vault_for(settings: Settings, manifest: Manifest) -> tuple[FernetVault, bool]:
    """Return the vault that the restored secrets are for, and whether its file was made now.

    Where there is no key yet, the backup's become this installation's: the copy of the key file
    that its user keeps stays of use.
    """
    own = _own_vault(settings)
    if own is not None:
        return own, False
    put_key_file(settings.data_dir, manifest.keys)
    return FernetVault.from_setting(None, settings.data_dir), True


async def _fill(
    store: MongoStore,
    reader: SealedReader,
    manifest: Manifest,
    vault: FernetVault,
    settings: Settings,
) -> int:
    """Replace all that a store holds; return how many secrets have no key."""
    # An older store gets its documents first, and moves on as it does at a start.
    is_older = manifest.schema < SCHEMA_VERSION
    names = {one.name for one in COLLECTIONS} - _LEFT - {"commits"}
    is_bare = await is_current(store) and not await _held(store, names)
    await begin_restoring(store)
    if is_older or not is_bare:
        await _empty(store)
        await forget_schema(store, manifest.schema if is_older else None)
    if not is_older:
        await migrate(store)
    sealer = _Sealer(vault, FernetVault(list(manifest.keys)))
    for part in contents(reader):
        if isinstance(part, KeptFile):
            _put_file(settings, part)
        elif part.collection in SEALED:
            documents = [sealer.document(part.collection, one) for one in part.documents]
            await store.insert(part.collection, *documents)
        else:
            await insert_raw(store, part.collection, part.documents)
    if is_older:
        await migrate(store, rebuilds=store.server_kind() != "embedded")
    return sealer.unreadable


async def _empty(store: MongoStore) -> None:
    there = set(await store.database.list_collection_names())
    for name in ({one.name for one in COLLECTIONS} & there) - _LEFT:
        await store.command({"drop": name})


def _put_file(settings: Settings, file: KeptFile) -> None:
    """Write a file of the data directory, unless one of its own is there."""
    if file.name != CALENDAR_FILE:
        return
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never through a link that somebody has put there, and private from its first byte.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with suppress(FileExistsError):
        descriptor = os.open(settings.data_dir / CALENDAR_FILE, flags, 0o600)
        with os.fdopen(descriptor, "wb") as made:
            made.write(file.data)


class _Sealer:
    """Seals secrets for the keys of this installation that only the backup's open."""

    def __init__(self, vault: FernetVault, former: FernetVault) -> None:
        self._vault = vault
        self._former = former
        self.unreadable = 0

    def document(self, collection: str, raw: RawBSONDocument) -> dict[str, Any]:
        """Return a document with its secrets sealed for this installation."""
        document = bson.decode(raw.raw, codec_options=CODEC)
        return resealed(collection, document, self._text)

    def _text(self, sealed: str) -> str:
        try:
            self._vault.open(sealed)
        except VaultError:
            try:
                return self._vault.seal(self._former.open(sealed))
            except VaultError:
                self.unreadable += 1
        return sealed
