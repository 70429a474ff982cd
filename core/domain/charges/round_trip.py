"""The charges of a position from its opening to its end, as they stand beside its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from core.domain.charges.account import charges_of
from core.domain.charges.amounts import Charges
from core.domain.charges.kinds import Execution, closing_execution
from core.domain.charges.rates import Rates

__all__ = ["newest", "round_trip_charges"]


def round_trip_charges(
    closing: Iterable[Execution],
    opening: Iterable[Execution],
    average_price: Decimal,
    broker: str,
    day: date,
    rates: Rates | None = None,
) -> Charges:
    """Return what opening and closing some units cost.

    Args:
        closing: What closed them, of one instrument and one side, at least one.
        opening: What the day bought (or sold short) of it, oldest first. The newest count, as many
            units as were closed; what they lack was carried into the day.
        average_price: What the units had cost on average. Carried ones are charged at it, as one
            order at today's rates, and not as bought and sold on one day.
        broker: The name of the broker.
        day: The day of the close.
        rates: Other rates than the committed ones.
    """
    closed = list(closing)
    units = sum(one.quantity for one in closed)
    opened = newest(list(opening), units)
    charges = charges_of([*opened, *closed], broker, day, rates)
    carried = units - sum(one.quantity for one in opened)
    if not carried:
        return charges
    first = closed[0]
    held = carried * first.side.sign
    bought = closing_execution(first.instrument, first.product, held, average_price)
    return charges + charges_of([bought], broker, day, rates)


def newest(executions: Sequence[Execution], units: int) -> list[Execution]:
    """Return the newest executions that make so many units, the oldest of them in part."""
    found = []
    for one in reversed(executions):
        taken = min(one.quantity, units)
        if taken:
            found.append(replace(one, quantity=taken))
        units -= taken
    return found[::-1]
