"""The fixture of the tests of logins; a module of them takes it as its ``world``."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.login_world import LoginWorld, StumblingStore
from tests.fakes.memory_store import MemoryStore
from tests.fakes.sandbox_process import Sandbox

__all__ = ["login_world"]


@pytest.fixture
async def login_world(memory_store: MemoryStore, sandbox: Sandbox) -> AsyncIterator[LoginWorld]:
    """Our web server over a store, before the sandbox."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        made = LoginWorld(sandbox, StumblingStore(memory_store), http)
        await made.start()
        try:
            yield made
        finally:
            await made.web.stop()
