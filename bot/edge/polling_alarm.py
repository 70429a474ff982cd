"""Says in the chat that reading Telegram is in trouble.

Sending still works while another program reads this bot's messages, so the notice arrives just when
it matters most. In an outage it waits in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bot.edge.polling import PollerHealth
from core.domain.notices.post import Post
from core.domain.notices.system import PollerTrouble
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["PollingAlarm"]

_LOOK_S = 5.0
_QUIET_S = 300.0
_log = logging.getLogger(__name__)


class PollingAlarm:
    """Tells each trouble once.

    Two programs that read with one token take turns, so that the trouble comes and goes; it is over
    when there was none for five minutes.

    Args:
        health: How polling does.
        post: Puts a notice into the outbox.
        clock: Paces the looks.
    """

    def __init__(
        self,
        health: Callable[[], PollerHealth],
        post: Callable[[Post], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._health = health
        self._post = post
        self._clock = clock
        self._troubled_at: float | None = None

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """Look once, and tell a trouble that is new."""
        trouble = self._health().trouble
        now = self._clock.monotonic()
        if not trouble:
            if self._troubled_at is not None and now - self._troubled_at > _QUIET_S:
                self._troubled_at = None
            return
        if self._troubled_at is None and not await self._tell(trouble):
            return
        self._troubled_at = now

    async def _tell(self, trouble: str) -> bool:
        """Post the notice; False when the store is away, which the next look makes good."""
        try:
            await self._post(Post(PollerTrouble(trouble)))
        except StoreError as error:
            _log.warning("the polling's trouble could not be told yet: %s", error)
            return False
        return True
