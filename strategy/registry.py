"""The strategies there are.

A new one is a file beside this and two lines here, the import and the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.domain.target import Strategy
from strategy.moving_average_crossover import MovingAverageCrossover
from strategy.opening_range_breakout import OpeningRangeBreakout

__all__ = ["REGISTRY", "STRATEGIES"]

REGISTRY = f"{__name__}:STRATEGIES"
"""Where their processes find them."""

_ALL: tuple[Strategy, ...] = (
    OpeningRangeBreakout(),
    MovingAverageCrossover(),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {strategy.name: strategy for strategy in _ALL}
)
