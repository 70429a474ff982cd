"""What people type leads to the question of just that, or to one sentence with buttons (row B3)."""

from __future__ import annotations

from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.instrument import InstrumentId
from core.domain.mode import TradingMode
from tests.fakes.bot_world import World
from tests.fakes.views import a_position, an_account, an_order

MAIN = an_account()
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Second", is_default=False)
INFY = InstrumentId("NSE", "INFY")


async def two_accounts(world: World) -> None:
    """Both hold SBIN, one of them INFY; one has a working order."""
    await world.connect(MAIN, OTHER)
    await world.hold(a_position(MAIN))
    await world.hold(a_position(OTHER))
    await world.hold(a_position(MAIN, key="NSE:INFY|MIS", instrument=INFY))
    await world.order(an_order(MAIN))
    await world.start()


class Talk:
    """Says something and reads the one answer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.last = 0

    async def say(self, words: str, expected: str) -> dict[str, Any]:
        """Return the answer, which holds what is expected."""
        await self.world.owner.say(words)
        shown = await self.world.owner.sees(expected, after=self.last)
        self.last = int(shown["id"])
        return shown


def labels(shown: dict[str, Any]) -> list[str]:
    """Return the labels of a message's buttons."""
    return [button["text"] for row in shown["keyboard"] for button in row]


async def test_a_position_is_asked_about_by_its_name(world: World) -> None:
    """One that fits is asked about, several are chosen from, none is said; nothing acts by itself."""
    await two_accounts(world)
    talk = Talk(world)
    for words in ("close infy", "square off INFY", "square-off infy now", "exit my infy position"):
        shown = await talk.say(words, "Close this position on Zerodha - Main?")
        assert "INFY" in shown["text"] and labels(shown)[0] == "Close INFY now"
    shown = await talk.say("Sell sbin", "Which one?")
    assert labels(shown)[:2] == ["Close SBIN · Main", "Close SBIN · Second"]
    shown = await talk.say("close sbin on fyers", "Close this position on Fyers - Second?")
    shown = await talk.say("sell 5 infy", "I close whole positions only.")
    assert "Close this position" in shown["text"]
    shown = await talk.say("square off tcs", "No position in TCS is open.")
    assert labels(shown) == ["Positions", "Help"]
    shown = await talk.say("close zerodha", "Cancel and close everything on 1 account?")
    shown = await talk.say("buy 10 infy", "I take no buy or sell orders by hand")
    assert labels(shown) == ["Strategies", "Positions", "Help"]
    assert await world.rows("panics") == []
    assert [row["quantity"] for row in await world.rows("goals") if row["by_user"]] == []


async def test_a_mode_is_asked_for_alone(world: World) -> None:
    """Not the page of all modes: the question of that mode, of all accounts or of the named one."""
    await two_accounts(world)
    talk = Talk(world)
    await talk.say("pause everything", "Set Paused for all accounts?")
    await talk.say("exit only zerodha", "Set Exit only for Zerodha - Main?")
    await talk.say("pause second", "Set Paused for Fyers - Second?")
    shown = await talk.say("pause kotak", "No account is called kotak. Whose mode?")
    assert labels(shown) == ["Main: Paused", "Second: Paused", "All: Paused"]
    await talk.say("resume", "All accounts are Normal already.")
    assert await world.control.modes.global_mode() is TradingMode.NORMAL
    await talk.say("pause", "Set Paused for all accounts?")
    await world.owner.tap("Yes, set Paused")
    await world.owner.reads(talk.last, "All accounts: Paused")
    await talk.say("Resume everything!", "Set Normal for all accounts?")


async def test_orders_strategies_and_views_are_found_by_their_names(world: World) -> None:
    """An order to cancel, a strategy's page or run, a view of the account that was named."""
    await two_accounts(world)
    talk = Talk(world)
    await talk.say("cancel sbin", "Cancel this order on Zerodha - Main?")
    await talk.say("cancel all orders", "Cancel 1 working order?")
    await talk.say("orb", "Opening range breakout\n   ⚪ disabled")
    await talk.say("run the opening range breakout", "Run Opening range breakout now?")
    await talk.say("stop orb", "Opening range breakout\n   ⚪ disabled")
    await talk.say("positions second", "Positions · Fyers - Second")
    await talk.say("all positions", "Positions · all accounts")
    await talk.say("remove account second", "Strategies: enabled")
    await talk.say("stop loss", "Positions · ")
    await talk.say("stoploss hata do", "Orders today · ")
    await talk.say("change orb to infy", "Opening range breakout\n   ⚪ disabled")
    await talk.say("rename second", "Strategies: enabled")
    await talk.say("price of infy", "Positions · all accounts")
    await talk.say("sbin, tcs", "Positions · all accounts")
    shown = await talk.say("remove tcs", "No order called TCS is working.")
    assert labels(shown) == ["Orders", "Strategies", "Help"]
    shown = await talk.say("add tcs", "What a strategy trades is changed at the strategy.")
    assert "Strategies" in labels(shown)
    await talk.say("second", "Fyers - Second")
    await talk.say("infy", "Positions · all accounts")
    await talk.say("pause zerodha and fyers", "Set Paused for which account?")
    await talk.say("square off all on fyers", "Cancel and close everything on 1 account?")
    await talk.say("stop sbin on zerodha", "Close this position on Zerodha - Main?")


