"""Notifies the user when polling Telegram is in trouble.

Sending still works while another program reads this bot's messages, so in that case the notice
arrives at once. In an outage it waits in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bot.edge.polling import PollerHealth
from core.domain.notices.post import Post, trouble_card, trouble_over
from core.domain.notices.system import PollerTrouble
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["PollingAlarm"]

_LOOK_S = 5.0
_QUIET_S = 300.0
_KEY = "polling"
_log = logging.getLogger(__name__)


class PollingAlarm:
    """Reports each trouble once.

    Two programs that read with one token take turns, so that the trouble comes and goes; it is over
    when there was none for five minutes.

    Args:
        health: Returns the state of polling.
        post: Puts a notice into the outbox.
        clock: Sets the time between checks.
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
        """Check every few seconds, forever."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """Check once, and report a trouble that is new."""
        trouble = self._health().trouble
        now = self._clock.monotonic()
        if not trouble:
            if self._troubled_at is not None and now - self._troubled_at > _QUIET_S:
                over = trouble_over(PollerTrouble.kind, "Telegram is read again", _KEY)
                if await self._posted(over):
                    self._troubled_at = None
            return
        news = trouble_card(PollerTrouble(trouble), _KEY)
        if self._troubled_at is None and not await self._posted(news):
            return
        self._troubled_at = now

    async def _posted(self, news: Post) -> bool:
        """Post a notice; False when the store cannot be reached: the next check tries again."""
        try:
            await self._post(news)
        except StoreError as error:
            _log.warning("the trouble of polling could not be reported yet: %s", error)
            return False
        return True
