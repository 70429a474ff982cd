"""How long the event loop was busy at a stretch, and with what.

While the loop does one thing, everything else waits: an order's answer, a stop's price, a tap. Each
turn of the loop (from the end of one wait for events to the begin of the next) is timed, which
costs two looks at the clock. A thread looks at the turn that runs, and notes where the loop's
thread is when that has lasted too long; the log then says so. A turn is late by the wall clock, so
a machine that is busy with other things makes turns late too: the log says how much of it was the
turn's own work, and how much garbage collection.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from core.domain.views import LATE_TURN_S, LoopLag

__all__ = ["LoopWatch"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.01
_SECONDS = 60
_FRAMES = 8
_LOGGED_A_MINUTE = 20
_INNERMOST = 2
_LIBRARIES = "site-packages"
_OF_THE_LOOP = ("/asyncio/", "/selectors.py", "/threading.py", "adapters/loop_watch.py")


@dataclass(slots=True)
class _Second:
    """The turns that ended in one second."""

    number: int = -1
    worst_s: float = 0.0
    late: int = 0


@dataclass(frozen=True, slots=True)
class _Late:
    """A turn that took too long."""

    took_s: float
    cpu_s: float
    collected_s: float
    where: str


class _Selector(selectors.DefaultSelector):
    """Waits for events, and says when it begins and ends to wait."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        super().__init__()
        self._begin = begin
        self._end = end

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._end()
        try:
            return super().select(timeout)
        finally:
            self._begin()


class LoopWatch:
    """Times the turns of one event loop, which ``new_loop`` makes; ``now`` is seconds that pass."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._seconds = [_Second() for _ in range(_SECONDS)]
        self._since: float | None = None
        self._cpu_at = 0.0
        self._collecting_at = 0.0
        self._collected_s = 0.0
        self._where = ""
        self._late: deque[_Late] = deque(maxlen=_LOGGED_A_MINUTE)
        self._thread_id = 0
        self._stopped = threading.Event()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop that is watched; made in the thread in which it will run."""
        self._thread_id = threading.get_ident()
        gc.callbacks.append(self._on_collection)
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()
        return asyncio.SelectorEventLoop(_Selector(self._begin, self._end))

    def close(self) -> None:
        """Watch no more."""
        self._stopped.set()
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)

    def lag(self) -> LoopLag:
        """Return how the turns of the last minute were."""
        oldest = int(self._now()) - _SECONDS
        recent = [one for one in self._seconds if one.number > oldest]
        worst = max((one.worst_s for one in recent), default=0.0)
        return LoopLag(worst * 1000, sum(one.late for one in recent))

    def _begin(self) -> None:
        self._collected_s = 0.0
        self._where = ""
        self._cpu_at = time.thread_time()
        self._since = self._now()

    def _end(self) -> None:
        since = self._since
        if since is None:
            return
        now = self._now()
        self._since = None
        took = now - since
        second = self._seconds[int(now) % _SECONDS]
        if second.number != int(now):
            second.number, second.worst_s, second.late = int(now), 0.0, 0
        second.worst_s = max(second.worst_s, took)
        if took > LATE_TURN_S:
            second.late += 1
            cpu = time.thread_time() - self._cpu_at
            self._late.append(_Late(took, cpu, self._collected_s, self._where))

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_at = self._now()
        else:
            self._collected_s += self._now() - self._collecting_at

    # The thread that looks

    def _watch(self) -> None:
        minute, logged = 0, 0
        # While the loop waits for events, half as many looks do.
        while not self._stopped.wait(_LOOK_S if self._since else 2 * _LOOK_S):
            self._look()
            while self._late:
                now = int(self._now()) // _SECONDS
                minute, logged = (minute, logged) if now == minute else (now, 0)
                late = self._late.popleft()
                logged += 1
                if logged <= _LOGGED_A_MINUTE:
                    _say(late)

    def _look(self) -> None:
        """Note where the loop's thread is in a turn that is late, once a turn."""
        since = self._since
        if since is None or self._where or self._now() - since <= LATE_TURN_S:
            return
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - there is no other way
        where = _where(frame)
        if self._since == since:  # it has not ended meanwhile
            self._where = where


def _where(frame: FrameType | None) -> str:
    """Return the frames of a stack, newest first: the innermost ones, then those of Saarthi."""
    found: list[str] = []
    while frame is not None and len(found) < _FRAMES:
        name = frame.f_code.co_filename
        is_told = len(found) < _INNERMOST or _LIBRARIES not in name
        if is_told and not any(part in name for part in _OF_THE_LOOP):
            short = "/".join(name.split("/")[-3:])
            found.append(f"{short}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(found)


def _say(late: _Late) -> None:
    _log.warning(
        "the event loop was busy for %.0f ms (own work %.0f ms, garbage collection %.0f ms): %s",
        late.took_s * 1000,
        late.cpu_s * 1000,
        late.collected_s * 1000,
        late.where or "it ended before it was looked at",
    )
