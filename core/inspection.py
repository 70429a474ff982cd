"""A look at an installation that changes nothing in it, for ``saarthi doctor``.

``inspect_store`` reaches the store as the controller would, but makes no key file, no directory, no
collection and no document. Where no store exists yet, one is started in a temporary directory,
which proves that it starts.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from core.adapters.calendar import FILE_NAME as CALENDAR_FILE
from core.adapters.calendar import TradingCalendar
from core.adapters.clock import SystemClock, clock_from_setting
from core.adapters.mongo.migrations import SCHEMA_VERSION, is_half_restored
from core.adapters.mongo.server import launch, read_store_file
from core.adapters.mongo.store import MongoStore
from core.adapters.vault import KEY_FILE, FernetVault
from core.bootstrap import Foundation, calendar_of
from core.config import Settings
from core.domain.calendar_years import CalendarYear
from core.domain.instrument import Segment
from core.engine.stored_settings import read_setting
from core.errors import ConfigurationError
from core.ports.clock import Clock
from core.ports.store import StoreView

__all__ = [
    "CALENDAR_FILE",
    "StoreLook",
    "calendar_years",
    "clock_of",
    "clock_trouble",
    "inspect_store",
    "key_file",
    "vault_of",
]


@dataclass(frozen=True, slots=True)
class StoreLook:
    """What a look at the store found.

    Attributes:
        foundation: To build a system on; nothing of it may be started.
        origin: Where the store was found, in words.
        schema: The version it has, None before the controller's first start.
        is_half_restored: A restore into it was not finished.
        known_schema: The version that this program makes.
    """

    foundation: Foundation
    origin: str
    schema: int | None
    is_half_restored: bool = False
    known_schema: int = SCHEMA_VERSION


@asynccontextmanager
async def inspect_store(settings: Settings) -> AsyncIterator[StoreLook]:
    """Reach the store, or start it for a moment where none runs.

    Raises:
        StoreUnavailable: Nothing answers, or nothing came up.
        ConfigurationError: The address is wrong, or names a server without transactions.
        OSError: The data directory cannot be read.
    """
    async with AsyncExitStack() as stack:
        uri, origin = await _found(settings, stack)
        store = await stack.enter_async_context(await MongoStore.connect(uri, settings.db))
        row = await store.get("schema", "schema")
        foundation = Foundation(
            settings=settings,
            store=store,
            store_kind=str(store.server_kind()),
            running=None,
            vault=vault_of(settings) or FernetVault([Fernet.generate_key().decode()]),
            clock=clock_of(settings),
            calendar=_calendar_of(settings),
        )
        version = int(row["version"]) if row else None
        look = StoreLook(foundation, origin, version, await is_half_restored(store))
        if row is not None:
            await _try_transaction(store)
        yield look


async def _found(settings: Settings, stack: AsyncExitStack) -> tuple[str, str]:
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value(), "at MONGODB_URI"
    running = read_store_file(settings.data_dir)
    if running is not None:
        return running.uri, "of the running controller"
    directory, origin = settings.data_dir, "started for this check"
    if not (directory / "store").is_dir():
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin = "started for this check in a temporary directory, none exists yet"
    started = await launch(directory, uri=None, mongod=settings.mongod)
    stack.push_async_callback(started.stop)
    return started.server.uri, origin


class _EnoughError(Exception):
    """Ends the trial transaction without a commit."""


async def _try_transaction(store: MongoStore) -> None:
    """Open a transaction, read in it and roll it back."""

    async def body(view: StoreView) -> None:
        await read_setting(view, "global_mode")
        raise _EnoughError

    try:
        await store.transaction(body, nonce="doctor")
    except _EnoughError:
        return


def key_file(settings: Settings) -> Path:
    """Return where the keys are when the settings hold none."""
    return settings.data_dir / KEY_FILE


def vault_of(settings: Settings) -> FernetVault | None:
    """Return the vault, or None where its key file is yet to be made.

    Raises:
        ConfigurationError: A key is malformed, or others may read the key file.
    """
    secret = settings.secret_key.get_secret_value() if settings.secret_key else ""
    if not secret.strip() and not key_file(settings).exists():
        return None
    return FernetVault.from_setting(secret, settings.data_dir)


def clock_of(settings: Settings) -> Clock:
    """Return the clock that the settings ask for; the machine's when that setting is wrong."""
    try:
        return clock_from_setting(settings.clock)
    except ConfigurationError:
        return SystemClock()


def clock_trouble(settings: Settings) -> str:
    """Return what is wrong with the setting of the clock, or ''."""
    try:
        clock_from_setting(settings.clock)
    except ConfigurationError as error:
        return str(error)
    return ""


def calendar_years(settings: Settings) -> Sequence[CalendarYear]:
    """Return the years whose cash sessions are known, oldest first.

    Raises:
        ConfigurationError: The file with the added days has mistakes.
    """
    return calendar_of(settings).years(Segment.CASH)


def _calendar_of(settings: Settings) -> TradingCalendar:
    """Return the calendar; without the added days when their file has mistakes."""
    try:
        return calendar_of(settings)
    except ConfigurationError:
        return TradingCalendar()
