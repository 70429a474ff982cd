"""How many units a target means on one account (product.md D4)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from core.domain.views import SizeKind

__all__ = ["units_for"]

_PERCENT = Decimal(100)


def units_for(
    kind: SizeKind,
    value: Decimal,
    multiplier: Decimal,
    *,
    price: Decimal,
    capital: Decimal | None,
    lot_size: int,
) -> int:
    """Return the unsigned size of a position, rounded down to whole lots.

    Args:
        kind: Fixed quantity, or share of capital.
        value: Units, or percent of capital.
        multiplier: Applied to either.
        price: Rupees a unit, for a share of capital.
        capital: Rupees, without leverage; None when it is not known.
        lot_size: Units.

    Returns:
        Units; 0 when the share does not buy one lot or the capital is not known.
    """
    if kind is SizeKind.QUANTITY:
        units = value * multiplier
    elif capital is None or price <= 0:
        return 0
    else:
        units = capital * value / _PERCENT * multiplier / price
    # Down, never to the nearest: a size is an upper bound of what the user agreed to.
    lots = (units / lot_size).to_integral_value(rounding=ROUND_DOWN)
    return max(0, int(lots)) * lot_size
