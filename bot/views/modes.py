"""Modes (C): the panel, the question before a change, its result, and the drain view."""

from __future__ import annotations

from collections.abc import Sequence

from telegram import InlineKeyboardButton

from bot.views.dashboard import order_button
from bot.views.lines import holding_line, order_line, position_line, strategy_words
from bot.views.markup import bold, esc, join
from bot.views.screen import DANGER, Screen, button
from bot.views.verbs import Verb
from bot.views.words import MODE, MODE_EFFECT, plural
from core.domain.account import Account
from core.domain.mode import TradingMode, stricter
from core.domain.money import rupees
from core.domain.views import DrainView, ExitView, ModeChange

__all__ = ["GLOBAL", "MODE_CODES", "drain_screen", "mode_panel", "mode_question", "mode_result"]

GLOBAL = "global"
"""The argument of a button for the global mode."""
MODE_CODES = {
    "n": TradingMode.NORMAL,
    "e": TradingMode.EXIT_ONLY,
    "p": TradingMode.PAUSED,
}
_CODE = {mode: short for short, mode in MODE_CODES.items()}
_ICON = {TradingMode.NORMAL: "🟢", TradingMode.EXIT_ONLY: "🟠", TradingMode.PAUSED: "🔴"}
_SHOWN = 10


def mode_panel(
    accounts: Sequence[Account], global_mode: TradingMode, selected: str | None = None
) -> Screen:
    """Return every mode with the buttons to change it: choose, then confirm (C1).

    ``selected`` is one account only, or None for the global mode and every account.
    """
    shown = [one for one in accounts if selected in {None, one.broker_id}]
    lines = [f"{_ICON[global_mode]} Global: {bold(MODE[global_mode])}"]
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
    rows.append(
        (button("Drain view", Verb.DRAIN_VIEW), button("🔄 Refresh", Verb.MODES, *_named(selected)))
    )
    rows.append((button("🛑 Panic: close everything", Verb.ASK_PANIC),))
    text = join(
        bold("Trading modes"),
        lines,
        "",
        "The stricter of the global mode and an account's own mode holds.",
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


def mode_question(
    account: Account | None,
    old: TradingMode,
    new: TradingMode,
    exits: Sequence[ExitView] = (),
) -> str:
    """Return what a mode change will do, before it is done: which waiting exits go out, too."""
    whose = "all accounts" if account is None else account.label
    lines = [
        bold(f"Set {MODE[new]} for {whose}?"),
        f"Now: {MODE[old]}.",
        MODE_EFFECT[new],
    ]
    if new is TradingMode.PAUSED:
        lines.append("You can still cancel orders and close positions yourself.")
    waiting = None
    if exits:
        waits = "exit waits and goes" if len(exits) == 1 else "exits wait and go"
        waiting = ["", f"⚠️ {bold(f'{len(exits)} {waits} out at once:')}", *_exit_lines(exits)]
    return join([lines[0], *map(esc, lines[1:])], waiting)


def _exit_lines(exits: Sequence[ExitView]) -> list[str]:
    lines = [
        f"• {one.side.value} {one.quantity} {esc(one.instrument.symbol)} {one.product.value} · "
        f"{esc(one.account_label)} · {esc(strategy_words(one.strategy))}"
        for one in exits[:_SHOWN]
    ]
    more = len(exits) - len(lines)
    return [*lines, f"… and {more} more."] if more else lines


def mode_result(change: ModeChange, whose: str) -> Screen:
    """Return the result of a mode change: orders still working, positions unprotected (C2)."""
    lines: list[str] = [f"✅ {bold(f'{whose}: {MODE[change.new]}')}", esc(MODE_EFFECT[change.new])]
    if change.unprotected:
        lines.append(
            f"⚠️ {bold(plural(change.unprotected, 'position'))} now without the care of a "
            "strategy: no stop that I move, no square-off."
        )
    if change.exits:
        heading = f"Going out now: {plural(len(change.exits), 'exit')} that waited"
        lines.extend(["", bold(heading), *_exit_lines(change.exits)])
        lines.append("The result of each comes as its own message.")
    if change.working:
        lines.extend(
            ["", bold(f"Still working at the broker: {plural(len(change.working), 'order')}")]
        )
        lines.extend(order_line(one) for one in change.working[:_SHOWN])
    elif change.new is not TradingMode.NORMAL:
        lines.append("No orders are working at the broker.")
    buttons = [found for one in change.working[:_SHOWN] if (found := order_button(one))]
    rows: list[tuple[InlineKeyboardButton, ...]] = [(one,) for one in buttons]
    if len(change.working) > 1:
        target = change.broker_id or GLOBAL
        rows.append(
            (
                button(
                    f"Cancel all {len(change.working)}", Verb.ASK_CANCEL_ALL, target, style=DANGER
                ),
            )
        )
    drain = (button("Drain view", Verb.DRAIN_VIEW),) if change.new is TradingMode.EXIT_ONLY else ()
    rows.append((*drain, button("« Modes", Verb.MODES)))
    return Screen(join(lines), tuple(rows))


def drain_screen(views: Sequence[DrainView]) -> Screen:
    """Return what is left to drain on each EXIT_ONLY account (C5)."""
    lines: list[str] = [bold("Drain view: accounts in exit-only mode")]
    for view in views:
        left = len(view.positions) + len(view.holdings)
        value = (
            "value not known" if view.value is None else f"about {rupees(view.value, paise=False)}"
        )
        lines.extend(["", bold(view.account.label)])
        if not left and not view.working:
            lines.append("✅ Drained: nothing held, nothing working.")
            continue
        lines.append(
            f"{plural(len(view.positions), 'position')}, {plural(len(view.holdings), 'holding')}, "
            f"{plural(len(view.working), 'working order')} left, {value}"
        )
        lines.extend(position_line(one) for one in view.positions)
        lines.extend(holding_line(one) for one in view.holdings)
        lines.extend(order_line(one) for one in view.working)
    if not views:
        lines.append("No account is in exit-only mode.")
    return Screen(
        join(lines), ((button("🔄 Refresh", Verb.DRAIN_VIEW), button("« Modes", Verb.MODES)),)
    )
