"""Whose turn it is in a chat: one update after the other, and looks at brokers beside them.

An update keeps its turn until it is handled, so that two taps of one confirmation, and a typed
answer and the question before it, come in their order. Only a look, which changes nothing, gives
its turn away while it waits for a broker, and takes the next free one to show what it has seen.
So does a change that is decided and only waits for what its broker makes of it; the next change
comes after it all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

__all__ = ["Turn", "Turns"]

T = TypeVar("T")


class _Chat:
    """The updates of a chat: whose turn it is, of its urgent ones apart, and who looks beside."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.urgent = asyncio.Lock()
        self.beside: set[Turn] = set()
        self.acts: set[asyncio.Event] = set()


class Turns:
    """Gives each update its turn; only those of one chat wait for one another."""

    def __init__(self) -> None:
        self._chats: WeakValueDictionary[int, _Chat] = WeakValueDictionary()
        self._looks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._turns: dict[int, Turn] = {}

    def of(self, update_id: int) -> Turn:
        """Return the turn of an update; one that was given none has a chat for itself."""
        return self._turns.get(update_id) or Turn(update_id, _Chat(), self._looks)

    @asynccontextmanager
    async def take(self, update_id: int, chat_id: int, *, is_urgent: bool) -> AsyncIterator[None]:
        """Wait for an update's turn, and keep it until the end of the block."""
        chat = self._chats.get(chat_id)
        if chat is None:
            chat = self._chats[chat_id] = _Chat()
        turn = Turn(update_id, chat, self._looks, is_urgent=is_urgent)
        await turn.take()
        self._turns[update_id] = turn
        try:
            yield
        finally:
            del self._turns[update_id]
            turn.end()


class Turn:
    """One update's turn; of several that look beside one another the latest has the last word.

    Attributes:
        number: The update's id, which grows.
        lost: The messages that a later update has edited meanwhile.
    """

    def __init__(
        self,
        number: int,
        chat: _Chat,
        looks: WeakValueDictionary[str, asyncio.Lock],
        *,
        is_urgent: bool = False,
    ) -> None:
        self.number = number
        self._chat = chat
        self._is_urgent = is_urgent
        self._lock = chat.urgent if is_urgent else chat.lock
        self._looks = looks
        self._is_mine = False
        self.lost: set[int] = set()

    async def take(self) -> None:
        """Wait until no other update of the chat has its turn."""
        await self._lock.acquire()
        self._is_mine = True

    def end(self) -> None:
        """Let the next one go on."""
        if self._is_mine:
            self._is_mine = False
            self._lock.release()

    async def give_away_acting(self, what: str, wait: Callable[[], Awaitable[T]]) -> T:
        """Return what comes of a change that is decided; looks have the turn meanwhile.

        The next change waits until ``wait`` has returned (``after_acts``).
        """
        done = asyncio.Event()
        self._chat.acts.add(done)

        async def waiting() -> T:
            try:
                return await wait()
            finally:
                self._chat.acts.discard(done)
                done.set()

        return await self.give_away(what, waiting)

    async def after_acts(self) -> None:
        """Wait for changes of this chat that have given their turn away: acts keep their order.

        What is urgent waits for none: a panic comes past whatever a slow broker holds up (R2).
        """
        for one in () if self._is_urgent else tuple(self._chat.acts):
            await one.wait()

    async def give_away(self, what: str, look: Callable[[], Awaitable[T]]) -> T:
        """Return what a look at an account or order finds; let others have the turn meanwhile.

        Looks at the same wait for one another: whoever taps again and again asks once at a time.
        A cancelled one does not come back for a turn.
        """
        if not self._is_mine:
            return await look()
        self.end()
        self._chat.beside.add(self)
        try:
            found, failure = await self._seen(what, look)
            # Whoever has the turn until then came later, and has the last word too.
            await self.take()
        finally:
            self._chat.beside.discard(self)
        if failure is not None:
            raise failure
        return found  # type: ignore[return-value]

    async def _seen(
        self, what: str, look: Callable[[], Awaitable[T]]
    ) -> tuple[T | None, Exception | None]:
        """Return what a look finds, or what went wrong: that is told in its turn as well."""
        lock = self._looks.get(what)
        if lock is None:
            lock = self._looks[what] = asyncio.Lock()
        try:
            async with lock:
                return await look(), None
        except Exception as error:  # noqa: BLE001 - raised again by who asked
            return None, error

    def may_draw(self, message_id: int) -> bool:
        """Whether a message is still this update's to edit; a later one's tap has it for good."""
        for one in self._chat.beside:
            if one.number < self.number:
                one.lost.add(message_id)
        return message_id not in self.lost
