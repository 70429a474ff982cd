"""The head of the lists: made-up prices, and that no other day is shown (rows E3, F6)."""

from __future__ import annotations

import pytest

from bot.handlers.dashboard import ONLY_TODAY
from bot.views.paper import MADE_UP
from bot.views.width import _LINE, width
from core.adapters.paper import PAPER_PROFILE
from tests.fakes.bot_world import World
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("E3")
LIVE = an_account()
PAPER = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "Try", is_default=False)
LISTS = {
    "orders": "Orders today · ",
    "positions": "Positions · ",
    "trades": "Trades today · ",
    "pnl": "Profit today · ",
}


@pytest.mark.row("F6")
@pytest.mark.parametrize("is_alone", [True, False])
async def test_lists_say_once_that_prices_are_made_up(world: World, is_alone: bool) -> None:
    """As long as paper is all there is; beside a broker's account prices are real."""
    await world.connect(PAPER, *(() if is_alone else (LIVE,)))
    await world.start()
    for name, title in LISTS.items():
        sent = await world.owner.say(f"/{name}")
        seen = await world.owner.sees(title, after=sent)
        assert seen["text"].count(MADE_UP) == int(is_alone), seen["text"]


async def test_who_asks_for_another_day_learns_that_there_is_none(world: World) -> None:
    """Typed or as a command; who asks for today is told nothing of it."""
    await world.connect(LIVE)
    await world.start()
    for text, count in (("pnl yesterday", 1), ("/orders last week", 1), ("pnl today", 0)):
        sent = await world.owner.say(text)
        seen = await world.owner.sees("oday · ", after=sent)
        assert seen["text"].count(ONLY_TODAY) == count, seen["text"]


async def test_a_command_shows_the_account_that_is_named_beside_it(world: World) -> None:
    """Not the default account; a word that names none changes nothing."""
    await world.connect(LIVE, PAPER)
    await world.start()
    for text, label in (("/orders try", PAPER.label), ("/positions main", LIVE.label)):
        sent = await world.owner.say(text)
        seen = await world.owner.sees(
            "ders today · " if "orders" in text else "itions · ", after=sent
        )
        assert label in seen["text"], seen["text"]


def test_the_lines_fit_a_narrow_phone() -> None:
    """Neither is broken by a screen of 360 points."""
    assert max(width(MADE_UP), width(ONLY_TODAY)) <= _LINE
