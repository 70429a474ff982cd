"""One Fyers account: orders, account reads and market data over the official SDK's requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from core.adapters.broker_http import BrokerTransport, Raw, Reply, Wire, retry_after
from core.adapters.fields import Malformed, Row, malformed, readable
from core.adapters.fyers import mapping
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.fyers.sdk import FyersSdk
from core.adapters.prepared_orders import PreparedOrders
from core.adapters.sdk_requests import Outgoing, capture
from core.adapters.throttle import Bucket
from core.domain.broker import (
    BrokerOrder,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    PriceBand,
    Profile,
    Quote,
)
from core.domain.instrument import InstrumentId
from core.domain.odd_rows import OddRow, Rows
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import NotSent, WriteOutcome
from core.errors import BrokerReadError, ReadFault
from core.ports.price_stream import PriceStream
from core.ports.updates import OrderUpdates

__all__ = ["FyersClient", "send_to_fyers"]

T = TypeVar("T")

_TAG = re.compile(r"[A-Za-z0-9]{1,20}")
_LIMITED = {OrderType.LIMIT, OrderType.SL}
_TRIGGERED = {OrderType.SL, OrderType.SL_M}
_PLACED, _CHANGED, _CANCELLED = 1101, 1102, 1103
_QUOTES_A_CALL = 50
_PAUSE_S = 5.0
"""After a refusal for rate that names no time: a third breach of a minute blocks the day."""
_INTRADAY_SPAN = timedelta(days=99)
_DAILY_SPAN = timedelta(days=365)
_DAY_MINUTES = 1440
_RESOLUTIONS = {
    **{minutes: str(minutes) for minutes in (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 240)},
    _DAY_MINUTES: "1D",
}


async def send_to_fyers(
    transport: BrokerTransport, call: Callable[[], object], bucket: Bucket
) -> Raw:
    """Send the request that an SDK call builds."""
    return await _send(transport, capture(call), bucket)


async def _send(transport: BrokerTransport, request: Outgoing | Wire, bucket: Bucket) -> Raw:
    """Send a request; a refusal for rate slows the whole app down."""
    raw = await transport.send(request, bucket)
    if isinstance(raw, Reply) and mapping.is_throttled(raw):
        transport.throttle.pause(Bucket, retry_after(raw) or _PAUSE_S)
    return raw


class FyersClient:
    """A ``BrokerClient``. Only ``transport`` does any I/O; ``sdk`` builds requests."""

    def __init__(
        self,
        transport: BrokerTransport,
        sdk: FyersSdk,
        book: SymbolBook,
        updates: OrderUpdates | None = None,
    ) -> None:
        self._transport = transport
        self._updates = updates
        self._sdk = sdk
        self._book = book
        self._prepared = PreparedOrders()

    def prepare(self, order: OrderRequest) -> None:
        """Have the request of an order ready that may be placed in a moment."""
        symbol = self._book.symbol(order.instrument)
        if symbol is not None:
            self._prepared.put(order, partial(self._placing, order, symbol))

    async def place(self, order: OrderRequest) -> WriteOutcome:
        """Send one order, tagged with its ``client_order_id``."""
        symbol = self._book.symbol(order.instrument)
        if symbol is None:
            return NotSent(f"{order.instrument} is not in Fyers' symbol master")
        if not _TAG.fullmatch(order.client_order_id):
            return NotSent("the order's id does not fit into Fyers' tag")
        placing = partial(self._placing, order, symbol)
        return await self._written(lambda: self._prepared.take(order, placing), _PLACED)

    def _placing(self, order: OrderRequest, symbol: str) -> object:
        fixed = {
            "symbol": symbol,
            "side": order.side.sign,
            "productType": mapping.PRODUCTS[order.product],
            "validity": order.validity.value,
            "disclosedQty": 0,
            "offlineOrder": False,
            "stopLoss": 0,
            "takeProfit": 0,
            "isSliceOrder": False,
            "orderTag": order.client_order_id,
        }
        return self._sdk.place_order({**fixed, **_terms(order)})

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        """Change a resting order; the quantity is the total, not what remains."""
        return await self._write(
            lambda: self._sdk.modify_order({"id": broker_order_id, **_terms(order)}),
            _CHANGED,
            broker_order_id,
        )

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        """Cancel a resting order."""
        return await self._write(
            lambda: self._sdk.cancel_order({"id": broker_order_id}), _CANCELLED, broker_order_id
        )

    async def orders(self) -> Sequence[BrokerOrder]:
        """Return the day's orders."""
        payload = await self._read(self._sdk.orderbook)
        return self._readable(payload.rows("orderBook"), mapping.broker_order, mapping.odd_order)

    async def trades(self) -> Sequence[BrokerTrade]:
        """Return the day's executions."""
        payload = await self._read(self._sdk.tradebook)
        return self._readable(payload.rows("tradeBook"), mapping.broker_trade, mapping.odd_order)

    async def positions(self) -> Sequence[Position]:
        """Return net positions."""
        payload = await self._read(self._sdk.positions)
        return self._readable(payload.rows("netPositions"), mapping.position, mapping.odd_position)

    async def holdings(self) -> Sequence[Holding]:
        """Return delivery holdings."""
        payload = await self._read(self._sdk.holdings)
        return self._readable(payload.rows("holdings"), mapping.holding, mapping.odd_holding)

    async def funds(self) -> Funds:
        """Return the equity segment's funds."""
        return mapping.funds(await self._read(self._sdk.funds))

    async def profile(self) -> Profile:
        """Return who is logged in."""
        return mapping.profile(await self._read(self._sdk.get_profile))

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices, 50 instruments a request."""
        symbols = {self._book.symbol(instrument): instrument for instrument in instruments}
        names = [symbol for symbol in symbols if symbol is not None]
        quotes: dict[InstrumentId, Quote] = {}
        for at in range(0, len(names), _QUOTES_A_CALL):
            wanted = {"symbols": ",".join(names[at : at + _QUOTES_A_CALL])}
            payload = await self._read(partial(self._sdk.quotes, wanted), Bucket.QUOTES)
            for row in payload.rows("d"):
                instrument = symbols.get(row.maybe_text("n"))
                if instrument is not None and row.maybe_text("s") == "ok":
                    quotes[instrument] = mapping.quote(instrument, row.row("v"))
        return quotes

    async def price_band(self, instrument: InstrumentId) -> PriceBand:
        """Return the day's band, which the depth of one symbol names and quotes do not."""
        symbol = self._book.symbol(instrument)
        if symbol is None:
            raise BrokerReadError(ReadFault.REFUSED, f"{instrument} is not in Fyers' master")
        wanted = {"symbol": symbol, "ohlcv_flag": "1"}
        payload = await self._read(partial(self._sdk.depth, wanted), Bucket.QUOTES)
        # Of the symbol that was asked for alone, as with quotes.
        return mapping.price_band(payload.row("d").row(symbol))

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return bars with start <= bar start < end, in as many requests as Fyers' spans need."""
        symbol = self._book.symbol(instrument)
        if minutes not in _RESOLUTIONS:
            raise BrokerReadError(ReadFault.REFUSED, f"Fyers has no bars of {minutes} minutes")
        if symbol is None:
            raise BrokerReadError(ReadFault.REFUSED, f"{instrument} is not in Fyers' master")
        bars: dict[datetime, Candle] = {}
        # By their start: pieces meet at an edge, and the bar there comes with both.
        for since, until in _spans(start, end, minutes):
            asked = {
                "symbol": symbol,
                "resolution": _RESOLUTIONS[minutes],
                "date_format": "0",
                "range_from": str(int(since.timestamp())),
                "range_to": str(int(until.timestamp())),
                "cont_flag": "1",
            }
            payload = await self._read(partial(self._sdk.history, asked), Bucket.HISTORICAL)
            values = payload.get("candles") or []
            if not isinstance(values, list):
                raise malformed("candles are no list")
            bars.update((bar.start, bar) for bar in (mapping.candle(v, minutes) for v in values))
        return [bars[at] for at in sorted(bars) if start <= at < end]

    def updates(self) -> OrderUpdates | None:
        """Return the stream of this login's order updates."""
        return self._updates

    def prices(self) -> PriceStream | None:
        """Return nothing: the data socket needs a key of its own form (facts/fyers.md 8.3)."""
        return None

    async def warm(self) -> None:
        """Have a connection open for the next request, by a read where there is none."""
        if not self._transport.is_warm:
            with suppress(BrokerReadError):
                await self.profile()

    async def logout(self) -> None:
        """End the session at the broker."""
        await self._read(self._sdk.logout)

    async def aclose(self) -> None:
        """Release the connections."""
        await self._transport.aclose()

    def _readable(
        self,
        rows: Iterable[Row],
        translate: Callable[[Row, SymbolBook], T],
        odd: Callable[[Row, Malformed, SymbolBook], OddRow | None],
    ) -> Rows[T]:
        return readable(
            rows,
            lambda row: translate(row, self._book),
            lambda row, error: odd(row, error, self._book),
        )

    async def _write(
        self, call: Callable[[], object], accepted: int, expected_id: str | None = None
    ) -> WriteOutcome:
        return await self._written(lambda: capture(call), accepted, expected_id)

    async def _written(
        self,
        request: Callable[[], Outgoing | Wire],
        accepted: int,
        expected_id: str | None = None,
    ) -> WriteOutcome:
        try:
            raw = await _send(self._transport, request(), Bucket.ORDERS)
        except ValueError as error:
            # The SDK refused to build the request, so nothing has left.
            return NotSent(str(error))
        return mapping.write_outcome(raw, accepted, expected_id)

    async def _read(self, call: Callable[[], object], bucket: Bucket = Bucket.OTHER) -> Row:
        try:
            raw = await send_to_fyers(self._transport, call, bucket)
        except ValueError as error:
            raise BrokerReadError(ReadFault.REFUSED, str(error)) from error
        return mapping.payload_of(raw)


def _terms(order: OrderRequest) -> dict[str, Any]:
    """Return what placing and changing have in common.

    Market orders carry no protection here: Fyers turns them into protected limits by itself.
    """
    kind = order.order_type
    return {
        "type": mapping.ORDER_TYPES[kind],
        "qty": order.quantity,
        "limitPrice": _price(order.limit_price, "limit price") if kind in _LIMITED else 0,
        "stopPrice": _price(order.trigger_price, "trigger price") if kind in _TRIGGERED else 0,
    }


def _price(price: Decimal | None, what: str) -> float:
    """Return a JSON number; a float writes the digits of any price back as they were."""
    if price is None:
        raise ValueError(f"the order has no {what}")
    return float(price)


def _spans(start: datetime, end: datetime, minutes: int) -> Iterator[tuple[datetime, datetime]]:
    longest = _DAILY_SPAN if minutes == _DAY_MINUTES else _INTRADAY_SPAN
    since = start
    while since < end:
        until = min(since + longest, end)
        yield since, until
        since = until
