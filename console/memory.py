"""Short pauses while the market trades: what lives on is set aside each minute.

A collection of all garbage holds everything up for as long as it takes to look at every object: a
tenth of a second with the day's orders of fifty accounts in memory. While the market trades the
young are collected each minute, which is quick, and all that has survived is set aside
(``gc.freeze``), so that there is never much to look at. What turns to garbage among that, in
circles, waits for the end of trading: then everything is collected once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from core.ports.clock import Clock

__all__ = ["keep_pauses_short"]

_EVERY_S = 60.0
_YOUNG = 1


async def keep_pauses_short(clock: Clock, is_trading: Callable[[], bool]) -> None:
    """Do so until cancelled."""
    is_set_aside = False
    while True:
        await clock.sleep(_EVERY_S)
        if is_trading():
            gc.collect(_YOUNG)
            gc.freeze()
            is_set_aside = True
        elif is_set_aside:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            is_set_aside = False
