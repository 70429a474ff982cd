"""The last prices that were asked for, each with the real time it is of; in memory only."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.domain.instrument import InstrumentId
from core.domain.protection import LastPrice

__all__ = ["Prices"]


class Prices:
    """Keeps one price for each instrument; the newest counts."""

    def __init__(self) -> None:
        self._prices: dict[InstrumentId, LastPrice] = {}

    def put(
        self, instrument: InstrumentId, last: Decimal, at: datetime, now: datetime | None = None
    ) -> LastPrice:
        """Keep a price unless a newer one is known; return the newest.

        Of a price that is later than ``now`` the clock was set back since: it is none of those.
        """
        known = self._prices.get(instrument)
        if known is None or known.at <= at or (now is not None and known.at > now):
            known = self._prices[instrument] = LastPrice(last, at)
        return known

    def get(self, instrument: InstrumentId) -> LastPrice | None:
        """Return the last price; None before the first."""
        return self._prices.get(instrument)
