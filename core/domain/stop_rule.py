"""How a stop follows its position: to the entry price, then behind the best price (row R5).

The engine applies a rule at each look at prices. A stop only ever moves towards the price. It moves
by steps, for a broker lets an order be changed so many times a second and so often in its life
(facts/kite.md 10: 25 times).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

__all__ = ["MOVE_EVERY", "STEP", "StopRule", "moved_stop", "tighter"]

STEP = Decimal("0.0025")
"""A trailing stop moves by no less than this share of the price."""
MOVE_EVERY = timedelta(seconds=15)
"""And no sooner than this after it was last set."""
_PAISA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class StopRule:
    """When a stop moves; percents, None for never.

    Attributes:
        to_cost_at: From a profit of so much on the average price, the stop is at that price.
        trail_by: The stop follows the best price at this distance.
    """

    to_cost_at: Decimal | None = None
    trail_by: Decimal | None = None


def tighter(first: Decimal | None, second: Decimal | None, held: int) -> Decimal | None:
    """Return which of two stops is nearer to the price; None where there is none."""
    stops = [one for one in (first, second) if one is not None]
    return (max if held > 0 else min)(stops, default=None)


def moved_stop(
    rule: StopRule, *, held: int, cost: Decimal, stop: Decimal, last: Decimal
) -> Decimal | None:
    """Return where a stop belongs now; None where it stays.

    Args:
        rule: When it moves.
        held: Signed units.
        cost: Their average price, before charges.
        stop: Where it is.
        last: The last price; asked for at every price, the nearest of the answers is the one that
            belongs to the best price.
    """
    sign = 1 if held > 0 else -1
    candidates = []
    if (
        rule.to_cost_at is not None
        and cost
        and (last - cost) * sign * 100 >= cost * rule.to_cost_at
    ):
        candidates.append(cost)
    if rule.trail_by is not None:
        trailed = last * (1 - sign * rule.trail_by / 100)
        if (trailed - stop) * sign >= last * STEP:
            candidates.append(trailed)
    # Away from the price, so that it fires no earlier than asked.
    rounding = ROUND_FLOOR if sign > 0 else ROUND_CEILING
    found = [one.quantize(_PAISA, rounding) for one in candidates]
    best = (max if sign > 0 else min)(found, default=stop)
    is_nearer, is_behind = (best - stop) * sign > 0, (last - best) * sign > 0
    return best if is_nearer and is_behind else None
