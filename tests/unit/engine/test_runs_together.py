"""Many runs at one moment are one card, and each goes on there (rows E1, E5)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from core.domain.notices.post import Delivery, Post, bare_card, closed_card, run_card
from core.domain.notices.protection import ProtectedAgain, Unprotected
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.notices.runs import RunCard, RunsTogether
from core.domain.order import Side
from core.engine.gathering import Rounds
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.ports.notifier import Delivered, TryLater
from core.ports.store import StoreView
from tests.fakes.bot_api import Wall
from tests.fakes.bot_engine import QuickClock
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore
from tests.faults.life import until
from tests.unit.engine.test_gathering import CHAT, Gathering

_NONCES = itertools.count()
pytestmark = [pytest.mark.row("E1"), pytest.mark.row("E5")]


@dataclass
class Chat(Gathering):
    """A messenger that remembers where each notice was shown.

    Attributes:
        shown: What was shown, in which message; None where it was a new one.
    """

    shown: list[tuple[Post, int | None]] = field(default_factory=list)

    async def deliver(self, chat_id: int, post: Post, **more: object) -> Delivered | TryLater:  # type: ignore[override]
        done = await super().deliver(chat_id, post, **more)
        message_id = more["message_id"]
        assert message_id is None or isinstance(message_id, int)
        if isinstance(done, Delivered):
            self.shown.append((post, message_id))
        return done

    def new(self) -> list[RunCard | RunsTogether]:
        """Return the notices that came as new messages."""
        notices = [post.notice for post, message_id in self.shown if message_id is None]
        return [one for one in notices if isinstance(one, RunCard | RunsTogether)]

    def run_ids(self) -> list[str]:
        """Return the runs that the chat shows, each once."""
        ids: dict[str, None] = {}
        for post, _ in self.shown:
            match post.notice:
                case RunCard(run_id):
                    ids[run_id] = None
                case RunsTogether(run_ids):
                    ids |= dict.fromkeys(run_ids)
        return list(ids)


@asynccontextmanager
async def sending(
    store: MemoryStore, before: Chat | None = None
) -> AsyncIterator[tuple[Chat, Outbox]]:
    told = Chat(clock=before.clock) if before else Chat()
    outbox = Outbox(told.clock)
    task = asyncio.create_task(OutboxSender(store, told.clock, outbox, told).run())
    try:
        yield told, outbox
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def card(number: int, *, fresh: bool = False) -> Post:
    return replace(run_card(f"s{number}@09:20", fresh=fresh), chat_id=CHAT)


async def posted(store: MemoryStore, outbox: Outbox, cards: Sequence[Post]) -> None:
    """Post all in one commit, and wait until nothing waits any more."""

    async def body(view: StoreView) -> None:
        for one in cards:
            await outbox.post(view, one)

    await store.transaction(body, nonce=f"cards {next(_NONCES)}")

    async def is_over() -> bool:
        return not await store.find("outbox", {"state": {"$in": ["WAITING", "SENDING"]}})

    await until(is_over, what="all cards")


def ids(numbers: Iterable[int]) -> list[str]:
    return [f"s{number}@09:20" for number in numbers]


async def test_forty_runs_of_a_moment_are_one_message(memory_store: MemoryStore) -> None:
    """All of them stand on it, in their order."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(40)])
    assert told.new() == [RunsTogether(tuple(ids(range(40))))]
    assert [post.delivery for post, _ in told.shown] == [Delivery.EDIT]


async def test_runs_that_come_one_by_one_join_the_card(memory_store: MemoryStore) -> None:
    """A slot commits its runs one after another: a few messages, and each run is on one of them."""
    async with sending(memory_store) as (told, outbox):
        for number in range(40):
            await outbox.post(memory_store, card(number))
            told.clock.wall.seconds += 0.02
            await asyncio.sleep(0)
        await posted(memory_store, outbox, [card(40)])
    assert told.run_ids() == ids(range(41))
    assert len(told.new()) <= 8


