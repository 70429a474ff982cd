"""What postbacks have said before: a captured one drives no reads (reliability.md W01)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from core.domain.broker_profile import Postback
from core.ports.clock import Clock

__all__ = ["SeenPostbacks"]

_REMEMBER_S: Final = 24 * 3600.0
_MOST: Final = 20_000
_BODIES: Final = 10
"""Of one signature: an order that fills in parts is posted some times under one of them."""


@dataclass(slots=True)
class _Signature:
    first_seen: float
    bodies: set[bytes] = field(default_factory=set)


class SeenPostbacks:
    """Remembers signatures for a day, and the bodies that came with each; or bodies without one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, _Signature] = OrderedDict()

    def is_news(self, postback: Postback, body: bytes) -> bool:
        """Remember a postback, its signature verified; return whether it may wake an account.

        What was remembered is lost at a restart, and a body can then wake an account once more.
        """
        if self._is_old(postback):
            return False
        self._forget()
        digest = hashlib.sha256(body).digest()
        key = postback.signature or digest.hex()
        known = self._seen.setdefault(key, _Signature(self._clock.monotonic()))
        if digest in known.bodies or len(known.bodies) >= _BODIES:
            return False
        known.bodies.add(digest)
        return True

    def _is_old(self, postback: Postback) -> bool:
        if postback.signed_at is None:
            return False
        age = self._clock.market_now() - postback.signed_at
        return abs(age) > timedelta(seconds=_REMEMBER_S)

    def _forget(self) -> None:
        now = self._clock.monotonic()
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if len(self._seen) < _MOST and now - oldest.first_seen < _REMEMBER_S:
                return
            self._seen.popitem(last=False)
