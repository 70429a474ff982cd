"""The poller: reads updates from Telegram for as long as the process lives.

The library's own poller stops for good, without an error, at one 401 and keeps competing with the
other program at a 409. This one goes on: whatever Telegram answers, it reports it (in the log, and
as ``trouble`` for the health view), waits and polls again. An update counts as received only when
the inbox has stored it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from telegram import Bot
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError, TimedOut

from bot.edge.http import PollRequest
from bot.edge.inbox import InboxQueue
from bot.edge.intake import KINDS, Intake, update_ids
from bot.edge.limiter import seconds_of
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["REFUSED_BY_TELEGRAM", "SECOND_INSTANCE", "Poller", "PollerHealth"]

REFUSED_BY_TELEGRAM = (
    "Telegram refuses the bot's token, so the chat is dead. Trading goes on. Check the token with "
    "BotFather."
)
SECOND_INSTANCE = (
    "Another program reads this bot's messages with the same token. Stop the other one: taps may "
    "be lost. Trading goes on."
)
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
_ALARM_AFTER_S = 30.0
_KNOWN_FOR_S = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PollerHealth:
    """The state of polling.

    Attributes:
        last_poll_at: When Telegram last answered a poll, UTC.
        trouble: One sentence for the user, or empty.
    """

    last_poll_at: datetime | None
    trouble: str


class Poller:
    """One loop over ``getUpdates``.

    Args:
        bot: Asks Telegram.
        request: Through this, and keeps what came.
        intake: Sifts what came.
        queue: Stores it.
        clock: For the waits.
        timeout_s: How long one poll waits at Telegram.
        retry_s: The wait after a refusal.
    """

    def __init__(
        self,
        bot: Bot,
        request: PollRequest,
        intake: Intake,
        queue: InboxQueue,
        clock: Clock,
        *,
        timeout_s: int,
        retry_s: float = 30.0,
    ) -> None:
        self._bot = bot
        self._request = request
        self._intake = intake
        self._queue = queue
        self._clock = clock
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._offset: int | None = None
        self._has_polled = False
        self._wait_s = _FIRST_WAIT_S
        self._trouble = ""
        self._last_poll_at: datetime | None = None
        self._last_poll = clock.monotonic()

    def health(self) -> PollerHealth:
        """Return the state of polling; a poll that hangs counts as trouble too."""
        silent_s = self._clock.monotonic() - self._last_poll
        trouble = self._trouble
        if not trouble and silent_s > self._timeout_s + _ALARM_AFTER_S:
            trouble = f"Telegram has not answered for {silent_s:.0f} seconds."
        return PollerHealth(self._last_poll_at, trouble)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await self.poll_once()

    async def poll_once(self) -> None:
        """Make one poll, store its updates, and wait when it failed."""
        try:
            async with asyncio.timeout(self._timeout_s + _ALARM_AFTER_S):
                await self._bot.get_updates(
                    offset=self._offset, timeout=self._timeout_s, allowed_updates=KINDS
                )
            if await self._is_left():
                written = self._request.written()
                updates = await self._intake.sift(written)
                # What a former process saw and did not confirm comes with the first poll.
                await self._queue.keep(updates, are_fresh=self._has_polled)
                self._confirm(written)
        except (TelegramError, TimeoutError, StoreError) as error:
            await self._clock.sleep(self._wait_after(error))
            return
        self._has_polled = True
        self._note_answer()

    async def _is_left(self) -> bool:
        """Pass over strangers, poll after poll; tell whether the last one has to be read.

        Raises:
            StoreError: It cannot be known who is served.
        """
        served, known_at = await self._intake.served(), self._clock.monotonic()
        while crowd := self._intake.skip(self._request.body(), served):
            self._offset = crowd.last + 1
            self._note_answer()
            if not crowd.is_full or not await self._request.take_more(self._offset):
                return False
            # While somebody is served nobody else can come in: what is a moment old names too many
            # at worst, whose poll is then read.
            if self._last_poll - known_at > _KNOWN_FOR_S:
                served, known_at = await self._intake.served(), self._clock.monotonic()
        return True

    def _confirm(self, written: Sequence[object]) -> None:
        """Have the next poll tell Telegram that these came.

        Raises:
            TelegramError: None has an id: the same would come again at once.
        """
        if ids := update_ids(written):
            self._offset = max(ids) + 1
        elif written:
            raise TelegramError("a poll brought nothing that is an update")

    def _note_answer(self) -> None:
        if self._trouble:
            _log.warning("Telegram answers again")
        self._trouble = ""
        self._wait_s = _FIRST_WAIT_S
        self._last_poll = self._clock.monotonic()
        self._last_poll_at = self._clock.now()

    def _wait_after(self, error: Exception) -> float:
        """Report a failed poll and return how long to wait."""
        if isinstance(error, InvalidToken):
            self._report(REFUSED_BY_TELEGRAM)
            return self._retry_s
        if isinstance(error, Conflict):
            self._report(SECOND_INSTANCE)
            return self._retry_s
        if isinstance(error, RetryAfter):
            return seconds_of(error)
        if isinstance(error, StoreError):
            self._report("The store cannot be written, so no message is accepted.")
        elif not isinstance(error, TimedOut):
            _log.warning("poll failed: %s", type(error).__name__)
        self._wait_s, wait = min(self._wait_s * 1.5, _LONGEST_WAIT_S), self._wait_s
        return wait

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.critical("%s", trouble)
        self._trouble = trouble
