"""Who is heard at the edge: strangers cost next to nothing, however many there are (rows G1, R2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import Bot

from bot.edge.authorization import Authorization
from bot.edge.intake import Intake, update_ids
from bot.edge.pairing import Pairing, pairing_code
from core.ports.store import Document
from tests.fakes.clock import ManualClock
from tests.fakes.log_lines import lines_of
from tests.fakes.memory_store import MemoryStore

pytestmark = [pytest.mark.row("R2"), pytest.mark.row("G1")]

OWNER, STRANGER = 4711, 6666
AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


class Counted(MemoryStore):
    """A store that counts what it is asked."""

    calls = 0

    async def get(self, collection: str, key: str) -> Document | None:
        self.calls += 1
        return await super().get(collection, key)

    async def find(self, collection: str, where: Mapping[str, Any], **more: Any) -> list[Document]:
        self.calls += 1
        return await super().find(collection, where, **more)

    async def update(self, *given: Any, **named: Any) -> int:
        self.calls += 1
        return await super().update(*given, **named)

    async def insert(self, *given: Any, **named: Any) -> None:
        self.calls += 1
        await super().insert(*given, **named)

    async def transaction(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        return await super().transaction(*given, **named)


class Edge:
    """The intake over a store in memory, with an owner or without one."""

    def __init__(self) -> None:
        self.store, self.clock = Counted(), ManualClock(AT)
        self.console: list[str] = []
        gate = Authorization(self.store, self.clock)
        self.pairing = Pairing(self.store, gate)
        bot = Bot("7000000001:a-simulated_token")
        self.intake = Intake(gate, self.pairing, bot, self.clock, self.console.append)

    async def with_owner(self) -> Edge:
        await self.store.insert("users", {"_id": str(OWNER), "user_id": OWNER, "role": "owner"})
        self.store.calls = 0
        return self

    async def heard(self, *written: object) -> list[int]:
        """Return the ids of what is stored of a poll."""
        return [one.update_id for one in await self.intake.sift(written)]


def said(update_id: int, user_id: int, text: Any = "STOP", **changes: Any) -> dict[str, Any]:
    """Return a message of a user in their private chat, as Telegram writes it."""
    message = {
        "message_id": 1,
        "date": int(AT.timestamp()),
        "text": text,
        "chat": {"id": user_id, "type": "private", "first_name": "Asha"},
        "from": {"id": user_id, "is_bot": False, "first_name": "Asha"},
    }
    return {"update_id": update_id, "message": message | changes}


def tapped(update_id: int, user_id: int, **changes: Any) -> dict[str, Any]:
    """Return a tap of a user in their private chat, as Telegram writes it."""
    message = said(0, user_id)["message"]
    query = {
        "id": "1",
        "chat_instance": "1",
        "from": message["from"],
        "message": message,
        "data": "v1:panic:AAAA",
    }
    return {"update_id": update_id, "callback_query": query | changes}


async def test_a_thousand_strangers_cost_one_read_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """None of theirs is stored; the owner behind them is, whatever they sent before."""
    edge = await Edge().with_owner()
    crowd = [said(n, 100_000 + n) for n in range(500)]
    crowd += [tapped(500 + n, 100_000 + n) for n in range(500)]
    with caplog.at_level(logging.INFO):
        assert await edge.heard(*crowd, said(1000, OWNER), tapped(1001, OWNER)) == [1000, 1001]
        assert edge.store.calls == 1
        assert await edge.heard(*crowd) == []
        assert len(lines_of(caplog, "bot")) == 1
        await edge.clock.advance(61)
        assert await edge.heard(said(2000, OWNER)) == [2000]
    first, second = (record.getMessage() for record in lines_of(caplog, "bot"))
    assert first.startswith("updates of users who are not served, dropped: 1000 (100000, ")
    assert second.startswith("updates of users who are not served, dropped: 1000 (")


IN_A_GROUP = {"id": -500, "type": "group", "title": "Friends"}
NOBODY: list[dict[str, Any]] = [
    said(1, OWNER, chat=IN_A_GROUP),
    said(1, OWNER, chat={"id": -100500, "type": "channel", "title": "News"}),
    said(1, OWNER, chat={"id": 7, "type": "private"}),
    said(1, OWNER, **{"from": {"id": OWNER, "is_bot": True, "first_name": "A bot"}}),
    said(1, OWNER, **{"from": {"id": str(OWNER), "is_bot": False, "first_name": "Asha"}}),
    said(1, OWNER, **{"from": None}),
    said(1, OWNER, chat=None),
    said(1, STRANGER, sender_chat={"id": OWNER, "type": "private"}),
    said(1, STRANGER, forward_origin={"type": "user", "sender_user": {"id": OWNER}}),
    said(1, STRANGER, via_bot={"id": OWNER, "is_bot": True, "first_name": "A bot"}),
    said(1, STRANGER, reply_to_message=said(0, OWNER)["message"]),
    tapped(1, STRANGER),
    tapped(1, OWNER, message=None, inline_message_id="AAAA"),
    tapped(1, OWNER, message={**said(0, OWNER)["message"], "chat": IN_A_GROUP}),
    {"update_id": 1, "edited_message": said(1, OWNER)["message"]},
    {"update_id": 1, "channel_post": said(1, OWNER)["message"]},
    {"update_id": 1, "edited_channel_post": said(1, OWNER)["message"]},
    {"update_id": 1, "business_message": said(1, OWNER)["message"]},
    {
        "update_id": 1,
        "inline_query": {"id": "1", "from": {"id": OWNER}, "query": "/panic", "offset": ""},
    },
    {"update_id": 1, "chosen_inline_result": {"result_id": "1", "from": {"id": OWNER}}},
    {"update_id": 1, "message": "text"},
    {"update_id": 1, "message": [said(1, OWNER)["message"]]},
    {"update_id": 1},
]


@pytest.mark.parametrize("update", NOBODY, ids=str)
async def test_what_is_not_an_owners_own_word_in_their_chat_is_dropped(
    update: dict[str, Any],
) -> None:
    """Groups, channels, bots, forwards, edits, inline queries, an owner named by somebody else."""
    edge = await Edge().with_owner()
    assert await edge.heard(update, said(2, OWNER)) == [2]


UNREADABLE: list[object] = [
    said(1, OWNER, date="yesterday, secret-canary"),
    said(1, OWNER, entities=[{"type": "bot_command", "offset": 0, "length": 4, "user": 7}]),
    said(1, OWNER, message_id=None, photo="secret-canary"),
    said(1, OWNER, reply_markup={"inline_keyboard": "secret-canary"}),
    {"message": said(1, OWNER)["message"]},
    {"update_id": "1", "message": {"text": "secret-canary"}},
    {"update_id": True},
    "secret-canary",
    ["secret-canary"],
    None,
    7,
]


@pytest.mark.invariant("I12")
@pytest.mark.parametrize("broken", UNREADABLE, ids=str)
async def test_one_update_that_cannot_be_read_stops_nobody(
    broken: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Those beside it are served, it is confirmed, and nothing of it stands in the log."""
    edge = await Edge().with_owner()
    with caplog.at_level(logging.DEBUG):
        heard = await edge.heard(said(5, OWNER), broken, said(6, OWNER))
    assert [one for one in heard if one != 1] == [5, 6]
    assert max(update_ids([broken, said(6, OWNER)])) == 6
    assert "secret-canary" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_strangers_are_heard_only_with_the_code_while_nobody_is_the_owner() -> None:
    """Whatever else they send is dropped; a wrong code costs no write.

    The console says that the bot hears, and what to do: whoever tries it out takes it for dead else.
    """
    edge = Edge()
    code = await pairing_code(edge.store)
    assert code is not None
    assert await edge.heard(said(1, 1, "/start"), said(2, 2, "/pair WRONGONE")) == []
    wrong, early = edge.console
    assert "1 (2)" in wrong and "The bot hears in Telegram" in early and "1 (1)" in early
    assert "/pair" in early and code not in early
    assert await edge.heard(said(3, 3, f"/pair {code.lower()}"), tapped(4, 3)) == [3]
    in_a_group = said(5, 5, f"/pair {code}", chat=IN_A_GROUP)
    assert await edge.heard(in_a_group, said(6, 6, f"x /pair {code}")) == []
    assert (
        await edge.heard(said(7, 7, "/pair\u00a0" + code + "\n" + code), said(8, 8, "/pair")) == []
    )


async def test_who_guesses_is_not_heard_any_more_and_closes_nothing() -> None:
    """After five wrong codes of one user nothing of theirs is compared; the console says so once."""
    edge = Edge()
    code = await pairing_code(edge.store)
    wrong = [said(n, STRANGER, f"/pair WRONG{n:03d}") for n in range(200)]
    assert await edge.heard(*wrong, said(300, STRANGER, f"/pair {code}")) == []
    assert await edge.heard(said(301, OWNER, f"/pair {code}")) == [301]
    (line,) = edge.console
    assert line.startswith("wrong pairing codes") and f"201 ({STRANGER})" in line
