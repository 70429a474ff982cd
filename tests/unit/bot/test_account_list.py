"""/brokers: what the list of accounts shows of each, and what can be tapped there (row A4)."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bot.conversation.login_buttons import LoginButtons
from bot.handlers import accounts
from bot.parameters import BotParameters
from bot.views.accounts import accounts_list
from bot.views.callbacks import Tap
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.mode import TradingMode
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.rendered import TAGS
from tests.fakes.run_bench import TEN
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("A4")


def test_the_mode_shown_is_the_one_that_holds() -> None:
    """The stricter of an account's own mode and the mode of all, which is named above."""
    first = an_account()
    second = replace(first, broker_id="b", is_default=False, trading_mode=TradingMode.PAUSED)
    text = TAGS.sub("", accounts_list((first, second), TradingMode.EXIT_ONLY, {}).text)
    assert text.splitlines()[1] == "The mode of all is Exit only; it holds for every account."
    assert re.findall(r"enabled · (.*?) · logged in", text) == ["Exit only", "Paused"]


async def test_who_needs_a_login_has_its_button_in_the_list() -> None:
    """Above the account's own row; who is logged in has none there."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    await engine.connect("Main")
    waiting = await engine.connect("Second", FYERS, enabled=False, logged_in=False)
    shown: list[Screen] = []

    async def show(screen: Screen) -> None:
        shown.append(screen)

    parameters = BotParameters("1:a", public_url="https://saarthi.example")
    logins = LoginButtons(engine.control.logins, parameters)
    visit: Any = SimpleNamespace(
        services=SimpleNamespace(control=engine.control, logins=logins),
        tap=Tap(Verb.ACCOUNTS),
        show=show,
    )
    await accounts.brokers(visit)
    (screen,) = shown
    assert [[one.text for one in row] for row in screen.rows] == [
        ["Disable Main", "Edit Main …"],
        ["Log in to Fyers - Second"],
        ["Enable Second", "Edit Second …"],
        ["➕ Add account", "🔄 Refresh"],
    ]
    login = screen.rows[1][0]
    page = (await engine.control.logins.offer(waiting.broker_id)).page_url
    assert page is not None and login.url == page
