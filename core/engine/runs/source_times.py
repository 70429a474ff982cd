"""How quickly the sources of market data answer: who is slow, and who says nothing at all (D10)."""

from __future__ import annotations

import logging
from typing import Final

from core.domain.account import Account
from core.ports.clock import Clock

__all__ = ["SourceTimes"]

_log = logging.getLogger(__name__)
_SLOW_FOR_S: Final = 60.0
_QUIET_S: Final = 2.0
"""A source that answered somebody within this keeps its questions waiting for its rate."""


class SourceTimes:
    """Notes of each account when it answered bars, and when quotes.

    Attributes:
        silent: What each account owes an answer to for long, by ``broker_id``; an answer in time
            takes it off.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slow_at: dict[str, float] = {}
        self._answered_at: dict[tuple[str, str], float] = {}
        self.silent: dict[str, set[str]] = {}

    def is_slow(self, account: Account) -> bool:
        """Whether an account let somebody wait in vain lately."""
        at = self._slow_at.get(account.broker_id)
        return at is not None and self._clock.monotonic() - at < _SLOW_FOR_S

    def has_answered(self, broker_id: str) -> bool:
        """Whether an account has answered anything since the start."""
        return any(who == broker_id for who, _ in self._answered_at)

    def is_quiet(self, account: Account, what: str) -> bool:
        """Whether an account answers nobody at the moment who asks for bars, or for quotes."""
        at = self._answered_at.get((account.broker_id, what))
        return at is None or self._clock.monotonic() - at >= _QUIET_S

    def answered(self, account: Account, what: str, *, in_time: bool) -> None:
        """Note an answer."""
        self._answered_at[account.broker_id, what] = self._clock.monotonic()
        if in_time:
            owed = self.silent.get(account.broker_id, set())
            owed.discard(what)
            if not owed:
                self.silent.pop(account.broker_id, None)

    def is_late(self, account: Account, what: str) -> None:
        """Note that an answer is awaited for long, and that none of its kind has come since."""
        if self.is_quiet(account, what):
            self.silent.setdefault(account.broker_id, set()).add(what)

    def forget(self, broker_id: str) -> None:
        """Note that an account is asked for nothing any more."""
        self.silent.pop(broker_id, None)

    def given_up(self, account: Account, waited_s: float) -> None:
        """Note that somebody has waited in vain for so long."""
        if not self.is_slow(account):
            _log.warning("no data from %s in %g s: others first", account.label, waited_s)
        self._slow_at[account.broker_id] = self._clock.monotonic()
