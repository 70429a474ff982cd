"""What a strategy's process prints, in the controller's log, and no more than a log can hold."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable

__all__ = ["Printed"]

_log = logging.getLogger("strategy")
_PART = 1 << 16
_LAST_PARTS = 8
_LINE_LIMIT = 500
_LINES = 100
_WINDOW_S = 60.0
_PAUSE_S = 0.02
"""Between two reads of one that prints without end: its output must not keep the loop busy."""


class Printed:
    """Reads the output of one process, so many lines a minute; the rest is counted and dropped."""

    def __init__(self, name: str, descriptor: int, on_end: Callable[[], None]) -> None:
        self._name = name
        self._descriptor = descriptor
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._partial = b""
        self._since = self._loop.time()
        self._lines = 0
        self.is_closed = False
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._look)

    def close(self) -> None:
        """Take what is there, and read no more."""
        if self.is_closed:
            return
        for _ in range(_LAST_PARTS):
            if not self._read():
                break
        self._stop()

    def _look(self) -> None:
        """Read a part; then leave the loop to others for a moment when it is too much."""
        if not self._read():
            self._stop()
            self._on_end()
        elif self._lines > _LINES:
            self._loop.remove_reader(self._descriptor)
            self._pause = self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._descriptor, self._look)

    def _read(self) -> bool:
        """Log the next part of the output; return whether there may be more."""
        try:
            part = os.read(self._descriptor, _PART)
        except BlockingIOError:
            return False
        *lines, rest = (self._partial + part).split(b"\n")
        # One without line breaks is cut, not kept.
        self._partial = rest[:_LINE_LIMIT]
        for line in lines:
            self._say(line)
        return bool(part)

    def _say(self, line: bytes) -> None:
        now = self._loop.time()
        if now - self._since >= _WINDOW_S:
            self._tell_dropped()
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= _LINES:
            text = line[:_LINE_LIMIT].decode(errors="replace").rstrip()
            _log.info("%s: %s", self._name, text)

    def _tell_dropped(self) -> None:
        if self._lines > _LINES:
            _log.warning("%s: %d more lines were dropped", self._name, self._lines - _LINES)

    def _stop(self) -> None:
        self.is_closed = True
        if self._partial:
            self._say(self._partial)
        self._tell_dropped()
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._descriptor)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
