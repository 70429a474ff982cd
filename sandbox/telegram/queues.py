"""A bot's updates until it has confirmed them: long polls, conflicts, ages.

The rules are those of the public server: an update is confirmed by a larger offset, two polls
exclude one another (the older one is answered), messages wait 24 hours and taps 150 seconds.
"""

import asyncio
import json
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sandbox.telegram.errors import BotApiError, conflict
from sandbox.telegram.model import Bot, Json, PendingUpdate
from sandbox.telegram.storage import Storage

__all__ = ["UpdateQueue"]

MAX_POLL_S = 50
_TTL_S = {"callback_query": 150.0}
_DEFAULT_TTL_S = 24 * 3600.0
_SHORTEST_TTL_S = min(_DEFAULT_TTL_S, *_TTL_S.values())
_OFF_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_HELD_POLL_S = 3.0
_REPEATED_POLL_S = 0.5
_CONFLICT_PAUSE_S = 3.0
_FORGETS_AFTER_S = 1.0
_OTHER_POLL = (
    "terminated by other getUpdates request; make sure that only one bot instance is running"
)
_WEBHOOK_IS_SET = (
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the"
    " webhook first"
)


@dataclass
class _Poll:
    """A waiting getUpdates; `refusal` is set by whoever ends it early."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    refusal: BotApiError | None = None


class UpdateQueue:
    """The pending updates of one bot."""

    def __init__(self, bot: Bot, storage: Storage, now: Callable[[], float]) -> None:
        self.pending: list[PendingUpdate] = []
        self.arrived = asyncio.Event()
        self._bot = bot
        self._storage = storage
        self._now = now
        self._poll: _Poll | None = None
        self._next_conflict_at = 0.0
        self._last_offset: int | None = None
        self._last_start = self._last_finish = float("-inf")
        self._is_closing = False
        self._texts: dict[int, str] = {}
        self._confirmed: list[str] = []
        self._forgetting: asyncio.TimerHandle | None = None

    def put(self, kind: str, lane: str, body: Json) -> int | None:
        """Queue an update, unless the bot has not asked for its kind; give its id."""
        if not self._is_wanted(kind):
            return None
        update_id = self._bot.next_update_id
        self._bot.next_update_id += 1
        self._storage.save("bot", self._bot.token, self._bot)
        update = PendingUpdate(update_id, kind, lane, self._now(), body)
        self.pending.append(update)
        # Written out once, for the storage and for the poll that asks for it.
        text = json.dumps(body)
        self._texts[update_id] = _written(update, text)
        head = json.dumps({**vars(update), "body": None})
        self._storage.save_json(
            "update", self._key(update), f"{head.removesuffix('null}')}{text}}}"
        )
        self.arrived.set()
        if self._poll is not None:
            self._poll.wake.set()
        return update_id

    def expire(self) -> None:
        """Forget what is older than its kind may be."""
        now = self._now()
        if not self.pending or now - self.pending[0].created_at <= _SHORTEST_TTL_S:
            return  # the oldest stands first
        for update in list(self.pending):
            if now - update.created_at > _TTL_S.get(update.kind, _DEFAULT_TTL_S):
                self.remove(update)

    def remove(self, update: PendingUpdate) -> None:
        """Take one update out: it was confirmed or is too old."""
        if update in self.pending:
            self.pending.remove(update)
            self._texts.pop(update.update_id, None)
            self._storage.remove("update", self._key(update))

    def clear(self) -> None:
        """Drop everything that waits (`drop_pending_updates`)."""
        for update in list(self.pending):
            self.remove(update)

    def end_poll(self, refusal: BotApiError | None) -> None:
        """End a waiting poll, with an error or an empty answer."""
        if self._poll is not None:
            self._poll.refusal = refusal
            self._poll.wake.set()
            self._poll = None

    def close(self) -> None:
        """End the waiting poll and let none wait any more: the server stops."""
        self._is_closing = True
        self.end_poll(None)
        self._forget()

    def restore(self, updates: Iterable[PendingUpdate]) -> None:
        """Take up what was stored; what was confirmed already is forgotten."""
        first = self._bot.first_update_id
        updates = sorted(updates, key=lambda update: update.update_id)
        self.pending = [update for update in updates if update.update_id >= first]
        self._confirmed = [self._key(one) for one in updates if one.update_id < first]
        self._forget()

    async def get(self, offset: int, limit: int, timeout_s: float) -> list[str]:
        """Answer getUpdates: the updates as JSON.

        Raises:
            BotApiError: 409, when a webhook is set or a newer poll came.
        """
        if self._bot.webhook:
            raise conflict(_WEBHOOK_IS_SET)
        self.end_poll(conflict(_OTHER_POLL))
        timeout_s, limit = self._slowed_down(offset, limit, timeout_s)
        self._confirm(offset)
        if not self.pending and timeout_s > 0 and not self._is_closing:
            await self._wait(min(timeout_s, MAX_POLL_S))
        self._last_finish = self._now()
        self.expire()
        first = self._index_of(max(0, offset))
        chosen = self.pending[first : first + limit] or self.pending[:limit]
        return [self._text(update) for update in chosen]

    def _text(self, update: PendingUpdate) -> str:
        known = self._texts.get(update.update_id)
        return known or _written(update, json.dumps(update.body))

    def _index_of(self, update_id: int) -> int:
        return bisect_left(self.pending, update_id, key=lambda update: update.update_id)

    def _key(self, update: PendingUpdate) -> str:
        return f"{self._bot.token}/{update.update_id}"

    def _is_wanted(self, kind: str) -> bool:
        if self._bot.allowed_updates:
            return kind in self._bot.allowed_updates
        return kind not in _OFF_BY_DEFAULT

    def _slowed_down(self, offset: int, limit: int, timeout_s: float) -> tuple[float, int]:
        now = self._now()
        if offset == self._last_offset:
            if timeout_s < _HELD_POLL_S and now < self._last_start + _HELD_POLL_S:
                timeout_s = _HELD_POLL_S
            if now < self._last_finish + _REPEATED_POLL_S:
                limit = 1
        self._last_offset, self._last_start = offset, now
        return timeout_s, limit

    def _confirm(self, offset: int) -> None:
        self.expire()
        if offset < 0:
            for update in self.pending[:offset]:
                self.remove(update)
        elif offset <= self._bot.next_update_id:
            self._confirm_first(self._index_of(offset))

    def _confirm_first(self, count: int) -> None:
        """Drop updates; that they are gone is written at once, their rows go in a moment.

        Deleting a hundred rows takes longer than answering the poll.
        """
        if not count:
            return
        gone = self.pending[:count]
        del self.pending[:count]
        self._confirmed += [self._key(update) for update in gone]
        for update in gone:
            self._texts.pop(update.update_id, None)
        self._bot.first_update_id = gone[-1].update_id + 1
        self._storage.save("bot", self._bot.token, self._bot)
        if self._is_closing:
            self._forget()
        elif self._forgetting is None:
            loop = asyncio.get_running_loop()
            self._forgetting = loop.call_later(_FORGETS_AFTER_S, self._forget)

    def _forget(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        if self._confirmed:
            self._storage.remove("update", *self._confirmed)
            self._confirmed.clear()

    async def _wait(self, timeout_s: float) -> None:
        poll = self._poll = _Poll()
        try:
            async with asyncio.timeout(timeout_s):
                await poll.wake.wait()
        except TimeoutError:
            pass
        finally:
            if self._poll is poll:
                self._poll = None
        if poll.refusal is not None:
            await self._pause_before_conflict()
            raise poll.refusal

    async def _pause_before_conflict(self) -> None:
        """Answer the first conflict at once and repeated ones slowly."""
        if self._now() < self._next_conflict_at and not self._is_closing:
            await asyncio.sleep(_CONFLICT_PAUSE_S)
        self._next_conflict_at = self._now() + _CONFLICT_PAUSE_S


def _written(update: PendingUpdate, body: str) -> str:
    return f'{{"update_id": {update.update_id}, "{update.kind}": {body}}}'
