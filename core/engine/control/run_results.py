"""What a run's orders on an account have brought, before charges and after them (row E1)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.domain.order import Order, Side
from core.domain.truth import Key, key_of
from core.engine.orders.results import charges_of_close

__all__ = ["result_of_run"]


def result_of_run(
    orders: Sequence[Order], today: Sequence[Order]
) -> tuple[Decimal | None, Decimal | None]:
    """Return the result of what a run has closed, and its charges.

    Args:
        orders: The run's orders on one account.
        today: The account's orders of the same day.

    Returns:
        Rupees before charges, None when the run has closed nothing; the charges of opening and
        closing these units, None when they are not known.
    """
    closing: dict[tuple[str, Key, Side], list[Order]] = {}
    for one in orders:
        if one.realised is not None:
            place = (one.strategy, key_of(one), one.request.side)
            closing.setdefault(place, []).append(one)
    result, charges = Decimal(0), Decimal(0)
    known = True
    for (strategy, key, side), closed in closing.items():
        taken = sum((one.realised or Decimal(0) for one in closed), Decimal(0))
        units = sum(one.filled_quantity for one in closed)
        value = sum((one.filled_quantity * one.average_price for one in closed), Decimal(0))
        # What is taken is the price less the average, for a sale; the other way round for a buy.
        average = (value + side.sign * taken) / units
        first = min(one.created_at for one in closed)
        own = [
            one
            for one in today
            if one.strategy == strategy and key_of(one) == key and one.created_at <= first
        ]
        cost = charges_of_close(closed, own, average)
        known = known and cost is not None
        result, charges = result + taken, charges + (cost or Decimal(0))
    return (result if closing else None), (charges if known and closing else None)
