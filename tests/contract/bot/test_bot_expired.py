"""Views of an account whose token has expired begin with that, and with the way to log in (B7)."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.account import TokenStatus
from core.domain.mode import TradingMode
from tests.fakes.bot_world import World
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("B7")
WELL = an_account()
EXPIRED = an_account(
    "zerodha_bbbbbbbbbb",
    display_name="Second",
    is_default=False,
    trading_mode=TradingMode.EXIT_ONLY,
    token_status=TokenStatus.EXPIRED,
)
BANNER = "⚠️ Dashboard data may be incomplete: token not refreshed for Second."


def is_marked(message: dict[str, Any]) -> bool:
    """Whether a message begins with the banner, and its keyboard with the login."""
    first = message["keyboard"][0][0]["text"]
    return bool(message["text"].startswith(BANNER)) and first == "Log in to Zerodha - Second"


async def test_every_view_of_it_and_of_all_together_says_so(world: World) -> None:
    """The account that is logged in has neither; what all accounts show is marked as well."""
    await world.connect(WELL, EXPIRED)
    await world.start()
    person = world.owner
    for command, title in (
        ("dashboard", "Funds"),
        ("positions", "Positions"),
        ("orders", "Orders today"),
        ("trades", "Trades today"),
        ("pnl", "Profit today"),
    ):
        await person.say(f"/{command}")
        shown = await person.sees(f"{title}")
        assert "incomplete" not in shown["text"], shown["text"]
        if command != "dashboard":
            await person.tap("All accounts")
            assert is_marked(await person.reads(shown["id"], "all accounts"))
        await person.tap("Second")
        assert is_marked(await person.reads(shown["id"], "Zerodha - Second")), command
        await person.tap("Main")
        await person.reads(shown["id"], "Zerodha - Main")
    await person.say("/brokers")
    page = await person.tap("Edit Second")
    assert is_marked(await person.reads(page, "Dashboard data may be incomplete"))
    for command in ("limits", "guard"):
        await person.say(f"/{command}")
        page = await person.tap("Second")
        assert is_marked(await person.reads(page, "Dashboard data may be incomplete")), command


async def test_nothing_of_it_is_called_drained(world: World) -> None:
    """It was not read: nothing is known to be held, which is not nothing held."""
    await world.connect(WELL, EXPIRED)
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("Left to close")
    shown = await world.owner.sees("Left to close: exit-only accounts")
    assert is_marked(shown)
    assert "All closed" not in shown["text"]
    assert "Not read from the broker: what it holds is not known." in shown["text"]
