"""Modes (C): the panel, the question before a change, its result, and what is left to close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from telegram import InlineKeyboardButton

from bot.views.accounts import banners, spaced
from bot.views.dashboard import Item, order_button, page_of
from bot.views.lines import (
    ROWS,
    holding_lines,
    is_stop,
    order_lines,
    position_lines,
    product_words,
    strategy_words,
    symbol_of,
)
from bot.views.markup import bold, clock_time, esc, join
from bot.views.paging import fitting, page_row, paged
from bot.views.rows import ListRow, laid_out
from bot.views.screen import DANGER, REFRESH, Screen, button
from bot.views.verbs import Verb
from bot.views.width import fitted
from bot.views.words import MODE, MODE_EFFECT, plural, price
from core.domain.account import Account
from core.domain.mode import TradingMode, stricter
from core.domain.money import rupees
from core.domain.views import DrainView, ExitView, ModeChange, OrderView, OwnMode, PositionView

__all__ = [
    "ALL_ARE",
    "FOLLOW",
    "GLOBAL",
    "MODE_CODES",
    "THAWS",
    "drain_screen",
    "mode_choices",
    "mode_panel",
    "mode_question",
    "mode_result",
    "own_mode_before",
]

GLOBAL = "global"
"""The argument of a button for the global mode."""
MODE_CODES = {
    "n": TradingMode.NORMAL,
    "e": TradingMode.EXIT_ONLY,
    "p": TradingMode.PAUSED,
}
_Shown = TypeVar("_Shown", OrderView, PositionView)
_CODE = {mode: short for short, mode in MODE_CODES.items()}
_ICON = {TradingMode.NORMAL: "🟢", TradingMode.EXIT_ONLY: "🟠", TradingMode.PAUSED: "🔴"}
_SHOWN = 10
FOLLOW = "also"
"""The choice that sets the own mode of accounts beside the mode of all."""
THAWS = "An impossible event stopped the entries of {label}: Normal lets them go on."
_NAMED = 2
_FEW = 5
_HALF = 1000
"""The room of positions, and that of orders, under a mode that was set."""
ALL_ARE = "The mode of all accounts is {mode}, and stays in effect here."


def mode_panel(
    accounts: Sequence[Account],
    global_mode: TradingMode,
    selected: str | None = None,
    page: int = 0,
) -> Screen:
    """Return every mode with the buttons to change it: choose, then confirm (C1).

    ``selected`` is one account only, or None for the global mode and every account.
    """
    chosen = [one for one in accounts if selected in {None, one.broker_id}]
    shown, at, pages = paged(chosen, page)
    lines = [f"{_ICON[global_mode]} All accounts: {bold(MODE[global_mode])}"]
    for one in shown:
        effective = stricter(one.trading_mode, global_mode)
        note = "" if effective is one.trading_mode else f", in effect {MODE[effective]}"
        lines.append(
            f"{_ICON[effective]} {esc(one.label)}: {bold(MODE[one.trading_mode])}{esc(note)}"
        )
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    if selected is None:
        rows.append(_choices("All", GLOBAL, global_mode))
    rows.extend(_choices(one.short_label, one.broker_id, one.trading_mode) for one in shown)
    rows.extend(page_row(at, pages, Verb.MODES, ""))
    rows.append(
        (button("Left to close", Verb.DRAIN_VIEW), button(REFRESH, Verb.MODES, *_named(selected)))
    )
    rows.append((button("🛑 Panic: close everything", Verb.ASK_PANIC),))
    text = join(
        bold("Trading modes"),
        lines,
        "",
        "The stricter of the mode of all and an account's own mode holds.",
    )
    return Screen(text, tuple(rows))


def _named(selected: str | None) -> tuple[str, ...]:
    return () if selected is None else (selected,)


def _choices(name: str, target: str, present: TradingMode) -> tuple[InlineKeyboardButton, ...]:
    return tuple(
        button(f"{_ICON[mode]} {name}: {MODE[mode]}", Verb.ASK_MODE, target, _CODE[mode])
        for mode in TradingMode
        if mode is not present
    )


def own_mode(one: OwnMode) -> str:
    """Return what keeps an account stricter than the mode of all."""
    account = one.account
    words = f"{account.label} stays {MODE[account.trading_mode]}: that is its own mode."
    return f"{words} {one.why}".strip()


def own_mode_before(one: OwnMode, *, is_along: bool = False) -> str:
    """Return the same before the mode of all is set, when a tap may set the account's as well.

    ``is_along``: every account is set as well, so that there is nothing to choose.
    """
    if not one.may_follow:
        return own_mode(one)
    account = one.account
    then = "it is set too" if is_along else "choose below"
    return f"{account.label} is {MODE[account.trading_mode]} by its own mode: {then}."


def mode_choices(
    new: TradingMode, follow: Sequence[Account], *, is_every: bool = False
) -> Mapping[str, str]:
    """Return the buttons under the question; ``follow`` are accounts that can be set as well.

    ``is_every``: there is no account besides these; without them nothing would change on any.
    """
    if not follow:
        return {"": f"Yes, set {MODE[new]}"}
    if is_every:
        return {FOLLOW: f"Yes, set all to {MODE[new]}"}
    names = " and ".join(one.short_label for one in follow)
    if len(follow) > _NAMED:
        names = plural(len(follow), "account")
    return {
        FOLLOW: f"{MODE[new]} for all, {names} too",
        "": f"{MODE[new]} for all except {names}",
    }


def mode_question(
    account: Account | None,
    old: TradingMode,
    new: TradingMode,
    exits: Sequence[ExitView] = (),
    kept: Sequence[str] = (),
    *,
    takes_effect: bool = True,
) -> str:
    """Return what a mode change will do, before it is done: which waiting exits go out, too."""
    whose = "all accounts" if account is None else account.label
    lines = [
        bold(f"Set {MODE[new]} for {whose}?"),
        f"Now: {MODE[old]}.",
        *([MODE_EFFECT[new]] if takes_effect else []),
    ]
    lines += _named_few([f"⚠️ {one}" for one in kept])
    if new is TradingMode.PAUSED:
        lines.append("You can still cancel orders and close positions yourself.")
    waiting = None
    if exits:
        waits = "exit waits and goes" if len(exits) == 1 else "exits wait and go"
        waiting = ["", f"⚠️ {bold(f'{len(exits)} {waits} out at once:')}", *_exit_lines(exits)]
    return join([lines[0], *map(esc, lines[1:])], waiting)


def _named_few(lines: Sequence[str]) -> list[str]:
    """Return a line each for some accounts, and how many more there are."""
    more = len(lines) - _FEW
    return [*lines[:_FEW], *([f"… and {more} more: /mode shows each."] if more > 0 else [])]


def _exit_lines(exits: Sequence[ExitView]) -> list[str]:
    rows = [
        ListRow(
            f"{esc(symbol_of(one.instrument))} {product_words(one.instrument, one.product)}",
            deed=f"• {one.side.word} {one.quantity}",
            below=((esc(one.account_label), esc(strategy_words(one.strategy))),),
        )
        for one in exits[:_SHOWN]
    ]
    lines = laid_out(rows)
    more = len(exits) - len(lines)
    return [*lines, f"… and {more} more."] if more else lines


def mode_result(
    change: ModeChange,
    whose: str,
    global_mode: TradingMode = TradingMode.NORMAL,
    at: datetime | None = None,
) -> Screen:
    """Return the result of a mode change: what still works, is held, and stays stricter (C2).

    ``at`` is when it was so: what works is not followed here.
    """
    kept = _kept(change, global_mode)
    is_in_effect = not change.effective or change.new in change.effective.values()
    heading = f"{whose}: {MODE[change.new]}"
    if kept:
        heading += ", but not in effect " + ("everywhere" if is_in_effect else "yet")
    lines: list[str] = [f"{'⚠️' if kept else '✅'} {bold(heading)}"]
    if is_in_effect:
        lines.append(esc(MODE_EFFECT[change.new]))
    lines += _named_few([f"⚠️ {esc(words)}" for words, _ in kept])
    if change.unprotected:
        lines.append(
            f"⚠️ {bold(plural(change.unprotected, 'position'))} left alone: no stop is placed or "
            "moved, nothing is squared off."
        )
        lines += _by_account(change.held, _held_lines(change.held))
    if change.exits:
        heading = f"Going out now: {plural(len(change.exits), 'exit')} that waited"
        lines.extend(["", bold(heading), *_exit_lines(change.exits)])
        lines.append("The result of each comes as its own message.")
    # Under Normal they go on as they are: a list with ways to cancel them would be in the way.
    is_stricter = change.new is not TradingMode.NORMAL
    if change.working and is_stricter:
        heading = f"Still working at the broker: {plural(len(change.working), 'order')}"
        as_of = f"As of {clock_time(at, seconds=True)}; now: /orders." if at else None
        lines += ["", bold(heading), *([as_of] if as_of else [])]
        lines += _by_account(change.working, order_lines(change.working))
    elif is_stricter:
        lines.append("No orders are working at the broker.")
    cancels = _cancels(change) if is_stricter else ()
    rows = (*((one,) for _, one in kept[:_SHOWN] if one), *cancels)
    drain = (
        (button("Left to close", Verb.DRAIN_VIEW),) if change.new is TradingMode.EXIT_ONLY else ()
    )
    return Screen(join(lines), (*rows, (*drain, button("« Modes", Verb.MODES))))


def _kept(
    change: ModeChange, global_mode: TradingMode
) -> list[tuple[str, InlineKeyboardButton | None]]:
    """Return what keeps accounts stricter than was set, and the button that sets it as well."""
    code = _CODE[change.new]
    icon = f"{_ICON[change.new]} "
    if change.broker_id is not None:
        if change.effective.get(change.broker_id, change.new) is change.new:
            return []
        words = ALL_ARE.format(mode=MODE[global_mode])
        label = f"{icon}Set all to {MODE[change.new]}"
        return [(words, button(label, Verb.ASK_MODE, GLOBAL, code))]
    return [
        (
            own_mode(one),
            button(
                f"{icon}Set {one.account.short_label} to {MODE[change.new]}",
                Verb.ASK_MODE,
                one.account.broker_id,
                code,
            ),
        )
        for one in change.own
    ]


def _by_account(found: Sequence[_Shown], texts: Sequence[str]) -> list[str]:
    """Return the lines of each under the names of their accounts."""
    lines: list[str] = []
    label = ""
    shown = fitting(texts, _SHOWN, _HALF)
    for one, text in zip(found[:shown], texts, strict=False):
        if one.account_label != label:
            label = one.account_label
            lines.append(bold(label))
        lines.append(text)
    more = len(found) - shown
    return [*lines, f"… and {more} more."] if more > 0 else lines


def _held_lines(positions: Sequence[PositionView]) -> list[str]:
    rows = [
        ListRow(
            f"{bold(symbol_of(one.instrument))} {product_words(one.instrument, one.product)}",
            (
                f"{one.quantity:+d}",
                f"stop {price(one.stop)}" if one.stop is not None else "⚠️ no stop",
            ),
        )
        for one in positions
    ]
    return laid_out(rows)


def _cancels(change: ModeChange) -> list[tuple[InlineKeyboardButton, ...]]:
    """Return a button for each order, and one for all that protect nothing."""
    shown = change.working[:_SHOWN]
    is_named = len({one.broker_id for one in change.working}) > 1
    rows: list[tuple[InlineKeyboardButton, ...]] = [
        (found,) for one in shown if (found := order_button(one, named=is_named))
    ]
    others = [one for one in change.working if one.is_cancellable and not is_stop(one)]
    if len(others) > 1:
        target = change.broker_id or GLOBAL
        label = f"Cancel {len(others)} orders, no stops"
        rows.append((button(label, Verb.ASK_CANCEL_ALL, target, style=DANGER),))
    return rows


def drain_screen(
    views: Sequence[DrainView], logins: Sequence[InlineKeyboardButton] = (), page: int = 0
) -> Screen:
    """Return what is left to drain on each EXIT_ONLY account (C5).

    ``logins`` are the buttons of those that wait for their login (B7): what they hold is what the
    last read has shown, and nothing of them is called drained.
    """
    items = [item for view in views for item in _left_to_drain(view)]
    lines, _, pages = page_of(items, page)
    text = join(
        spaced(*banners([view.account for view in views])),
        bold("Left to close: exit-only accounts"),
        lines or "No account is in exit-only mode.",
        f"\n{ROWS}" if any(one.has_result for one in items) else None,
    )
    last = (button(REFRESH, Verb.DRAIN_VIEW), button("« Modes", Verb.MODES))
    rows = (*((one,) for one in logins), *page_row(page, pages, Verb.DRAIN_VIEW), last)
    return Screen(text, rows)


def _left_to_drain(view: DrainView) -> list[Item]:
    """Return what one account still holds, a row each, after a line that counts it."""
    left, label = len(view.positions) + len(view.holdings), view.account.label
    if not left and not view.working:
        is_known = view.value is not None and not view.account.needs_login
        return [Item(_DRAINED if is_known else _NOT_READ, label)]
    value = "value not known" if view.value is None else f"about {rupees(view.value, paise=False)}"
    counted = {
        "position": len(view.positions),
        "holding": len(view.holdings),
        "working order": len(view.working),
    }
    counts = fitted(*(plural(count, noun) for noun, count in counted.items() if count), value)
    return [
        Item(counts, label),
        *(
            Item(text, label, None, one.result is not None)
            for one, text in zip(view.positions, position_lines(view.positions), strict=True)
        ),
        *(Item(text, label) for text in holding_lines(view.holdings)),
        *(Item(text, label) for text in order_lines(view.working)),
    ]


_DRAINED = "✅ All closed: nothing held, nothing working."
_NOT_READ = "Not read from the broker: what it holds is not known."
