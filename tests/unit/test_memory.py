"""What lives on is set aside while the market trades, and looked at when it does not."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from console.memory import keep_pauses_short
from core.long_lived import collect_less
from tests.fakes.clock import ManualClock

NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


class Circle:
    """Refers to itself, so that only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
async def clock() -> AsyncIterator[ManualClock]:
    """A clock that stands, and a collector that is as in a new process and left as it was found."""
    callbacks = list(gc.callbacks)
    gc.callbacks[:] = [one for one in callbacks if one.__module__ != collect_less.__module__]
    gc.unfreeze()
    gc.collect()
    gc.disable()
    yield ManualClock(NOW)
    gc.callbacks[:] = callbacks
    gc.unfreeze()
    gc.enable()
    gc.collect()


async def test_what_lives_on_is_set_aside_until_trading_ends(clock: ManualClock) -> None:
    """Each minute; its circles are freed when the market has closed."""
    is_trading = True
    keeping = asyncio.create_task(keep_pauses_short(clock, lambda: is_trading))
    kept = Circle()
    seen = weakref.ref(kept)
    before = gc.get_freeze_count()
    await clock.advance(61)
    assert gc.get_freeze_count() > before
    del kept
    gc.collect()
    assert seen() is not None, "it was set aside: a collection does not look at it"
    is_trading = False
    await clock.advance(60)
    assert seen() is None
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_nothing_is_done_while_nothing_trades(clock: ManualClock) -> None:
    """The collector's own ways are good enough then."""
    keeping = asyncio.create_task(keep_pauses_short(clock, lambda: False))
    before = gc.get_freeze_count()
    await clock.advance(600)
    assert gc.get_freeze_count() == before
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
