"""Guards on the day's result, /guard: the overview, one scope, and the question before a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.callbacks import handle
from bot.views.lines import brief
from bot.views.markup import bold, clock_time, esc, join
from bot.views.paging import page_row, paged
from bot.views.screen import DANGER, REFRESH, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import fitted
from core.domain.guard_views import GuardPreview, GuardView, PendingView, guard_words
from core.domain.identifiers import is_paper
from core.domain.money import group_lakh, signed_rupees
from core.domain.result_guard import Breach, Guard, Reached, ScopeKind, Trail
from core.domain.typed_number import read_amount, read_amounts
from core.errors import UserError

__all__ = [
    "PARTS",
    "guard_answer",
    "guard_page",
    "guard_question",
    "guards_screen",
    "lock_question",
    "part_page",
    "typed_question",
    "with_part",
]

PARTS = {"s": "stop", "t": "target", "l": "lock and trail", "x": "guard"}
"""What one change is about, by the code in its buttons; ``x`` removes everything."""
_NONE = "0"
_OLD_S = 5
_AMOUNTS = ("1000", "2500", "5000", "10000", "25000", "50000")
_TRAILS = (
    "2000-1000-1000-500",
    "5000-2500-1000-500",
    "10000-5000-2000-1000",
    "25000-15000-5000-3000",
)
_MEANS = {
    "s": "A loss of the day: at or below it everything is closed.",
    "t": "A profit of the day: at or above it everything is closed.",
    "l": "From a profit of X keep Y; then of each further A keep B. The floor never falls.",
}
_TYPED = {
    "s": "Send the stop in rupees, like 5000.",
    "t": "Send the target in rupees, like 20000.",
    "l": "Send X and Y, or X, Y, A and B, in rupees: <code>10000 5000 1000 500</code>.",
}
_PAIR, _FOUR = 2, 4
_NO_MONEY = [
    bold("All accounts"),
    "A guard of all accounts together does not count paper accounts, and there is no other yet.",
]
"""In the place of the guard of all accounts where it could never fire."""


def guards_screen(views: Sequence[GuardView], page: int = 0) -> Screen:
    """Return every scope with its result and its guard."""
    lines: list[str] = [bold("Guards on the day's result")]
    if not views:
        lines.append("There is no account yet. /add connects one.")
    covers_none = all(_is_all(one) or is_paper(one.scope.broker_id) for one in views)
    blocks = [_NO_MONEY if covers_none and _is_all(one) else _lines(one) for one in views]
    shown, at, pages = paged(
        list(zip(views, blocks, strict=True)), page, texts=[join(one) for one in blocks]
    )
    for _, block in shown:
        lines.extend(["", *block])
    buttons = [
        button(view.name, Verb.GUARD, handle(view.scope.key))
        for view, block in shown
        if block is not _NO_MONEY or view.guard.is_set
    ]
    refresh = (button(REFRESH, Verb.GUARDS),)
    rows = (*grid(buttons, 1), *page_row(at, pages, Verb.GUARDS), refresh)
    return Screen(join(lines), rows)


def _is_all(view: GuardView) -> bool:
    return view.scope.kind is ScopeKind.ALL


def _lines(view: GuardView) -> list[str]:
    lines = [bold(view.name), _result_line(view)]
    if view.leaves_out_paper:
        lines.append("Paper accounts do not count.")
    if view.price_age_s is not None and view.price_age_s > _OLD_S:
        lines.append(f"⚠️ by prices of {view.price_age_s} s ago")
    words = guard_words(view.guard)
    parts = esc(words[:1].upper() + words[1:]).split(", ")
    lines.append(fitted(*parts) if view.guard.is_set else "No guard")
    if view.day.floor is not None and view.day.highest is not None:
        floor, high = signed_rupees(view.day.floor), signed_rupees(view.day.highest)
        lines.append(fitted(f"Floor now {bold(floor)}", f"highest {high}"))
    if view.day.fired is not None:
        lines.append(f"🛑 Fired: {_reached(view.day.fired)}. Shut until the next trading day.")
    if view.locked_until:
        lines.append(f"🔒 Locked until {_day(view.locked_until)}")
    if view.pending is not None:
        lines.append(_pending_line(view.pending))
    return lines


def _result_line(view: GuardView) -> str:
    if view.result is None:
        return f"⚠️ Result not known: {esc(brief(view.why))}"
    # Judged by what is known of the charges, which must not pass for all of them.
    which = "charges" if view.result.after is not None else "known charges"
    after = bold(signed_rupees(view.result.judged))
    return f"Now {after} after {which}\n{signed_rupees(view.result.before)} before them"


def _reached(breach: Breach) -> str:
    limit = signed_rupees(breach.limit, paise=False)
    return f"the {breach.reached.value} of {limit} was reached at {signed_rupees(breach.result)}"


def _pending_line(pending: PendingView) -> str:
    until = clock_time(pending.until_at)
    return (
        f"⏳ Looser waits: {esc(guard_words(pending.guard))}. Confirm it from "
        f"{clock_time(pending.from_at, seconds=True)} to {until}."
    )


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%a %-d %b}"


def guard_page(view: GuardView, strategies: Sequence[tuple[str, str]] = ()) -> Screen:
    """Return one scope with its buttons.

    Args:
        view: The scope.
        strategies: Title and key of what else can have a guard below it.
    """
    short = handle(view.scope.key)
    rows: list[tuple[InlineKeyboardButton, ...]] = []
    if view.pending is not None:
        rows.append(
            (
                button("Confirm it again", Verb.LOOSEN_GUARD, short, view.pending.id, style=DANGER),
                button("Keep the present one", Verb.KEEP_GUARD, short),
            )
        )
    rows.append(
        tuple(
            button(label, Verb.GUARD_PART, short, part)
            for part, label in (("s", "Stop"), ("t", "Target"), ("l", "Lock & trail"))
        )
    )
    if view.guard.is_set:
        lock = () if view.locked_until else (button("🔒 Lock", Verb.ASK_GUARD_LOCK, short),)
        rows.append((*lock, button("Remove", Verb.ASK_GUARD, short, "x", _NONE, style=DANGER)))
    rows.extend((button(title, Verb.GUARD, handle(key)),) for title, key in strategies)
    rows.append((button(REFRESH, Verb.GUARD, short), button("« Guards", Verb.GUARDS)))
    return Screen(join(_lines(view)), tuple(rows))


def part_page(view: GuardView, part: str) -> Screen:
    """Return the usual values of one part, and the way to type another."""
    short = handle(view.scope.key)
    values = _TRAILS if part == "l" else _AMOUNTS
    labels = {value: _label(part, value) for value in values}
    buttons = [button(label, Verb.ASK_GUARD, short, part, value) for value, label in labels.items()]
    rows = [*grid(buttons, 1 if part == "l" else 3)]
    others = [button("Type another", Verb.TYPE_GUARD, short, part)]
    if _has(view.guard, part):
        others.append(button(f"No {PARTS[part]}", Verb.ASK_GUARD, short, part, _NONE))
    rows.extend([tuple(others), (button("« Back", Verb.GUARD, short),)])
    text = join(
        bold(f"{PARTS[part].capitalize()} · {view.name}"),
        _MEANS[part],
        "",
        _lines(view)[1:],
        "",
        "Tap one, or send your own.",
    )
    return Screen(text, tuple(rows))


def _label(part: str, value: str) -> str:
    numbers = [group_lakh(one) for one in value.split("-")]
    if part == "l":
        start, keep, each, more = numbers
        return f"{start} → {keep}, each {each} → {more}"
    return f"{'-' if part == 's' else '+'}₹{numbers[0]}"


def _has(guard: Guard, part: str) -> bool:
    found = {"s": guard.stop, "t": guard.target, "l": guard.trail}
    return found[part] is not None


def typed_question(view: GuardView, part: str) -> str:
    """Return the question for a typed value."""
    return join(bold(f"{PARTS[part].capitalize()} · {view.name}"), _MEANS[part], _TYPED[part])


def with_part(guard: Guard, part: str, text: str) -> Guard:
    """Return a guard with one part changed to what a button or a user says; ``0`` removes it.

    Raises:
        UserError: The text holds no such value.
    """
    if part == "x":
        return Guard()
    if part == "l":
        numbers = read_amounts(text)
        if numbers is None:
            raise UserError(f"Found {text.strip()[:30]!r}; expected amounts, like 5000 or 50k.")
        is_none = numbers == [Decimal(0)]
        return replace(guard, trail=None if is_none else _trail(numbers, text))
    typed = read_amount(text)
    if typed is None:
        raise UserError(
            f"Found {text.strip()[:30]!r}; expected one amount of rupees, like 5000 or 50k."
        )
    amount = abs(typed) or None
    return replace(guard, stop=amount) if part == "s" else replace(guard, target=amount)


def _trail(numbers: list[Decimal], text: str) -> Trail:
    if len(numbers) not in {_PAIR, _FOUR}:
        raise UserError(
            f"Found {text.strip()[:40]!r}; expected two or four amounts: from, keep, of each "
            "further, keep."
        )
    return Trail(*numbers)


def guard_question(preview: GuardPreview) -> str:
    """Return what a change will do, before it is done."""
    view, guard = preview.now, preview.guard
    if guard.is_set:
        paper = " but paper accounts" if view.leaves_out_paper else ""
        covered = {
            ScopeKind.STRATEGY: "everything that the strategy holds there",
            ScopeKind.ACCOUNT: "what the account holds, your own positions too, but no holdings",
            ScopeKind.ALL: (
                f"what all accounts hold{paper}, your own positions too, but no holdings"
            ),
        }[view.scope.kind]
        effect = (
            f"When it is reached I close {covered}. Nothing is entered until the next trading day."
        )
    else:
        effect = "Nothing stops it by its result any more."
    lines = [
        bold(f"Set the guard of {view.name}?"),
        f"New: {bold(guard_words(guard))}",
        f"Before: {esc(guard_words(view.guard) if view.guard.is_set else 'no guard')}",
        _result_line(view),
        "",
        effect,
    ]
    if preview.at_once is not None:
        lines.append(f"🛑 {bold('It fires at once')}: {_reached_by(preview.at_once)}.")
    if preview.is_waiting:
        looser = " and ".join(preview.looser)
        lines.append(
            f"⏳ The {looser} would be looser. In the session that needs a second confirmation, "
            "from two minutes on."
        )
    return join(lines)


def guard_answer(preview: GuardPreview) -> tuple[str, bool]:
    """Return the label that confirms a change, and whether it is red: it closes or removes."""
    if not preview.guard.is_set:
        return "Yes, remove it", True
    if preview.at_once is not None:
        return "Yes, set it and close now", True
    return "Yes, set it", False


def _reached_by(breach: Breach) -> str:
    limit = signed_rupees(breach.limit, paise=False)
    what = {Reached.STOP: "stop", Reached.TARGET: "target", Reached.FLOOR: "floor"}[breach.reached]
    return f"the result of {signed_rupees(breach.result)} has reached the {what} of {limit}"


def lock_question(view: GuardView) -> str:
    """Return what a lock does, before it is set."""
    return join(
        bold(f"Lock the guard of {view.name}?"),
        esc(guard_words(view.guard)),
        "",
        "Until the next trading day it can be tightened, and nobody can loosen, remove or unlock "
        "it: neither you nor another user.",
    )
