"""Kite's order writes: place, modify, cancel."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.accounts import Session
from sandbox.kite.middleware import APP, SESSION, identify
from sandbox.kite.order_fields import Form, choice, decimal_of, key_of, whole
from sandbox.kite.order_reads import find_order
from sandbox.kite.responses import NO_PROTECTION, STATUS, KiteError, refused, success
from sandbox.orders import Change, NewOrder, Order, Refused
from sandbox.sessions import takes_after_market_orders
from sandbox.world import World

__all__ = ["OrderRoutes"]

_VARIETIES = {"regular", "amo", "iceberg", "auction", "co"}
_SIMULATED = {"regular", "amo"}
_UNPRICED = {"MARKET", "SL-M"}
_TAG_LENGTH = 20
_MAX_SLICES = 10
_HIGHEST_PROTECTION = 100.0
_NO_AFTER_MARKET = "After market orders (AMO) are not accepted during market hours."


def _protection(form: Form) -> float | None:
    value = decimal_of(form, "market_protection")
    if value is not None and value != -1 and not 0 <= value <= _HIGHEST_PROTECTION:
        raise KiteError("InputException", "Invalid `market_protection`.")
    return value or None


class OrderRoutes:
    """The order routes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._exchange = world.exchange

    async def _form(self, request: web.Request) -> dict[str, str]:
        return {name: str(value) for name, value in (await request.post()).items()}

    def _new(self, request: web.Request, form: Form) -> NewOrder:
        app, session = request[APP], request[SESSION]
        variety = request.match_info["variety"]
        quantity = whole(form, "quantity")
        if quantity is None:
            raise KiteError("InputException", "Missing or empty field `quantity`.")
        if len(form.get("tag", "")) > _TAG_LENGTH:
            raise KiteError("InputException", f"Invalid `tag`. At most {_TAG_LENGTH} characters.")
        order_type, protection = choice(form, "order_type"), _protection(form)
        if order_type in _UNPRICED and protection is None:
            raise KiteError("InputException", NO_PROTECTION)
        extra: dict[str, Any] = {"variety": variety}
        if form.get("validity") == "TTL":
            extra["ttl_minutes"] = whole(form, "validity_ttl") or 1
        return NewOrder(
            account=("kite", session.user_id),
            api_key=app.api_key,
            symbol=key_of(form),
            side=choice(form, "transaction_type"),
            quantity=quantity,
            product=choice(form, "product"),
            order_type=order_type,
            price=0.0 if order_type in _UNPRICED else decimal_of(form, "price") or 0.0,
            trigger_price=decimal_of(form, "trigger_price") or 0.0,
            validity=choice(form, "validity", "DAY"),
            disclosed_quantity=whole(form, "disclosed_quantity") or 0,
            protection=protection,
            tag=form.get("tag") or None,
            after_market=variety == "amo",
            extra=extra,
        )

    async def place(self, request: web.Request) -> web.Response:
        """Take an order; success means that the broker has it, no more."""
        _check_variety(request.match_info["variety"])
        form = await self._form(request)
        new = self._new(request, form)
        self._check_after_market(new)
        known = dict(await identify(request))
        if form.get("autoslice", "").lower() == "true":
            return self._slice(request, new, known)
        effects = self._world.faults.take_order_effects("kite", request, new.quantity, known)
        order = self._exchange.submit(new, effects)
        self._world.ledger.applied(request, order.order_id)
        return success({"order_id": order.order_id})

    def _check_after_market(self, new: NewOrder) -> None:
        instrument = self._world.market.find(new.symbol)
        now = self._world.clock.now()
        if not new.after_market or instrument is None:
            return
        if not takes_after_market_orders(instrument.hours, now):
            raise KiteError("InputException", _NO_AFTER_MARKET)

    def _slice(self, request: web.Request, new: NewOrder, known: Mapping[str, str]) -> web.Response:
        """Place an order in slices of the freeze quantity; each slice succeeds or fails alone."""
        instrument = self._world.market.find(new.symbol)
        largest = instrument.largest_order if instrument else new.quantity
        if new.quantity > largest * _MAX_SLICES:
            raise KiteError("InputException", f"Quantity needs more than {_MAX_SLICES} slices.")
        parent = f"{1_960_000_000_000_000_000 + len(self._world.ledger.entries())}"
        children: list[dict[str, Any]] = []
        left = new.quantity
        while left > 0:
            extra = new.extra | {"tags": ["autoslice", f"autoslice:{parent}"]}
            part = NewOrder(**vars(new) | {"quantity": min(left, largest), "extra": extra})
            left -= part.quantity
            effects = self._world.faults.take_order_effects("kite", request, part.quantity, known)
            try:
                order = self._exchange.submit(part, effects)
            except Refused as error:
                children.append({"error": _child_error(error)})
            else:
                children.append({"order_id": order.order_id})
                self._world.ledger.applied(request, parent)
        return success({"order_id": parent, "children": children})

    async def modify(self, request: web.Request) -> web.Response:
        """Alter a working order."""
        form = await self._form(request)
        order = self._own(request)
        wanted = form.get("order_type")
        protection = _protection(form)
        if wanted is not None:
            choice(form, "order_type")
            if wanted in _UNPRICED and wanted != order.order_type and protection is None:
                raise KiteError("InputException", NO_PROTECTION)
        change = Change(
            quantity=whole(form, "quantity"),
            price=decimal_of(form, "price"),
            trigger_price=decimal_of(form, "trigger_price"),
            order_type=wanted,
            validity=form.get("validity"),
            disclosed_quantity=whole(form, "disclosed_quantity"),
            protection=protection,
        )
        self._exchange.modify(order.order_id, change)
        self._world.ledger.applied(request, order.order_id)
        return success({"order_id": order.order_id})

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel what has not filled."""
        order = self._own(request)
        self._exchange.cancel(order.order_id)
        self._world.ledger.applied(request, order.order_id)
        return success({"order_id": order.order_id})

    def _own(self, request: web.Request) -> Order:
        """Return the order named in the path, if the user has it and it is shown."""
        session: Session = request[SESSION]
        return find_order(request, self._exchange.visible_orders("kite", session.user_id))


def _check_variety(variety: str) -> None:
    if variety not in _VARIETIES:
        raise KiteError("InputException", "Invalid `variety`.")
    if variety not in _SIMULATED:
        raise KiteError("InputException", f"Variety `{variety}` is not simulated.")


def _child_error(error: Refused) -> dict[str, Any]:
    name = refused(error.kind, error.message).error_type
    return {"code": STATUS[name], "error_type": name, "message": error.message, "data": None}
