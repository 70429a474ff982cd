"""One price that a stream told, or a quote, as a tick: what bars are built from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId

__all__ = ["PriceTick", "tick_of"]


@dataclass(frozen=True, slots=True)
class PriceTick:
    """The state of an instrument at one moment. What the source does not say is None.

    Attributes:
        heard_at: Market time at which it came.
        at: The exchange's time of it, whole seconds.
        traded_at: When ``last`` was traded, whole seconds; of an index there is none.
        volume: Units traded today, up to this.
        day_high: The day's highest price so far; likewise ``day_low``.
    """

    instrument: InstrumentId
    last: Decimal
    heard_at: datetime
    at: datetime | None = None
    traded_at: datetime | None = None
    volume: int | None = None
    day_high: Decimal | None = None
    day_low: Decimal | None = None

    @property
    def moment(self) -> datetime:
        """When the price was made: of the trade, else of the exchange, else of its coming."""
        return self.traded_at or self.at or self.heard_at

    @property
    def has_time(self) -> bool:
        """Whether the source says when the price was made."""
        return self.traded_at is not None or self.at is not None


def tick_of(quote: Quote, asked_at: datetime) -> PriceTick:
    """Return a quote as a tick that was asked for at a market time."""
    return PriceTick(
        quote.instrument,
        quote.last_price,
        heard_at=asked_at,
        at=None,
        traded_at=quote.traded_at,
        volume=quote.volume,
        day_high=quote.day_high,
        day_low=quote.day_low,
    )
