"""The outbox: notices written with the event they report, delivered in order per chat (E5, I8).

Collection ``outbox``: ``chat_id``, ``seq`` (sorts in the order of writing, what is urgent before
all else), ``kind``, ``data``, ``delivery``, ``key``, ``state`` (WAITING, SENDING, SENT, DEAD,
TOLD), ``attempts``, ``created_at``, ``sent_at``, ``reason``, ``is_refused`` (Telegram, or the row
itself, makes another try useless).
Where cards are shown stands in ``cards.py``.

A DEAD one could not be delivered; at the user's next visit it goes out once more, or is TOLD of in
a summary. ``outbox_sender.py`` delivers.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.domain.notices.post import Delivery, Post
from core.domain.notices.runs import RunsTogether
from core.domain.notices.stored import to_document
from core.domain.notices.system import Undelivered
from core.engine.cards import (
    AS_MESSAGES,
    forget_cards,
    has_card,
    show_on,
)
from core.engine.gathering import (
    URGENT,
    is_amendment,
)
from core.engine.users import owner_chats
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView, parts

__all__ = [
    "Outbox",
    "claim",
    "dead_letters",
    "drop_waiting",
    "forget_notices",
    "is_on_its_way",
    "mark_shown",
    "settle",
    "shows_card",
    "take_back",
    "undelivered_notices",
    "waiting_beside",
    "waiting_notices",
    "waiting_of",
]

_OUTBOX = "outbox"
_COMMITS_WITHIN_S = 5.0
_BY_OTHER = "shown by "
"""Begins the reason of a row that another one shows; its id follows."""
_REPEATED = 10
_REPEATED_CARDS = 20


async def waiting_notices(view: StoreView) -> int:
    """Return how many notices are not delivered yet."""
    return len(await view.find(_OUTBOX, {"state": "WAITING"}))


async def undelivered_notices(view: StoreView) -> int:
    """Return how many notices could not be delivered, and were not repeated or told of since."""
    return len(await view.find(_OUTBOX, {"state": "DEAD"}))


async def dead_letters(view: StoreView, chat_id: int) -> list[Document]:
    """Return what could not be delivered to a chat, oldest first."""
    return await view.find(_OUTBOX, {"chat_id": chat_id, "state": "DEAD"}, sort=[("seq", 1)])


async def drop_waiting(view: StoreView, chat_id: int) -> None:
    """Deliver nothing more of what is posted for a chat: its user is served no more."""
    for state in ("WAITING", "DEAD"):
        dropped = Change(set={"state": "TOLD", "reason": "its user is served no more"})
        await view.update(_OUTBOX, {"chat_id": chat_id, "state": state}, dropped, many=True)


async def shows_card(view: StoreView, chat_id: int, key: str) -> bool:
    """Whether a chat shows the card of this key, or is about to."""
    rows = await _on_their_way(view, chat_id, key)
    return any(not is_amendment(row) for row in rows) or await has_card(view, chat_id, key)


async def is_on_its_way(view: StoreView, chat_id: int, key: str) -> bool:
    """Whether something is about to be shown on the card of this key, or is at this moment."""
    return bool(await _on_their_way(view, chat_id, key))


async def _on_their_way(view: StoreView, chat_id: int, key: str) -> list[Document]:
    """Return what is about to be shown on the card of this key, or is at this moment."""
    found = []
    for state in ("WAITING", "SENDING"):
        rows = await view.find(_OUTBOX, {"chat_id": chat_id, "state": state})
        found += [row for row in rows if row["key"] == key]
    return found


async def take_back(view: StoreView) -> None:
    """Return rows that a crash left SENDING to the queue, marked as possible repeats."""
    back = Change(set={"state": "WAITING"}, inc={"attempts": 1})
    await view.update(_OUTBOX, {"state": "SENDING"}, back, many=True)


async def waiting_of(view: StoreView, chat_id: int, limit: int) -> list[Document]:
    """Return what waits for a chat, in its order."""
    where = {"chat_id": chat_id, "state": "WAITING"}
    return await view.find(_OUTBOX, where, sort=[("seq", 1)], limit=limit)


async def waiting_beside(view: StoreView, left_out: Sequence[int], limit: int) -> list[Document]:
    """Return what waits for other chats than these, in its order."""
    where: dict[str, Any] = {"state": "WAITING"}
    if left_out:
        where["chat_id"] = {"$nin": list(left_out)}
    return await view.find(_OUTBOX, where, sort=[("seq", 1)], limit=limit)


async def mark_shown(view: StoreView, ids: Sequence[str], by: str) -> None:
    """Mark rows that wait as shown by another one, whose id is ``by``."""
    done = Change(set={"state": "SENT", "reason": f"{_BY_OTHER}{by}"})
    where = {"_id": {"$in": list(ids)}, "state": "WAITING"}
    await view.update(_OUTBOX, where, done, many=True)


async def claim(view: StoreView, row: Document) -> bool:
    """Claim a row that waits for its delivery; False where it waits no more."""
    where = {"_id": row["_id"], "state": "WAITING"}
    return await view.update(_OUTBOX, where, Change(set={"state": "SENDING"})) == 1


async def settle(view: StoreView, row: Document, change: Change) -> None:
    """Write what became of a row."""
    await view.update(_OUTBOX, {"_id": row["_id"]}, change)


async def forget_notices(view: StoreView, since: datetime, until: datetime) -> int:
    """Remove what was posted within a time and delivered or told of; return how many.

    With it go the places of cards that were not shown again since ``until``.
    """
    gone = 0
    for state, mark in itertools.product(("SENT", "TOLD"), ("", URGENT)):
        where = {"state": state, "seq": {"$gte": mark + _seq(since), "$lt": mark + _seq(until)}}
        rows = await view.find(_OUTBOX, where)
        for some in parts(rows):
            gone += await view.delete(_OUTBOX, {"_id": {"$in": [row["_id"] for row in some]}})
            cards = [(row["chat_id"], row["key"]) for row in some if row["key"]]
            await forget_cards(view, cards, until)
    return gone


def _seq(at: datetime) -> str:
    """Return where a real time stands in the order of rows."""
    return f"{int(at.timestamp() * 1_000_000):020d}"


class Outbox:
    """Writes notices. ``post`` belongs inside the transaction of the event that it reports."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._urgent_at: float | None = None
        self.wake = asyncio.Event()

    async def post(self, view: StoreView, post: Post) -> None:
        """Add a notice for one chat, or for every owner who has a chat.

        Every event adds its own row, edits of one card too: an edit that waits now may be claimed
        and rendered before this transaction commits, and would not show its event. The sender skips
        the edits that a later one makes needless.
        """
        for chat_id in await self._recipients(view, post):
            await view.insert(_OUTBOX, self._row(chat_id, post))
        if post.is_urgent:
            self._urgent_at = self._clock.monotonic()
        self.wake.set()

    async def post_alone(self, store: Store, post: Post) -> None:
        """Add a notice that reports no event of its own transaction, in one for it alone.

        The order of notices is given when they are written. A row that was made before, and waits
        for the store, would go out behind one that is newer (I8); and of two owners both are told,
        or none.
        """

        async def body(view: StoreView) -> None:
            await self.post(view, post)

        await store.transaction(body, nonce=f"notice:{secrets.token_hex(12)}")

    @property
    def has_urgent(self) -> bool:
        """Whether something urgent was posted so lately that it may not be among rows just read."""
        at = self._urgent_at
        return at is not None and self._clock.monotonic() - at < _COMMITS_WITHIN_S

    async def _recipients(self, view: StoreView, post: Post) -> list[int]:
        if post.chat_id is not None:
            return [post.chat_id]
        return await owner_chats(view)

    async def repeat_undelivered(self, view: StoreView, dead: Sequence[Document]) -> None:
        """Let a chat that can be reached again have what could not be delivered to it, once.

        The newest messages and cards are queued behind a summary, which counts what is left out and
        names what cannot be shown at all.

        Args:
            view: The caller's transaction.
            dead: All dead letters of the chat, oldest first.
        """
        chat_id = dead[0]["chat_id"]
        since = self._clock.market_at(dead[0]["created_at"])
        refused = [row for row in dead if row.get("is_refused")]
        # A card shows the present whenever it is rendered: its newest row stands for all of them.
        cards = {row["key"]: row for row in dead if row["key"] and not row.get("is_refused")}
        messages = [row for row in dead if not (row["key"] or row.get("is_refused"))]
        # A summary that did not arrive either is replaced by this one.
        messages = [row for row in messages if row["kind"] != Undelivered.kind]
        newest = messages[-_REPEATED:]
        await view.update(
            _OUTBOX,
            {"_id": {"$in": [row["_id"] for row in dead]}, "state": "DEAD"},
            Change(set={"state": "TOLD"}),
            many=True,
        )
        summary = Undelivered(
            since,
            len(newest),
            len(messages) - len(newest),
            tuple(dict.fromkeys(str(row["kind"]) for row in refused)),
        )
        header = self._row(chat_id, Post(summary))
        if newest or refused:
            await view.insert(_OUTBOX, header)
        again = sorted(
            [*newest, *list(cards.values())[-_REPEATED_CARDS:]], key=lambda row: str(row["seq"])
        )
        for number, row in enumerate(again):
            # Right behind the summary, and before whatever is posted after it.
            back = {"state": "WAITING", "seq": f"{header['seq']}.{number:03d}"}
            await view.update(_OUTBOX, {"_id": row["_id"]}, Change(set=back, inc={"repeats": 1}))
        self.wake.set()

    async def put_together(
        self, store: Store, chat_id: int, moved: Mapping[str, Sequence[Document]]
    ) -> None:
        """Post cards of several runs in the places of rows that wait, by the card's key."""

        async def body(view: StoreView) -> None:
            for key, rows in moved.items():
                where = {"_id": {"$in": [row["_id"] for row in rows]}, "state": "WAITING"}
                if key == AS_MESSAGES:
                    alone = Change(set={"delivery": Delivery.SEND.value, "key": None})
                    await view.update(_OUTBOX, where, alone, many=True)
                    continue
                runs = {row["key"]: row["data"]["run_id"] for row in rows}
                run_ids = await show_on(view, chat_id, key, runs, self._clock.now())
                post = Post(RunsTogether(tuple(run_ids)), Delivery.EDIT, key, chat_id)
                card = {**self._row(chat_id, post), "seq": f"{rows[0]['seq']}.0"}
                await view.insert(_OUTBOX, card)
                shown = Change(set={"state": "SENT", "reason": f"{_BY_OTHER}{card['_id']}"})
                await view.update(_OUTBOX, where, shown, many=True)

        await store.transaction(body, nonce=f"together:{secrets.token_hex(12)}")

    def _row(self, chat_id: int, post: Post) -> Document:
        now = self._clock.now()
        # One process writes, so microseconds made strictly rising order the rows of a chat without
        # a shared counter, on which transactions of different accounts would collide.
        self._last = max(self._last + 1, int(now.timestamp() * 1_000_000))
        return {
            "_id": f"{self._last:020d}",
            "seq": f"{URGENT if post.is_urgent else ''}{self._last:020d}",
            "chat_id": chat_id,
            **to_document(post.notice),
            "delivery": post.delivery.value,
            "key": post.key,
            "state": "WAITING",
            "attempts": 0,
            "created_at": now,
            "sent_at": None,
            "reason": "",
        }
