"""The order updates that a broker of the campaign pushes, and how they fail.

Frames are lost, late or doubled, and a stream is down for a while.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from core.ports.updates import OrderHint, UpdatesState, UpdatesStatus
from tests.campaign.venue import Venue

__all__ = ["CampaignStream"]

_CONNECTS_S = 0.3
_LOOK_S = 0.2
_FALLS = 0.002
"""How likely a stream falls at a look: every hundred seconds."""


class CampaignStream:
    """An ``OrderUpdates`` of one login.

    Args:
        venue: What it tells of.
        chance: Decides which frames are lost and when it falls.
        is_refused: Whether the login is dead.
        bitten: Called with what went wrong.
    """

    def __init__(
        self,
        venue: Venue,
        chance: random.Random,
        is_refused: Callable[[], bool],
        bitten: Callable[[str], None],
    ) -> None:
        self._venue = venue
        self._chance = chance
        self._is_refused = is_refused
        self._bitten = bitten
        self.status = UpdatesStatus(UpdatesState.DOWN, venue.wall(), "not connected yet")

    async def run(self, hint: Callable[[OrderHint], None]) -> None:
        try:
            await asyncio.sleep(_CONNECTS_S)
            while not self._is_refused():
                self._becomes(UpdatesState.LIVE, hint)
                await self._live(hint)
                if not self._is_refused():
                    self._bitten("stream down")
                    self._becomes(UpdatesState.DOWN, hint)
                    await asyncio.sleep(self._chance.uniform(1, 40))
            self._becomes(UpdatesState.REFUSED, hint)
        finally:
            if self.status.is_live:
                self.status = UpdatesStatus(UpdatesState.DOWN, self._venue.wall(), "ended")

    def _becomes(self, state: UpdatesState, hint: Callable[[OrderHint], None]) -> None:
        why = "" if state is UpdatesState.LIVE else "the connection was closed"
        self.status = UpdatesStatus(state, self._venue.wall(), why)
        hint(OrderHint())

    async def _live(self, hint: Callable[[OrderHint], None]) -> None:
        """Tell of what happens until it falls."""
        seen = self._shown()
        while self._chance.random() >= _FALLS:
            await asyncio.sleep(_LOOK_S)
            if self._is_refused():
                return
            self._venue.settle()
            now = self._shown()
            if now != seen:
                seen = now
                self._tell(hint)

    def _tell(self, hint: Callable[[OrderHint], None]) -> None:
        fate = self._chance.random()
        if fate < 0.1:
            self._bitten("frame lost")
        elif fate < 0.2:
            self._bitten("frame late")
            late_s = self._chance.uniform(0.5, 4)
            asyncio.get_running_loop().call_later(late_s, hint, OrderHint())
        else:
            for _ in range(2 if fate < 0.3 else 1):
                hint(OrderHint())

    def _shown(self) -> frozenset[tuple[object, ...]]:
        now = self._venue.now()
        return frozenset(
            (one.order_id, one.status, one.filled, one.quantity, one.trigger_price)
            for one in self._venue.orders.values()
            if one.shown_at <= now
        )
