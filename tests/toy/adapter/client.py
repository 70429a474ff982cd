"""One Toy account: orders, account reads and market data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from core.adapters.broker_http import BrokerTransport
from core.adapters.clock import MARKET_ZONE
from core.adapters.fields import Row, rows_of
from core.adapters.throttle import Bucket
from core.domain.broker import (
    BrokerOrder,
    BrokerStatus,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    Profile,
    Quote,
)
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import WriteOutcome
from core.errors import BrokerReadError
from tests.toy.adapter.wire import payload_of, request, write_outcome

__all__ = ["ToyClient"]

_STATUSES = {
    "done": BrokerStatus.COMPLETE,
    "gone": BrokerStatus.CANCELED,
    "refused": BrokerStatus.REJECTED,
}


class ToyClient:
    """A ``BrokerClient``. Only ``transport`` does any I/O."""

    def __init__(self, root: str, token: str, transport: BrokerTransport) -> None:
        self._root = root
        self._token = token
        self._transport = transport

    async def place(self, order: OrderRequest) -> WriteOutcome:
        """Send one order, tagged with its ``client_order_id``."""
        body = {
            "symbol": order.instrument.symbol,
            "side": order.side.value,
            "product": order.product.value,
            "tag": order.client_order_id,
            **_terms(order),
        }
        return await self._write("POST", "/orders", body)

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        """Change a resting order."""
        return await self._write("PUT", f"/orders/{broker_order_id}", _terms(order))

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        """Cancel a resting order."""
        return await self._write("DELETE", f"/orders/{broker_order_id}")

    async def orders(self) -> Sequence[BrokerOrder]:
        """Return the day's orders."""
        return [_order(row) for row in await self._rows("/orders")]

    async def trades(self) -> Sequence[BrokerTrade]:
        """Return the day's executions."""
        return [_trade(row) for row in await self._rows("/trades")]

    async def positions(self) -> Sequence[Position]:
        """Return net positions."""
        return [
            Position(
                _instrument(row),
                Product(row.text("product")),
                row.whole("quantity"),
                row.number("price"),
                row.number("last"),
            )
            for row in await self._rows("/positions")
        ]

    async def holdings(self) -> Sequence[Holding]:
        """Return delivery holdings."""
        return [
            Holding(
                _instrument(row),
                row.whole("quantity"),
                0,
                row.number("price"),
                row.number("last"),
            )
            for row in await self._rows("/holdings")
        ]

    async def funds(self) -> Funds:
        """Return the funds."""
        row = Row(await self._read("/funds"))
        return Funds(row.number("free"), row.number("used"), row.number("opening"))

    async def profile(self) -> Profile:
        """Return who is logged in."""
        row = Row(await self._read("/me"))
        return Profile(row.text("user"), row.text("name"))

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices."""
        symbols = ",".join(instrument.symbol for instrument in instruments)
        rows = rows_of(await self._read("/quotes", symbols=symbols), "quotes")
        return {_instrument(row): Quote(_instrument(row), row.number("last")) for row in rows}

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return bars with start <= bar start < end."""
        payload = await self._read(
            "/candles",
            symbol=instrument.symbol,
            since=start.isoformat(),
            until=end.isoformat(),
            minutes=str(minutes),
        )
        bars = [_candle(row) for row in rows_of(payload, "candles")]
        return [bar for bar in bars if start <= bar.start < end]

    def updates(self) -> None:
        """Return nothing: Toy pushes no order updates."""

    def prices(self) -> None:
        """Return nothing: prices are asked for."""

    async def warm(self) -> None:
        """Have a connection open for the next request, by a read where there is none."""
        if not self._transport.is_warm:
            with suppress(BrokerReadError):
                await self.profile()

    async def logout(self) -> None:
        """End the session at the broker."""
        raw = await self._transport.send(
            request("DELETE", f"{self._root}/token", self._token), Bucket.OTHER
        )
        payload_of(raw)

    async def aclose(self) -> None:
        """Release the connections."""
        await self._transport.aclose()

    async def _write(self, method: str, path: str, body: Any = None) -> WriteOutcome:
        sent = request(method, self._root + path, self._token, body)
        return write_outcome(await self._transport.send(sent, Bucket.ORDERS))

    async def _read(self, path: str, **query: str) -> Any:
        sent = request("GET", self._root + path, self._token, **query)
        return payload_of(await self._transport.send(sent, Bucket.OTHER))

    async def _rows(self, path: str) -> list[Row]:
        return rows_of(await self._read(path), path)


def _terms(order: OrderRequest) -> dict[str, Any]:
    """Return what placing and modifying have in common."""
    return {
        "quantity": order.quantity,
        "kind": order.order_type.value,
        "price": str(order.limit_price or 0),
        "trigger": str(order.trigger_price or 0),
    }


def _instrument(row: Row) -> InstrumentId:
    return InstrumentId("NSE", row.text("symbol"))


def _moment(row: Row, key: str) -> datetime:
    return datetime.fromisoformat(row.text(key)).astimezone(MARKET_ZONE)


def _order(row: Row) -> BrokerOrder:
    state = row.text("state")
    return BrokerOrder(
        broker_order_id=row.text("id"),
        instrument=_instrument(row),
        side=Side(row.text("side")),
        product=Product(row.text("product")),
        order_type=OrderType(row.text("kind")),
        quantity=row.whole("quantity"),
        filled_quantity=row.whole("filled"),
        average_price=row.number("average"),
        status=_STATUSES.get(state, BrokerStatus.WORKING),
        has_pending_request=state == "travelling",
        tag=row.maybe_text("tag"),
        limit_price=row.price("price"),
        trigger_price=row.price("trigger"),
        message=row.maybe_text("message") or "",
        placed_at=_moment(row, "at"),
    )


def _trade(row: Row) -> BrokerTrade:
    return BrokerTrade(
        trade_id=row.text("id"),
        broker_order_id=row.text("order"),
        instrument=_instrument(row),
        side=Side(row.text("side")),
        product=Product(row.text("product")),
        quantity=row.whole("quantity"),
        price=row.number("price"),
        traded_at=_moment(row, "at"),
    )


def _candle(row: Row) -> Candle:
    return Candle(
        start=_moment(row, "start"),
        open=row.number("open"),
        high=row.number("high"),
        low=row.number("low"),
        close=row.number("close"),
        volume=row.whole("volume"),
    )
