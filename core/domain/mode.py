"""Trading modes and which is the stricter (product.md C)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["TradingMode", "stricter"]


class TradingMode(StrEnum):
    """What may leave for the broker (Nautilus: ACTIVE, REDUCING, HALTED)."""

    NORMAL = "NORMAL"
    EXIT_ONLY = "EXIT_ONLY"
    PAUSED = "PAUSED"


_RANK = {TradingMode.NORMAL: 0, TradingMode.EXIT_ONLY: 1, TradingMode.PAUSED: 2}


def stricter(one: TradingMode, other: TradingMode) -> TradingMode:
    """Return the stricter of two modes: PAUSED before EXIT_ONLY before NORMAL."""
    return max(one, other, key=_RANK.__getitem__)
