"""Typed sentences that ask for a mode, a close, an entry or a cancel, and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.wishes import Wish, WishKind, wish_of
from bot.views.nearest import BUTTONS, nearest, not_understood
from core.domain.mode import TradingMode

MODE, CLOSE, ENTER, CANCEL = WishKind.MODE, WishKind.CLOSE, WishKind.ENTER, WishKind.CANCEL


@pytest.mark.parametrize(
    ("text", "mode", "names"),
    [
        ("pause", TradingMode.PAUSED, ()),
        ("Pause everything", TradingMode.PAUSED, ()),
        ("please pause all trading now!", TradingMode.PAUSED, ()),
        ("put zerodha on pause", TradingMode.PAUSED, ("zerodha",)),
        ("resume", TradingMode.NORMAL, ()),
        ("go back to normal", TradingMode.NORMAL, ()),
        ("chalu karo", TradingMode.NORMAL, ()),
        ("pause karo", TradingMode.PAUSED, ()),
        ("unpause fyers", TradingMode.NORMAL, ("fyers",)),
        ("exit only", TradingMode.EXIT_ONLY, ()),
        ("Exit-only zerodha main", TradingMode.EXIT_ONLY, ("zerodha", "main")),
        ("set fyers to exit only", TradingMode.EXIT_ONLY, ("fyers",)),
        ("no new trades", TradingMode.EXIT_ONLY, ()),
        ("no more trades today", TradingMode.EXIT_ONLY, ()),
        ("pause new trades", TradingMode.PAUSED, ()),
        ("start trading", TradingMode.NORMAL, ()),
        ("restart trading on fyers", TradingMode.NORMAL, ("fyers",)),
        ("no more entries on fyers", TradingMode.EXIT_ONLY, ("fyers",)),
    ],
)
def test_modes_are_found(text: str, mode: TradingMode, names: tuple[str, ...]) -> None:
    """With the words that may name accounts, and nothing else of the sentence."""
    wish = wish_of(text)
    assert wish is not None
    assert (wish.kind, wish.mode, wish.names) == (MODE, mode, names)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("close infy", Wish(CLOSE, ("infy",))),
        ("Square off SBIN", Wish(CLOSE, ("sbin",))),
        ("squareoff sbin on zerodha", Wish(CLOSE, ("sbin", "zerodha"))),
        ("get out of nifty24dec24000ce", Wish(CLOSE, ("nifty24dec24000ce",))),
        ("exit M&M", Wish(CLOSE, ("m&m",))),
        ("book profit in bajaj-auto", Wish(CLOSE, ("bajaj-auto",))),
        ("sell 10 infy", Wish(CLOSE, ("infy",), is_sale=True, is_part=True)),
        ("sell half of my infy", Wish(CLOSE, ("infy",), is_sale=True, is_part=True)),
        ("close", Wish(CLOSE)),
        ("close it", Wish(CLOSE)),
        ("sell infy today", Wish(CLOSE, ("infy",), is_sale=True)),
        ("stop zerodha", Wish(CLOSE, ("zerodha",), is_stop=True)),
        ("buy 10 infy", Wish(ENTER, ("infy",), is_part=True)),
        ("go long reliance", Wish(ENTER, ("reliance",))),
        ("place order sbin 10", Wish(ENTER, ("sbin",), is_part=True)),
        ("cancel all orders", Wish(CANCEL, is_all=True)),
        ("cancel orders", Wish(CANCEL, is_all=True)),
        ("close all orders", Wish(CANCEL, is_all=True)),
        ("cancel my sbin order", Wish(CANCEL, ("sbin",))),
        ("sbin close", Wish(CLOSE, ("sbin",))),
        ("50% sbin exit", Wish(CLOSE, ("sbin",), is_part=True)),
        ("sbin becho", Wish(CLOSE, ("sbin",), is_sale=True)),
        ("sbin ko bech do", Wish(CLOSE, ("sbin",), is_sale=True)),
        ("adha infy bech do", Wish(CLOSE, ("infy",), is_sale=True, is_part=True)),
        ("sbin band karo", Wish(CLOSE, ("sbin",), is_stop=True)),
        ("10 infy kharido", Wish(ENTER, ("infy",), is_part=True)),
        ("infy खरीदो", Wish(ENTER, ("infy",), is_part=False)),
    ],
)
def test_positions_and_orders_are_found(text: str, wish: Wish) -> None:
    """The names as they were typed, in small letters."""
    assert wish_of(text) == wish


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "Haal",
        "trailing stop",
        "how does it all stop",
        "pnl",
        "12.5",
        "2.5L",
        "is it paused?",
        "/mode",
        "orb",
        "x" * 61,
        "yes",
    ],
)
def test_other_words_are_no_wish(text: str) -> None:
    """A question, a number, a command, a name."""
    assert wish_of(text) is None


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    """Nothing that is typed breaks the reading, and every answer has buttons that exist."""
    wish_of(text)
    assert set(nearest(text)) <= set(BUTTONS)
    assert not_understood(text).rows
