"""A paper account as the engine sees it: the same ports as any broker's account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from core.adapters.paper.book import PaperOrder, PaperPosition, Share, executed
from core.adapters.paper.desk import Desk
from core.adapters.paper.money import available, used
from core.adapters.paper.quotes import Quotes
from core.adapters.paper.state import State
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
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import NotSent, WriteOutcome
from core.errors import BrokerReadError, ReadFault, StoreError
from core.ports.broker import MarketDataSource
from core.ports.price_stream import PriceStream
from core.ports.updates import OrderUpdates

__all__ = ["PaperClient"]

_PRICE_S = 5.0
_ZERO = Decimal(0)


class PaperClient:
    """A ``BrokerClient`` without a connection: a desk, and the data account's prices."""

    def __init__(
        self,
        desk: Desk,
        quotes: Quotes,
        source: MarketDataSource,
        master: Mapping[InstrumentId, Instrument],
    ) -> None:
        self._desk = desk
        self._quotes = quotes
        self._source = source
        self._master = master

    async def place(self, order: OrderRequest) -> WriteOutcome:
        """Take one order."""
        if not self._master:
            return NotSent("the list of instruments is not there yet")
        return await self._desk.place(order)

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        """Change a working order."""
        if not self._master:
            return NotSent("the list of instruments is not there yet")
        return await self._desk.modify(broker_order_id, order)

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        """Cancel a working order."""
        return await self._desk.cancel(broker_order_id)

    async def orders(self) -> Sequence[BrokerOrder]:
        """Return the day's orders."""
        found = (await self._read()).orders.values()
        return [_order(one) for one in sorted(found, key=lambda order: order.order_id)]

    async def trades(self) -> Sequence[BrokerTrade]:
        """Return the day's executions."""
        return [
            BrokerTrade(
                fill.trade_id,
                order.order_id,
                order.instrument,
                order.side,
                order.product,
                fill.quantity,
                fill.price,
                fill.at,
            )
            for order, fill in executed((await self._read()).orders.values())
        ]

    async def positions(self) -> Sequence[Position]:
        """Return positions at the last prices that can be had."""
        state = await self._priced()
        return [_position(one) for one in state.book.places.values()]

    async def holdings(self) -> Sequence[Holding]:
        """Return delivery shares."""
        book = (await self._priced()).book
        found = []
        for share in book.shares.values():
            place = book.place((share.instrument, Product.CNC))
            found.append(_holding(share, max(0, -place.quantity), self._master))
        return found

    async def funds(self) -> Funds:
        """Return the account's money."""
        state = await self._priced()
        working, known = state.working, self._master.get
        free = max(_ZERO, available(state.book, working, known))
        return Funds(free, used(state.book, working, known), state.book.opening)

    async def profile(self) -> Profile:
        """Return whose account it is: nobody's."""
        return Profile(self._desk.broker_id, "")

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return the data account's quotes, of what is in the list."""
        return await self._source.quotes([one for one in instruments if one in self._master])

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return the data account's bars."""
        if instrument not in self._master:
            raise BrokerReadError(ReadFault.REFUSED, f"{instrument} is not in the list")
        return await self._source.candles(instrument, start=start, end=end, minutes=minutes)

    def updates(self) -> OrderUpdates | None:
        """Return nothing: the day's orders are at hand."""
        return None

    def prices(self) -> PriceStream | None:
        """Return nothing: prices come from the data account."""
        return None

    async def warm(self) -> None:
        """Do nothing: there is no connection."""

    async def logout(self) -> None:
        """Do nothing: there is no login."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""

    async def _read(self) -> State:
        try:
            return await self._desk.read()
        except StoreError as error:
            raise BrokerReadError(ReadFault.UNREACHABLE, str(error)) from error

    async def _priced(self) -> State:
        """Return the books at prices of now; at the last that were seen where none can be had."""
        state = await self._read()
        held = {one.instrument for one in state.book.places.values() if one.quantity}
        names = held | set(state.book.shares)
        quotes: Mapping[InstrumentId, Quote] = {}
        if names:
            try:
                quotes = await self._quotes.of(names, _PRICE_S)
            except BrokerReadError:
                quotes = self._quotes.at_hand(names)
        state.book = state.book.marked(
            lambda name: quotes[name].last_price if name in quotes else None
        )
        return state


def _order(order: PaperOrder) -> BrokerOrder:
    is_stop = order.order_type in {OrderType.SL, OrderType.SL_M}
    return BrokerOrder(
        broker_order_id=order.order_id,
        instrument=order.instrument,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        status=order.status,
        tag=order.tag,
        exchange_order_id=order.order_id,
        limit_price=order.limit_price or order.bound,
        trigger_price=order.trigger_price,
        message=order.message,
        placed_at=order.placed_at,
        cause=order.cause,
        is_triggered=order.is_triggered if is_stop else None,
        updated_at=order.updated_at,
    )


def _position(place: PaperPosition) -> Position:
    return Position(
        instrument=place.instrument,
        product=place.product,
        quantity=place.quantity,
        average_price=place.average_price,
        last_price=place.last_price,
        day_buy_quantity=place.bought,
        day_sell_quantity=place.sold,
        realised=place.realised,
        unrealised=place.unrealised,
        previous_close=place.previous_close,
        day_buy_value=place.bought_value,
        day_sell_value=place.sold_value,
    )


def _holding(share: Share, sold: int, master: Mapping[InstrumentId, Instrument]) -> Holding:
    known = master.get(share.instrument)
    return Holding(
        instrument=share.instrument,
        quantity=share.quantity - sold,
        t1_quantity=0,
        average_price=share.average_price,
        last_price=share.last_price,
        used_quantity=sold,
        isin=known.isin if known else "",
        names=frozenset({share.instrument}),
    )
