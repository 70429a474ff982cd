"""Strategies (D6): list, page, parameters, assignments; and the card of a run (E1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.callbacks import handle
from bot.views.dashboard import ALL, position_button
from bot.views.lines import brief, product_words, symbol_of
from bot.views.markup import bold, day_time, esc, italic, join
from bot.views.paging import page_row, paged
from bot.views.rows import ListRow, laid_out
from bot.views.runs import run_text
from bot.views.screen import PRIMARY, REFRESH, SUCCESS, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted, labelled
from bot.views.words import price
from core.domain.instrument import Product
from core.domain.target import Parameter
from core.domain.views import (
    AssignmentView,
    PositionView,
    SizeKind,
    StrategyView,
)

__all__ = [
    "INSTRUMENTS",
    "assignment_page",
    "enabled_screen",
    "held_lines",
    "run_question",
    "size_question",
    "still_held",
    "strategies_list",
    "strategy_page",
    "value_words",
]

INSTRUMENTS = "instruments"
"""The parameter that lists what a strategy trades."""
_SHOWN = 10
_RUN_ROOM = 1000
"""The room of the last run on the page of its strategy; its card shows all of it."""


def strategies_list(strategies: Sequence[StrategyView], now: datetime | None = None) -> Screen:
    """Return every strategy with its state, next slot and last run; ``now`` spares today's date."""
    if not strategies:
        return Screen(f"{bold('Strategies')}\nNone is installed.")
    lines: list[str] = []
    for one in strategies:
        state = "🟢 enabled" if one.is_enabled else "⚪ disabled"
        last = one.last_run.slot_at if one.last_run else None
        lines.extend(
            [
                "",
                fitted(bold(one.title), state),
                f"   {_next_run(one, now)}",
                f"   last run: {_when(last, 'none yet', now)}",
            ]
        )
    rows = tuple((button(one.title, Verb.STRATEGY, handle(one.name)),) for one in strategies)
    return Screen(join(bold("Strategies"), lines), (*rows, (button(REFRESH, Verb.STRATEGIES),)))


def _next_run(one: StrategyView, now: datetime | None) -> str:
    """Return when a strategy runs next, or would once it is enabled."""
    when = _when(one.next_slot, "not known: the calendar ends", now)
    return f"next run: {when}" if one.is_enabled else f"next, once enabled: {when}"


def _when(moment: datetime | None, otherwise: str, now: datetime | None) -> str:
    return otherwise if moment is None else day_time(moment, now)


def strategy_page(strategy: StrategyView, page: int = 0, *, now: datetime | None = None) -> Screen:
    """Return the page of a strategy: description, next run, parameters, accounts, last run."""
    key = handle(strategy.name)
    texts = _assignment_lines(strategy.assignments)
    shown, at, pages = paged(list(zip(strategy.assignments, texts, strict=True)), page, texts=texts)
    parameters = [
        labelled(esc(parameter.label), bold(value_words(parameter, value)), indent=INDENT)
        for parameter, value in strategy.parameters
    ]
    text = join(
        fitted(bold(strategy.title), "🟢 enabled" if strategy.is_enabled else "⚪ disabled"),
        italic(strategy.description) if strategy.description else None,
        _plan_words(strategy, now),
        ["", bold("Parameters"), *parameters] if parameters else None,
        "",
        bold("Accounts"),
        [text for _, text in shown] or "   none connected",
        ["", run_text(strategy.last_run, "Last run", _RUN_ROOM)] if strategy.last_run else None,
    )
    toggle = (
        button("Disable", Verb.DISABLE_STRATEGY, key)
        if strategy.is_enabled
        else button("Enable", Verb.ENABLE_STRATEGY, key, style=SUCCESS)
    )
    return Screen(
        text,
        (
            (toggle, button("Run now", Verb.ASK_RUN, key, style=PRIMARY)),
            (button("Parameters", Verb.PARAMETERS, key), button(REFRESH, Verb.STRATEGY, key)),
            *(
                (button(f"{one.account_label} …", Verb.ASSIGNMENT, key, one.broker_id),)
                for one, _ in shown
            ),
            *page_row(at, pages, Verb.STRATEGY, key),
            (button("« Strategies", Verb.STRATEGIES),),
        ),
    )


