"""The poller: every poll is confirmed once it is stored, whatever it brought (cases T05, T06)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError

from bot.edge.polling import REFUSED_BY_TELEGRAM, SECOND_INSTANCE, Poller
from core.errors import StoreUnavailable
from tests.fakes.clock import ManualClock
from tests.unit.bot.test_strangers import OWNER, Edge, said


@dataclass
class Wire:
    """Both ends of a poller: what polls bring, and what is asked, stored and waited for."""

    polls: list[list[object]]
    more: list[list[object]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    brought: list[object] = field(default_factory=list)
    read: int = 0
    offsets: list[int | None] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    refusals: list[TelegramError] = field(default_factory=list)
    store_is_away: bool = False
    fresh: list[bool] = field(default_factory=list)

    async def get_updates(self, *, offset: int | None, **_: Any) -> tuple[()]:
        self.offsets.append(offset)
        if self.refusals:
            raise self.refusals.pop(0)
        self.brought = self.polls.pop(0)
        return ()

    async def take_more(self, offset: int) -> bool:
        self.taken.append(offset)
        if not self.more:
            return False
        self.brought = self.more.pop(0)
        return True

    def body(self) -> bytes:
        return json.dumps({"ok": True, "result": self.brought}).encode()

    def written(self) -> list[object]:
        self.read += 1
        return self.brought

    async def keep(self, updates: Sequence[Update], *, are_fresh: bool) -> None:
        if self.store_is_away:
            raise StoreUnavailable("away")
        self.fresh.append(are_fresh)
        self.kept += [one.update_id for one in updates]

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.clock, name)


async def polled(*polls: list[object], more: Sequence[list[object]] = ()) -> Wire:
    """Poll as often as there is something, and once more."""
    edge = await Edge().with_owner()
    wire = Wire([*polls, []], list(more))
    ends: Any = wire
    poller = Poller(ends, ends, edge.intake, ends, ends, timeout_s=5)
    for _ in range(len(polls) + 1):
        await poller.poll_once()
    return wire


BROKEN: dict[str, Any] = {"update_id": 7, "message": {"date": "secret-canary"}}


@pytest.mark.matrix("T05")
@pytest.mark.parametrize(
    ("poll", "kept", "confirmed"),
    [
        ([said(5, OWNER), BROKEN, said(8, OWNER)], [5, 8], 9),
        ([said(5, OWNER), {**BROKEN, "message": said(7, OWNER, date="x")["message"]}], [5], 8),
        ([said(5, 6666), said(6, 6666)], [], 7),
        ([said(9, OWNER), said(8, OWNER)], [9, 8], 10),
        ([], [], None),
    ],
    ids=["unparsable", "an owner's unparsable", "strangers", "out of order", "nothing"],
)
async def test_a_poll_is_confirmed_whatever_it_brought(
    poll: list[object], kept: list[int], confirmed: int | None
) -> None:
    """One that cannot be read does not come again for ever, and holds up nobody."""
    wire = await polled(poll)
    assert wire.kept == kept
    assert wire.offsets == [None, confirmed]
    assert wire.waits == []


@pytest.mark.matrix("T06")
@pytest.mark.parametrize(
    ("refusal", "trouble"),
    [(Conflict("two"), SECOND_INSTANCE), (InvalidToken("no"), REFUSED_BY_TELEGRAM)],
)
async def test_refused_polls_are_reported_once_waited_out_and_over_with_an_answer(
    refusal: TelegramError, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a minute each, so that the other program is not fought; health tells it all the time."""
    edge = await Edge().with_owner()
    wire = Wire([[said(5, OWNER)]], refusals=[refusal, refusal])
    ends: Any = wire
    poller = Poller(ends, ends, edge.intake, ends, ends, timeout_s=5)
    for number in range(2):
        await poller.poll_once()
        assert (poller.health().trouble, wire.waits) == (trouble, [30.0] * (number + 1))
    assert [one.message for one in caplog.records if one.levelname == "CRITICAL"] == [trouble]
    await poller.poll_once()
    assert (poller.health().trouble, wire.kept, len(wire.waits)) == ("", [5], 2)


@pytest.mark.matrix("T05")
async def test_poll_that_could_not_be_stored_comes_again() -> None:
    """It is not confirmed to Telegram; and until one was stored, nothing of a poll is new."""
    edge = await Edge().with_owner()
    wire = Wire([[said(5, OWNER)], [said(5, OWNER)], [said(6, OWNER)]], store_is_away=True)
    ends: Any = wire
    poller = Poller(ends, ends, edge.intake, ends, ends, timeout_s=5)
    await poller.poll_once()
    assert "store cannot be written" in poller.health().trouble
    wire.store_is_away = False
    for _ in range(2):
        await poller.poll_once()
    assert wire.offsets == [None, None, 6]
    assert (wire.kept, wire.fresh) == ([5, 6], [False, True])
    assert poller.health().trouble == ""


async def test_what_has_no_id_is_waited_out() -> None:
    """It cannot be confirmed and would come again at once: the next poll waits."""
    wire = await polled(["nonsense", {"message": {}}])
    assert wire.offsets == [None, None] and wire.kept == []
    assert wire.waits == [1.0]


def crowd(first: int, count: int = 100) -> list[object]:
    """Return a poll of strangers."""
    return [said(first + n, 100_000 + n) for n in range(count)]


@pytest.mark.row("R2")
async def test_polls_of_strangers_are_passed_over_until_the_owner_stands_in_one() -> None:
    """Behind full ones the next is asked for at once, and none is made into objects."""
    wire = await polled(
        crowd(1), more=[crowd(101), crowd(201), [*crowd(301, 40), said(341, OWNER)]]
    )
    assert wire.taken == [101, 201, 301]
    assert wire.kept == [341]
    assert wire.offsets == [None, 342]
    assert wire.read == 2  # the owner's, and the empty one after it


@pytest.mark.row("R2")
async def test_what_cannot_be_taken_at_once_is_polled_for() -> None:
    """The library polls with the same offset, and says what is wrong."""
    wire = await polled(crowd(1), crowd(101, 30))
    assert wire.taken == [101]
    assert wire.offsets == [None, 101, 131]
    assert wire.kept == []
