"""Order placement, modification and cancellation: Fyers' own checks, then the exchange.

What the API refuses outright (-50, -300, -310, -392) leaves no order. What the risk system refuses
(margin, holding) leaves a rejected one, and the answer is -99 with its id. Market orders are sent
on as limit orders about the last price, stop orders become limit orders about their trigger once
it is touched, so both may rest.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox import orders as words
from sandbox.fyers.middleware import BROKER, Caller
from sandbox.fyers.order_requests import (
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    ModifyRequest,
    PlaceRequest,
)
from sandbox.fyers.responses import FyersError, ok
from sandbox.fyers.serializers import ORDER_TYPES, PRODUCTS
from sandbox.fyers.symbols import find_symbol
from sandbox.instruments import Instrument
from sandbox.orders import NewOrder, Order, Refused
from sandbox.world import World

__all__ = ["OrderService", "Placed", "placed_answer", "probe"]

MAX_SLICES = 10
EXCHANGE_CHOOSES = -1.0
_FINISHED = {words.CANCELLED: -161, words.COMPLETE: -162, words.REJECTED: -164}


@dataclass(frozen=True)
class Placed:
    """A placed order, or what is known of it: `order` is None where a fault swallowed it."""

    order: Order | None
    is_acknowledged: bool = True


class OrderService:
    """Takes order writes of one caller at a time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def place(self, request: web.Request, caller: Caller, requested: PlaceRequest) -> Placed:
        """Place one order.

        Raises:
            FyersError: It was refused, with or without a row in the order@@portfolio.
        """
        instrument = self._tradable(requested.symbol)
        self._check(requested, instrument)
        new = self._new_order(caller, requested)
        known = {
            "api_key": caller.app.api_key,
            "user_id": caller.user.user_id,
            "tag": requested.tag or "",
            "symbol": requested.symbol,
        }
        faults = self._world.faults
        silent = faults.take(BROKER, {"code_201"}, request, known)
        if silent is not None and not silent.options.get("effect", True):
            return Placed(None, is_acknowledged=False)
        effects = faults.take_order_effects(BROKER, request, requested.quantity, known)
        order_id = self._world.exchange.new_order_id(BROKER)
        try:
            order = self._world.exchange.submit(new, effects, order_id)
        except Refused as refused:
            raise self._refusal(new, refused, order_id) from refused
        return Placed(order, is_acknowledged=silent is None)

    def slices(self, requested: PlaceRequest) -> list[int]:
        """Return the quantities into which an order is cut when it exceeds the freeze quantity."""
        instrument = self._tradable(requested.symbol)
        if not requested.is_sliced or requested.quantity <= instrument.freeze_quantity:
            return [requested.quantity]
        _check_lot(requested.quantity, instrument)
        whole, rest = divmod(requested.quantity, instrument.largest_order)
        parts = [instrument.largest_order] * whole + ([rest] if rest else [])
        if len(parts) > MAX_SLICES:
            raise FyersError(-310, f"Quantity needs more than {MAX_SLICES} slices")
        return parts

    def modify(self, caller: Caller, change: ModifyRequest) -> Order:
        """Alter a working order.

        Raises:
            FyersError: It is unknown, finished, or the new values are wrong.
        """
        order = self._own(caller, change.order_id)
        instrument = self._world.market.find(order.symbol)
        if instrument is not None:
            _check_lot(change.quantity or instrument.lot_size, instrument)
            _check_freeze(change.quantity or 0, instrument)
            _check_tick(change.limit_price or Decimal(), instrument)
            _check_tick(change.stop_price or Decimal(), instrument)
        wanted = words.Change(
            quantity=change.quantity,
            price=_optional(change.limit_price) if change.kind in {LIMIT, STOP_LIMIT} else None,
            trigger_price=_optional(change.stop_price)
            if change.kind in {STOP, STOP_LIMIT}
            else None,
            order_type=ORDER_TYPES[change.kind],
            disclosed_quantity=change.disclosed_quantity,
            protection=EXCHANGE_CHOOSES if change.kind == MARKET else None,
        )
        try:
            return self._world.exchange.modify(order.order_id, wanted)
        except Refused as refused:
            if refused.kind == "margin":
                text = self._shortfall(order.account, order)
                raise FyersError(-99, text, extra={"id": order.order_id}) from refused
            raise FyersError(-163, refused.message, extra={"id": order.order_id}) from refused

    def cancel(self, caller: Caller, order_id: str) -> Order:
        """Cancel a working order.

        Raises:
            FyersError: It is unknown or finished.
        """
        order = self._own(caller, order_id)
        try:
            return self._world.exchange.cancel(order.order_id)
        except Refused as refused:
            raise FyersError(-99, refused.message, extra={"id": order.order_id}) from refused

    def margin(self, caller: Caller, requests: list[PlaceRequest]) -> dict[str, float]:
        """Return the money at hand and what some orders would need."""
        for requested in requests:
            self._check(requested, self._tradable(requested.symbol))
        portfolio = self._world.exchange.portfolio(BROKER, caller.user.user_id)
        needed = sum(portfolio.required(probe(self._new_order(caller, item))) for item in requests)
        money = portfolio.funds()
        return {
            "margin_avail": round(money.net, 2),
            "margin_total": round(money.used + needed, 2),
            "margin_new_order": round(needed, 2),
        }

    def _tradable(self, symbol: str) -> Instrument:
        instrument = find_symbol(symbol, self._world.clock.now().date())
        if instrument is None or instrument.is_index:
            raise FyersError(-300, "Please provide a valid symbol")
        return instrument

    def _check(self, requested: PlaceRequest, instrument: Instrument) -> None:
        _check_lot(requested.quantity, instrument)
        if not requested.is_sliced:
            _check_freeze(requested.quantity, instrument)
        for price in (requested.limit_price, requested.stop_price):
            _check_tick(price, instrument)
        if not requested.is_offline and not self._world.market.is_open(instrument):
            raise FyersError(-99, "RED:Market is closed, place an offline order")

    def _own(self, caller: Caller, order_id: str) -> Order:
        order = self._world.exchange.order(order_id)
        if order is None or order.account != (BROKER, caller.user.user_id):
            raise FyersError(-51, "Please provide a valid order id")
        if order.is_terminal:
            code = _FINISHED.get(order.status, -99)
            text = f"Order is already {order.status.lower()}"
            raise FyersError(code, text, extra={"id": order.order_id})
        return order

    def _new_order(self, caller: Caller, requested: PlaceRequest) -> NewOrder:
        is_limit = requested.kind in {LIMIT, STOP_LIMIT}
        is_stop = requested.kind in {STOP, STOP_LIMIT}
        instrument = self._tradable(requested.symbol)
        return NewOrder(
            account=(BROKER, caller.user.user_id),
            api_key=caller.app.api_key,
            symbol=instrument.key,
            side="BUY" if requested.side > 0 else "SELL",
            quantity=requested.quantity,
            product=PRODUCTS[requested.product],
            order_type=ORDER_TYPES[requested.kind],
            price=float(requested.limit_price) if is_limit else 0.0,
            trigger_price=float(requested.stop_price) if is_stop else 0.0,
            validity=requested.validity,
            disclosed_quantity=requested.disclosed_quantity,
            protection=EXCHANGE_CHOOSES if requested.kind in {MARKET, STOP} else None,
            tag=requested.tag,
            after_market=requested.is_offline,
            extra={
                "id_fyers": str(uuid.uuid4()),
                "offline": requested.is_offline,
                "stopLoss": float(requested.stop_loss),
                "takeProfit": float(requested.take_profit),
            },
        )

    def _refusal(self, new: NewOrder, refused: Refused, order_id: str) -> FyersError:
        if refused.kind not in {"margin", "holding"}:
            return FyersError(-99, f"RED:{refused.message}")
        if refused.kind == "margin":
            text = self._shortfall(new.account, probe(new))
        else:
            text = f"RED:Holding Shortfall:{refused.message} for C-{new.account[1]}"
        order = self._world.exchange.reject(new, text, order_id)
        return FyersError(-99, text, extra={"id": order.order_id})

    def _shortfall(self, account: tuple[str, str], order: Order) -> str:
        portfolio = self._world.exchange.portfolio(*account)
        available = portfolio.funds().net
        missing = portfolio.required(order) - available
        return (
            f"RED:Margin Shortfall:INR {missing:,.2f} Available:INR {available:,.2f} "
            f"for C-{account[1]} [FYERS_RISK_CUG]"
        )