def _plan_words(strategy: StrategyView, now: datetime | None) -> str:
    """Return when it runs, and that nothing comes of it where it is on nowhere."""
    when = _when(strategy.next_slot, "not known: the calendar ends", now)
    if not strategy.is_enabled:
        return f"It does not run by itself.\nOnce enabled, next run: {when}"
    if not any(one.is_on and not one.kept_out for one in strategy.assignments):
        return f"Next run: {when}\n⚠️ It enters nothing: no account is on and ready."
    return f"Next run: {when}"


def enabled_screen(strategy: StrategyView, now: datetime | None = None) -> Screen:
    """Return what follows once a strategy is enabled: short, so that all of it stays in sight."""
    key = handle(strategy.name)
    then = "minute" if strategy.every_minutes == 1 else f"{strategy.every_minutes} minutes"
    plan = _plan_words(strategy, now)
    if strategy.next_slot is not None:
        at = day_time(strategy.next_slot, now)
        plan = plan.replace(at, f"{bold(at)}, then every {then}", 1)
    text = join(
        fitted(bold(strategy.title), "🟢 enabled"),
        plan,
        "",
        "I report that run here in any case, later ones only when they bring a signal. What the "
        "newest one found is under Its last run.",
    )
    return Screen(
        text,
        (
            (
                button("Disable", Verb.DISABLE_STRATEGY, key),
                button("Parameters", Verb.PARAMETERS, key),
            ),
            (
                button("Its last run", Verb.STRATEGY, key),
                button("« Strategies", Verb.STRATEGIES),
            ),
        ),
    )


def _assignment_lines(found: Sequence[AssignmentView]) -> list[str]:
    rows = [
        ListRow(
            f"{esc(one.account_label)}: {'on' if one.is_on else 'off'}",
            (esc(one.product.value), size_words(one)),
            last=(f"{INDENT}⏸ {esc(one.kept_out)}",) if one.is_on and one.kept_out else (),
        )
        for one in found
    ]
    return laid_out(rows, indent=INDENT)


def value_words(parameter: Parameter, value: object) -> str:
    """Return the value of a parameter as lines show it: ``SBIN, RELIANCE``."""
    return brief(str(value)).replace(",", ", ") if parameter.name == INSTRUMENTS else str(value)


def size_words(one: AssignmentView) -> str:
    """Return the size of an assignment: ``10 units`` or ``5 % of capital, times 2``."""
    value = plain(one.size_value)
    units = "unit" if one.size_value == 1 else "units"
    size = f"{value} {units}" if one.size_kind is SizeKind.QUANTITY else f"{value} % of capital"
    return size if one.multiplier == 1 else f"{size}, times {plain(one.multiplier)}"


