"""A migrated store on a fresh database, on each kind of server in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import Budget, MongoStore, StoreOptions

OPTIONS = StoreOptions(sessions=8, server_selection_s=1.0, operation_s=2.0)
IMPATIENT = StoreOptions(
    sessions=2,
    server_selection_s=0.5,
    operation_s=1.0,
    budget=Budget(attempts=5, deadline_s=1.0, commit_s=1.0, abort_s=1.0),
)
"""Gives up soon, to show that something is locked or away."""


@pytest.fixture
async def mongo_store(store_uri: str, store_database: str) -> AsyncIterator[MongoStore]:
    async with await MongoStore.connect(store_uri, store_database, OPTIONS) as store:
        await migrate(store)
        yield store


@pytest.fixture
async def other_store(
    mongo_store: MongoStore, store_uri: str, store_database: str
) -> AsyncIterator[MongoStore]:
    """A second, impatient client of the same database, as another process has one."""
    async with await MongoStore.connect(store_uri, store_database, IMPATIENT) as store:
        yield store
