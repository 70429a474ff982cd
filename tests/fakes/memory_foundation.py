"""What every command needs, over a store in memory."""

from __future__ import annotations

from core.adapters.single_writer import SingleWriterStore
from core.adapters.vault import FernetVault
from core.bootstrap import Foundation
from core.bootstrap.calendar import calendar_of
from core.config import Settings
from core.ports.clock import Clock
from tests.fakes.memory_store import MemoryDatabase, MemoryStore

__all__ = ["memory_foundation"]


def memory_foundation(settings: Settings, clock: Clock, database: MemoryDatabase) -> Foundation:
    """Return what ``core.bootstrap.attach`` gives; a further one over a database is a restart's."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    vault = FernetVault.from_setting(secret, settings.data_dir)
    store = SingleWriterStore(MemoryStore(database), clock)
    return Foundation(
        settings, store, store.server_kind(), None, vault, clock, calendar_of(settings)
    )
