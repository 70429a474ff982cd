"""The last prices that were asked for, each with the real time it is of; in memory only.

And the previous closes that were named with them, which are of that day's scale.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.domain.instrument import InstrumentId
from core.domain.protection import LastPrice

__all__ = ["Prices"]


class Prices:
    """Keeps one price and one previous close for each instrument; the newest counts."""

    def __init__(self) -> None:
        self._prices: dict[InstrumentId, LastPrice] = {}
        self._closes: dict[InstrumentId, LastPrice] = {}

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

    def put_close(self, instrument: InstrumentId, close: Decimal | None, at: datetime) -> None:
        """Keep the previous close that a quote of a real time has named."""
        if close is not None and close > 0:
            self._closes[instrument] = LastPrice(close, at)

    def close_of(self, instrument: InstrumentId) -> LastPrice | None:
        """Return the previous close that was named last, and when; None before the first."""
        return self._closes.get(instrument)
