"""What a strategy decided, checked: it is somebody's code, and money follows from it (row D1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.domain.instrument import InstrumentId
from core.domain.stop_rule import StopRule
from core.domain.target import Direction, Target

__all__ = ["checked_targets"]

_HIGHEST, _PLACES = Decimal(100_000_000), 6
"""Beyond any price of an exchange, and far from where a calculation with prices overflows."""


def checked_targets(found: Sequence[Any], asked: Collection[InstrumentId]) -> Sequence[Target]:
    """Return the targets of a decision.

    Raises:
        ValueError: One is malformed, names what was not asked for, or comes twice.
    """
    targets: dict[InstrumentId, Target] = {}
    for one in found:
        if not isinstance(one, Target):
            raise ValueError(  # noqa: TRY004 - one kind of error, whatever is wrong
                f"found a {type(one).__name__}; expected a Target"
            )
        name = one.instrument
        if name not in asked:
            raise ValueError(f"found a target of {name}; expected one of what it trades")
        if name in targets:
            raise ValueError(f"found two targets of {name}; expected one")
        if trouble := _trouble(one):
            raise ValueError(f"{name}: {trouble}")
        targets[name] = one
    return tuple(targets.values())


def _trouble(target: Any) -> str:
    """Return what is wrong with a target's values, or ''; a type may be lied about."""
    signal_at, stop = target.signal_at, target.stop_price
    if not isinstance(target.direction, Direction):
        return f"found the direction {target.direction!r}; expected LONG, SHORT or FLAT"
    if not isinstance(signal_at, datetime) or signal_at.tzinfo is None:
        return f"found signal_at {signal_at!r}; expected a time with its zone"
    if stop is not None and not _is_positive(stop):
        return f"found the stop price {stop}; expected a price in rupees"
    if not isinstance(target.reason, str):
        return f"found the reason {target.reason!r}; expected a text"
    rule = target.stop_rule
    if rule is None:
        return ""
    percents = (rule.to_cost_at, rule.trail_by) if isinstance(rule, StopRule) else (rule,)
    if not all(one is None or _is_positive(one) for one in percents):
        return f"found the stop rule {rule}; expected percents"
    return ""


def _is_positive(value: object) -> bool:
    """Return whether this is a number that can be reckoned with."""
    if not isinstance(value, Decimal) or not value.is_finite():
        return False
    return 0 < value < _HIGHEST and value.adjusted() >= -_PLACES
