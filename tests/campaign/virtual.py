"""Time that passes only when nothing is left to do: a whole day of the engine in some seconds.

``VirtualLoop`` is an event loop whose clock jumps to the next timer, so every ``asyncio.timeout``
and ``sleep`` of the product holds, in order, without a wait, and a seed gives the same day again.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch
from zoneinfo import ZoneInfo

__all__ = ["VirtualClock", "VirtualLoop", "lived", "run_virtually", "virtual_loop"]

T = TypeVar("T")
_IST = ZoneInfo("Asia/Kolkata")
_SLOWEST_TICK_S = 2.0


class _Jump(selectors.SelectSelector):
    """Waits for nothing: what a wait would take, the loop's clock jumps over."""

    jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is left to do and nobody waits for a time")
        self.jumped += max(0.0, timeout)
        return []


class _AtOnce(ThreadPoolExecutor):
    """Runs what is handed to a thread at once: a thread would run on the machine's time."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the future
            done.set_exception(error)
        return done


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self.set_default_executor(_AtOnce())

    def time(self) -> float:
        return self._jump.jumped

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)


class VirtualClock:
    """The clock port on a loop's time: real and market time run together, from a chosen moment."""

    def __init__(self, market: datetime, loop: asyncio.AbstractEventLoop) -> None:
        self._start = market.astimezone(UTC)
        self._loop = loop
        self.has_stepped = False

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time())

    def step(self, by: timedelta) -> None:
        """Set the clock by so much, as a user or NTP does; ``monotonic`` goes on."""
        self._start += by
        self.has_stepped = True

    def monotonic(self) -> float:
        return self._loop.time()

    def market_now(self) -> datetime:
        return self.now().astimezone(_IST)

    def real_at(self, market: datetime) -> datetime:
        return market.astimezone(UTC)

    def market_at(self, real: datetime) -> datetime:
        return real.astimezone(_IST)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _ticks(ticks: Mapping[str, tuple[float, Callable[[], Awaitable[None]]]]) -> None:
    """Do what ``core.adapters.scheduling.run_ticks`` does, which goes by the machine's clock."""

    async def keep(seconds: float, tick: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(Exception):  # as there: what is due stays due
                await tick()
            await asyncio.sleep(max(seconds, _SLOWEST_TICK_S))

    async with asyncio.TaskGroup() as group:
        for seconds, tick in ticks.values():
            group.create_task(keep(seconds, tick))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let the product's ids depend on the seed, so that a day is the same again."""
    chance = random.Random(f"ids {seed}")
    with (
        patch("secrets.token_bytes", lambda n=32: chance.randbytes(n)),
        patch("secrets.token_hex", lambda n=32: chance.randbytes(n).hex()),
        patch("secrets.token_urlsafe", lambda n=32: chance.randbytes(n).hex()),
        patch("core.bootstrap.services.run_ticks", _ticks),
    ):
        yield


@contextmanager
def virtual_loop(seed: int) -> Iterator[VirtualLoop]:
    """Give a virtual loop; tasks that are left on it at the end are dropped."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        with _seeded(seed):
            yield loop
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.set_exception_handler(lambda _loop, _context: None)
        for _ in range(20):
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        asyncio.set_event_loop(None)


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], seed: int) -> T:
    """Run a coroutine, the world's own task, on a virtual loop."""
    with virtual_loop(seed) as loop:
        return lived(loop, main(loop))


def lived(loop: VirtualLoop, part: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of the world's own on its loop."""
    return loop.run_until_complete(loop.create_task(part, name="w:main"))
