"""What every command needs: the store, the vault, the clock and the calendar."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.adapters.clock import clock_from_setting
from core.adapters.kept_masters import KeptMasterFiles
from core.adapters.mongo.migrations import (
    is_current,
    migrate,
    needs_backup,
    note_backup,
    refuse_half_restored,
)
from core.adapters.mongo.server import RunningStore, launch, read_store_file
from core.adapters.mongo.store import MongoStore, StoreOptions
from core.adapters.sealed import rotate, vault_beside
from core.adapters.single_writer import SingleWriterStore
from core.adapters.vault import FernetVault, make_key_file
from core.bootstrap.backups import backups_of
from core.bootstrap.calendar import calendar_of
from core.config import Settings
from core.domain.backup import BackupKind
from core.engine.workers.lease import wrote_outside
from core.errors import BackupFailed, ConfigurationError, StoreUnavailable
from core.ports.backups import Backups
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.masters import MasterArchive
from core.ports.store import ServedStore

__all__ = ["Foundation", "attach", "open_system", "replace_lost_key", "rotate_secrets"]

_log = logging.getLogger(__name__)
_BUILD_S = 1800.0
"""An index over 10,000 documents takes the embedded server some minutes (facts/store.md 11)."""


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every command needs: the store, the vault, the clock and the calendar.

    Attributes:
        masters: Where instrument masters are kept over a restart; None keeps none.
        backups: Makes backups; None makes none.
    """

    settings: Settings
    store: ServedStore
    store_kind: str
    running: RunningStore | None
    vault: FernetVault
    clock: Clock
    calendar: Calendar
    masters: MasterArchive | None = None
    backups: Backups | None = None

    @property
    def may_serve_live(self) -> bool:
        """Whether live brokers may be served: the embedded server is beta and needs a yes (F5)."""
        return self.store_kind != "embedded" or self.settings.accept_embedded_store_for_live


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncIterator[Foundation]:
    """Bring up the store that the settings ask for; close and stop it at the end.

    Raises:
        StoreUnavailable: Nothing came up.
        ConfigurationError: A setting or a key is wrong.
    """
    clock = clock_from_setting(settings.clock)
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    running = await launch(settings.data_dir, uri=uri, mongod=settings.mongod)
    try:
        async with attach(settings, running.server.uri, clock) as foundation:
            yield Foundation(
                settings,
                foundation.store,
                running.server.kind,
                running,
                foundation.vault,
                clock,
                foundation.calendar,
                foundation.masters,
                foundation.backups,
            )
    finally:
        await running.stop()


@asynccontextmanager
async def attach(
    settings: Settings, uri: str | None = None, clock: Clock | None = None
) -> AsyncIterator[Foundation]:
    """Reach a store that runs already: at ``uri``, or where ``store.json`` says.

    Raises:
        StoreUnavailable: No store runs for this data directory.
        ConfigurationError: A key is wrong, or gone while the store needs it; or a restore into
            this store was not finished.
        BackupFailed: The store is of an older version and cannot be backed up first.
    """
    if uri is None:
        found = read_store_file(settings.data_dir)
        if found is None:
            raise StoreUnavailable(f"no controller's store runs under {settings.data_dir}")
        uri = found.uri
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    async with await MongoStore.connect(uri, settings.db) as store:
        await refuse_half_restored(store)
        vault = await vault_beside(store, secret, settings.data_dir)
        moment = clock or clock_from_setting(settings.clock)
        backups = backups_of(settings, uri, vault, moment)
        if await needs_backup(store):
            await _backed_up(store, backups)
        if not await is_current(store):
            await _migrate(uri, settings.db)
        kind = str(store.server_kind())
        writer = SingleWriterStore(store, moment)
        masters = KeptMasterFiles(settings.data_dir / "masters")
        calendar = calendar_of(settings)
        yield Foundation(settings, writer, kind, None, vault, moment, calendar, masters, backups)


async def _backed_up(store: MongoStore, backups: Backups) -> None:
    """Keep the way back: an older program refuses what this one is about to make of the store."""
    try:
        await backups.take(BackupKind.UPGRADE)
    except BackupFailed as error:
        raise BackupFailed(
            f"This version changes the store and has to back it up first, which failed: {error}"
        ) from error
    await note_backup(store)


async def _migrate(uri: str, name: str) -> None:
    """Bring a store to this program's schema, however long its indexes take to build."""
    _log.info("bringing the store to this program's schema; a large one takes minutes")
    async with await MongoStore.connect(uri, name, StoreOptions(operation_s=_BUILD_S)) as patient:
        await migrate(patient, rebuilds=patient.server_kind() != "embedded")


def replace_lost_key(settings: Settings) -> None:
    """Make a new first key where the file with the old ones is lost.

    Raises:
        ConfigurationError: It is not, or the keys are a setting.
    """
    if settings.secret_key is not None and settings.secret_key.get_secret_value().strip():
        raise ConfigurationError(
            "SAARTHI_SECRET_KEY holds the keys; --lost-key is for an installation with a key file."
        )
    make_key_file(settings.data_dir)


async def rotate_secrets(foundation: Foundation) -> tuple[int, list[str]]:
    """Add a key where the keys are a file, and seal every secret with the newest one.

    Returns:
        How many were sealed anew, and the places of those that could not be opened.
    """
    if foundation.vault.is_file_based:
        foundation.vault.add_key()
    done = await rotate(foundation.store, foundation.vault, beside=wrote_outside)
    return done.resealed, done.unreadable
