"""Health for a monitor: one word, no details, which the chat has under ``/health``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

__all__ = ["Health"]

_PATIENCE_S: Final = 2.0


class Health:
    """The handler of ``/healthz``; ``is_healthy`` looks at what the controller needs to work."""

    def __init__(self, is_healthy: Callable[[], Awaitable[bool]]) -> None:
        self._is_healthy = is_healthy

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this handler."""
        return [web.get("/healthz", self.show)]

    async def show(self, _request: web.Request) -> web.Response:
        """Answer 200 when all is well, else 503; no answer in time is no health."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                healthy = await self._is_healthy()
        except TimeoutError:
            healthy = False
        return web.Response(text="ok" if healthy else "unavailable", status=200 if healthy else 503)
