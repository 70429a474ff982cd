"""When something may be tried again on an account, and what an answer says about that.

One ``Pauses`` an account, shared by the parts of its executor. Times are real, and counted by the
clock that never steps back: where the other is set back an hour, no exit waits an hour (K01).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from core.domain.ledger import ledger_key
from core.domain.order import Order
from core.domain.outcome import Acked, NotSent, Refusal, Refused, WriteOutcome
from core.engine.orders.gateway import WriteRefused
from core.ports.clock import Clock

__all__ = ["WAITS_FOR_THE_USER", "Pauses", "key_of", "raise_for_account"]

_PAUSE_S = 1.0
_NOT_PERMITTED_S = 2.0
_LONGEST_S = 60.0
WAITS_FOR_THE_USER = frozenset({Refusal.AUTH_REQUIRED, Refusal.PERMISSION})
"""Refusals that concern the whole account, until the user does something."""


class Pauses:
    """Remembers by key (an order's id, or a ledger's key) until when nothing is tried."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before: dict[str, float] = {}
        self._not_permitted: Counter[str] = Counter()

    def until(self, key: str) -> datetime | None:
        """Return until when nothing is tried; None when it may go now."""
        left_s = self._not_before.get(key, 0.0) - self._clock.monotonic()
        return self._clock.now() + timedelta(seconds=left_s) if left_s > 0 else None

    def pause(self, key: str, seconds: float = _PAUSE_S) -> datetime:
        """Try nothing for a while; return until when."""
        self._not_before[key] = self._clock.monotonic() + seconds
        return self._clock.now() + timedelta(seconds=seconds)

    def note(self, order: Order, outcome: WriteOutcome | None) -> None:
        """Pause what an answer asks to pause.

        Raises:
            WriteRefused: No other write of this account could succeed either.
        """
        self.hold_back(order.client_order_id, outcome)
        if isinstance(outcome, Refused) and outcome.kind is Refusal.THROTTLED:
            # An exit goes out under a new id; it waits as long.
            self.pause(key_of(order), outcome.retry_after_s or _PAUSE_S)

    def hold_back(self, key: str, outcome: WriteOutcome | None) -> bool:
        """Pause what has come to nothing and may go again: what was not sent, or met a 429.

        Returns:
            Whether it is that.

        Raises:
            WriteRefused: No other write of this account could succeed either. Where it is not the
                login, whose end nothing is tried before, each is tried more and more seldom.
        """
        if isinstance(outcome, Refused) and outcome.kind is Refusal.PERMISSION:
            times = self._not_permitted[key]
            self.pause(key, min(_LONGEST_S, _NOT_PERMITTED_S * 2**times))
            self._not_permitted[key] = times + 1
        elif isinstance(outcome, Acked):
            del self._not_permitted[key]
        raise_for_account(outcome)
        if isinstance(outcome, NotSent):
            self.pause(key)
            return True
        if isinstance(outcome, Refused) and outcome.kind is Refusal.THROTTLED:
            self.pause(key, outcome.retry_after_s or _PAUSE_S)
            return True
        return False


def raise_for_account(outcome: WriteOutcome | None) -> None:
    """Stop the turn when no other write of this account could succeed either."""
    if isinstance(outcome, Refused) and outcome.kind in WAITS_FOR_THE_USER:
        raise WriteRefused(outcome.kind, outcome.message)


def key_of(order: Order) -> str:
    """Return the key of the ledger that an order moves."""
    request = order.request
    return ledger_key(order.strategy, order.broker_id, request.instrument, request.product)
