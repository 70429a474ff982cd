"""Who is served, and no more (G1): the list of the settings, /owners, and saarthi owners."""

from __future__ import annotations

from typing import Any

import pytest

from console import owners as command
from console.doctor.inside import owners as examined
from core.bootstrap.foundation import Foundation
from core.config import Settings
from core.domain.notices.post import Post
from core.domain.notices.system import Text
from core.errors import UserError
from core.ports.store import OUTSIDE
from tests.fakes.bot_world import OWNER, Person, World, a_tap, soon
from tests.fakes.views import an_account

pytestmark = [pytest.mark.dates, pytest.mark.row("G1")]

SECOND = 2002


async def bot_said(person: Person) -> list[str]:
    """Return what the bot wrote to somebody."""
    return [one["text"] for one in await person.messages() if one["from"] == "bot"]


async def post(world: World, text: str) -> None:
    """Post a notice to all, a moment later."""
    world.clock.wall.seconds += 1
    await world.wiring.outbox.post(world.store, Post(Text(text)))


async def chats(world: World, text: str) -> list[int]:
    """Return the chats that a notice waits for."""
    rows = await world.rows("outbox", state="WAITING")
    return sorted(row["chat_id"] for row in rows if row["data"].get("text") == text)


async def pair_second(world: World) -> Person:
    """Start with a second owner, who paired before, and let them write once."""
    row = {"_id": str(SECOND), "user_id": SECOND, "role": "owner", "by": "pairing", "name": "Ravi"}
    await world.store.insert("users", row)
    await world.start()
    second = Person(world.telegram, SECOND)
    for one in (world.owner, second):
        await one.say("/help")
        await one.sees("What I can do")
    await world.settled()
    return second


async def test_who_is_taken_off_the_list_is_out_at_the_next_start(world: World) -> None:
    """No answer, no button, no notice, not even those that waited; no login page that they saw."""
    await world.connect(an_account())
    world.owners = frozenset({OWNER, SECOND})
    await world.start()
    second = Person(world.telegram, SECOND)
    for one in (world.owner, second):
        await one.say("/help")
        await one.sees("What I can do")
    await world.settled()
    await post(world, "before")
    assert await chats(world, "before") == [OWNER, SECOND]
    page = (await world.control.logins.offer(an_account().broker_id)).page_url
    await world.crash()

    world.owners = frozenset({OWNER})
    before = len(await bot_said(second))
    # What they had sent while they were served, and what was not handled when it ended.
    await world.lay_in_inbox(a_tap(990, f"v1:off:{an_account().broker_id}", 1, user_id=SECOND))
    await world.lay_in_inbox(a_tap(991, "v1:help", 1, user_id=SECOND))
    await world.start()
    assert await chats(world, "before") == [OWNER]
    await post(world, "after")
    assert await chats(world, "after") == [OWNER]
    await second.say("/panic")
    bot = next(iter(world.telegram.sim.bots.values()))
    tap = a_tap(1, f"v1:off:{an_account().broker_id}", 1, user_id=SECOND)
    world.telegram.sim.queue(bot).put("callback_query", "x", tap["callback_query"])
    await world.owner.say("/health")  # behind these
    await world.owner.sees("Health")
    await world.settled()
    assert len(await bot_said(second)) == before
    assert await world.effects() == []
    offered = await world.control.logins.offer(an_account().broker_id)
    assert offered.page_url != page


async def test_an_owner_removes_another_from_the_chat(world: World) -> None:
    """The question names the effect; from the tap on the other one is served no more.

    When each wrote stands in market time, as all that the chat shows.
    """
    second = await pair_second(world)
    await world.owner.say("/owners")
    listed = await world.owner.sees("Who may use this bot")
    assert listed["text"].count(f"wrote {world.clock.market_now():%-d %b} ") == 2
    assert "· you\n   1001 · listed on the server\n" in listed["text"]
    assert f"{SECOND} · paired" in listed["text"]
    await world.owner.tap("Remove")
    question = await world.owner.sees("They get no answer and no notice")
    data = question["keyboard"][0][0]["data"]
    await world.owner.press(question["id"], data)
    await world.owner.reads(question["id"], "Who may use this bot")
    await post(world, "after")
    assert await chats(world, "after") == [OWNER]
    before = len(await bot_said(second))
    await second.say("/start")
    await world.owner.press(question["id"], data)
    await soon(world.owner.toasts)
    await world.settled()
    assert len(await bot_said(second)) == before
    told = await world.rows("outbox", kind="owner_removed")
    assert [(row["chat_id"], row["data"]["user_id"]) for row in told] == [(OWNER, SECOND)]


async def test_who_is_listed_or_last_is_not_removed_from_the_chat(world: World) -> None:
    """The one is to be taken off the list on the server; without the other nobody is served."""
    await pair_second(world)
    remove = world.control.owners.removable
    with pytest.raises(UserError, match="SAARTHI_OWNERS"):
        await remove(OWNER)
    with pytest.raises(UserError, match="not served"):
        await remove(3003)
    await world.control.owners.settle(())
    with pytest.raises(UserError, match="only owner"):
        await remove(SECOND)


async def run(world: World, listed: tuple[int, ...], remove: int | None) -> None:
    """Run ``saarthi owners`` on the world's store."""
    await command._act(foundation(world, listed), remove)


def foundation(world: World, listed: tuple[int, ...]) -> Any:
    class Under:
        store = world.store
        settings = Settings(owners=listed)

    return Under()


async def test_the_command_lists_and_removes(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says who came in how, refuses who is listed, and a running controller reads anew."""
    await pair_second(world)
    await world.store.insert("lease", {"_id": "controller", OUTSIDE: 0})
    await run(world, (OWNER,), None)
    assert "1001" in (shown := capsys.readouterr().out) and "listed" in shown and "paired" in shown
    with pytest.raises(UserError, match="SAARTHI_OWNERS"):
        await run(world, (OWNER,), OWNER)
    with pytest.raises(UserError, match="not served"):
        await run(world, (OWNER,), 3003)
    await run(world, (OWNER,), SECOND)
    assert f"User {SECOND} is served no more." in capsys.readouterr().out
    (lease,) = await world.rows("lease")
    assert lease[OUTSIDE] == 1
    second = Person(world.telegram, SECOND)
    before = len(await bot_said(second))
    await second.say("/help")
    await world.owner.say("/health")
    await world.owner.sees("Health")
    assert len(await bot_said(second)) == before


@pytest.mark.parametrize(
    ("listed", "served"),
    [((OWNER, 5), "1001 (listed), 5 (listed)"), ((7,), "7 (listed)"), ((), "1001 (paired)")],
)
async def test_doctor_says_who_is_served_by_the_settings_of_now(
    world: World, listed: tuple[int, ...], served: str
) -> None:
    """A row that an earlier version wrote says not how its user came in; a list decides then."""
    await world.store.insert("users", {"_id": str(OWNER), "user_id": OWNER, "role": "owner"})

    class Look:
        foundation: Foundation

    look: Any = Look()
    look.foundation = foundation(world, listed)
    (found,) = await examined(look, look.foundation.settings)
    assert all(one in found.text for one in served.split(", ")) and found.text.count("(") == len(
        served.split(", ")
    )
