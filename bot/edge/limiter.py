"""Flood limits: a chat that Telegram limits waits, while every other chat goes on (T02)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

from core.ports.clock import Clock

__all__ = ["AT_ONCE", "ChatLimiter", "seconds_of"]

AT_ONCE = "at once"
"""``rate_limit_args`` of a caller that wants ``RetryAfter`` raised at once instead of a wait."""

_ATTEMPTS = 4
_LONGEST_WAIT_S = 120.0

Answer = bool | dict[str, Any] | list[dict[str, Any]]


def seconds_of(error: RetryAfter) -> float:
    """Return how long Telegram wants us to wait."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


class ChatLimiter(BaseRateLimiter[str]):
    """Obeys ``retry_after`` for each chat; sends to a limited chat only when that time is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held_until: dict[object, float] = {}

    async def initialize(self) -> None:
        """Do nothing: there is no resource to open."""

    async def shutdown(self) -> None:
        """Do nothing: there is no resource to close."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,  # noqa: ARG002 - the base class names it
        data: dict[str, Any],
        rate_limit_args: str | None,
    ) -> Answer:
        """Make a request when its chat may be sent to; repeat it after a flood answer."""
        chat = data.get("chat_id")
        for attempt in range(_ATTEMPTS):
            await self._wait_turn(chat, rate_limit_args)
            try:
                return await callback(*args, **kwargs)
            except RetryAfter as error:
                self._hold(chat, seconds_of(error))
                # The outbox (AT_ONCE) has its own schedule, and a call without a chat (the menu, a
                # poll) has nowhere to wait: both callers handle ``RetryAfter`` themselves.
                if rate_limit_args == AT_ONCE or attempt == _ATTEMPTS - 1 or chat is None:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _wait_turn(self, chat: object, wish: str | None) -> None:
        if chat is None:
            return
        wait = self._held_until.get(chat, 0.0) - self._clock.monotonic()
        if wait <= 0:
            self._held_until.pop(chat, None)
            return
        if wish == AT_ONCE or wait > _LONGEST_WAIT_S:
            raise RetryAfter(timedelta(seconds=wait))
        await self._clock.sleep(wait)

    def _hold(self, chat: object, seconds: float) -> None:
        if chat is not None:
            until = self._clock.monotonic() + seconds
            self._held_until[chat] = max(until, self._held_until.get(chat, 0.0))
