"""Delivers what the outbox holds (``outbox.py``): in order in each chat, each once (E5, I8).

A row found SENDING at start was perhaps delivered: it goes out again, marked as a repeat. A DEAD
one could not be delivered; at the user's next visit it goes out once more, or is TOLD of in a
summary.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable

from core.domain.bare_lines import BareLine
from core.domain.notices.post import Post
from core.domain.notices.stored import post_of
from core.engine.bare_cards import amendment, forget_bare, keep_bare
from core.engine.cards import is_quiet, message_of, runs_together, show_card
from core.engine.gathering import (
    Pace,
    Rounds,
    ended,
    is_amendment,
    is_edit,
    is_message,
    is_run,
    is_urgent,
    needless,
    next_part,
    settles_in,
    weight,
)
from core.engine.outbox import (
    Outbox,
    claim,
    mark_shown,
    settle,
    take_back,
    waiting_beside,
    waiting_of,
)
from core.errors import StoreUnavailable, TransactionConflict, UnreadableNotice
from core.ports.clock import Clock
from core.ports.notifier import (
    Blocked,
    Delivered,
    Dropped,
    GatheringNotifier,
    Notifier,
    TryLater,
    Undeliverable,
)
from core.ports.store import Change, Document, Store

__all__ = ["OutboxSender"]

_log = logging.getLogger(__name__)
_POLL_S = 1.0
_STORE_PAUSE_S = 2.0
_BATCH = 100
_GATHER_S = 0.05
_LOOK_S = 0.1
_Outcome = Delivered | Dropped | TryLater | Blocked | Undeliverable


class OutboxSender:
    """Delivers what waits: one at a time in a chat, chats beside one another.

    How fast is for the messenger to say: a chat that it limits waits (``TryLater``). Besides, an
    edit behind which no message waits has a pace, and with a notifier that gathers messages so do
    these (``gathering.py``).
    """

    def __init__(self, store: Store, clock: Clock, outbox: Outbox, notifier: Notifier) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._notifier = notifier
        self._gathers = notifier if isinstance(notifier, GatheringNotifier) else None
        self._edits, self._messages = Pace(clock), Pace(clock)
        self._rounds = Rounds(clock) if self._gathers else None
        self._not_before: dict[int, float] = {}
        self._busy: set[int] = set()

    async def run(self) -> None:
        """Deliver for ever; while the store is away, wait: the notices are in it, none is lost."""
        while True:
            self._busy.clear()  # one that is cancelled before its first step says nothing more
            try:
                await self._recover()
                async with asyncio.TaskGroup() as group:
                    while True:
                        for chat_id in await self._chats():
                            self._busy.add(chat_id)
                            group.create_task(self._drain(chat_id))
                        await self._sleep()
            except* (StoreUnavailable, TransactionConflict):
                _log.warning("outbox: the store is away, trying again")
                await self._clock.sleep(_STORE_PAUSE_S)

    async def _recover(self) -> None:
        """Return rows that a crash left SENDING to the queue, marked as possible repeats."""
        await take_back(self._store)

    async def _sleep(self) -> None:
        self._outbox.wake.clear()
        now = self._clock.monotonic()
        held = [at - now for at in self._not_before.values()]
        try:
            async with asyncio.timeout(max(0.0, min([_POLL_S, *held]))):
                await self._outbox.wake.wait()
        except TimeoutError:
            return
        # The wake comes from inside a transaction; let it commit, and others with it.
        await self._clock.sleep(_GATHER_S)

    async def _chats(self) -> list[int]:
        """Return the chats that something waits for and nothing is delivered to now."""
        now = self._clock.monotonic()
        self._not_before = {chat: at for chat, at in self._not_before.items() if at > now}
        found: list[int] = []
        while True:
            # Chats that wait out a flood limit are left out, so that they do not fill the batch.
            left_out = [*self._not_before, *self._busy, *found]
            rows = await waiting_beside(self._store, left_out, _BATCH)
            found += dict.fromkeys(row["chat_id"] for row in rows)
            if len(rows) < _BATCH:
                return found

    async def _drain(self, chat_id: int) -> None:
        """Deliver to a chat until nothing waits for it, or it has to wait."""
        try:
            while rows := await waiting_of(self._store, chat_id, _BATCH):
                rows = await self._needed(rows)
                waits = {row["_id"]: settles_in(row, self._clock.now()) for row in rows}
                if (wait := min(waits.values())) > 0:
                    await self._clock.sleep(min(wait, _LOOK_S))
                    continue
                rows = [row for row in rows if not waits[row["_id"]]]
                if moved := await runs_together(self._store, self._rounds, chat_id, rows):
                    await self._outbox.put_together(self._store, chat_id, moved)
                    continue
                if await self._are_edits(rows):
                    # One at a time, and looked at again soon: a message that is posted meanwhile
                    # does not wait for them.
                    if (wait := self._edits.wait(chat_id)) > 0:
                        await self._clock.sleep(min(wait, _LOOK_S))
                        continue
                    rows = rows[:1]
                elif (wait := self._wait_for_more(rows)) > 0:
                    await self._clock.sleep(min(wait, _LOOK_S))
                    continue
                if not await self._deliver_all(rows):
                    return
        finally:
            self._busy.discard(chat_id)
            self._outbox.wake.set()  # what was posted since the last look was passed over

    def _wait_for_more(self, rows: list[Document]) -> float:
        """Return how long messages wait for others to go with them; what is urgent never does."""
        first, rounds = rows[0], self._rounds
        if rounds is None or is_urgent(first) or not (is_message(first) or is_run(first)):
            return 0.0
        return max(self._messages.wait(first["chat_id"]), rounds.wait(first["chat_id"], first))

    async def _are_edits(self, rows: list[Document]) -> bool:
        """Whether all of them only change cards that the chat shows already."""
        return all([_is_change(row) and await is_quiet(self._store, row) for row in rows])

    async def _needed(self, rows: list[Document]) -> list[Document]:
        """Mark edits as sent by others that show the same, and return the rest."""
        found = needless(rows)
        for by in set(found.values()):
            ids = [one for one, shown_by in found.items() if shown_by == by]
            await mark_shown(self._store, ids, by)
        return [row for row in rows if row["_id"] not in found]

    async def _deliver_all(self, rows: list[Document]) -> bool:
        """Deliver rows of one chat in their order; return False when the chat has to wait.

        What became of one is written while the next is claimed. Messages of their own that pile up
        are shown as one where the notifier can do that. Just after something urgent was
        posted it delivers one alone: the next look finds the other before the rest, which may be
        hundreds at a message a second.
        """
        before: list[tuple[Document, _Outcome]] = []
        left, has_to_wait = rows, False
        while left and not has_to_wait:
            part = await self._next_part(left)
            taken = {row["_id"] for row in part}
            left = [row for row in left if row["_id"] not in taken]
            claims = await ended(*map(self._claim, part), *map(self._settle, before))
            del claims[len(part) :]
            ours = [row for row, is_ours in zip(part, claims, strict=True) if is_ours]
            before = list(zip(ours, await self._attempt_all(ours), strict=True))
            # The rest of a chat that waits waits with it: the order of notices is kept (I8).
            has_to_wait = any(isinstance(outcome, TryLater) for _, outcome in before)
            if before and self._outbox.has_urgent:
                break
        await ended(*map(self._settle, before))
        return not has_to_wait

    async def _next_part(self, rows: list[Document]) -> list[Document]:
        """Return what is delivered next: one row, or several that go in one message."""
        if self._gathers is None or sum(map(is_message, rows)) == 1:
            return rows[:1]
        return next_part(rows, {row["_id"] for row in rows if await is_quiet(self._store, row)})

    async def _claim(self, row: Document) -> bool:
        return await claim(self._store, row)

    async def _attempt_all(self, rows: list[Document]) -> list[_Outcome]:
        """Deliver rows that are claimed, several in one message."""
        if self._gathers is None or len(rows) <= 1:
            return [await self._attempt(row) for row in rows]
        posts = []
        for row in rows:
            try:
                posts.append(post_of(row))
            except UnreadableNotice:
                return [await self._attempt(one) for one in rows]
        self._messages.count(rows[0]["chat_id"])
        is_repeat = rows[0]["attempts"] > 0
        return await self._gathers.deliver_together(rows[0]["chat_id"], posts, is_repeat=is_repeat)

    async def _attempt(self, row: Document) -> _Outcome:
        """Deliver one row that is claimed."""
        chat_id = row["chat_id"]
        message_id = await message_of(self._store, chat_id, row["key"])
        try:
            post = await self._post_of(row)
        except UnreadableNotice as error:
            # Of another version, or damaged: it would be as unreadable at the next try.
            return Undeliverable(f"it cannot be read: {error}")
        if post is None or (is_amendment(row) and message_id is None):
            return Dropped("nothing is to be put right any more")
        is_changed = _is_change(row) and message_id is not None
        (self._edits if is_changed else self._messages).count(chat_id, weight(row))
        return await self._notifier.deliver(
            chat_id,
            post,
            notice_id=row["_id"],
            message_id=message_id,
            is_repeat=row["attempts"] > 0,
        )

    async def _post_of(self, row: Document) -> Post | None:
        """Return what a row shows; None where it would put nothing right."""
        if is_amendment(row):
            return await amendment(self._store, row["chat_id"], row["key"])
        return post_of(row)

    async def _settle(self, delivered: tuple[Document, _Outcome]) -> None:
        """Write what became of a row."""
        row, outcome = delivered
        match outcome:
            case Delivered(message_id, bare):
                await self._sent(row, message_id, bare)
            case TryLater():
                await self._later(row, outcome)
            case Dropped(reason):
                await self._dropped(row, reason)
            case Blocked(reason) | Undeliverable(reason) if is_amendment(row):
                await self._dropped(row, reason)
            case Blocked(reason):
                await self._mark_dead(row, reason, is_refused=False)
            case Undeliverable(reason):
                await self._mark_dead(row, reason, is_refused=True)

    async def _sent(
        self, row: Document, message_id: int | None, bare: tuple[BareLine, ...]
    ) -> None:
        now = self._clock.now()
        if row["key"] is not None:
            # Before it counts as delivered: after a crash in between it is shown once more.
            await keep_bare(self._store, row, bare)
        done = Change(set={"state": "SENT", "sent_at": now})
        writes: list[Awaitable[object]] = [settle(self._store, row, done)]
        if row["key"] is not None:
            writes.append(show_card(self._store, row["chat_id"], row["key"], message_id, now))
        await ended(*writes)

    async def _dropped(self, row: Document, reason: str) -> None:
        """Leave a card as it is."""
        await forget_bare(self._store, row["chat_id"], row["key"])
        done = Change(set={"state": "SENT", "sent_at": self._clock.now(), "reason": reason})
        await settle(self._store, row, done)

    async def _later(self, row: Document, outcome: TryLater) -> None:
        # By the clock that never steps back: a flood limit of a minute must not become an hour.
        self._not_before[row["chat_id"]] = self._clock.monotonic() + outcome.retry_after_s
        # Only what may have arrived counts as an attempt, which marks the next one as a repeat.
        back = Change(
            set={"state": "WAITING", "reason": outcome.reason},
            inc={"attempts": int(outcome.may_have_arrived)},
        )
        await settle(self._store, row, back)

    async def _mark_dead(self, row: Document, reason: str, *, is_refused: bool) -> None:
        _log.error("outbox: %s of kind %s is undeliverable: %s", row["_id"], row["kind"], reason)
        dead = Change(set={"state": "DEAD", "reason": reason, "is_refused": is_refused})
        await settle(self._store, row, dead)


def _is_change(row: Document) -> bool:
    """Whether a row changes its card where it is, if there is one."""
    return is_edit(row) or is_amendment(row)
