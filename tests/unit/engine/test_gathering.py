"""Messages that pile up go out together, at the pace of the messenger, what is urgent first (E5)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from core.domain.notices.post import Delivery, Post, run_card
from core.domain.notices.protection import ProtectedAgain, Unprotected
from core.domain.notices.system import Started
from core.engine.gathering import needless, next_part
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered, TryLater
from tests.fakes.memory_store import MemoryStore
from tests.faults.life import until
from tests.unit.engine.test_outbox_drains import Strict

pytestmark = pytest.mark.row("E5")

CHAT = 1
BARE = Unprotected("a", "orb", "NSE:SBIN", "MIS", 10, "its stop was refused", can_put_back=False)


@dataclass
class Gathering(Strict):
    """A messenger that shows several notices in one message.

    Attributes:
        messages: What each message held.
    """

    messages: list[list[Post]] = field(default_factory=list)

    async def deliver(self, chat_id: int, post: Post, **more: object) -> Delivered | TryLater:  # type: ignore[override]
        done = await super().deliver(chat_id, post, **more)
        self.messages += [[post]] if isinstance(done, Delivered) else []
        return done

    async def deliver_together(
        self, chat_id: int, posts: Sequence[Post], *, is_repeat: bool
    ) -> list[Delivered | TryLater]:
        more = {"notice_id": "", "message_id": None, "is_repeat": is_repeat}
        done = await super().deliver(chat_id, posts[0], **more)
        self.messages += [list(posts)] if isinstance(done, Delivered) else []
        return [done] * len(posts)

    def numbers(self) -> list[int]:
        shown = [post.notice for message in self.messages for post in message]
        return [one.unknown_orders for one in shown if isinstance(one, Started)]


async def test_messages_that_come_one_by_one_are_gathered(memory_store: MemoryStore) -> None:
    """Two hundred within a second, each posted alone: a few messages, none refused, all in order."""
    told = Gathering()
    outbox = Outbox(told.clock)
    task = asyncio.create_task(OutboxSender(memory_store, told.clock, outbox, told).run())
    try:
        for number in range(200):
            await outbox.post(memory_store, Post(Started(number), chat_id=CHAT))
            told.clock.wall.seconds += 0.005
            await asyncio.sleep(0)

        async def is_over() -> bool:
            return len(told.numbers()) == 200

        await until(is_over, what="all notices")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert told.numbers() == list(range(200))
    assert told.refusals == 0 and len(told.messages) <= 20


def row(number: int, post: Post, **fields: object) -> dict[str, object]:
    """Return what the outbox keeps of a post, as far as is looked at here."""
    seq = f"{'!' if post.is_urgent else ''}{number:020d}"
    found = {"_id": str(number), "seq": seq, "delivery": post.delivery.value, "attempts": 0}
    return {**found, **fields}


def test_what_is_urgent_is_gathered_with_its_like_alone() -> None:
    """It is neither behind nor below what is not; its end is as urgent, or it could be read first."""
    again = ProtectedAgain("a", "orb", "NSE:SBIN", 10, "its stop rests")
    assert Post(BARE).is_urgent and Post(again).is_urgent and not Post(Started(1)).is_urgent
    urgent = [row(number, Post(BARE)) for number in range(5)]
    others = [row(number, Post(Started(1))) for number in range(5, 15)]
    assert next_part([*urgent, *others], ()) == urgent
    assert next_part(urgent[:3], ()) == urgent[:1], "a few are messages of their own"


def test_a_card_keeps_its_place_among_messages_unless_it_only_changes() -> None:
    """An edit of what is shown already holds no message back; a new card stands where it belongs."""
    messages = [row(number, Post(Started(1))) for number in (1, 3, 4, 5, 6)]
    card = row(2, run_card("r"))
    mixed = [messages[0], card, *messages[1:]]
    assert next_part(mixed, {"2"}) == messages
    assert next_part(mixed, ()) == messages[:1]
    again = [*messages, *(row(number, Post(Started(1)), attempts=1) for number in range(7, 9))]
    assert next_part(again, ()) == messages, "only a repeat says that it is one"


def test_what_puts_a_card_right_stands_for_no_edit() -> None:
    """It comes as no message, so an edit that may do so is delivered, before or behind it."""
    edit, anew = run_card("r"), run_card("r", fresh=True)
    right = Post(edit.notice, Delivery.AMEND, edit.key)

    def rows(*posts: Post) -> list[dict[str, object]]:
        return [row(number, post, key=post.key) for number, post in enumerate(posts)]

    assert needless(rows(right, edit)) == {"0": "1"}
    assert needless(rows(edit, right)) == {"1": "0"}
    assert needless(rows(edit, right, edit)) == {"0": "2", "1": "2"}
    assert needless(rows(anew, right)) == {"1": "0"}
    assert needless(rows(right, right)) == {"0": "1"}
    assert needless(rows(right, run_card("another"))) == {}
    mixed = [row(1, right), *(row(number, Post(Started(1))) for number in range(2, 7))]
    assert next_part(mixed, {"1"}) == mixed[1:], "and no message waits for it"
