"""What looks at prices and squares off begins with the controller, whatever a broker does (I7)."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from core.bootstrap.services import ticks_of

_PARTS = (
    "scheduler",
    "tokens",
    "logins",
    "connections",
    "calendar_watch",
    "masters",
    "clock_watch",
    "store_watch",
    "key_watch",
    "symbol_watch",
    "contract_watch",
    "price_watch",
    "source_watch",
    "round_trips",
    "pruning",
    "addresses",
    "last_runs",
    "backup",
    "restored",
    "summaries",
)


class Scene:
    """The alarm clock over parts that only note what they were asked."""

    def __init__(self) -> None:
        self.ticked, self.answers, self.began = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def tick(*_arguments: object) -> None:
            pass

        async def square_off() -> None:
            self.ticked.set()

        async def probe(_connections: object) -> None:
            await self.answers.wait()

        async def runs() -> None:
            self.began.set()

        parts: dict[str, Any] = {name: SimpleNamespace(tick=tick) for name in _PARTS}
        parts["scheduler"] = SimpleNamespace(tick_square_offs=square_off, run=runs)
        parts["tokens"] = SimpleNamespace(tick=tick, probe_all=probe)
        self.run = ticks_of(**parts)


@pytest.mark.invariant("I7")
async def test_alarm_clock_waits_for_no_broker_that_hangs() -> None:
    """Ticks come while an account's first read hangs; the first slot comes after that read."""
    scene = Scene()
    task = asyncio.ensure_future(scene.run())
    try:
        async with asyncio.timeout(150):
            await scene.ticked.wait()
            assert not scene.began.is_set()
            scene.answers.set()
            await scene.began.wait()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
