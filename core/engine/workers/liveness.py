"""Whether the trading workers live, for a watchdog that ends a process in which they do not.

A worker that crashed is started again by the supervisor, and says so. This finds what a crash never
shows: a turn, the pool or the scheduler that waits for something that never comes. The limits are
far above what a turn takes with a broker that answers at its deadlines, and a store that is away:
an end that was not needed costs a restart in the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from core.ports.clock import Clock

__all__ = ["LONGEST_SILENCE", "LONGEST_TURN_S", "Liveness"]

LONGEST_TURN_S = 300.0
LONGEST_SILENCE = timedelta(seconds=300)


class Liveness:
    """Looks at the workers.

    Args:
        clock: Of the system.
        turns: Returns since when each account's turn lasts, None between turns; by ``monotonic``.
        looked_at: Returns when the pool last looked for accounts, None before; by ``monotonic``.
        ticked_at: Returns when the scheduler last looked for slots, None before; by ``now``.
    """

    def __init__(
        self,
        clock: Clock,
        turns: Callable[[], Mapping[str, float | None]],
        looked_at: Callable[[], float | None],
        ticked_at: Callable[[], datetime | None],
    ) -> None:
        self._clock = clock
        self._turns = turns
        self._looked_at = looked_at
        self._ticked_at = ticked_at
        self._began = clock.monotonic()
        self._began_at = clock.now()

    def trouble(self) -> str:
        """Return which worker has not moved for too long, '' when all live."""
        now = self._clock.monotonic()
        for broker_id, since in self._turns().items():
            if since is not None and now - since > LONGEST_TURN_S:
                return f"account {broker_id} has been in one turn for {now - since:.0f} s"
        silence = now - (self._looked_at() or self._began)
        if silence > LONGEST_TURN_S:
            return f"no accounts were looked for in {silence:.0f} s"
        since_tick = self._clock.now() - (self._ticked_at() or self._began_at)
        if since_tick > LONGEST_SILENCE:
            return f"nobody looked whether a strategy is due in {since_tick.total_seconds():.0f} s"
        return ""

    @property
    def accounts(self) -> int:
        """How many accounts are worked for."""
        return len(self._turns())
