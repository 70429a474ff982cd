"""How what brings prices and bars is put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.bootstrap.foundation import Foundation
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.prices import Prices
from core.engine.outbox import Outbox
from core.engine.runs.bars import BarReader
from core.engine.runs.day_bars import DayBars
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData
from core.engine.runs.price_feed import PriceFeed
from core.engine.runs.price_watch import PriceJudge, PriceWatch
from core.engine.runs.source_watch import SourceWatch
from core.engine.runs.symbols import Symbols

__all__ = ["PriceParts", "price_parts"]


@dataclass(frozen=True, slots=True)
class PriceParts:
    """What brings prices and bars.

    Attributes:
        data: Candles and quotes from the data account.
        live: What is heard of prices.
        feed: Follows the stream of prices.
        days: Today's minutes, for all strategies.
        bars: Reads a run's bars.
        sources: Says which data account lets runs wait.
        watch: Returns a look at prices for some judges.
    """

    data: MarketData
    live: LivePrices
    feed: PriceFeed
    days: DayBars
    bars: BarReader
    sources: SourceWatch
    watch: Callable[[Sequence[PriceJudge]], PriceWatch]


class Rooms(Protocol):
    """What the parts need of the wiring."""

    @property
    def outbox(self) -> Outbox:
        """Notices for the chat."""
        ...

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        ...

    @property
    def connections(self) -> Connections:
        """Clients by account."""
        ...

    @property
    def hours(self) -> MarketHours:
        """When instruments trade."""
        ...

    @property
    def prices(self) -> Prices:
        """Last prices."""
        ...

    @property
    def symbols(self) -> Symbols:
        """Instruments by the brokers' lists."""
        ...


def price_parts(foundation: Foundation, rooms: Rooms) -> PriceParts:
    """Return the parts, each made once."""
    store, clock = foundation.store, foundation.clock
    data = MarketData(store, clock, rooms.accounts, rooms.connections)
    live = LivePrices(clock, rooms.prices)
    feed = PriceFeed(
        clock=clock,
        store=store,
        outbox=rooms.outbox,
        market_data=data,
        connections=rooms.connections,
        hours=rooms.hours,
        live=live,
    )
    days = DayBars(clock, data, live)
    bars = BarReader(clock, foundation.calendar, rooms.symbols, days, live, feed)

    def watch(judges: Sequence[PriceJudge]) -> PriceWatch:
        return PriceWatch(clock, data, rooms.prices, judges, live=live, feed=feed)

    sources = SourceWatch(store, clock, rooms.outbox, data)
    return PriceParts(data, live, feed, days, bars, sources, watch)
