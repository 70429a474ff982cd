"""Paper accounts: the amounts of money that are offered, and what users must know of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.callbacks import handle
from bot.views.markup import bold, day_time, esc, italic, join, short
from bot.views.screen import SUCCESS, Screen, button, grid
from bot.views.verbs import Verb
from core.domain.account import PAPER_MARK, Account
from core.domain.money import rupees
from core.domain.views import StrategyView

__all__ = ["MADE_UP", "WHAT_IT_IS", "funds_rows", "paper_added"]

_STRATEGIES = 4
_DESCRIBED = 200

MADE_UP = f"{PAPER_MARK}Prices made up for practice"
"""Of what was decided, filled or valued while no account gives real prices."""

_FUNDS = (100_000, 500_000, 1_000_000, 2_500_000)
"""Usual amounts; any other can be typed."""
WHAT_IT_IS = (
    "A paper account is the quickest way to see what I do: no broker, no login, no money. Its "
    "orders are filled by cautious rules, a little worse than at a broker."
)


def paper_added(
    account: Account, strategies: Sequence[StrategyView], now: datetime | None = None
) -> Screen:
    """Return the end of a paper account's set-up, which leads to the question of a strategy."""
    waiting = [one for one in strategies if not one.is_enabled]
    rows: list[tuple[InlineKeyboardButton, ...]] = [
        (button(f"Enable {one.title} …", Verb.ENABLE_STRATEGY, handle(one.name), style=SUCCESS),)
        for one in waiting[:_STRATEGIES]
    ]
    if len(waiting) > _STRATEGIES or not waiting:
        rows.append((button("Strategies", Verb.STRATEGIES),))
    rows.append((button("Accounts", Verb.ACCOUNTS), button("➕ Add another", Verb.ADD_ACCOUNT)))
    default = " It is the default account." if account.is_default else ""
    running = [one.title for one in strategies if one.is_enabled]
    then = f"{', '.join(running)} trades on it from the next run on." if running else ""
    if waiting:
        then = f"{then} Next, a strategy: I show first what it would trade.".strip()
    return Screen(
        join(
            f"✅ {bold(account.label)} is added and enabled.{default}",
            esc(then),
            [_about(one, now) for one in waiting[:_STRATEGIES]],
        ),
        tuple(rows),
    )


def _about(strategy: StrategyView, now: datetime | None) -> str:
    """Return what a strategy does and when it would decide first, to choose by."""
    slot = strategy.next_slot
    first = f" First decision: {day_time(slot, now)}." if slot is not None else ""
    does = short(strategy.description, _DESCRIBED)
    return f"\n{bold(strategy.title)}\n{italic(does)}{first}"


def funds_rows(verb: Verb, *after: str) -> tuple[tuple[InlineKeyboardButton, ...], ...]:
    """Return a button for each usual amount of paper money; the amount is its first argument."""
    choices = [
        button(rupees(Decimal(amount), paise=False), verb, str(amount), *after) for amount in _FUNDS
    ]
    return grid(choices, 2)
