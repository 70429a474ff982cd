"""What could not be delivered is counted, and comes at the user's next visit, once (row H5)."""

# ruff: noqa: ARG002 - the port passes what this chat needs not look at

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from core.domain.notices.logins import LoginDone
from core.domain.notices.post import Post, run_card
from core.domain.notices.system import ServiceCrashed, Undelivered
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Blocked, Delivered, Undeliverable
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import CHAT, MemoryEngine

OTHER = 4712


@dataclass
class _Chat:
    """A notifier whose chats may be blocked, and which refuses one kind for good."""

    blocked: bool = True
    refused: str = ""
    shown: list[Post] = field(default_factory=list)

    async def deliver(
        self, chat_id: int, post: Post, *, notice_id: str, message_id: int | None, is_repeat: bool
    ) -> Delivered | Blocked | Undeliverable:
        assert not is_repeat, "what never arrived is no repeat"
        if post.notice.kind == self.refused:
            return Undeliverable("can't parse")
        if self.blocked:
            return Blocked("bot was blocked by the user")
        self.shown.append(post)
        return Delivered(message_id or len(self.shown))


@pytest.fixture
async def engine() -> MemoryEngine:
    return await MemoryEngine(ManualClock()).owned()


async def deliver(engine: MemoryEngine, chat: _Chat) -> None:
    """Deliver what waits now."""
    sender = OutboxSender(engine.store, engine.clock, engine.wiring.outbox, chat)
    for chat_id in await sender._chats():
        await sender._drain(chat_id)


async def post(engine: MemoryEngine, *posts: Post) -> None:
    for one in posts:
        await engine.wiring.outbox.post(engine.store, one)


async def states(engine: MemoryEngine) -> list[str]:
    return [row["state"] for row in await engine.store.find("outbox", {}, sort=[("seq", 1)])]


async def test_what_a_blocked_chat_missed_comes_at_the_next_visit(engine: MemoryEngine):
    """Behind a summary that says since when; counted until then, and not a second time."""
    chat = _Chat()
    await post(engine, Post(LoginDone("a")), run_card("r"), Post(LoginDone("b")), run_card("r"))
    since = engine.clock.market_now()
    await deliver(engine, chat)
    assert (await engine.control.health.read()).outbox_dead == 3, "one edit stands for both"
    chat.blocked = False
    for _ in range(2):
        await engine.control.deliveries.repeat(CHAT)
        await deliver(engine, chat)
    assert [one.notice for one in chat.shown] == [
        Undelivered(since, following=2, left_out=0),
        LoginDone("a"),
        LoginDone("b"),
        run_card("r").notice,
    ]
    assert (await engine.control.health.read()).outbox_dead == 0


async def test_only_the_newest_are_repeated_and_the_others_are_counted(engine: MemoryEngine):
    """Ten messages; whoever was away for a week is not buried in them."""
    chat = _Chat()
    await post(engine, *(Post(LoginDone(str(number))) for number in range(13)))
    await deliver(engine, chat)
    chat.blocked = False
    await engine.control.deliveries.repeat(CHAT)
    await post(engine, Post(LoginDone("new")))
    await deliver(engine, chat)
    summary, *rest = [one.notice for one in chat.shown]
    assert isinstance(summary, Undelivered)
    assert (summary.following, summary.left_out) == (10, 3)
    assert rest == [LoginDone(str(number)) for number in range(3, 13)] + [LoginDone("new")]


async def test_what_telegram_refuses_in_every_form_is_named_once(engine: MemoryEngine):
    """It would be refused again, so only its kind is told."""
    chat = _Chat(blocked=False, refused="service_crashed")
    await post(engine, Post(ServiceCrashed("x", "y")), Post(LoginDone("a")))
    await deliver(engine, chat)
    assert await states(engine) == ["DEAD", "SENT"]
    for _ in range(2):
        await engine.control.deliveries.repeat(CHAT)
        await deliver(engine, chat)
    summaries = [one.notice for one in chat.shown if isinstance(one.notice, Undelivered)]
    assert [(one.following, one.refused) for one in summaries] == [(0, ("service_crashed",))]
    assert await states(engine) == ["TOLD", "SENT", "SENT"]


async def test_a_chat_that_blocks_again_loses_nothing(engine: MemoryEngine):
    """The same messages come at the visit after that, behind one summary."""
    chat = _Chat()
    await post(engine, Post(LoginDone("a")))
    await deliver(engine, chat)
    await engine.control.deliveries.repeat(CHAT)
    await deliver(engine, chat)
    chat.blocked = False
    await engine.control.deliveries.repeat(CHAT)
    await deliver(engine, chat)
    kinds = [one.notice.kind for one in chat.shown]
    assert kinds == ["undelivered", "login_done"]


async def test_another_chats_letters_stay_its_own(engine: MemoryEngine):
    """A visit brings what was meant for that chat."""
    chat = _Chat()
    await post(engine, Post(LoginDone("a"), chat_id=OTHER))
    await deliver(engine, chat)
    chat.blocked = False
    await engine.control.deliveries.repeat(CHAT)
    await deliver(engine, chat)
    assert chat.shown == [] and await states(engine) == ["DEAD"]
