"""The order WebSocket `/trade/v3`: frames in the raw snake_case names that the SDK translates.

The handshake wants `authorization: APPID:TOKEN` and answers 403 without a live session. A client
subscribes with `SUB_ORD` and a list of `orders`, `trades`, `positions`; text `ping` gets `pong`.
Frames are of the whole account: orders that other apps of the same user placed come too.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.fyers.middleware import BROKER, FyersMiddleware
from sandbox.fyers.serializers import FyersSerializer
from sandbox.orders import Order
from sandbox.push_sockets import PushSocket
from sandbox.world import World

__all__ = ["OrderSocket"]

_ORDER = {
    "client_id": "clientId",
    "id": "id",
    "id_fyers": "id_fyers",
    "id_parent": "parentId",
    "id_exchange": "exchOrdId",
    "qty": "qty",
    "qty_remaining": "remainingQuantity",
    "qty_filled": "filledQty",
    "price_limit": "limitPrice",
    "price_stop": "stopPrice",
    "price_traded": "tradedPrice",
    "ord_type": "type",
    "fy_token": "fyToken",
    "exchange": "exchange",
    "segment": "segment",
    "symbol": "symbol",
    "instrument": "instrument",
    "oms_msg": "message",
    "offline_flag": "offlineOrder",
    "time_oms": "orderDateTime",
    "validity": "orderValidity",
    "product_type": "productType",
    "tran_side": "side",
    "org_ord_status": "status",
    "ord_source": "source",
    "symbol_exch": "ex_sym",
    "symbol_desc": "description",
    "ordertag": "orderTag",
    "take_profit": "takeProfit",
    "stop_loss": "stopLoss",
}
_TRADE = {
    "id_fill": "tradeNumber",
    "id": "orderNumber",
    "qty_traded": "tradedQty",
    "price_traded": "tradePrice",
    "traded_val": "tradeValue",
    "product_type": "productType",
    "client_id": "clientId",
    "id_exchange": "exchangeOrderNo",
    "ord_type": "orderType",
    "tran_side": "side",
    "symbol": "symbol",
    "fill_time": "orderDateTime",
    "fy_token": "fyToken",
    "exchange": "exchange",
    "segment": "segment",
    "ordertag": "orderTag",
}
_POSITION = {
    "symbol": "symbol",
    "id": "id",
    "buy_avg": "buyAvg",
    "buy_qty": "buyQty",
    "buy_val": "buyVal",
    "sell_avg": "sellAvg",
    "sell_qty": "sellQty",
    "sell_val": "sellVal",
    "net_avg": "netAvg",
    "net_qty": "netQty",
    "tran_side": "side",
    "qty": "qty",
    "product_type": "productType",
    "pl_realized": "realized_profit",
    "rbirefrate": "rbiRefRate",
    "fy_token": "fyToken",
    "exchange": "exchange",
    "segment": "segment",
    "day_buy_qty": "dayBuyQty",
    "day_sell_qty": "daySellQty",
    "cf_buy_qty": "cfBuyQty",
    "cf_sell_qty": "cfSellQty",
    "qty_multiplier": "qtyMulti_com",
    "pl_total": "pl",
    "cross_curr_flag": "crossCurrency",
    "pl_unrealized": "unrealized_profit",
}


class OrderSocket:
    """The open connections and the frames sent to them."""

    def __init__(self, world: World, access: FyersMiddleware, serializer: FyersSerializer) -> None:
        self._world = world
        self._access = access
        self._serializer = serializer
        self._queue: asyncio.Queue[tuple[Order, dict[str, Any]]] = asyncio.Queue()
        self._sent: set[str] = set()
        world.reset_hooks.append(self._sent.clear)

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Forward updates of the exchange for as long as the application runs."""
        self._world.exchange.listeners.append(self._on_order)
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send_all())
            yield
            self._world.exchange.listeners.remove(self._on_order)
            sender.cancel()

    async def close(self, _app: web.Application) -> None:
        """Close every connection when the application stops."""
        await self._world.sockets.close_all(BROKER)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        caller = self._access.find_caller(request)
        if caller is None:
            raise web.HTTPForbidden
        client = await self._world.sockets.open(request, caller.session)
        try:
            async for message in client.socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(client, message.data)
        finally:
            self._world.sockets.forget(client)
        return client.socket

    async def _answer(self, client: PushSocket, text: str) -> None:
        if text == "ping":
            await self._world.sockets.send(client, "pong")
            return
        try:
            asked = json.loads(text)
        except ValueError:
            asked = None
        topics = asked.get("SLIST") if isinstance(asked, dict) else None
        if not isinstance(topics, list) or asked.get("T") != "SUB_ORD":
            answer = {"code": -50, "message": "Invalid subscription", "s": "error"}
            await client.socket.send_json(answer)
            return
        if asked.get("SUB_T") == -1:
            for topic in topics:
                client.wants.pop(str(topic), None)
            answer = {"code": 1606, "message": "Successfully unsubscribed", "s": "ok"}
        else:
            client.wants |= dict.fromkeys(map(str, topics))
            answer = {"code": 1605, "message": "Successfully subscribed", "s": "ok"}
        await client.socket.send_json(answer)

    def _on_order(self, order: Order) -> None:
        if order.broker == BROKER:
            self._queue.put_nowait((order, self._serializer.order(order, 1)))

    async def _send_all(self) -> None:
        """Send queued updates; the portfolio is read here, never inside the exchange's own step."""
        while True:
            order, row = await self._queue.get()
            frames = [("orders", _named(row, _ORDER)), *self._trade_frames(order)]
            for client in self._world.sockets.of_user(BROKER, order.user_id):
                for topic, frame in frames:
                    if topic in client.wants and not client.socket.closed:
                        text = json.dumps({"s": "ok", topic: frame})
                        await self._world.sockets.send_order(client, text)

    def _trade_frames(self, order: Order) -> list[tuple[str, dict[str, Any]]]:
        portfolio = self._world.exchange.portfolio(BROKER, order.user_id)
        frames = []
        for trade in portfolio.trades():
            if trade.order_id == order.order_id and trade.trade_id not in self._sent:
                self._sent.add(trade.trade_id)
                row = self._serializer.trade(trade, order, 1)
                frames.append(("trades", _named(row, _TRADE) | {"id_fyers": ""}))
        if not frames:
            return []
        for position in portfolio.positions():
            if (position.symbol, position.product) == (order.symbol, order.product):
                row = self._serializer.position(position, 1)
                frames.append(("positions", _named(row, _POSITION)))
        return frames


def _named(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {raw: row[name] for raw, name in names.items()}
