"""Follows the order updates of one account's login, and wakes its worker.

A frame changes nothing by itself: it wakes the worker, which reads the day's orders and settles the
journal against them, as after a postback. While the stream lives the worker reads less often
(``SnapshotReader``, ``WorkerSettings``); when it is down, or there is none, it polls as ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from core.engine.workers.hint_budget import HintBudget
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.updates import OrderHint, OrderUpdates, UpdatesStatus

__all__ = ["UpdatesFollower"]

_log = logging.getLogger(__name__)

_TOGETHER_S: Final = 0.01
"""One order makes several frames within milliseconds: they are one read."""
_BEHIND_ANSWERS: Final = 4
_REFUSED_S: Final = 300.0
"""A stream that was refused while reads are answered (an app without that permission) is tried
again now and then."""


class UpdatesFollower:
    """Keeps the stream of the client that it was shown last, while ``run`` runs.

    ``is_sending`` says that answers of brokers to what was sent just now are still to come: these
    are taken before the reads for what has filled already, of whatever account, for a moment.
    """

    def __init__(
        self,
        broker_id: str,
        clock: Clock,
        wake: Callable[[], None],
        is_sending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._wake = wake
        self._is_sending = is_sending
        self._budget = HintBudget(clock)
        self._client: BrokerClient | None = None
        self._stream: OrderUpdates | None = None
        self._changed = asyncio.Event()
        self._hinted = asyncio.Event()
        self.hints = 0

    @property
    def status(self) -> UpdatesStatus | None:
        """How the stream does; None when there is none to have."""
        return self._stream.status if self._stream is not None else None

    @property
    def is_live(self) -> bool:
        """Whether a change of an order would be heard of."""
        return self._stream is not None and self._stream.status.is_live

    @property
    def live_since(self) -> datetime | None:
        """Since when, real time; None while it is not."""
        status = self.status
        return status.since if status is not None and status.is_live else None

    def follow(self, client: BrokerClient | None) -> None:
        """Follow the updates of a client from now on; None while a login is needed."""
        if client is self._client:
            return
        self._client = client
        self._stream = client.updates() if client is not None else None
        self._changed.set()

    async def run(self) -> None:
        """Keep the stream until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_on())
            while True:
                self._changed.clear()
                stream = self._stream
                keeping = group.create_task(self._keep(stream)) if stream is not None else None
                try:
                    await self._changed.wait()
                finally:
                    if keeping is not None:
                        keeping.cancel()

    async def _keep(self, stream: OrderUpdates) -> None:
        while True:
            try:
                await stream.run(self._hint)
            # A fault in a stream must not take the worker along: polling goes on without it.
            except Exception:  # noqa: BLE001 - supervised: logged whole, tried again
                _log.exception("account %s: its order updates failed", self._broker_id)
            await self._clock.sleep(_REFUSED_S)

    def _hint(self, _hint: OrderHint) -> None:
        self.hints += 1
        self._hinted.set()

    async def _hand_on(self) -> None:
        """Wake the worker for hints, for several at one moment once."""
        while True:
            await self._hinted.wait()
            await self._clock.sleep(_TOGETHER_S)
            for _ in range(_BEHIND_ANSWERS):
                if not self._is_sending():
                    break
                await self._clock.sleep(_TOGETHER_S)
            await self._budget.take()
            self._hinted.clear()
            self._wake()
