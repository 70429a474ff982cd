"""Building many objects that stay: the garbage collector need not look at them again and again.

A collection of everything looks at each object and holds the interpreter's lock meanwhile, so it
stops the event loop: with two brokers' instruments for a third of a second. What is built here is
set aside (``gc.freeze``): no later collection looks at it. It is freed as ever when nothing refers
to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator

__all__ = ["built_to_stay", "collect_all", "collect_later", "collect_less", "let_go", "set_aside"]

_MANY = 20_000
_YOUNG = 5_000
_OLDEST = 2
_lock = threading.Lock()
_building = 0
_quiet: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
"""What ends the moment that ``collect_later`` was asked for last."""


@contextlib.contextmanager
def built_to_stay() -> Iterator[None]:
    """Collect no garbage while many objects are built, by this thread or another."""
    global _building  # noqa: PLW0603 - the collector is one for the process
    with _lock:
        _building += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _building -= 1
            _enable()


def collect_later(seconds: float) -> None:
    """Collect no garbage for a moment: a slot's orders would wait for it.

    A young collection takes some milliseconds, and each slot of fifty accounts had two of them. A
    large fleet's slot leaves so much that looking at it would stop the loop: it is set aside, until
    ``collect_all``. Of several such moments the last to end ends all: one run's end must not let
    garbage be collected in the next one.
    """
    global _quiet  # noqa: PLW0603 - the collector is one for the process
    loop = asyncio.get_running_loop()
    with _lock:
        gc.disable()
        until = loop.time() + seconds
        if _quiet is not None and _quiet[0] is loop:
            until = max(until, _quiet[1].when())
            _quiet[1].cancel()
        _quiet = loop, loop.call_at(until, _catch_up)


def _catch_up() -> None:
    global _quiet  # noqa: PLW0603 - as above
    with _lock:
        _quiet = None
        if gc.get_count()[0] >= _MANY:
            gc.freeze()
        _enable()


def _enable() -> None:
    """Let garbage be collected, unless something is built or a moment is not over.

    What would end it is gone with a loop that was closed.
    """
    if not _building and (_quiet is None or _quiet[0].is_closed()):
        gc.enable()


def set_aside(count: int) -> None:
    """Let no later collection look at what there is now, where so many have been built."""
    if count >= _MANY:
        gc.freeze()


def collect_less() -> None:
    """Collect seldom while the process works, for good.

    Young objects are looked at in larger lots, and what a collection of everything has left is
    looked at no more: with fifty accounts one took 57 ms, in the middle of a slot. ``collect_all``
    makes up for it when nothing trades.
    """
    gc.set_threshold(_YOUNG, 10, 10)
    if _set_aside_what_is_left not in gc.callbacks:
        gc.callbacks.append(_set_aside_what_is_left)


def _set_aside_what_is_left(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()


def collect_all() -> None:
    """Collect everything, also what was set aside; it stops the event loop meanwhile."""
    gc.unfreeze()
    gc.collect()


def let_go(*some: object) -> None:
    """Empty dictionaries and lists, one by one: at once, it would stop every other thread."""
    for one in some:
        if isinstance(one, dict):
            while one:
                one.popitem()
        elif isinstance(one, list):
            while one:
                one.pop()
