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
_TIMES: Final = 3.0
"""So many times its usual silence lets another be asked beside it."""
_FIRST_S: Final = 0.5
"""What is taken for usual before a source has answered anything."""
_LEAST_S: Final = 0.75
"""Questions that wait for a rate of three a second see an answer each third of a second."""
_SHARE: Final = 0.125


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
        self._usual: dict[tuple[str, str], float] = {}
        self._overdue: set[tuple[str, str]] = set()
        self.silent: dict[str, set[str]] = {}

    def is_slow(self, account: Account) -> bool:
        """Whether an account let somebody wait in vain lately, or does so now."""
        if any(who == account.broker_id for who, _ in self._overdue):
            return True
        at = self._slow_at.get(account.broker_id)
        return at is not None and self._clock.monotonic() - at < _SLOW_FOR_S

    def has_answered(self, broker_id: str) -> bool:
        """Whether an account has answered anything since the start."""
        return any(who == broker_id for who, _ in self._answered_at)

    def is_quiet(self, account: Account, what: str, for_s: float = _QUIET_S) -> bool:
        """Whether an account answers nobody at the moment who asks for bars, or for quotes."""
        at = self._answered_at.get((account.broker_id, what))
        return at is None or self._clock.monotonic() - at >= for_s

    def next_after_s(self, account: Account, what: str) -> float:
        """Return after what silence of an account another is asked beside it.

        Silence is what passes without an answer to anybody while somebody waits: a question that
        waits for the broker's rate behind others is none.
        """
        return max(_LEAST_S, _TIMES * self._usual.get((account.broker_id, what), _FIRST_S))

    def is_overdue(self, account: Account, what: str) -> None:
        """Note that another is asked beside an account: until it answers, others come first."""
        self._overdue.add((account.broker_id, what))

    def ended(self, account: Account, what: str) -> None:
        """Note that nothing is waited for any more that was overdue."""
        self._overdue.discard((account.broker_id, what))

    def answered(self, account: Account, what: str, asked_at: float, *, in_time: bool) -> None:
        """Note an answer to what was asked then (monotonic)."""
        key, now = (account.broker_id, what), self._clock.monotonic()
        silence = now - max(asked_at, self._answered_at.get(key, asked_at))
        usual = self._usual.get(key, silence)
        self._usual[key] = usual + _SHARE * (silence - usual)
        self._answered_at[key] = now
        self._overdue.discard(key)
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
