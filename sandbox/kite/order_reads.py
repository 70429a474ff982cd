"""Kite's reads of orders: the day's orders, histories and trades."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox.account_reads import AccountReads, AccountView
from sandbox.accounts import Session
from sandbox.instruments import Instrument
from sandbox.kite.middleware import SESSION
from sandbox.kite.responses import KiteError, success
from sandbox.kite.serializers import history_rows, order_row, trade_row
from sandbox.orders import Order
from sandbox.world import World

__all__ = ["OrderReads", "find_order"]

_NOT_FOUND = "Couldn't find that `order_id`."


def find_order(request: web.Request, orders: Iterable[Order]) -> Order:
    """Return the order that the path names, if it is among those that the user sees."""
    wanted = request.match_info["order_id"]
    for order in orders:
        if order.order_id == wanted:
            return order
    raise KiteError("OrderException", _NOT_FOUND)


class OrderReads:
    """The routes that read orders."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._exchange = world.exchange
        self._reads = AccountReads(world, "kite")

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self._world.market.find(symbol)
        if instrument is None:
            raise KiteError("GeneralException", f"no instrument {symbol}")
        return instrument

    async def day(self, request: web.Request) -> web.Response:
        """List the day's orders of the user, of every app."""
        shown = self._view(request).orders()
        return success([order_row(order, self._instrument(order.symbol)) for order in shown])

    def _view(self, request: web.Request) -> AccountView:
        session: Session = request[SESSION]
        return self._reads.view(request, session.api_key, session.user_id)

    async def history(self, request: web.Request) -> web.Response:
        """List the states of one order."""
        order = find_order(request, self._view(request).orders())
        return success(history_rows(order, self._instrument(order.symbol)))

    async def trades(self, request: web.Request) -> web.Response:
        """List the day's trades."""
        return success(self._trade_rows(self._view(request)))

    async def order_trades(self, request: web.Request) -> web.Response:
        """List the trades of one order."""
        view = self._view(request)
        order = find_order(request, view.orders())
        rows = self._trade_rows(view)
        return success([row for row in rows if row["order_id"] == order.order_id])

    def _trade_rows(self, view: AccountView) -> list[dict[str, Any]]:
        rows = []
        for trade in view.trades():
            order = self._exchange.order(trade.order_id)
            if order is not None:
                rows.append(trade_row(trade, order, self._instrument(trade.symbol)))
        return rows
