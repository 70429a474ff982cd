"""Orders above the exchange's freeze quantity are sent in slices: how large each may be (row R3).

The limit is the master's figure. Where that has none, or the exchange has lowered it since, it is
learnt from what was refused today: the number that the refusal names, else half of what was sent.
An unknown limit is unknown: nothing is cut before something was refused. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.domain.identifiers import client_order_id
from core.domain.instrument import Instrument
from core.domain.order import Order, OrderState
from core.domain.outcome import Cause

__all__ = ["cut", "largest_order", "slices", "was_too_large"]


def slices(units: int, limit: int | None) -> tuple[int, ...]:
    """Return the quantities of the orders for so many units, the largest first."""
    if limit is None or units <= limit:
        return (units,) if units > 0 else ()
    whole, rest = divmod(units, limit)
    return (limit,) * whole + ((rest,) if rest else ())


def cut(intent: Order, sizes: Sequence[int], *, first: int = 1) -> list[Order]:
    """Return an intent's orders, one for each size; the attempt is part of their ids.

    Args:
        intent: An order of a run, for all of it.
        sizes: The slices.
        first: The attempt of the first slice.
    """
    request = intent.request
    leg = f"{request.instrument}|{request.product}|{intent.purpose}"
    found = []
    for attempt, size in enumerate(sizes, first):
        cid = client_order_id(intent.broker_id, intent.strategy, intent.run_id, leg, attempt)
        sliced = replace(request, client_order_id=cid, quantity=size)
        found.append(replace(intent, request=sliced, attempt=attempt))
    return found


def largest_order(known: Instrument | None, orders: Iterable[Order]) -> int | None:
    """Return the largest quantity of one order, in whole lots; None where none is known.

    Args:
        known: The instrument's row of the master, None where that has none.
        orders: Today's orders of the account in this instrument.
    """
    lot = known.lot_size if known is not None else 1
    limits = [_learnt(order, lot) for order in orders if was_too_large(order)]
    if known is not None and known.freeze_quantity:
        limits.append(_in_lots(known.freeze_quantity, lot))
    return min(limits, default=None)


def was_too_large(order: Order) -> bool:
    """Return whether the broker rejected an order because it was above the freeze quantity."""
    return order.state is OrderState.REJECTED and order.cause is Cause.FREEZE


def _learnt(order: Order, lot: int) -> int:
    """Return what a refusal says: always less than what was refused, and one lot at least."""
    refused = order.request.quantity
    named = order.largest or refused // 2
    # A figure may be the number that is refused and not the largest that is taken, so what was just
    # refused is never tried again.
    return _in_lots(min(named, refused - 1), lot)


def _in_lots(units: int, lot: int) -> int:
    return max(units // lot * lot, lot)
