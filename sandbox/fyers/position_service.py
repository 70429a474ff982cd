"""Exits and conversions of positions: which positions a body selects, and the counter orders.

An exit is a set of market orders, converted to protected limits like any other, so a fill is not
certain: 200 says that all of them filled at once, 201 that some still work. An empty body, or one
that names nothing, means everything.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox import orders as words
from sandbox.clock import real_now
from sandbox.fyers.middleware import BROKER, Caller
from sandbox.fyers.order_requests import MARKET, PlaceRequest, as_bool, as_int, as_price, invalid
from sandbox.fyers.order_service import OrderService
from sandbox.fyers.responses import FyersError, ok
from sandbox.fyers.serializers import PRODUCTS, position_id
from sandbox.fyers.symbols import find_symbol, segment_number
from sandbox.ledger import Draft
from sandbox.listing import find
from sandbox.orders import Order, Refused
from sandbox.world import World

__all__ = ["DRAFTS", "ExitPlan", "PositionService", "plan_exit"]

DRAFTS = "fyers_drafts"
PATIENCE_S = 0.5
_BEAT_S = 0.01
_NAMES = {kept: name for name, kept in PRODUCTS.items()}


@dataclass(frozen=True)
class ExitPlan:
    """Counter orders to place and working orders to cancel."""

    counters: list[PlaceRequest]
    cancels: list[Order]

    def drafts(self, api_key: str) -> list[Draft]:
        """Return the plan in the ledger's words."""
        placed = [
            Draft(
                broker=BROKER,
                api_key=api_key,
                action="place",
                symbol=requested.symbol,
                side="BUY" if requested.side > 0 else "SELL",
                quantity=requested.quantity,
                order_type="MARKET",
                product=requested.product,
            )
            for requested in self.counters
        ]
        cancelled = [
            Draft(
                broker=BROKER,
                api_key=api_key,
                action="cancel",
                tag=order.tag,
                symbol=ticker_of(order.symbol),
                broker_order_id=order.order_id,
            )
            for order in self.cancels
        ]
        return cancelled + placed


def plan_exit(world: World, caller: Caller, body: Mapping[str, Any]) -> ExitPlan:
    """Return what a body of `DELETE /positions` means right now.

    Raises:
        FyersError: An id names no position (-53).
    """
    portfolio = world.exchange.portfolio(BROKER, caller.user.user_id)
    positions = {position_id(item.symbol, item.product): item for item in portfolio.positions()}
    ids = _ids(body)
    if ids is not None and any(item not in positions for item in ids):
        raise FyersError(-53, "Please provide a valid position id")
    chosen = {
        key: item
        for key, item in positions.items()
        if (ids is None or key in ids) and _passes(body, item.symbol, item.quantity, item.product)
    }
    counters = [
        _counter(item.symbol, item.product, item.quantity)
        for item in chosen.values()
        if item.quantity
    ]
    cancels: list[Order] = []
    if as_bool(body, "pending_orders_cancel"):
        for order in portfolio.working():
            key = position_id(order.symbol, order.product)
            if (ids is None or key in ids) and _passes(
                body, order.symbol, order.sign, order.product
            ):
                cancels.append(order)
    return ExitPlan(counters, cancels)


