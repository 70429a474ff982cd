"""Paper accounts: the amounts of money that are offered, and what users must know of them."""

from __future__ import annotations

from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.screen import button, grid
from bot.views.verbs import Verb
from core.domain.account import PAPER_MARK
from core.domain.money import rupees

__all__ = ["MADE_UP", "WHAT_IT_IS", "funds_rows"]

MADE_UP = f"{PAPER_MARK}Prices made up for practice"
"""Of what was decided, filled or valued while no account gives real prices."""

_FUNDS = (100_000, 500_000, 1_000_000, 2_500_000)
"""Usual amounts; any other can be typed."""
WHAT_IT_IS = (
    "A paper account is the quickest way to see what I do: no broker, no login, no money. Its "
    "orders are filled by rules, rather worse than at a broker."
)


def funds_rows(verb: Verb, *after: str) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
    """Return a button for each usual amount of paper money; the amount is its first argument."""
    choices = [
        button(rupees(Decimal(amount), paise=False), verb, str(amount), *after) for amount in _FUNDS
    ]
    return grid(choices, 2)
