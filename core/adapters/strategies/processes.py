"""The port of decisions: a process for each strategy that is expected, made ready beforehand.

A process of its own for each, and not a few for all: what one hangs, leaks or overwrites in its
process can then concern no other, and no other waits for it to be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from core.adapters.strategies.process import StrategyProcess, StrategySource
from core.domain.target import Context, Target
from core.errors import DecisionFailed

__all__ = ["StrategyProcesses"]

_log = logging.getLogger(__name__)
_LOAD_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


class _Place:
    """One strategy's process, while it has one; whoever uses it holds ``lock``."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.process: StrategyProcess | None = None
        self.is_over = False
        self.pause_s = _FIRST_PAUSE_S
        self.not_before = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether it has a process that can be asked."""
        return self.process is not None and self.process.is_alive


class StrategyProcesses:
    """Has each strategy decide in its own process."""

    def __init__(self, source: StrategySource) -> None:
        self._source = source
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="strategy processes")
        self._expected: frozenset[str] = frozenset()
        self._places: dict[str, _Place] = {}
        self._changed = asyncio.Event()

    def expect(self, names: Iterable[str]) -> None:
        """Make ready for these strategies, in the background, and let go of all others."""
        self._expected = frozenset(names)
        for name, place in self._places.items():
            place.is_over = name not in self._expected
        self._changed.set()

    async def decide(self, strategy: str, context: Context, within_s: float) -> Sequence[Target]:
        """Return what a strategy wants.

        Raises:
            DecisionFailed: It raised, did not decide in time, or ended.
        """
        place = self._place(strategy)
        place.is_over = False  # one that is run by hand is soon run again, as like as not
        loop = asyncio.get_running_loop()
        asked_at: float | None = None
        try:
            async with asyncio.timeout(within_s) as limit, place.lock, self._used(place):
                process = await self._ready(strategy, place)
                asked_at = loop.time()
                return await process.ask(context)
        except TimeoutError:
            if not limit.expired():
                raise
            what = "its process was not ready" if asked_at is None else "it did not decide"
            # One whose process was ready in the last moment had no time to decide in.
            had_time = asked_at is not None and loop.time() - asked_at >= within_s / 2
            raise DecisionFailed(f"{what} within {within_s:.0f} s", was_ended=had_time) from None

    async def run(self) -> None:
        """Keep ready what is expected, until cancelled; then end everything."""
        try:
            while True:
                self._changed.clear()
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._next_look_s()):
                        await self._changed.wait()
        finally:
            await self._end_all()

    async def aclose(self) -> None:
        """End everything."""
        await self._end_all()
        self._threads.shutdown(wait=False)

    def _place(self, name: str) -> _Place:
        return self._places.setdefault(name, _Place())

    @contextlib.asynccontextmanager
    async def _used(self, place: _Place) -> AsyncIterator[None]:
        """End the process of a decision that came to no answer, for it may still be deciding."""
        try:
            yield
        except DecisionFailed as error:
            if error.was_ended:
                await self._end(place)
            raise
        except BaseException:
            await self._end(place)
            raise
        finally:
            self._changed.set()

    async def _ready(self, name: str, place: _Place) -> StrategyProcess:
        """Return a strategy's process, a new one where it has none that lives."""
        if place.process is not None and place.process.is_alive:
            return place.process
        await self._end(place)
        try:
            place.process = await StrategyProcess.start(
                name, self._source, self._threads, self._changed.set
            )
            await place.process.loaded()
        except (DecisionFailed, OSError) as error:
            await self._end(place)
            # It has decided nothing: this is no fault of its decision, whatever else it is.
            raise DecisionFailed(f"its process did not start: {error}") from None
        place.pause_s = _FIRST_PAUSE_S
        return place.process

    async def _look(self) -> None:
        """Start what is expected and not there, one after another; end what is not expected."""
        for name in sorted(self._expected | self._places.keys()):
            place = self._place(name)
            if place.lock.locked():
                continue  # it decides; the end of that asks for another look
            async with place.lock:
                if place.is_over:
                    await self._end(place)
                elif name in self._expected and not place.is_alive:
                    await self._prepare(name, place)

    async def _prepare(self, name: str, place: _Place) -> None:
        now = asyncio.get_running_loop().time()
        if now < place.not_before:
            return
        try:
            async with asyncio.timeout(_LOAD_S):
                await self._ready(name, place)
        except (DecisionFailed, TimeoutError) as error:
            await self._end(place)
            _log.warning("the process of strategy %s is not ready: %s", name, error)
            place.not_before = now + place.pause_s
            place.pause_s = min(2 * place.pause_s, _LONGEST_PAUSE_S)

    def _next_look_s(self) -> float | None:
        """Return when to look again without being asked to: where a start has failed."""
        now = asyncio.get_running_loop().time()
        missing = [
            place.not_before - now
            for name, place in self._places.items()
            if name in self._expected and place.process is None
        ]
        return max(min(missing), 0.1) if missing else None

    async def _end(self, place: _Place) -> None:
        process, place.process = place.process, None
        if process is not None:
            await process.end()

    async def _end_all(self) -> None:
        for place in self._places.values():
            await self._end(place)
