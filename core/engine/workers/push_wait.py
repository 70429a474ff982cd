"""Waiting for the push of what an account has just sent, in place of a read after each answer.

The answers to a decision on many accounts come in one moment, and a read of every account then
holds back the answers of the others. What a broker has acknowledged is pushed when it moves; what
it refused, or what nothing is known of, is asked for at once, and so is all that is not pushed in
time: a frame may be lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.order import OrderState
from core.engine.orders.journal import Journal
from core.engine.workers.updates_follower import UpdatesFollower
from core.ports.clock import Clock

__all__ = ["HeardBefore", "PushWait"]

_PUSHED_S = 0.3
_ACKNOWLEDGED = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}


@dataclass(frozen=True, slots=True)
class HeardBefore:
    """How many updates had come when something began to be sent.

    Attributes:
        at: Real time of that.
    """

    hints: int
    at: datetime


class PushWait:
    """Of one account."""

    def __init__(
        self, broker_id: str, updates: UpdatesFollower, journal: Journal, clock: Clock
    ) -> None:
        self._broker_id = broker_id
        self._updates = updates
        self._journal = journal
        self._clock = clock
        self._before: HeardBefore | None = None
        self._until = 0.0
        self._is_hinted = False

    def begin(self) -> HeardBefore:
        """Note what was heard before something is sent."""
        return HeardBefore(self._updates.hints, self._clock.now())

    def sent(self, before: HeardBefore) -> None:
        """Wait from now on for the push of what was sent since ``before``."""
        self._before, self._until = before, self._clock.monotonic() + _PUSHED_S

    def hinted(self) -> None:
        """Note an update that no read has followed yet."""
        self._is_hinted = True

    def end(self) -> None:
        """Wait for nothing: a read is asked for."""
        self._before = None

    def read(self) -> None:
        """Note that a read begins."""
        self._before, self._is_hinted = None, False

    async def left_s(self) -> float:
        """Return for how many seconds more the push is waited for; 0 when it is not."""
        before, updates = self._before, self._updates
        is_quiet = not self._is_hinted and updates.is_live
        if before is None or not is_quiet or before.hints != updates.hints:
            return 0.0
        left = self._until - self._clock.monotonic()
        if not 0 < left <= _PUSHED_S:
            return 0.0
        pending = await self._journal.pending(self._broker_id)
        is_new = any(one.submitted_at and one.submitted_at >= before.at for one in pending)
        return left if is_new and all(one.state in _ACKNOWLEDGED for one in pending) else 0.0