async def test_five_runs_of_a_slot_are_one_card_though_each_commits_alone(
    memory_store: MemoryStore,
) -> None:
    """As the engine commits them, one after another: the first waits for the others a moment."""
    clock = ManualClock()
    told, outbox = Chat(clock=clock), Outbox(clock)  # type: ignore[arg-type]
    task = asyncio.create_task(OutboxSender(memory_store, clock, outbox, told).run())
    try:
        for number in range(5):
            await outbox.post(memory_store, card(number))
            await clock.advance(0.1)
        while len(told.run_ids()) < 5:
            await clock.advance(0.1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [type(one) for one in told.new()] == [RunsTogether]
    assert told.run_ids() == ids(range(5))


def test_the_first_card_of_a_run_does_not_wait_for_long() -> None:
    """Until no other run has come for a moment; and runs that keep coming hold none back."""
    wall = Wall()
    rounds = Rounds(QuickClock(wall))
    rows = [{"_id": str(number), "key": f"run:{number}"} for number in range(3)]
    assert rounds.place(CHAT, rows[:1]) is None
    assert rounds.wait(CHAT, rows[0]) == pytest.approx(0.3)
    wall.seconds += 0.2
    assert rounds.place(CHAT, rows[:2]) is None
    assert rounds.wait(CHAT, rows[0]) == pytest.approx(0.3)
    wall.seconds += 0.3
    assert rounds.place(CHAT, rows[:2]) is None
    assert rounds.wait(CHAT, rows[0]) <= 0
    wall.seconds += 0.9
    assert rounds.place(CHAT, rows) is None
    assert rounds.wait(CHAT, rows[0]) == pytest.approx(0.1)
    assert rounds.wait(CHAT, {"_id": "9", "key": None}) == 0


async def test_a_few_runs_have_a_card_each(memory_store: MemoryStore) -> None:
    """Up to three: their accounts and orders stand on them in full."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(3)])
        await posted(memory_store, outbox, [card(1)])
    assert told.new() == [RunCard(one) for one in ids(range(3))]
    assert [post.notice for post, message in told.shown if message] == [RunCard("s1@09:20")]


async def test_what_becomes_of_a_run_is_told_on_the_card_that_shows_it(
    memory_store: MemoryStore,
) -> None:
    """Edits of it in its place, however many runs change; nothing of it comes as a message."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(5)])
        (_, first), *_ = told.shown
        await posted(memory_store, outbox, [card(number) for number in (3, 1, 3)])
    assert first is None and len(told.new()) == 1
    (_, (edit, message)) = told.shown
    assert edit.notice == RunsTogether(tuple(ids(range(5)))) and message is not None


async def test_a_result_that_is_sent_anew_has_its_own_message(memory_store: MemoryStore) -> None:
    """It does not take the card of the others with it, and the run goes on in its own."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(5)])
        await posted(memory_store, outbox, [card(2, fresh=True)])
        await posted(memory_store, outbox, [card(2), card(4)])
    assert told.new() == [RunsTogether(tuple(ids(range(5)))), RunCard("s2@09:20")]
    assert (told.shown[1][0].delivery, told.shown[1][1]) == (Delivery.REPLACE, None)
    edited = {type(post.notice): message for post, message in told.shown[2:]}
    assert set(edited) == {RunCard, RunsTogether} and len(set(edited.values())) == 2


async def test_a_killed_sender_goes_on_with_the_card(memory_store: MemoryStore) -> None:
    """Which run stands where is in the store."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(5)])
    told.clock.wall.seconds += 60
    async with sending(memory_store, told) as (told, outbox):
        await posted(memory_store, outbox, [card(2)])
    ((post, message),) = told.shown
    assert post.notice == RunsTogether(tuple(ids(range(5)))) and message is not None


def result(number: int) -> Post:
    closed = PositionClosed(
        "a", ClosedBy.GUARD, f"s{number}", "NSE:SBIN", "MIS", Side.SELL, 10, Decimal(9)
    )
    return replace(closed_card(closed, f"s{number}@09:20"), chat_id=CHAT)


async def test_results_of_such_runs_are_put_together_too(memory_store: MemoryStore) -> None:
    """A square-off of twenty strategies: one card, and a few messages with all of the results."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [card(number) for number in range(20)])
        await posted(memory_store, outbox, [result(number) for number in range(20)])
        await posted(memory_store, outbox, [card(number) for number in range(20)])
    closed = [
        post.notice.strategy
        for message in told.messages
        for post in message
        if isinstance(post.notice, PositionClosed)
    ]
    assert closed == [f"s{number}" for number in range(20)]
    assert len(told.messages) <= 4
    assert told.new() == [RunsTogether(tuple(ids(range(20))))]


async def test_a_run_whose_result_waits_is_on_no_card(memory_store: MemoryStore) -> None:
    """Stops that are hit are told at once, each in its message, where their closes go on."""
    async with sending(memory_store) as (told, outbox):
        both = [one for number in range(5) for one in (result(number), card(number))]
        await posted(memory_store, outbox, both)
    assert told.new() == []
    kinds = [post.notice.kind for post, _ in told.shown]
    assert sorted(kinds) == ["position_closed"] * 5 + ["run_card"] * 5


def alarm(number: int) -> Post:
    notice = Unprotected("a", "orb", f"NSE:S{number}", "MIS", 10, "refused", can_put_back=False)
    return replace(bare_card(notice, f"l{number}"), chat_id=CHAT)


def again(number: int) -> Post:
    notice = ProtectedAgain("a", "orb", f"NSE:S{number}", 10, "its stop rests")
    return replace(bare_card(notice, f"l{number}"), chat_id=CHAT)


@pytest.mark.row("R6")
async def test_an_alarm_and_its_end_are_one_message(memory_store: MemoryStore) -> None:
    """The end takes the place of the alarm that it ends."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [alarm(1)])
        await posted(memory_store, outbox, [again(1)])
    (_, first), (end, replaced) = told.shown
    assert first is None and replaced is not None
    assert isinstance(end.notice, ProtectedAgain) and end.delivery is Delivery.REPLACE


@pytest.mark.row("R6")
async def test_many_alarms_go_together_and_none_is_lost(memory_store: MemoryStore) -> None:
    """A broker that refuses fifty stops is a few messages, and so is the end of it."""
    async with sending(memory_store) as (told, outbox):
        await posted(memory_store, outbox, [alarm(number) for number in range(50)])
        alarms = len(told.messages)
        await posted(memory_store, outbox, [again(number) for number in range(50)])
    kinds = [post.notice.kind for message in told.messages for post in message]
    assert kinds == ["unprotected"] * 50 + ["protected_again"] * 50
    assert alarms <= 6 and len(told.messages) <= 12
