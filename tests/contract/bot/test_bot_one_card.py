"""A typed value: the card that asked shows what came of it, and no second one stands below it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from core.adapters.paper import PAPER_PROFILE
from tests.fakes.bot_world import World
from tests.fakes.views import an_account

LIVE = an_account()
PAPER = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "Try", is_default=False)


@dataclass(frozen=True)
class Flow:
    """A command, the buttons to a question, and an answer.

    Attributes:
        asked: What the question says.
        text: What is typed.
        then: What the card says after it.
        back: The button that leaves the question.
        left: What the card says then.
    """

    command: str
    taps: tuple[str, ...]
    asked: str
    text: str
    then: str
    back: str
    left: str


FLOWS = {
    "limit": Flow(
        "/limits",
        ("Main", "Orders a day"),
        "send a number",
        "120",
        "✅ Orders a day: 120 (was no limit).",
        "« Back",
        "Orders a day: no limit",
    ),
    "no limit": Flow(
        "/limits",
        ("Main", "Order value", "₹1,00,000", "Order value"),
        "send a number",
        "none",
        "Entries of any order value go out then",
        "« Back",
        "Order value: ₹1,00,000",
    ),
    "guard": Flow(
        "/guard",
        ("Zerodha - Main", "Stop"),
        "send your own",
        "5k",
        "Set the guard of Zerodha - Main?",
        "« Back",
        "No guard",
    ),
    "trail": Flow(
        "/guard",
        ("Zerodha - Main", "Lock & trail", "Type another"),
        "Send X and Y",
        "10000 5000",
        "Set the guard of Zerodha - Main?",
        "« Back",
        "send your own",
    ),
    "size": Flow(
        "/strategies",
        ("Opening range breakout", "Zerodha - Main", "Fixed quantity"),
        "Send",
        "25",
        "✅ Changed.",
        "« Leave it",
        "Zerodha - Main",
    ),
    "name": Flow(
        "/brokers",
        ("Edit Main", "Rename"),
        "name",
        "Family",
        "✅ Now called Family.",
        "« Leave it",
        "Zerodha - Main",
    ),
    "money": Flow(
        "/brokers",
        ("Edit 📝 Try", "Paper money"),
        "How much money shall",
        "7,50,000",
        "has ₹7,50,000 of paper money now",
        "« Leave it",
        "Try",
    ),
}


async def _asked(world: World, flow: Flow) -> int:
    """Go to the question; return the card's id."""
    await world.connect(LIVE, PAPER)
    await world.start()
    await world.owner.say(flow.command)
    page = 0
    for label in flow.taps:
        page = await world.owner.tap(label)
        await world.settled()
    await world.owner.reads(page, flow.asked)
    return page


@pytest.mark.row("R1")
@pytest.mark.row("R5")
@pytest.mark.row("D6")
@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
async def test_the_card_that_asked_shows_the_answer(world: World, flow: Flow) -> None:
    """One card: the question becomes its result, and what was typed goes."""
    page = await _asked(world, flow)
    before = [one["id"] for one in await world.owner.messages()]
    await world.owner.say(flow.text)
    await world.owner.reads(page, flow.then)
    await world.settled()
    assert [one["id"] for one in await world.owner.messages()] == before


@pytest.mark.row("R1")
@pytest.mark.row("R5")
@pytest.mark.row("D6")
@pytest.mark.parametrize("name", sorted(FLOWS.keys() - {"guard", "trail"}))
async def test_who_leaves_a_question_answers_it_no_more(world: World, name: str) -> None:
    """Its card is the page again, and a number that comes later is not for it."""
    flow = FLOWS[name]
    page = await _asked(world, flow)
    await world.owner.tap(flow.back)
    await world.owner.reads(page, flow.left)
    await world.settled()
    assert await world.rows("prompts") == []
