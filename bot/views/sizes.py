"""What a strategy would trade in rupees: asked before it is enabled, said when a size is set."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.callbacks import handle
from bot.views.lines import symbol_of
from bot.views.markup import bold, day_time, esc, join
from bot.views.screen import SUCCESS, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from core.domain.money import rupees
from core.domain.size_views import SizeLine, SizeView
from core.domain.views import StrategyView

__all__ = ["YES", "enable_question", "size_lines"]

YES = "yes"
"""The argument of the button that enables what the question has shown."""
_ACCOUNTS = 8
_INSTRUMENTS = 5


def enable_question(strategy: StrategyView, sizes: Sequence[SizeView]) -> Screen:
    """Return what a strategy would trade on each account, and the button that enables it."""
    key = handle(strategy.name)
    next_run = "no run planned" if strategy.next_slot is None else day_time(strategy.next_slot)
    more = len(sizes) - _ACCOUNTS
    text = join(
        bold(f"Enable {strategy.title}?"),
        f"Next run: {next_run}. At each signal it would enter, at last prices:",
        size_lines(sizes[:_ACCOUNTS]),
        f"… and {more} more accounts." if more > 0 else None,
        None if sizes else "It is off on every account: nothing is traded.",
        "Each account's mode and limits hold as always.",
    )
    return Screen(
        text,
        (
            (button("Yes, enable it", Verb.ENABLE_STRATEGY, key, YES, style=SUCCESS),),
            (button("« Leave it", Verb.STRATEGY, key),),
        ),
    )


def size_lines(sizes: Sequence[SizeView]) -> list[str]:
    """Return what is traded on each account, with a warning where it is beyond the funds."""
    lines: list[str] = []
    for one in sizes:
        lines.append(bold(one.account_label))
        if one.kept_out:
            lines.append(f"{INDENT}⏸ {esc(one.kept_out)}")
        lines += [_line(each) for each in one.lines[:_INSTRUMENTS]]
        more = len(one.lines) - _INSTRUMENTS
        lines += [f"{INDENT}… and {more} more"] if more > 0 else []
        lines += _together(one)
    return lines


def _line(one: SizeLine) -> str:
    if not one.units:
        value = "not one lot"
    elif one.value is None:
        value = "price not known"
    else:
        value = rupees(one.value, paise=False)
    return fitted(f"{one.units} {symbol_of(one.instrument)}", value, indent=INDENT)


def _together(one: SizeView) -> list[str]:
    if one.value is None:
        return []
    funds = "funds not known" if one.funds is None else f"{rupees(one.funds, paise=False)} free"
    together = f"together {bold(rupees(one.value, paise=False))}" if len(one.lines) > 1 else ""
    found = [fitted(together, funds, indent=INDENT)]
    if one.is_beyond:
        found.append(
            f"{INDENT}⚠️ far beyond its funds, with any margin: the broker will refuse it. Set a "
            "smaller size."
        )
    return found
