"""Forged buttons and typed texts of an owner's own chat: nothing happens, and nothing breaks (G3)."""

from __future__ import annotations

import json
import logging

import pytest

from bot.registry import ACTIONS, COMMANDS
from bot.views.callbacks import LIMIT_BYTES
from tests.fakes.bot_world import OWNER, World, a_message, a_tap
from tests.fakes.views import an_account

pytestmark = [pytest.mark.dates, pytest.mark.row("G3")]

HOSTILE = (
    "",
    '{"$gt"',
    "$where=1",
    "../../secret",
    "%s%n{0}",
    "-1",
    "9" * 30,
    "<b>x",
    "a.b.$c",
    "\u202e\u0000",
)


async def test_forged_buttons_of_every_verb_do_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators of the store, paths, formats, numbers, markup as arguments: no effect, no bug."""
    await world.connect(an_account())
    await world.start()
    await world.owner.say("/help")
    shown = await world.owner.sees("What I can do")
    bot = next(iter(world.telegram.sim.bots.values()))
    queue = world.telegram.sim.queue(bot)
    for number, verb in enumerate(ACTIONS):
        for turn in range(2):
            one = HOSTILE[(number + turn * 5) % len(HOSTILE)]
            other = HOSTILE[(number + 3) % len(HOSTILE)]
            data = f"v1:{verb}:{one}:{other}".encode()[:LIMIT_BYTES].decode(errors="ignore")
            tap = a_tap(number * 10 + turn, data, shown["id"])
            queue.put("callback_query", "x", tap["callback_query"])
    with caplog.at_level(logging.ERROR):
        await world.owner.say("/health")
        await world.owner.sees("Health")
        await world.settled()
    assert "a visit failed" not in caplog.text
    # The button that dismisses a warning has no argument to forge.
    assert [one for one in await world.effects() if not one.startswith("dismiss:")] == []
    assert not [
        one for one in await world.owner.messages() if "went wrong on my side" in one["text"]
    ]


async def test_hostile_texts_to_every_command_change_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows a command is text: it finds nothing, forges no line, and is shown escaped."""
    await world.connect(an_account())
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    bot = next(iter(world.telegram.sim.bots.values()))
    queue = world.telegram.sim.queue(bot)
    told = " ".join(HOSTILE[1:8]) + '\n{"level": "CRITICAL"}'
    for number, command in enumerate(COMMANDS):
        body = a_message(number, f"/{command.name} {told}", at=world.clock.now())
        queue.put("message", "x", json.loads(json.dumps(body["message"])))
    with caplog.at_level(logging.INFO):
        await world.owner.say("/health")
        await world.owner.sees("Health")
        await world.settled()
    assert "a visit failed" not in caplog.text
    assert "CRITICAL" not in caplog.text and "$where" not in caplog.text
    assert [one for one in await world.effects() if not one.startswith("round:")] == []
    assert [row["_id"] for row in await world.rows("users")] == [str(OWNER)]
