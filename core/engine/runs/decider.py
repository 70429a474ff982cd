"""Strategies decide elsewhere (``core.ports.decisions``); what comes back is checked here.

A strategy is the user's own code: it may hang, crash, or answer nonsense. Whatever it does fails
its own run, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Collection, Sequence

from core.domain.decision import checked_targets
from core.domain.instrument import InstrumentId
from core.domain.target import Context, Target
from core.engine.runs.settings import StrategySettings
from core.engine.runs.strikes import Strikes
from core.errors import DecisionFailed, StoreError
from core.ports.decisions import Decisions

__all__ = ["Decider", "StrategyFailed", "keep_ready"]

_log = logging.getLogger(__name__)
_DEADLINE_S = 10.0
_STORE_PAUSE_S = 1.0


class StrategyFailed(Exception):
    """A strategy did not decide; the message is for the chat."""


class Decider:
    """Has strategies decide, each for so many real seconds at most."""

    def __init__(
        self,
        decisions: Decisions,
        strikes: Strikes,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        self._decisions = decisions
        self._strikes = strikes
        self._deadline_s = deadline_s
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def decide(
        self, strategy: str, context: Context, asked: Collection[InstrumentId], run_id: str
    ) -> Sequence[Target]:
        """Return what a strategy wants; two runs of one strategy decide one after the other.

        Each has the whole time once it may begin.

        Args:
            strategy: Its name.
            context: What it decides from.
            asked: What it may have targets for.
            run_id: Of the run that it decides for.

        Raises:
            StrategyFailed: It raised, did not decide in time, or answered nonsense.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._locks[strategy].acquire()
        except TimeoutError:
            late = f"another decision of it was not over within {self._deadline_s:.0f} s"
            raise StrategyFailed(late) from None
        try:
            found = await self._decided(strategy, context, run_id)
            return checked_targets(found, asked)
        except DecisionFailed as error:
            _log.error("strategy %s: %s", strategy, error)
            raise StrategyFailed(str(error)) from None
        except ValueError as error:
            _log.error("strategy %s answered nonsense: %s", strategy, error)
            raise StrategyFailed(f"its decision cannot be used: {error}") from None
        finally:
            self._locks[strategy].release()

    async def _decided(self, strategy: str, context: Context, run_id: str) -> Sequence[Target]:
        """Have a strategy decide, and count what had to be ended."""
        try:
            found = await self._decisions.decide(strategy, context, self._deadline_s)
        except DecisionFailed as error:
            if error.was_ended:
                await self._strikes.add(strategy, run_id, str(error))
            elif error.came_back:
                await self._strikes.end(strategy)
            raise
        await self._strikes.end(strategy)
        return found


async def keep_ready(
    decisions: Decisions, settings: StrategySettings, only: str | None = None
) -> None:
    """Have what strategies decide in stand ready for those that are enabled, or for one alone.

    Nothing of it is in the way of the start or of a slot: it happens in the background.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(decisions.run(), name="decisions")
        while True:
            settings.switched.clear()
            look_again_s = None
            try:
                decisions.expect([only] if only else await settings.enabled())
            except StoreError:
                look_again_s = _STORE_PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look_again_s):
                    await settings.switched.wait()
