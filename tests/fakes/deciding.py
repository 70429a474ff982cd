"""Strategies that decide in this process, and trouble that either way of deciding meets.

``tests/contract/test_decisions.py`` holds ``InProcess`` to what processes of their own do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.domain.failures import own_words
from core.domain.target import Context, Strategy, Target
from core.errors import DecisionFailed

__all__ = ["KILLED", "InProcess", "hang", "perish"]

KILLED = "its process ended while it decided (signal 9, SIGKILL)"


class _Hung(BaseException):
    """A strategy that decides in this process has come to where it would hang."""


class _Perished(BaseException):
    """A strategy that decides in this process has come to where its process would end."""


_HERE: list[int] = []


def hang() -> None:
    """Decide for ever."""
    if os.getpid() in _HERE:
        raise _Hung
    while True:
        time.sleep(60)


def perish() -> None:
    """End the process without a word."""
    if os.getpid() in _HERE:
        raise _Perished
    os.kill(os.getpid(), signal.SIGKILL)


class InProcess:
    """A ``Decisions`` that calls the strategies of a registry.

    Attributes:
        expected: What was asked for to be ready.
        troubles: Failures to come before the strategies are asked again, first to come first.
    """

    def __init__(
        self, registry: Mapping[str, Strategy], troubles: list[DecisionFailed] | None = None
    ) -> None:
        self._registry = registry
        self.expected: frozenset[str] = frozenset()
        self.troubles = [] if troubles is None else troubles

    def expect(self, names: Iterable[str]) -> None:
        self.expected = frozenset(names)

    async def decide(self, strategy: str, context: Context, within_s: float) -> Sequence[Target]:
        if self.troubles:
            raise self.troubles.pop(0)
        _HERE.append(os.getpid())
        try:
            found: Sequence[Any] = self._registry[strategy].decide(context)
            strange = [type(one).__name__ for one in found if not isinstance(one, Target)]
        except _Hung:
            raise DecisionFailed(
                f"it did not decide within {within_s:.0f} s", was_ended=True
            ) from None
        except _Perished:
            raise DecisionFailed(KILLED, was_ended=True) from None
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            what = f"it failed: {own_words(error)}"
            raise DecisionFailed(what, came_back=True) from None
        else:
            if strange:
                raise DecisionFailed(
                    f"decide returned a {strange[0]}; expected a Target", came_back=True
                )
            return tuple(found)
        finally:
            _HERE.pop()

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        return
