"""A store on an empty database: on a server, or on each server and in memory in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import Budget, MongoStore, StoreOptions
from core.adapters.single_writer import SingleWriterStore
from core.ports.store import ServedStore
from tests.conftest import lent_database
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryDatabase, MemoryStore

_LONG = Budget(attempts=400, deadline_s=60.0, commit_s=60.0, abort_s=20.0)
OPTIONS = StoreOptions(sessions=8, server_selection_s=20.0, operation_s=60.0, budget=_LONG)
"""What must come out well does, however busy the machine is."""
PATIENT = StoreOptions(server_selection_s=20.0, operation_s=120.0)
"""Makes a schema on a busy machine."""
OTHER = replace(OPTIONS, sessions=2)
FEW = replace(OTHER, budget=replace(_LONG, attempts=5))
"""Gives up after a few attempts, to show that something is locked."""
HASTY = replace(OTHER, budget=replace(_LONG, deadline_s=1.0))
"""Gives up soon what takes for ever."""
_LOCKED_S = 1.0
"""In memory a lock is waited for, and not tried again."""


@pytest.fixture
async def mongo_store(store_uri: str, store_database: str) -> AsyncIterator[MongoStore]:
    """A migrated store, on each kind of server in turn."""
    async with await MongoStore.connect(store_uri, store_database, OPTIONS) as store:
        await migrate(store)
        yield store


@pytest.fixture
async def other_mongo_store(
    mongo_store: MongoStore, store_uri: str, store_database: str
) -> AsyncIterator[MongoStore]:
    """A second client of the same database, as another process has one; it gives a lock up."""
    async with await MongoStore.connect(store_uri, store_database, FEW) as store:
        yield store


@dataclass(frozen=True, slots=True)
class Place:
    """An empty database on a server or, without an address, in memory."""

    uri: str | None
    name: str
    is_held: bool = False
    memory: MemoryDatabase = field(default_factory=MemoryDatabase)

    @asynccontextmanager
    async def store(self, options: StoreOptions) -> AsyncIterator[ServedStore]:
        """Open a store over it, as one process does."""
        if self.uri is None:
            patience_s = _LOCKED_S if options is FEW else options.budget.deadline_s
            yield MemoryStore(self.memory, sessions=options.sessions, patience_s=patience_s)
        else:
            async with await MongoStore.connect(self.uri, self.name, options) as store:
                yield store


BELOW = ("embedded", "mongod", "memory")


@pytest.fixture(params=[*BELOW, *(f"held {one}" for one in BELOW)])
def place(request: pytest.FixtureRequest, spares: dict[str, str]) -> Iterator[Place]:
    """Every implementation of the store port in turn, and the single writer over each."""
    # Not in an asynchronous fixture: a server that is not there yet is started on a loop of its own.
    *held, below = request.param.split()
    if below == "memory":
        yield Place(None, "", is_held=bool(held))
        return
    uri = request.getfixturevalue(f"{below}_store_uri")
    for name in lent_database(uri, spares):
        yield Place(uri, name, is_held=bool(held))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[ServedStore]:
    """A store with every collection, on each implementation of the port in turn."""
    async with place.store(OPTIONS) as store:
        if isinstance(store, MongoStore):
            await migrate(store)
        async with held(store) if place.is_held else nullcontext(store) as opened:
            yield opened


@asynccontextmanager
async def held(store: ServedStore) -> AsyncIterator[SingleWriterStore]:
    """Hold a store as its only writer; at the end memory is what the store holds."""
    await store.insert("lease", {"_id": "controller", "fence": 1})
    clock = ManualClock(datetime.fromtimestamp(0, UTC))
    writer = SingleWriterStore(store, clock, deadline_s=_LONG.deadline_s)
    await writer.hold("lease", {"_id": "controller", "fence": 1})
    yield writer
    assert await writer.differences() == []
    await writer.release()


@pytest.fixture
async def other_store(place: Place, store: ServedStore) -> AsyncIterator[ServedStore]:
    """A second store over the same database, as another process has one."""
    async with _beside(place, OTHER) as other:
        yield other


@pytest.fixture
async def resigning_store(place: Place, store: ServedStore) -> AsyncIterator[ServedStore]:
    """As ``other_store``; it gives up what stays locked."""
    async with _beside(place, FEW) as other:
        yield other


@pytest.fixture
async def hasty_store(place: Place, store: ServedStore) -> AsyncIterator[ServedStore]:
    """As ``other_store``; it gives up what takes longer than a second."""
    async with _beside(place, HASTY) as other:
        yield other


@asynccontextmanager
async def _beside(place: Place, options: StoreOptions) -> AsyncIterator[ServedStore]:
    if place.is_held:
        pytest.skip("no other process writes beside the holder")
    async with place.store(options) as other:
        yield other
