"""Order webhooks: a JSON POST to the app's address, unsigned, for each change of an order.

Three answers in a row that are not 200 (or none within five seconds) put the address on a list for
thirty real minutes, in which nothing is sent. Nothing is repeated either: a webhook is a hint.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.fyers.middleware import BROKER
from sandbox.fyers.serializers import FyersSerializer
from sandbox.orders import Order
from sandbox.world import World

__all__ = ["Webhooks"]

FAILURES = 3
BLACKLISTED_S = 1800.0
TIMEOUT_S = 5.0
_OK = 200


@dataclass
class _Target:
    failures: int = 0
    barred_until: float = 0.0


class Webhooks:
    """Sends order updates of this broker."""

    def __init__(self, world: World, serializer: FyersSerializer) -> None:
        self._world = world
        self._serializer = serializer
        self._targets: dict[str, _Target] = {}
        self._queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        world.reset_hooks.append(self._targets.clear)

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Listen to the exchange and send, for as long as the application runs."""
        self._world.exchange.listeners.append(self._on_order)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send_all(session, tasks))
            yield
            self._world.exchange.listeners.remove(self._on_order)
            sender.cancel()

    def _on_order(self, order: Order) -> None:
        app = self._world.accounts.app(BROKER, order.api_key)
        if order.broker == BROKER and app is not None and app.postback_url:
            self._queue.put_nowait((app.postback_url, self._serializer.order(order, 1)))

    async def _send_all(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> None:
        while True:
            url, row = await self._queue.get()
            target = self._targets.setdefault(url, _Target())
            if time.monotonic() >= target.barred_until:
                tasks.create_task(self._send(session, url, row, target))

    async def _send(
        self, session: aiohttp.ClientSession, url: str, row: dict[str, Any], target: _Target
    ) -> None:
        try:
            async with session.post(url, json=row, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            status = 0
        if status == _OK:
            target.failures = 0
            return
        target.failures += 1
        if target.failures >= FAILURES:
            target.failures, target.barred_until = 0, time.monotonic() + BLACKLISTED_S
