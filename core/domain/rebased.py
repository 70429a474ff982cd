"""Whether a stop is of prices before a split, a bonus or the like (row R7, decision 0047). Pure.

Over night such an event puts prices on another scale: a share at 2,975 is at 595 in the morning,
and the previous close that the exchange names is 595 as well. A stop at 2,830 then looks like one
that the price is through, and closing by it would sell what lost nothing.
"""

from __future__ import annotations

from decimal import Decimal

from core.domain.money import rupees

__all__ = ["is_of_other_scale", "why_not_closed"]

_FARTHEST = Decimal("0.10")
"""How far beyond its stop a share may have closed that was not stopped out: with the closing
auction that is 3 % (facts/kite.md 12)."""


def is_of_other_scale(trigger: Decimal, held: int, previous_close: Decimal) -> bool:
    """Return whether a stop that was carried over night cannot be of today's prices.

    Args:
        trigger: Set on an earlier day, and not hit on it.
        held: Signed units that it protects.
        previous_close: The last session's close, as the exchange names it today.
    """
    if trigger <= 0 or previous_close <= 0:
        return False
    beyond = (trigger - previous_close) * (1 if held > 0 else -1)
    return beyond > trigger * _FARTHEST


def why_not_closed(trigger: Decimal, previous_close: Decimal) -> str:
    """Return why nothing is closed by such a stop, a sentence without its full stop."""
    return (
        f"its stop at {rupees(trigger)} is of other prices, for the last close is today "
        f"{rupees(previous_close)}: a split or a bonus? I close nothing by it, look at price and "
        "quantity"
    )
