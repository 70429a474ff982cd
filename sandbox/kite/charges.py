"""Kite's estimates of charges: for orders of the book (``/charges/orders``), and beside margins.

The figures are not rounded, but for the stamp duty: to whole rupees on ``/charges/orders``, down to
paise beside margins, as in the published replies of either. The protection fund is part of the
exchange's charge. GST is all integrated, as for a client outside the broker's state. An order is
charged by its product, whatever else was traded on the day, so that the contract note can say less.

Options are not listed by the simulated exchange, but their charges follow from the symbol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

from aiohttp import web

from sandbox.charge_rates import Kind
from sandbox.charges import Charges, charges_of, kind_of, venue_of
from sandbox.clock import IST
from sandbox.instruments import instruments
from sandbox.kite.apps import TARIFF
from sandbox.kite.order_fields import choice, decimal_of, key_of, order_list, text_fields, whole
from sandbox.kite.responses import KiteError, success
from sandbox.listing import find
from sandbox.world import World

__all__ = ["NO_CHARGES", "ChargeRoutes", "charges_beside_margin"]

_RUPEE, _PAISA = Decimal(1), Decimal("0.01")
_OPTION = re.compile(
    r"(?P<exchange>[NB]FO):(?P<name>.+?)\d\d([A-Z]{3}|[1-9OND]\d\d)\d+(\.\d+)?(CE|PE)"
)
_BSE_INDICES = frozenset({"SENSEX", "BANKEX"})


def _kind(key: str, product: str) -> Kind:
    instrument = find(key)
    if instrument is not None and not instrument.is_index:
        return kind_of(instrument, product)
    option = _OPTION.fullmatch(key)
    if option is not None and option["name"] in _underlyings(option["exchange"]):
        return Kind.OPTION
    raise KiteError("InputException", "Invalid `tradingsymbol`.")


def _underlyings(exchange: str) -> frozenset[str]:
    if exchange == "BFO":
        return _BSE_INDICES
    return frozenset(item.derivative_name for item in instruments() if item.future_lot)


def _estimate(world: World, form: Mapping[str, str], price: Decimal) -> Charges:
    key, product = key_of(form), choice(form, "product")
    quantity = whole(form, "quantity")
    if not quantity:
        raise KiteError("InputException", "Missing or empty field `quantity`.")
    return charges_of(
        TARIFF,
        world.clock.now().astimezone(IST).date(),
        venue=venue_of(form["exchange"]),
        kind=_kind(key, product),
        side=choice(form, "transaction_type"),
        value=quantity * price,
    )


def _shown(exact: Charges, round_duty: Callable[[Decimal], Decimal]) -> dict[str, Any]:
    charges = replace(exact, stamp_duty=round_duty(exact.stamp_duty))
    turnover = charges.exchange + charges.protection_fund + charges.clearing
    gst = float(charges.gst)
    return {
        "transaction_tax": float(charges.transaction_tax),
        "transaction_tax_type": "stt",
        "exchange_turnover_charge": float(turnover),
        "sebi_turnover_charge": float(charges.sebi),
        "brokerage": float(charges.brokerage),
        "stamp_duty": float(charges.stamp_duty),
        "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
        "total": float(charges.total),
    }


def _whole_rupees(duty: Decimal) -> Decimal:
    return duty.quantize(_RUPEE, ROUND_HALF_UP)


def _down_to_paise(duty: Decimal) -> Decimal:
    return duty.quantize(_PAISA, ROUND_DOWN)


NO_CHARGES: Mapping[str, Any] = _shown(Charges(), _whole_rupees) | {"transaction_tax_type": ""}
"""What stands where charges belong to no single order."""


def charges_beside_margin(world: World, form: Mapping[str, str], price: float) -> dict[str, Any]:
    """Return the ``charges`` of an order in a reply about margins."""
    return _shown(_estimate(world, form, Decimal(str(price))), _down_to_paise)


class ChargeRoutes:
    """The virtual contract note."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def orders(self, request: web.Request) -> web.Response:
        """Return the charges of each order of a list, which need not be in the book."""
        return success([self._row(item) for item in await order_list(request)])

    def _row(self, item: Mapping[str, Any]) -> dict[str, Any]:
        form = text_fields(item)
        for name in ("order_id", "variety", "order_type", "average_price"):
            if not form.get(name):
                raise KiteError("InputException", f"Missing or empty field `{name}`.")
        price = decimal_of(form, "average_price") or 0.0
        if price <= 0:
            raise KiteError("InputException", "Invalid `average_price`.")
        charges = _estimate(self._world, form, Decimal(str(price)))
        names = ("transaction_type", "tradingsymbol", "exchange", "variety", "product")
        return {
            **{name: form.get(name, "") for name in names},
            "order_type": choice(form, "order_type"),
            "quantity": whole(form, "quantity"),
            "price": price,
            "charges": _shown(charges, _whole_rupees),
        }
