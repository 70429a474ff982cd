"""``/healthz`` for monitoring: one word; the details are in the chat under ``/health``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

__all__ = ["Health"]

_TIMEOUT_S: Final = 2.0


class Health:
    """The handler of ``/healthz``; ``is_healthy`` checks what the controller needs."""

    def __init__(self, is_healthy: Callable[[], Awaitable[bool]]) -> None:
        self._is_healthy = is_healthy

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this handler."""
        return [web.get("/healthz", self.show)]

    async def show(self, _request: web.Request) -> web.Response:
        """Answer 200 when healthy, else 503; a check that takes too long counts as unhealthy."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                healthy = await self._is_healthy()
        except TimeoutError:
            healthy = False
        return web.Response(text="ok" if healthy else "unavailable", status=200 if healthy else 503)
