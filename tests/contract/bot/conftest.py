"""A bot, not started yet, between the simulated Bot API and a migrated store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.store import MongoStore, StoreOptions
from tests.fakes.bot_world import World, bot_world

OPTIONS = StoreOptions(sessions=8, server_selection_s=1.0, operation_s=2.0)


@pytest.fixture
async def world(embedded_store_uri: str, embedded_database: str) -> AsyncIterator[World]:
    async with await MongoStore.connect(embedded_store_uri, embedded_database, OPTIONS) as store:
        await migrate(store)
        async with bot_world(store) as found:
            yield found
