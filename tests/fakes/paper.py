"""A paper account with prices in a test's hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count

from core.adapters.calendar import TradingCalendar
from core.adapters.paper import PaperBroker
from core.domain.broker import BrokerOrder, Candle, Quote
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked
from core.domain.sessions import IST
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient, Credentials
from core.ports.store import Store
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

__all__ = ["FUTURE", "OPTION", "PAPER_ACCOUNT", "SBIN", "OnPaper", "PaperDesk", "ScriptedQuotes"]

PAPER_ACCOUNT = "paper_aaaaaaaaaa"
SBIN = InstrumentId("NSE", "SBIN")
FUTURE = InstrumentId("NFO", "SBIN26DECFUT")
OPTION = InstrumentId("NFO", "SBIN26DEC800CE")
_REAL = datetime(2026, 11, 23, 4, 30, tzinfo=IST)
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
_TICK = Decimal("0.05")
MASTER = {
    SBIN: Instrument(
        SBIN, "SBIN", "1", 1, _TICK, Segment.CASH, freeze_quantity=50_000, has_derivatives=True
    ),
    FUTURE: Instrument(
        FUTURE, FUTURE.symbol, "2", 750, _TICK, Segment.DERIVATIVES, expiry=MONDAY.date()
    ),
    OPTION: Instrument(
        OPTION, OPTION.symbol, "3", 750, _TICK, Segment.DERIVATIVES, expiry=MONDAY.date()
    ),
}


@dataclass
class ScriptedQuotes:
    """A ``MarketDataSource``: quotes of the test's choice, at the market time of the clock."""

    clock: ManualClock
    quotes_by_name: dict[InstrumentId, Quote] = field(default_factory=dict)
    trouble: BrokerReadError | None = None
    is_market: bool = True
    asked: int = 0

    def put(self, last: str, name: InstrumentId = SBIN, **fields: object) -> None:
        """Let an instrument trade at a price now."""
        at = self.clock.market_now()
        self.quotes_by_name[name] = Quote(name, Decimal(last), at, **fields)  # type: ignore[arg-type]

    async def has_market(self) -> bool:
        return self.is_market

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return {one: self.quotes_by_name[one] for one in instruments if one in self.quotes_by_name}

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        del instrument, start, end, minutes
        return []


@dataclass
class PaperDesk:
    """One paper account; a second one over the same ``store`` is what a restart finds."""

    store: Store = field(default_factory=MemoryStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(_REAL, MONDAY))
    prices: ScriptedQuotes = field(init=False)
    broker: PaperBroker = field(init=False)
    client: BrokerClient = field(init=False)
    _tags: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.prices = ScriptedQuotes(self.clock)
        self.broker = PaperBroker(self.clock, self.store, TradingCalendar(), self.prices)
        credentials = Credentials(PAPER_ACCOUNT, "", "")
        self.client = self.broker.connect(credentials, MASTER)

    async def ticks(self, last: str, name: InstrumentId = SBIN, **fields: object) -> None:
        """Let some seconds pass, and the exchange look at a price."""
        await self.clock.advance(3)
        self.prices.put(last, name, **fields)
        await self.broker.tick()

    async def order(
        self,
        side: Side = Side.BUY,
        quantity: int = 10,
        order_type: OrderType = OrderType.MARKET,
        product: Product = Product.MIS,
        *,
        limit: str | None = None,
        trigger: str | None = None,
        name: InstrumentId = SBIN,
    ) -> BrokerOrder:
        """Place an order that is acknowledged; return it as it is listed."""
        request = OrderRequest(
            f"TAG{next(self._tags):03d}",
            name,
            side,
            quantity,
            order_type,
            product,
            Decimal(limit) if limit else None,
            Decimal(trigger) if trigger else None,
        )
        outcome = await self.client.place(request)
        assert isinstance(outcome, Acked), outcome
        return await self.listed(outcome.broker_order_id)

    async def listed(self, order_id: str) -> BrokerOrder:
        """Return an order as it stands."""
        return next(one for one in await self.client.orders() if one.broker_order_id == order_id)

    async def held(self, name: InstrumentId = SBIN, product: Product = Product.MIS) -> int:
        """Return the units of a position."""
        found = await self.client.positions()
        return sum(
            one.quantity for one in found if (one.instrument, one.product) == (name, product)
        )


@dataclass(frozen=True)
class OnPaper:
    """A paper account behind the questions that every broker is asked."""

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BrokerClient]:
        """Yield the account's client; SBIN trades."""
        desk = PaperDesk()
        desk.prices.put("800.00", volume=1_000_000)
        yield desk.client
