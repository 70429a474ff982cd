"""Panic: the question before it, its live message, and how to come back from it (row R2). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.dashboard import ON_CARD
from bot.views.lines import (
    held_lines,
    result_amount,
    result_words,
    results_together,
    terms_lines,
)
from bot.views.markup import bold, esc, join, short
from bot.views.modes import GLOBAL
from bot.views.paging import fitting
from bot.views.rows import ListRow, laid_out
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from bot.views.words import MODE, part_of, plural
from core.domain.account import Account
from core.domain.identifiers import is_paper
from core.domain.mode import TradingMode
from core.domain.money import signed_rupees
from core.domain.panic import Hindrance, Line, PanicEnd
from core.domain.views import PanicAccount, PanicPart, PanicQuestion, PanicView

__all__ = [
    "HOLDINGS",
    "panic_card",
    "panic_choices",
    "panic_over",
    "panic_question",
    "start_label",
    "stop_question",
]

HOLDINGS = "h"
"""The argument of the button that chooses holdings too."""
_SHOWN = 5
_NAMED = 6
_IN_FULL = 8
_DETAIL = 160
_OUTCOMES = 3200
"""The room of what became of the accounts, above the way back."""
_UNSEEN = "GTTs and other rules kept at the broker are not seen by me: look at them in its app."


def panic_question(question: PanicQuestion, chosen: Collection[str], *, with_holdings: bool) -> str:
    """Return what a panic would do on the chosen accounts, and what it would not touch."""
    found = [one for one in question.accounts if one.account.broker_id in chosen]
    delivery = sum(one.delivery for one in found)
    is_all = len(found) == len(question.accounts)
    whose = "all accounts" if is_all else plural(len(found), "account")
    mode = f"{MODE[TradingMode.EXIT_ONLY]} first, on " + (
        "all accounts, those added later too." if is_all else "these accounts."
    )
    if with_holdings:
        kept = f"Delivery positions and holdings are closed too: {delivery}."
    else:
        units = f" ({delivery})" if delivery else ""
        kept = f"Not touched: delivery positions and holdings{units}, with their stops."
    heading = "🛑 " + bold(f"Cancel and close everything on {whose}?")
    if question.running is not None:
        heading = "🛑 " + bold(f"A panic runs already. Add {whose} to it?")
    return join(
        heading,
        _will(found, with_holdings=with_holdings),
        "",
        _choice_lines(question.accounts, chosen),
        "",
        esc(mode),
        esc(kept),
        None if found and all(one.account.broker.is_paper for one in found) else esc(_UNSEEN),
    )


def _will(found: Sequence[PanicAccount], *, with_holdings: bool) -> str:
    """Return what will be closed and cancelled, as far as it is known."""
    if not found:
        return "No account is chosen."
    positions, orders = sum(o.positions for o in found), sum(o.orders for o in found)
    if not positions and not orders:
        if with_holdings and any(one.delivery for one in found):
            return "Nothing but delivery is open, and no order is working."
        if not all(one.is_read for one in found):
            return "I know of no open position and no working order."
        return "No position is open and no order is working."
    parts = []
    if positions:
        parts.append(f"close {plural(positions, 'position')} at the market price")
    if orders:
        own = ", your own at the broker too"
        parts.append(f"cancel {plural(orders, 'working order')}{own}")
    return f"I will {' and '.join(parts)}."


def _choice_lines(accounts: Sequence[PanicAccount], chosen: Collection[str]) -> list[str]:
    """Return what is on each account; of very many, those where there is something."""
    lines = laid_out([_choice_row(one, one.account.broker_id in chosen) for one in accounts])
    if fitting(lines, len(lines)) == len(lines):
        return lines
    order = sorted(range(len(accounts)), key=lambda at: not _has_something(accounts[at]))
    shown = fitting([lines[at] for at in order], len(lines))
    rest = [accounts[at] for at in order[shown:]]
    positions, orders = sum(one.positions for one in rest), sum(one.orders for one in rest)
    more = f"… and {plural(len(rest), 'account')} with {plural(positions, 'position')} and "
    return [*(lines[at] for at in sorted(order[:shown])), f"{more}{plural(orders, 'order')}."]


def _has_something(one: PanicAccount) -> bool:
    return bool(one.positions or one.orders) or not one.is_read


def _choice_row(one: PanicAccount, is_chosen: bool) -> ListRow:
    mark = "☑" if is_chosen else "☐"
    notes = [plural(one.positions, "position"), plural(one.orders, "order")]
    if not one.positions and not one.orders:
        notes = ["nothing open"] if one.is_read else []
    if not one.is_read:
        notes.append("not read yet today")
    if one.account.needs_login:
        notes.append("needs a login")
    if one.is_paused:
        notes.append("paused: closed there too")
    return ListRow(f"{mark} {esc(one.account.label)}", tuple(notes))


def start_label(chosen: Collection[str]) -> str:
    """Return the label of the red button."""
    return f"🛑 Close everything now ({plural(len(chosen), 'account')})"


def panic_choices(
    question: PanicQuestion, chosen: Collection[str], nonce: str, *, with_holdings: bool
) -> Keyboard:
    """Return the buttons beside the red one: which accounts, and whether holdings too."""
    picks = [
        button(
            f"{'☑' if one.account.broker_id in chosen else '☐'} {one.account.short_label}",
            Verb.PANIC_PICK,
            nonce,
            number,
        )
        for number, one in enumerate(question.accounts)
    ]
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    if len(picks) > 1:
        rows += [tuple(picks[at : at + 2]) for at in range(0, len(picks), 2)]
    mark = "☑" if with_holdings else "☐"
    rows.append((button(f"{mark} Also holdings and delivery", Verb.PANIC_PICK, nonce, HOLDINGS),))
    rows.append((button("« Leave it", Verb.MODES),))
    return tuple(rows)


def panic_card(view: PanicView, logins: Keyboard = ()) -> Screen:
    """Return the live message of one that runs: what is flat, what is left, what is in the way."""
    panic = view.panic
    counts = panic.counts
    flat = f"{counts.flat} of {counts.accounts} flat"
    left = [f"{plural(counts.orders, 'order')} working"]
    left.append(f"{plural(counts.positions, 'position')} left")
    open_lines = [line for line in panic.lines if not line.is_flat]
    if open_lines and all(_is_unread(line) for line in open_lines):
        left = ["looking at the brokers"]
    named = [_line(view, line) for line in open_lines]
    shown = fitting(named, len(named))
    if shown < len(named):
        more = plural(len(named) - shown, "more account")
        named = [*named[:shown], f"… and {more} not flat yet."]
    rows = (*logins, (button("Stop trying", Verb.ASK_STOP_PANIC, panic.panic_id),))
    scope = _scope(view) if panic.holdings else None
    return Screen(
        join(fitted(f"🛑 {bold(f'PANIC · {flat}')}", *map(bold, left)), scope, named), rows
    )


def _scope(view: PanicView) -> str:
    """Say where delivery is closed too."""
    panic = view.panic
    if set(panic.holdings) == set(panic.broker_ids):
        return "Delivery positions and holdings too."
    names = [_label(view, broker_id) for broker_id in panic.holdings]
    return esc(f"Delivery positions and holdings too on: {', '.join(names)}.")


def _label(view: PanicView, broker_id: str) -> str:
    account = view.accounts.get(broker_id)
    return account.label if account else view.labels.get(broker_id, broker_id)


def _is_unread(line: Line) -> bool:
    """Whether nothing is known of an account yet: no figure may be shown for it."""
    is_empty = not line.positions and not line.orders
    return not line.is_flat and is_empty and line.hindrance is Hindrance.NONE


def _line(view: PanicView, line: Line) -> str:
    account, label = view.accounts.get(line.broker_id), _label(view, line.broker_id)
    parts = []
    if line.positions:
        parts.append(plural(line.positions, "position"))
    if line.orders:
        parts.append(plural(line.orders, "order"))
    left = f" · {', '.join(parts)}" if parts else ""
    return f"• {bold(label)}{left}: {esc(_way(line, account, is_running=True))}"


def _way(line: Line, account: Account | None, *, is_running: bool) -> str:
    """Return what stands in the way, and what a user can do about it."""
    detail = short(line.detail, _DETAIL).removesuffix(".")
    app = account.broker.exit_hint if account else "Look in the broker's app."
    bracketed = f" ({detail})" if detail else ""
    again = "I go on by myself when that is over." if is_running else ""
    doing = "looking at the broker." if _is_unread(line) else "closing."
    words = {
        Hindrance.NONE: doing if is_running else "not closed. " + app,
        Hindrance.LOGIN: f"login expired. Log in below, or do it by hand: {app} {again}",
        Hindrance.PERMISSION: f"the broker does not let this app order ({detail}). {app}",
        Hindrance.THROTTLED: f"the broker asks to slow down. {again} If it is urgent: {app}",
        Hindrance.SILENT: f"the broker does not answer{bracketed}. {again} If it is urgent: {app}",
        Hindrance.NOT_READ: f"the broker was not read yet ({detail}). {again}",
        Hindrance.UNSETTLED: (
            f"nobody knows yet whether the broker has {detail}. {again} See /orders."
        ),
        Hindrance.DISPUTED: (
            f"positions and fills contradict one another: {detail}. See /positions, or: {app}"
        ),
        Hindrance.NOT_HANDLED: f"I send no orders of {detail}. {app}",
        Hindrance.CLOSED: f"the market is closed: {detail}. {again}",
        Hindrance.CANCEL: f"the cancel of {detail} is not confirmed. {again} Or: {app}",
        Hindrance.CIRCUIT: (
            f"{detail}. Nobody trades against it now; in the broker's app it would rest as well."
        ),
        Hindrance.EXIT: f"{detail}. {again} Or: {app}",
        Hindrance.GONE: f"it is disconnected here. {app}",
    }
    return " ".join(words[line.hindrance].split())


def stop_question(view: PanicView) -> str:
    """Return what ending a panic early leaves behind."""
    counts = view.panic.counts
    names = [bold(_label(view, line.broker_id)) for line in view.panic.lines if not line.is_flat]
    rest = [plural(len(names) - _NAMED, "more account")] if len(names) > _NAMED else []
    where = f" on {' and '.join([*names[:_NAMED], *rest])}" if names else ""
    return join(
        bold("Stop trying to close what is left?"),
        f"{counts.flat} of {counts.accounts} accounts are flat; left are "
        f"{plural(counts.positions, 'position')} and {plural(counts.orders, 'order')}{where}.",
        "Nothing more is cancelled or closed. What strategies still hold is theirs again, with the "
        "stop it had. The accounts stay as they are: exit only.",
    )


def panic_over(view: PanicView, logins: Keyboard = ()) -> Screen:
    """Return what a panic closed and brought on each account, what is left, and the way back."""
    panic = view.panic
    counts = panic.counts
    flat = f"{counts.flat} of {counts.accounts} flat"
    is_all = counts.flat == counts.accounts
    if panic.end is PanicEnd.STOPPED:
        heading = f"🛑 {bold(f'PANIC ended by you · {flat}')}"
    else:
        heading = f"{'✅' if is_all else '⚠️'} {bold(f'PANIC is over · {flat}')}"
    first = "" if is_all else "Close what is still open in the broker's app. "
    is_paper_alone = all(map(is_paper, panic.broker_ids))
    look = "" if is_paper_alone else f"{_UNSEEN} "
    stays = None if panic.holdings else "Delivery and holdings were not touched."
    lines = sorted(panic.lines, key=lambda line: line.is_flat)  # what needs a look comes first
    text = join(
        heading,
        _outcomes(view, lines),
        _together(view),
        "",
        bold("How to come back"),
        f"{first}{look}Then set Normal: strategies enter at their next signal. A guard or limit "
        "that has fired stays shut until tomorrow.",
        stays,
    )
    return Screen(text, (*logins, *_modes(view)))


def _outcomes(view: PanicView, lines: Sequence[Line]) -> list[str]:
    """Return what became of each account; what has no room is counted."""
    is_short = len(lines) > _IN_FULL
    texts = [join(_outcome(view, line, is_short=is_short)) for line in lines]
    shown = fitting(texts, len(texts), _OUTCOMES)
    if shown == len(texts):
        return texts
    flat = sum(line.is_flat for line in lines[shown:])
    more = plural(len(lines) - shown, "more account")
    return [*texts[:shown], f"… and {more}{part_of(flat, len(lines) - shown, 'flat')}: /positions."]


def _outcome(view: PanicView, line: Line, *, is_short: bool) -> list[str]:
    """Return the lines of one account: what was closed and brought, what is still open and why."""
    part = view.parts.get(line.broker_id, PanicPart())
    mine = [one for one in view.cancelled if one.broker_id == line.broker_id]
    closed = f"closed {plural(part.closed, 'position')}" if part.closed else ""
    cancelled = f"cancelled {plural(len(mine), 'order')} of yours" if mine else ""
    closed = closed or ("nothing to close" if line.is_flat else "nothing closed")
    label = _label(view, line.broker_id)
    if is_short and line.is_flat:
        brought = None if part.result is None else part.result - (part.charges or 0)
        money = "" if brought is None else f"about {signed_rupees(brought, paise=False)}"
        return [fitted(esc(label), f"{part.closed} closed", money)]
    lines = [bold(label), fitted(closed, cancelled, indent=INDENT)]
    lines += terms_lines(mine[:_SHOWN], indent=INDENT + INDENT)
    lines += [f"{INDENT}… and {len(mine) - _SHOWN} more: /orders"] if len(mine) > _SHOWN else []
    if part.result is not None:
        lines += [f"{INDENT}{one}" for one in result_words(part.result, part.charges)]
    if part.unknown:
        lines.append(f"{INDENT}result of {plural(part.unknown, 'position')} not known")
    if line.is_flat:
        return lines
    lines += held_lines(part.left[:_SHOWN])
    lines += [f"{INDENT}… and {len(part.left) - _SHOWN} more"] if len(part.left) > _SHOWN else []
    account = view.accounts.get(line.broker_id)
    way = _way(line, account, is_running=False)
    return [*lines, f"⚠️ {esc(way[:1].upper() + way[1:])}"]


def _together(view: PanicView) -> str | None:
    """Return what it all brought; what is paper is no money and stands with its account alone."""
    money = [
        part
        for broker_id, part in view.parts.items()
        if part.result is not None and not is_paper(broker_id)
    ]
    costs = [one.charges for one in money if one.charges is not None]
    if len(money) <= 1:
        return None
    results = [one.result or Decimal(0) for one in money]
    if len(costs) < len(money):
        return fitted(f"Together {result_amount(results_together(results))}", "before charges")
    after = results_together(
        result - charges for result, charges in zip(results, costs, strict=True)
    )
    return fitted(f"Together about {result_amount(after)}", "after charges")


def _modes(view: PanicView) -> Keyboard:
    found: list[tuple[InlineKeyboardButton, ...]] = []
    if view.global_mode is not TradingMode.NORMAL:
        found.append((button("🟢 Set all to Normal", Verb.ASK_MODE, GLOBAL, "n", ON_CARD),))
    for broker_id in view.panic.broker_ids:
        account = view.accounts.get(broker_id)
        if account is not None and account.trading_mode is not TradingMode.NORMAL:
            label = f"🟢 Set {account.short_label} to Normal"
            found.append((button(label, Verb.ASK_MODE, broker_id, "n", ON_CARD),))
    found.append((button("Positions", Verb.POSITIONS), button("Modes", Verb.MODES)))
    return tuple(found)