def probe(new: NewOrder) -> Order:
    """Return an order that exists nowhere, to ask what it would need."""
    return Order(
        order_id="",
        broker=new.account[0],
        user_id=new.account[1],
        api_key=new.api_key,
        symbol=new.symbol,
        side=new.side,
        quantity=new.quantity,
        product=new.product,
        order_type=new.order_type,
        price=new.price,
        trigger_price=new.trigger_price,
        validity=new.validity,
        tag=new.tag,
        placed_at="",
        arrived_at="",
        accepted_real=0.0,
    )


def placed_answer(placed: Placed) -> Mapping[str, Any]:
    """Return the answer to a placed order: 1101 with its id, or 201 without."""
    if placed.order is None or not placed.is_acknowledged:
        return ok(201, "Order sent to the exchange, awaiting acknowledgement")
    order_id = placed.order.order_id
    text = f"Order submitted successfully. Your Order Ref. No.{order_id}"
    return ok(1101, text, id=order_id)


def _optional(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


def _check_lot(quantity: int, instrument: Instrument) -> None:
    if quantity % instrument.lot_size:
        raise FyersError(-310, f"Quantity should be in multiples of {instrument.lot_size}")


def _check_freeze(quantity: int, instrument: Instrument) -> None:
    if quantity > instrument.freeze_quantity:
        limit = instrument.freeze_quantity
        raise FyersError(-310, f"Quantity is above the freeze quantity of {limit}")


def _check_tick(price: Decimal, instrument: Instrument) -> None:
    tick = Decimal(str(instrument.tick_size))
    if price % tick:
        raise FyersError(-392, f"Price should be in multiples of tick size {tick}")
