"""A log for what strangers cause: so many lines of a kind a minute, and a count of the rest."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from core.ports.clock import Clock

__all__ = ["RatedLog"]

_WINDOW_S: Final = 60.0
_LINES: Final = 10


@dataclass(slots=True)
class _LinesOfKind:
    began: float
    written: int = 0
    left_out: int = 0


class RatedLog:
    """Writes the first lines of each kind in a minute, and counts what it leaves out.

    The count is written with the first line of a later minute. Kinds come from the code, never
    from a request, so that there are few of them.
    """

    def __init__(self, logger: logging.Logger, clock: Clock, *, lines: int = _LINES) -> None:
        self._logger = logger
        self._clock = clock
        self._lines = lines
        self._windows: dict[str, _LinesOfKind] = {}

    def say(
        self,
        level: int,
        kind: str,
        message: str,
        *values: object,
        error: BaseException | None = None,
    ) -> None:
        """Write a line of ``kind``, or count it.

        Args:
            level: Of the logging module.
            kind: What is counted together.
            message: As for a logger.
            *values: What stands in the message.
            error: Whose traceback belongs to the line.
        """
        now = self._clock.monotonic()
        window = self._windows.get(kind)
        if window is None or now - window.began >= _WINDOW_S:
            if window is not None and window.left_out:
                self._logger.log(
                    level, "%d more lines like this were left out: %s", window.left_out, kind
                )
            window = self._windows[kind] = _LinesOfKind(now)
        if window.written >= self._lines:
            window.left_out += 1
            return
        window.written += 1
        self._logger.log(level, message, *values, exc_info=error)