class PositionService:
    """Executes exits and conversions."""

    def __init__(self, world: World, order_service: OrderService) -> None:
        self._world = world
        self._order_service = order_service

    async def close(
        self, request: web.Request, caller: Caller, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Close positions with market orders and wait a moment for their fills.

        Raises:
            FyersError: There is nothing to close (-352), or a counter order was refused.
        """
        plan = plan_exit(self._world, caller, body)
        if not plan.counters and not plan.cancels:
            raise FyersError(-352, "No open positions to exit")
        placed: list[Order] = []
        try:
            for order in plan.cancels:
                if not order.is_terminal:
                    self._world.exchange.cancel(order.order_id)
            for requested in plan.counters:
                done = self._order_service.place(request, caller, requested)
                if done.order is not None:
                    placed.append(done.order)
        finally:
            self._note(request, caller, plan, placed)
        if await self._all_filled(placed):
            return ok(200, "The position is closed.")
        return ok(201, "Looks like your order to exit the position is pending.")

    def convert(self, caller: Caller, body: Mapping[str, Any]) -> dict[str, Any]:
        """Move a position from one product to another.

        Raises:
            FyersError: A field is wrong, or there is no such position.
        """
        for name in ("symbol", "positionSide", "convertQty", "convertFrom", "convertTo"):
            if body.get(name) is None:
                raise invalid(f"Invalid input: {name} is required")
        old, new = str(body["convertFrom"]), str(body["convertTo"])
        if old not in PRODUCTS or new not in PRODUCTS or old == new:
            raise invalid("Invalid input: convertFrom and convertTo")
        ticker = str(body["symbol"]).removesuffix(f"-{old}")
        instrument = find_symbol(ticker, self._world.clock.now().date())
        if instrument is None:
            raise FyersError(-53, "Please provide a valid position id")
        signed = as_int(body, "convertQty") * as_int(body, "positionSide")
        account = (BROKER, caller.user.user_id)
        try:
            self._world.exchange.convert(
                account, instrument.key, signed, PRODUCTS[old], PRODUCTS[new]
            )
        except Refused as refused:
            raise invalid(refused.message) from refused
        return ok(200, "Position converted", positionDetails=1101)

    def _note(
        self, request: web.Request, caller: Caller, plan: ExitPlan, placed: list[Order]
    ) -> None:
        """Complete the ledger entries of this exit, which were made when it was received."""
        ledger = self._world.ledger
        received: list[Draft | None] = list(request.get(DRAFTS, []))
        done = [order.order_id for order in plan.cancels] + [order.order_id for order in placed]
        for draft, order_id in zip(plan.drafts(caller.app.api_key), done, strict=False):
            if draft in received:
                index = received.index(draft)
                received[index] = None
                ledger.applied(request, order_id, index)
            else:
                seq = ledger.record(draft, request.method, request.remote or "")
                ledger.complete(seq, order_id)

    async def _all_filled(self, placed: list[Order]) -> bool:
        deadline = real_now() + PATIENCE_S
        while real_now() < deadline:
            self._world.exchange.advance()
            if all(order.is_terminal for order in placed):
                break
            await asyncio.sleep(_BEAT_S)
        return all(order.status == words.COMPLETE for order in placed)


def ticker_of(symbol: str) -> str:
    """Return the symbol ticker of an exchange symbol."""
    return position_id(symbol, "CNC").removesuffix("-CNC")


def _ids(body: Mapping[str, Any]) -> list[str] | None:
    wanted = body.get("id")
    if wanted is None:
        return None
    return [str(item) for item in wanted] if isinstance(wanted, list) else [str(wanted)]


def _passes(body: Mapping[str, Any], symbol: str, quantity: int, product: str) -> bool:
    instrument = find(symbol)
    tests: tuple[tuple[str, object], ...] = (
        ("segment", segment_number(instrument) if instrument else None),
        ("side", (quantity > 0) - (quantity < 0)),
        ("productType", _NAMES[product]),
    )
    for name, value in tests:
        wanted = body.get(name)
        if wanted is None:
            continue
        if value not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _counter(symbol: str, product: str, quantity: int) -> PlaceRequest:
    zero = as_price({}, "")
    return PlaceRequest(
        symbol=ticker_of(symbol),
        quantity=abs(quantity),
        kind=MARKET,
        side=-1 if quantity > 0 else 1,
        product=_NAMES[product],
        limit_price=zero,
        stop_price=zero,
        validity="DAY",
        disclosed_quantity=0,
        is_offline=False,
        stop_loss=zero,
        take_profit=zero,
        tag=None,
        is_sliced=False,
    )
