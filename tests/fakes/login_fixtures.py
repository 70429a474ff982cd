"""Fixtures of the tests of logins; a plugin, so never import it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from core.adapters.mongo.store import MongoStore
from tests.fakes.login_world import LoginWorld, StumblingStore
from tests.fakes.sandbox_process import Sandbox

__all__ = ["world"]


@pytest.fixture
async def world(mongo_store: MongoStore, sandbox: Sandbox) -> AsyncIterator[LoginWorld]:
    """Our web server over a real store, before the sandbox."""
    async with httpx.AsyncClient(trust_env=False, timeout=15) as http:
        made = LoginWorld(sandbox, StumblingStore(mongo_store), http)
        await made.start()
        try:
            yield made
        finally:
            await made.web.stop()
