"""Opposite strategies on one instrument: what both want closed is crossed without the broker.

One holds +10 and another -4: the broker holds 6. When both want flat, orders for 10 and 4 would
trade 14 units to close 6, and in EXIT_ONLY neither shrinks what the broker holds. Decision 0015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from core.domain.ledger import Ledger, with_transfer

__all__ = ["crossed", "surplus"]


def surplus(wanted: int, held: int) -> int:
    """Return the signed units of a ledger beyond what is wanted of it."""
    keep = wanted if wanted * held > 0 else 0
    return held - keep if abs(held) > abs(keep) else 0


def crossed(
    ledgers: Sequence[Ledger], wanted: Mapping[str, int], price: Decimal, day: str
) -> tuple[list[Ledger], int]:
    """Cross the ledgers of one (instrument, product) as far as opposite ones are to be closed.

    Args:
        ledgers: The strategies' ledgers.
        wanted: Goals by ledger key; a ledger without one is left alone.
        price: At which both sides are settled; it moves profit between them, and makes none.
        day: The trading day.

    Returns:
        The ledgers that change, as they are afterwards, and how many units were crossed.
    """
    free = {one.key: surplus(wanted[one.key], one.quantity) for one in ledgers if one.key in wanted}
    long = sum(units for units in free.values() if units > 0)
    short = -sum(units for units in free.values() if units < 0)
    units = min(long, short)
    left = {1: units, -1: units}
    changed = []
    for one in ledgers if units else ():
        sign = 1 if one.quantity > 0 else -1
        take = min(left[sign], abs(free.get(one.key, 0)))
        if take:
            left[sign] -= take
            changed.append(with_transfer(one, -sign * take, price, day))
    return changed, units
