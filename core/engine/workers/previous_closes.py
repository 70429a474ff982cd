"""Previous closes for brokers whose positions do not carry them (Fyers), from their quotes.

Asked once a day for each carried instrument, after the positions were read: a quote that cannot be
had delays nothing for long and fails nothing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from decimal import Decimal

from core.domain.instrument import InstrumentId
from core.domain.profit import previous_closes_missing
from core.engine.orders.reconciliation import Snapshot
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["PreviousCloses"]

_log = logging.getLogger(__name__)
_RETRY_S = 300.0


class PreviousCloses:
    """Fills in the previous closes of one account's carried positions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._day = ""
        self._known: dict[InstrumentId, Decimal] = {}
        self._asked_at: dict[InstrumentId, float] = {}

    async def fill(self, client: BrokerClient, snapshot: Snapshot, day: str) -> None:
        """Put what is known or can be had into the snapshot's positions."""
        if day != self._day:
            self._day, self._known, self._asked_at = day, {}, {}
        positions = list(snapshot.positions or ())
        missing = {one.instrument for one in previous_closes_missing(positions)}
        now = self._clock.monotonic()
        asked = [
            name
            for name in sorted(missing - self._known.keys())
            if now - self._asked_at.get(name, -_RETRY_S) >= _RETRY_S
        ]
        if asked:
            self._asked_at.update(dict.fromkeys(asked, now))
            try:
                quotes = await client.quotes(asked)
            except BrokerReadError as error:
                _log.warning("previous closes: %s", error)
            else:
                self._known |= {
                    name: quote.previous_close
                    for name, quote in quotes.items()
                    if quote.previous_close is not None
                }
        snapshot.positions = [
            replace(one, previous_close=self._known.get(one.instrument))
            if one.instrument in missing
            else one
            for one in positions
        ]