async def test_what_is_not_understood_gets_one_sentence_and_buttons(world: World) -> None:
    """The nearest commands, of a slip of the finger too; what was typed is not repeated."""
    await two_accounts(world)
    talk = Talk(world)
    shown = await talk.say("postions plz", "I did not understand that. These come nearest:")
    assert labels(shown) == ["Positions", "Help"] and "postions" not in shown["text"]
    shown = await talk.say("stratergy", "I did not understand that.")
    assert labels(shown)[0] == "Strategies"
    shown = await talk.say("/postion", "I do not know that command.")
    assert labels(shown)[0] == "Positions"
    shown = await talk.say("weather", "I did not understand that. This may be")
    assert labels(shown) == ["Dashboard", "Positions", "Help"]
    await talk.say("yes", "Words confirm nothing: tap the button under the question.")
    shown = await talk.say("stpo", "I did not understand that. These come nearest:")
    assert labels(shown)[0] == "Panic"
    await talk.say("👍", "Words confirm nothing: tap the button under the question.")
    await talk.say("thank you!", "You are welcome.")
    shown = await talk.say("close everything except infy", "Nothing was done.")
    assert labels(shown) == ["Positions", "Orders", "Modes", "Help"]
    await talk.say("sbin mat becho", "Nothing was done.")
    await talk.say("/close infy", "Close this position on Zerodha - Main?")
    await talk.say("/pause", "Set Paused for all accounts?")
    await talk.say("/holdings", "Positions · Zerodha - Main")
    await talk.say("STOP", "Cancel and close everything on all accounts?")


async def test_words_beside_the_wizard_are_no_answers_of_it(world: World) -> None:
    """Wishes, views and the end of the question are heard at each step; a name stays a name."""
    await two_accounts(world)
    talk = Talk(world)
    await talk.say("add zerodha", "With which broker?")
    await talk.say("pnl", "Profit today")
    await talk.say("stop orb", "Opening range breakout\n   ⚪ disabled")
    await talk.say("never mind", "Cancelled adding an account.")
    await talk.say("/add", "With which broker?")
    await world.owner.tap("Zerodha")
    await talk.say("close infy", "Close this position on Zerodha - Main?")
    await world.owner.tap("Continue", anywhere=True)
    await world.owner.sees("What shall I call this account?", anywhere=True)
    await talk.say("pause second", "Set Paused for Fyers - Second?")
    await talk.say("Close friend", "Send the API key")
    await talk.say("close infy", "Close this position on Zerodha - Main?")
    await talk.say("Cancel", "Cancelled adding an account.")
    assert [one.display_name for one in await world.control.accounts.all()] == ["Main", "Second"]


@pytest.mark.row("R1", "R2")
async def test_a_wish_is_heard_while_a_number_is_asked_for(world: World) -> None:
    """It is not refused as a wrong number; the question stays open for its answer, 2.5L."""
    await two_accounts(world)
    talk = Talk(world)
    await talk.say("/limits", "Limits")
    await world.owner.tap("Main")
    await world.owner.tap("Order value")
    await talk.say("pause everything", "Set Paused for all accounts?")
    await talk.say("close infy", "Close this position on Zerodha - Main?")
    await talk.say("positions", "Positions · Zerodha - Main")
    await talk.say("none", "There is no such limit now.")
    await talk.say("2.5L", "₹2,50,000")  # below it: the card that asked is out of sight by now


async def test_a_limit_of_the_days_loss_is_asked_for_with_its_amount(world: World) -> None:
    """Each scope with what it has now; nothing is set before a tap, and that sets the amount."""
    await two_accounts(world)
    talk = Talk(world)
    shown = await talk.say("set max loss 500", "Set the daily loss to ₹500 for whom?")
    assert labels(shown) == ["All together", "Main", "Second", "« Limits"]
    before = await world.control.limits.overview()
    assert not any(one.limits.daily_loss for one in before)
    await world.owner.tap("Main", message=shown)
    await world.owner.reads(shown["id"], "Daily loss: ₹500 (was no limit)")


async def test_a_number_is_not_taken_for_a_question_that_was_left(world: World) -> None:
    """Whoever opens other settings has left it."""
    await two_accounts(world)
    talk = Talk(world)
    shown = await talk.say("/settings", "Capital, for sizes in percent")
    await world.owner.tap("Capital of Zerodha")
    await world.owner.reads(shown["id"], "Send an amount in rupees")
    await talk.say("/guard", "Guards on the day's result")
    shown = await talk.say("₹5,000/-", "No question is open that a number answers.")
    assert labels(shown) == ["Limits", "Guards", "Strategies", "Help"]
    shown = await talk.say("/settings", "Capital, for sizes in percent")
    assert "₹5,000" not in shown["text"]
