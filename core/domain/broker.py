"""What a broker says is so, translated: orders, trades, positions, funds, quotes, candles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderType, Side
from core.domain.outcome import Cause
from core.domain.sessions import trading_day

__all__ = [
    "BrokerOrder",
    "BrokerStatus",
    "BrokerTrade",
    "Candle",
    "Funds",
    "Holding",
    "Position",
    "PriceBand",
    "PriceLevel",
    "Profile",
    "Quote",
]


class BrokerStatus(StrEnum):
    """A broker's order status, folded. An unknown word is WORKING, never final."""

    WORKING = "working"
    COMPLETE = "complete"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One row of the day's orders.

    Attributes:
        tag: Our ``client_order_id`` with any broker prefix stripped, or a foreign tag, or None.
        has_pending_request: A placement, change or cancel is still on its way to the exchange.
        is_triggered: Whether a stop has triggered and works now as a limit order; None when the
            broker does not say.
        placed_at: The broker's time of the order, aware, IST.
        updated_at: When the exchange last touched it, where the broker says so.
        cause: Why it was rejected, by the broker's words; None unless it was.
        largest: The largest quantity of one order that these words name.
    """

    broker_order_id: str
    instrument: InstrumentId
    side: Side
    product: Product
    order_type: OrderType
    quantity: int
    filled_quantity: int
    average_price: Decimal
    status: BrokerStatus
    has_pending_request: bool = False
    tag: str | None = None
    exchange_order_id: str | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    message: str = ""
    placed_at: datetime | None = None
    cause: Cause | None = None
    largest: int | None = None
    is_triggered: bool | None = None
    updated_at: datetime | None = None

    @property
    def own_day(self) -> str | None:
        """The trading day that a finished order belongs to, by its own times; else None.

        One that still works is today's whenever it was placed: an order for the next day is given
        in the evening.
        """
        times = [at for at in (self.placed_at, self.updated_at) if at is not None]
        if self.status is BrokerStatus.WORKING or not times:
            return None
        return trading_day(max(times))


@dataclass(frozen=True, slots=True)
class BrokerTrade:
    """One execution; (exchange, trade_id, broker_order_id) is unique within a day."""

    trade_id: str
    broker_order_id: str
    instrument: InstrumentId
    side: Side
    product: Product
    quantity: int
    price: Decimal
    traded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Net position of one (instrument, product).

    Attributes:
        quantity: Signed units; a negative CNC quantity is a delivery sale, not a short.
        day_buy_quantity: Units bought today.
        day_sell_quantity: Units sold today.
        realised: Rupees of profit already taken, as the broker reports it.
        unrealised: Rupees of open profit at ``last_price``, as the broker reports it. Both may
            count from the entry; ``core.domain.profit`` has today's.
        previous_close: The last session's closing price, None when the row does not say.
        day_buy_value: Rupees bought for today, None when the row does not say.
        day_sell_value: Rupees sold for today, None when the row does not say.
        multiplier: Rupees for each unit and rupee of price, other than 1 in commodities.
    """

    instrument: InstrumentId
    product: Product
    quantity: int
    average_price: Decimal
    last_price: Decimal
    day_buy_quantity: int = 0
    day_sell_quantity: int = 0
    realised: Decimal = Decimal(0)
    unrealised: Decimal = Decimal(0)
    previous_close: Decimal | None = None
    day_buy_value: Decimal | None = None
    day_sell_value: Decimal | None = None
    multiplier: Decimal = Decimal(1)

    @property
    def carried(self) -> int:
        """Signed units that were held when the day began."""
        return self.quantity - self.day_buy_quantity + self.day_sell_quantity


@dataclass(frozen=True, slots=True)
class Holding:
    """Delivery shares: ``quantity`` settled and free, ``t1_quantity`` arriving.

    Attributes:
        instrument: The name under which the broker lists them.
        used_quantity: Sold today; not in the quantities above.
        pledged_quantity: Pledged as collateral: owned, and not to be sold; not in those above.
        isin: What the share is, whatever its exchange; '' when the broker does not say.
        names: Every name of the share at any exchange, by its ISIN.
    """

    instrument: InstrumentId
    quantity: int
    t1_quantity: int
    average_price: Decimal
    last_price: Decimal
    previous_close: Decimal | None = None
    used_quantity: int = 0
    pledged_quantity: int = 0
    isin: str = ""
    names: frozenset[InstrumentId] = frozenset()


@dataclass(frozen=True, slots=True)
class Funds:
    """Rupees: ``available`` now, ``used`` as margin, ``opening`` at the start of the day."""

    available: Decimal
    used: Decimal
    opening: Decimal


@dataclass(frozen=True, slots=True)
class Profile:
    """Who is logged in."""

    user_id: str
    user_name: str


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """Units that wait at a price; ``quantity`` None where the broker does not say how many."""

    price: Decimal
    quantity: int | None


@dataclass(frozen=True, slots=True)
class PriceBand:
    """The day's lowest and highest price; None where the broker does not name one."""

    lower: Decimal | None = None
    upper: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """Last traded price; ``at`` is the broker's time of it (aware), None when it did not say.

    Attributes:
        traded_at: When it was traded, where the broker says so.
        volume: Units traded today; None where nothing was, or the broker does not say.
        day_high: The day's highest price so far; likewise ``day_low``.
        bids: What is bid, best first; none where the broker does not say. Likewise ``asks``.
    """

    instrument: InstrumentId
    last_price: Decimal
    at: datetime | None = None
    lower_circuit: Decimal | None = None
    upper_circuit: Decimal | None = None
    previous_close: Decimal | None = None
    traded_at: datetime | None = None
    volume: int | None = None
    day_high: Decimal | None = None
    day_low: Decimal | None = None
    bids: tuple[PriceLevel, ...] = ()
    asks: tuple[PriceLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar; ``start`` is its first instant, aware, IST."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
