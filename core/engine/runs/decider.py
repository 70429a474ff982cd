"""Strategies decide in threads of their own: one that hangs stops its own runs and nothing else.

A strategy is the user's own code. On the pool that everybody shares, a few hung ones would stop all
others, and then the look-ups of names, on which every broker depends. Here a strategy has one
thread at a time, a daemon, so that it cannot hold up the program's end either.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Sequence

from core.domain.target import Context, Strategy, Target

__all__ = ["Decider", "StrategyFailed"]

_log = logging.getLogger(__name__)
_Targets = Sequence[Target]


class StrategyFailed(Exception):
    """A strategy did not decide; the message is for the chat."""


class Decider:
    """Has strategies decide, each for so many real seconds at most."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._running: dict[str, asyncio.Future[_Targets]] = {}
        self._hung: set[str] = set()

    async def decide(self, strategy: Strategy, context: Context) -> _Targets:
        """Return what a strategy wants.

        Two runs of one strategy decide one after the other. While a decision that was given up
        still runs, the strategy decides nothing.

        Raises:
            StrategyFailed: It raised, or did not decide in time.
        """
        late = f"it did not decide within {self._deadline_s:.0f} s"
        if strategy.name in self._hung:
            raise StrategyFailed(late)
        try:
            async with asyncio.timeout(self._deadline_s) as limit:
                while (before := self._running.get(strategy.name)) is not None:
                    await asyncio.wait([before])
                return await asyncio.shield(self._begin(strategy, context))
        # Whatever a strategy raises must stop this run and nothing else.
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                if strategy.name in self._running:
                    self._hung.add(strategy.name)
                raise StrategyFailed(late) from None
            _log.exception("strategy %s failed", strategy.name)
            raise StrategyFailed(f"it failed with {type(error).__name__}: {error}") from error

    def _begin(self, strategy: Strategy, context: Context) -> asyncio.Future[_Targets]:
        """Begin a decision in a thread; return what will hold its result."""
        loop, name = asyncio.get_running_loop(), strategy.name
        decision: asyncio.Future[_Targets] = loop.create_future()
        self._running[name] = decision

        def end(put: Callable[[], None]) -> None:
            del self._running[name]
            self._hung.discard(name)
            put()

        def run() -> None:
            put = _outcome(decision, lambda: strategy.decide(context))
            with contextlib.suppress(RuntimeError):  # the loop is over, and nobody waits any more
                loop.call_soon_threadsafe(end, put)

        inherited = contextvars.copy_context()
        threading.Thread(
            target=inherited.run, args=(run,), name=f"decide {name}", daemon=True
        ).start()
        return decision


def _outcome(
    decision: asyncio.Future[_Targets], decide: Callable[[], _Targets]
) -> Callable[[], None]:
    """Have a strategy decide; return what puts its result, or its failure, into the future."""
    try:
        found = decide()
    except Exception as error:  # noqa: BLE001 - judged where the future is awaited
        failure: Exception = error
        if isinstance(error, StopIteration):  # no future takes it
            failure = RuntimeError(f"StopIteration: {error}")
    # A strategy that calls sys.exit must not end the controller.
    except BaseException as error:  # noqa: BLE001 - see above
        failure = RuntimeError(type(error).__name__)
    else:
        return lambda: decision.set_result(found)
    return lambda: _fail(decision, failure)


def _fail(decision: asyncio.Future[_Targets], failure: Exception) -> None:
    decision.set_exception(failure)
    decision.exception()  # one that was given up is asked by nobody; that is no news then
