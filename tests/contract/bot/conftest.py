"""A bot, not started yet, between the simulated Bot API and a store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.bot_world import World, bot_world
from tests.fakes.memory_store import MemoryStore


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with bot_world(MemoryStore()) as found:
        yield found