def plain(number: Decimal) -> str:
    """Return a decimal without an exponent or trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def run_question(strategy: StrategyView, entries_over: str = "") -> str:
    """Return what an extra run will do, before it is requested.

    Args:
        strategy: The strategy.
        entries_over: Why it could enter nothing by the clock, a clause; or ''.
    """
    on = [one for one in strategy.assignments if one.is_on]
    ready = [one.account_label for one in on if not one.kept_out]
    kept = [f"⏸ {bold(one.account_label)}: {esc(one.kept_out)}" for one in on if one.kept_out]
    where = ", ".join(ready) if ready else "no account"
    return join(
        bold(f"Run {strategy.title} now?"),
        f"It decides at once, but only exits: {esc(entries_over)}."
        if entries_over
        else f"It decides at once and may enter on: {esc(where)}.",
        kept[:_SHOWN],
        f"… and {len(kept) - _SHOWN} more." if len(kept) > _SHOWN else None,
        "Each account's mode and limits apply.",
    )


def assignment_page(strategy: StrategyView, one: AssignmentView) -> Screen:
    """Return how a strategy runs on one account, with buttons to change it (D4)."""
    key, account = handle(strategy.name), one.broker_id
    text = join(
        bold(f"{strategy.title} on {one.account_label}"),
        f"Runs there: {'yes' if one.is_on else 'no'}",
        f"⏸ {esc(one.kept_out)}" if one.is_on and one.kept_out else None,
        f"Product: {esc(one.product.value)}",
        f"Size: {esc(size_words(one))}",
        "",
        "A change takes effect at the next run.",
    )
    toggle = (
        button("Turn off here", Verb.DISABLE_ASSIGNMENT, key, account)
        if one.is_on
        else button("Turn on here", Verb.ENABLE_ASSIGNMENT, key, account, style=SUCCESS)
    )
    products = [
        button(f"Use {product.value}", Verb.SET_PRODUCT, key, account, product.value)
        for product in Product
        if product is not one.product
    ]
    rows: tuple[tuple[InlineKeyboardButton, ...], ...] = (
        (toggle,),
        tuple(products),
        (
            button("Fixed quantity", Verb.ASK_SIZE, key, account, "q"),
            button("Share of capital", Verb.ASK_SIZE, key, account, "c"),
        ),
        (
            button("Multiplier", Verb.ASK_SIZE, key, account, "m"),
            button("« Back", Verb.STRATEGY, key),
        ),
    )
    return Screen(text, rows)


def held_lines(strategy: str, positions: Sequence[PositionView]) -> list[str]:
    """Return what a strategy holds, under the names of the accounts."""
    lines: list[str] = []
    label = ""
    shown = positions[:_SHOWN]
    rows = [
        ListRow(
            f"{bold(symbol_of(one.instrument))} {product_words(one.instrument, one.product)}",
            (
                f"{one.owners[strategy]:+d}",
                f"stop {price(one.stop)}" if one.stop is not None else "⚠️ no stop",
            ),
        )
        for one in shown
    ]
    for one, text in zip(shown, laid_out(rows), strict=True):
        if one.account_label != label:
            label = one.account_label
            lines.append(bold(label))
        lines.append(text)
    more = len(positions) - _SHOWN
    return [*lines, f"… and {more} more."] if more > 0 else lines


def still_held(
    strategy: StrategyView, positions: Sequence[PositionView], broker_id: str | None
) -> Screen:
    """Return the question what becomes of what a strategy holds that was just switched off."""
    key = handle(strategy.name)
    is_named = len({one.broker_id for one in positions}) > 1
    text = join(
        f"⚪ {bold(strategy.title)} is off{'' if broker_id is None else ' here'} and decides "
        "nothing more, no exit of its own either. It still holds:",
        held_lines(strategy.name, positions),
        "",
        "Stops that rest, guards and the square-off go on. Do you want to close it now?",
    )
    closes = tuple(
        (found,)
        for one in positions[:_SHOWN]
        if (found := position_button(one, named=is_named)) is not None
    )
    keep = (
        button("« Keep it", Verb.STRATEGY, key)
        if broker_id is None
        else button("« Keep it", Verb.ASSIGNMENT, key, broker_id)
    )
    more = ((button("All positions", Verb.POSITIONS, ALL),),) if len(positions) > _SHOWN else ()
    return Screen(text, (*closes, *more, (keep,)))


def size_question(strategy: str, account: str, kind: str) -> str:
    """Return the prompt for a size or a multiplier."""
    what = {
        "q": "how many units each position has, for example <code>10</code>",
        "c": "what share of the capital each position takes in percent, like <code>5</code>",
        "m": "the multiplier of the size, for example <code>2</code>",
    }[kind]
    return f"{bold(strategy)} on {bold(account)}\nSend {what}."
