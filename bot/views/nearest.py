"""The answer to what was not understood: one sentence, and the nearest commands as buttons."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from bot.views.markup import esc
from bot.views.screen import Keyboard, Screen, button, grid
from bot.views.verbs import Verb

__all__ = ["BUTTONS", "command_rows", "nearest", "not_understood"]

BUTTONS: Mapping[str, tuple[str, Verb]] = {
    "dashboard": ("Dashboard", Verb.DASHBOARD),
    "positions": ("Positions", Verb.POSITIONS),
    "orders": ("Orders", Verb.ORDERS),
    "trades": ("Trades", Verb.TRADES),
    "pnl": ("Profit", Verb.PNL),
    "strategies": ("Strategies", Verb.STRATEGIES),
    "mode": ("Modes", Verb.MODES),
    "limits": ("Limits", Verb.LIMITS),
    "guard": ("Guards", Verb.GUARDS),
    "brokers": ("Accounts", Verb.ACCOUNTS),
    "add": ("Add an account", Verb.ADD_ACCOUNT),
    "login": ("Log in", Verb.LOGIN),
    "owners": ("Owners", Verb.OWNERS),
    "health": ("Health", Verb.HEALTH),
    "panic": ("Panic", Verb.ASK_PANIC),
    "help": ("Help", Verb.HELP),
}
"""The commands that a button can open: its label and verb."""
_USUAL = ("dashboard", "positions", "help")
_ALSO: Mapping[str, str] = {
    "account": "brokers",
    "accounts": "brokers",
    "position": "positions",
    "holdings": "positions",
    "order": "orders",
    "trade": "trades",
    "profit": "pnl",
    "loss": "pnl",
    "strategy": "strategies",
    "pause": "mode",
    "resume": "mode",
    "limit": "limits",
    "guards": "guard",
    "funds": "dashboard",
    "balance": "dashboard",
    "status": "dashboard",
    "price": "positions",
    "quote": "positions",
    "chart": "positions",
    "square": "positions",
    "close": "positions",
    "cancel": "orders",
    "stoploss": "positions",
    "alert": "guard",
    "backtest": "strategies",
    "connect": "add",
    "stop": "panic",
    "emergency": "panic",
    "token": "login",
}
"""Other words for what a command shows."""
_WORD = re.compile(r"[a-z]{3,}")
_ALIKE = 0.72
_MOST = 3


def nearest(text: str) -> list[str]:
    """Return the commands that are nearest to what was typed, the nearest first."""
    known = {**{name: name for name in BUTTONS}, **_ALSO}
    found: dict[str, None] = {}
    for word in _WORD.findall(text.casefold())[:8]:
        if word == "stop":
            continue  # beside other words it is a price; alone it is understood before
        for alike in difflib.get_close_matches(word, known, _MOST, _ALIKE):
            found.setdefault(known[alike])
    return list(found)[:_MOST]


def not_understood(text: str, sentence: str = "") -> Screen:
    """Return one sentence, with the nearest commands as buttons.

    Args:
        text: What was typed.
        sentence: What is said instead of that it was not understood.
    """
    names = nearest(text)
    if not sentence:
        # Never repeated: it may be what belongs into no chat.
        what = "These come nearest:" if names else "This may be what you look for:"
        sentence = f"I did not understand that. {what}"
    return Screen(esc(sentence), command_rows(*(names or _USUAL)))


def command_rows(*names: str) -> Keyboard:
    """Return a button for each of these commands, and one for the help."""
    return grid([button(*BUTTONS[name]) for name in dict.fromkeys([*names, "help"])], 2)
