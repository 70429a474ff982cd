"""One Kite account: orders, account reads and market data over the official SDK's requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from core.adapters.broker_http import BrokerTransport, Raw, Reply, Wire, retry_after
from core.adapters.clock import MARKET_ZONE
from core.adapters.fields import Row, malformed, readable, rows_of
from core.adapters.prepared_orders import PreparedOrders
from core.adapters.sdk_requests import Outgoing, capture
from core.adapters.share_names import ShareNames
from core.adapters.throttle import Bucket
from core.adapters.zerodha import mapping
from core.domain.broker import (
    BrokerOrder,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    Profile,
    Quote,
)
from core.domain.instrument import Instrument, InstrumentId
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import NotSent, WriteOutcome
from core.errors import BrokerReadError, ReadFault
from core.ports.price_stream import PriceStream
from core.ports.updates import OrderUpdates

__all__ = ["ZerodhaClient", "send_to_kite"]

_TAG = re.compile(r"[A-Za-z0-9]{1,20}")
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,40}")
_PROTECTED = {OrderType.MARKET, OrderType.SL_M}
_PROTECTION = "-1"
"""Percent of market protection; Kite chooses (facts/kite.md 5.3)."""
_LIMITED = {OrderType.LIMIT, OrderType.SL}
_TRIGGERED = {OrderType.SL, OrderType.SL_M}
_QUOTES_A_CALL = 500
_REGULAR = "regular"
_TOO_MANY = 429
_PAUSE_S = 1.0
"""After a 429 that names no time: Kite counts by the second."""
_INTERVALS = {
    # minutes of a bar: Kite's word, longest span of one request in days (facts/kite.md 7)
    1: ("minute", 60),
    3: ("3minute", 100),
    5: ("5minute", 100),
    10: ("10minute", 100),
    15: ("15minute", 200),
    30: ("30minute", 200),
    60: ("60minute", 400),
    1440: ("day", 2000),
}


async def send_to_kite(
    transport: BrokerTransport, call: Callable[[], object], bucket: Bucket
) -> Raw:
    """Send the request that an SDK call builds."""
    return await _send(transport, capture(call), bucket)


async def _send(transport: BrokerTransport, request: Outgoing | Wire, bucket: Bucket) -> Raw:
    """Send a request; a 429 slows its bucket down."""
    raw = await transport.send(request, bucket)
    if isinstance(raw, Reply) and raw.status == _TOO_MANY:
        transport.throttle.pause([bucket], retry_after(raw) or _PAUSE_S)
    return raw


class ZerodhaClient:
    """A ``BrokerClient``. Only ``transport`` does any I/O; ``kite`` builds requests."""

    def __init__(
        self,
        transport: BrokerTransport,
        kite: Any,
        master: Mapping[InstrumentId, Instrument],
        updates: OrderUpdates | None = None,
        prices: PriceStream | None = None,
    ) -> None:
        self._transport = transport
        self._updates = updates
        self._prices = prices
        self._kite = kite
        self._master = master
        self._names = ShareNames(master)
        self._varieties: dict[str, str] = {}
        self._prepared = PreparedOrders()

    def prepare(self, order: OrderRequest) -> None:
        """Have the request of an order ready that may be placed in a moment."""
        self._prepared.put(order, partial(self._placing, order))

    async def place(self, order: OrderRequest) -> WriteOutcome:
        """Send one order, tagged with its ``client_order_id``."""
        if not _TAG.fullmatch(order.client_order_id):
            return NotSent("the order's id does not fit into Kite's tag")
        return await self._written(
            lambda: self._prepared.take(order, partial(self._placing, order))
        )

    def _placing(self, order: OrderRequest) -> object:
        return self._kite.place_order(
            variety=_REGULAR,
            exchange=order.instrument.exchange,
            tradingsymbol=order.instrument.symbol,
            transaction_type=order.side.value,
            product=order.product.value,
            tag=order.client_order_id,
            **self._terms(order),
        )

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        """Change a resting order."""
        return await self._write(
            lambda: self._kite.modify_order(
                variety=self._variety(broker_order_id),
                order_id=broker_order_id,
                **self._terms(order),
            ),
            broker_order_id,
        )

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        """Cancel a resting order."""
        return await self._write(
            lambda: self._kite.cancel_order(self._variety(broker_order_id), broker_order_id),
            broker_order_id,
        )

    async def orders(self) -> Sequence[BrokerOrder]:
        """Return the day's orders."""
        rows = rows_of(await self._read(self._kite.orders), "orders")
        for row in rows:
            # A user's cover or after-market order is addressed under its own variety.
            variety = row.maybe_text("variety")
            if variety and variety != _REGULAR:
                self._varieties[row.text("order_id")] = variety
        return readable(rows, mapping.broker_order, mapping.odd_order)

    async def trades(self) -> Sequence[BrokerTrade]:
        """Return the day's executions."""
        payload = await self._read(self._kite.trades)
        return readable(rows_of(payload, "trades"), mapping.broker_trade, mapping.odd_order)

    async def positions(self) -> Sequence[Position]:
        """Return net positions."""
        payload = await self._read(self._kite.positions)
        return readable(Row(payload).rows("net"), mapping.position, mapping.odd_position)

    async def holdings(self) -> Sequence[Holding]:
        """Return delivery holdings."""
        payload = await self._read(self._kite.holdings)
        return readable(
            rows_of(payload, "holdings"),
            partial(mapping.holding, names=self._names),
            mapping.odd_holding,
        )

    async def funds(self) -> Funds:
        """Return the equity segment's funds."""
        return mapping.funds(Row(await self._read(lambda: self._kite.margins("equity"))))

    async def profile(self) -> Profile:
        """Return who is logged in."""
        return mapping.profile(Row(await self._read(self._kite.profile)))

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices, 500 instruments a request."""
        names = {str(instrument): instrument for instrument in instruments}
        quotes: dict[InstrumentId, Quote] = {}
        for part in _parts(list(names), _QUOTES_A_CALL):
            payload = await self._read(partial(self._kite.quote, *part), Bucket.QUOTES)
            if not isinstance(payload, dict):
                raise malformed("quotes are no object")
            for name, values in payload.items():
                if name in names and self._is_of(names[name], Row(values)):
                    quotes[names[name]] = mapping.quote(names[name], Row(values))
        return quotes

    def _is_of(self, instrument: InstrumentId, row: Row) -> bool:
        """Whether a quote carries the token of the instrument under whose name it came (D10)."""
        known = self._master.get(instrument)
        token = row.maybe_text("instrument_token")
        return known is None or token is None or token == known.broker_token

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return bars with start <= bar start < end, in as many requests as Kite's spans need."""
        if minutes not in _INTERVALS:
            raise BrokerReadError(ReadFault.REFUSED, f"Kite has no bars of {minutes} minutes")
        if instrument not in self._master:
            raise BrokerReadError(ReadFault.REFUSED, f"{instrument} is not in Kite's master")
        token = self._master[instrument].broker_token
        interval, days = _INTERVALS[minutes]
        bars: dict[datetime, Candle] = {}
        # By their start: pieces meet at an edge, and the bar there comes with both.
        for since, until in _spans(start, end, timedelta(days=days)):
            payload = await self._read(
                partial(self._kite.historical_data, token, since, until, interval),
                Bucket.HISTORICAL,
            )
            values = Row(payload).get("candles")
            if not isinstance(values, list):
                raise malformed("no candles")
            bars.update((bar.start, bar) for bar in map(mapping.candle, values))
        return [bars[at] for at in sorted(bars) if start <= at < end]

    def updates(self) -> OrderUpdates | None:
        """Return the stream of this login's order updates."""
        return self._updates

    def prices(self) -> PriceStream | None:
        """Return the stream of prices that this login may open."""
        return self._prices

    async def warm(self) -> None:
        """Have a connection open for the next request, by a read where there is none."""
        if not self._transport.is_warm:
            with suppress(BrokerReadError):
                await self.profile()

    async def logout(self) -> None:
        """End the session at the broker."""
        await self._read(self._kite.invalidate_access_token)

    async def aclose(self) -> None:
        """Release the connections."""
        await self._transport.aclose()

    def _variety(self, broker_order_id: str) -> str:
        if not _ORDER_ID.fullmatch(broker_order_id):
            raise ValueError(f"{broker_order_id[:40]!r} is no order id")  # it becomes a path
        return self._varieties.get(broker_order_id, _REGULAR)

    def _terms(self, order: OrderRequest) -> dict[str, Any]:
        """Return what placing and modifying have in common."""
        kind = order.order_type
        terms: dict[str, Any] = {
            "quantity": order.quantity,
            "order_type": kind.value,
            "validity": order.validity.value,
        }
        if kind in _LIMITED:
            terms["price"] = _price(order.limit_price, "limit price")
        if kind in _TRIGGERED:
            terms["trigger_price"] = _price(order.trigger_price, "trigger price")
        if kind in _PROTECTED:
            # Refused without since 2026-04-01, exits included (facts/kite.md 5.3).
            terms["market_protection"] = _PROTECTION
        return terms

    async def _write(
        self, call: Callable[[], object], expected_id: str | None = None
    ) -> WriteOutcome:
        return await self._written(lambda: capture(call), expected_id)

    async def _written(
        self, request: Callable[[], Outgoing | Wire], expected_id: str | None = None
    ) -> WriteOutcome:
        try:
            raw = await _send(self._transport, request(), Bucket.ORDERS)
        except ValueError as error:
            # The SDK refused to build the request, so nothing has left.
            return NotSent(str(error))
        return mapping.write_outcome(raw, expected_id)

    async def _read(self, call: Callable[[], object], bucket: Bucket = Bucket.OTHER) -> Any:
        try:
            raw = await send_to_kite(self._transport, call, bucket)
        except ValueError as error:
            raise BrokerReadError(ReadFault.REFUSED, str(error)) from error
        return mapping.payload_of(raw)


def _price(price: Decimal | None, what: str) -> str:
    if price is None:
        raise ValueError(f"the order has no {what}")
    return f"{price:f}"


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _spans(
    start: datetime, end: datetime, longest: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """Cut a range of time into pieces, in IST: Kite takes times without a zone."""
    since = start.astimezone(MARKET_ZONE)
    last = end.astimezone(MARKET_ZONE)
    while since < last:
        until = min(since + longest, last)
        yield since, until
        since = until
