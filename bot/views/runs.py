"""The card of a run (E1): what changed, and a few lines for each account. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bot.views.lines import card_lines, result_words, symbol_of, warning_line
from bot.views.markup import bold, clock_time, esc, join, short
from bot.views.paging import fitting
from bot.views.paper import MADE_UP
from bot.views.screen import Screen
from bot.views.width import INDENT, fitted
from bot.views.words import is_final, part_of, plural, price
from core.domain.order import OrderState, Purpose, Side
from core.domain.protection import ON_ITS_WAY
from core.domain.target import Direction, Target
from core.domain.views import OrderView, RunLine, RunView

__all__ = [
    "DIRECTION",
    "account_lines",
    "changed",
    "closing_lines",
    "head_of",
    "is_through",
    "run_card",
    "run_text",
]

DIRECTION = {Direction.LONG: "Long", Direction.SHORT: "Short", Direction.FLAT: "Flat"}
_REASON_LIMIT = 200
_ACCOUNTS = 12
_ROOM = 2000
"""The room of what became of a run on its accounts."""
_DECISION = {
    "square-off": "Square-off · {title}",
    "guard": "Closed by your guard · {title}",
    "close": "Closed by you",
    "stop": "Stop hit · {title}",
    "round-trip": "Smallest round trip",
    "switch-off": "Account switched off: strategies' positions",
}
"""The titles of runs that are not a signal of a strategy, by their note."""
_CLOSING = {"close": "Closing for you", "guard": "Your guard closes · {title}"}
"""The titles of some of these while something is still held."""


def run_card(run: RunView, title: str) -> Screen:
    """Return the card of one signal: a line per account, edited as orders go on (E1)."""
    return Screen(run_text(run, title))


def head_of(run: RunView, title: str) -> str:
    """Return what a run was: the strategy of a signal, or a decision by its name."""
    heads = _DECISION | _CLOSING if run.is_closing else _DECISION
    return heads[run.note].format(title=title) if run.note in heads else title


def run_text(run: RunView, title: str, room: int = _ROOM) -> str:
    """Return what changed at a run, and what became of it on each account.

    What has no room is counted: signals have a third of it, accounts that enter nothing a fifth.
    """
    is_signal = run.note not in _DECISION
    lines = [fitted(bold(head_of(run, title)), clock_time(run.slot_at))]
    if run.is_practice:
        lines.append(MADE_UP)
    new = [_target_line(one) for one in changed(run)]
    lines += _counted(new, room // 3, "signal")
    if is_signal and not new:
        lines += _counted(_standing(run), room // 3, "signal")
    quiet = [line for line in run.lines if line.is_quiet and not line.orders]
    loud = [line for line in run.lines if line not in quiet]

    orders = _order_texts(run.lines)

    def text(line: RunLine) -> str:
        return join(_account(line, orders, is_signal=is_signal, is_closing=run.is_closing))

    texts = list(map(text, loud))
    if fitting(texts, _ACCOUNTS, room) < len(loud):
        loud.sort(key=is_through)  # what needs a look comes first, the rest is counted
        texts = list(map(text, loud))
    shown = fitting(texts, _ACCOUNTS, room)
    lines += texts[:shown] + _others(loud[shown:])
    texts = [f"{bold(line.account_label)}\n{INDENT}{esc(line.note)}" for line in quiet]
    shown = fitting(texts, _ACCOUNTS, room // 5)
    lines += texts[:shown]
    if len(quiet) > shown:
        lines.append(f"… and {len(quiet) - shown} more that enter nothing.")
    return join(lines)


def closing_lines(runs: Sequence[RunView]) -> list[str]:
    """Return what the runs that close for one decision have done, by account."""
    by_account: dict[str, list[RunLine]] = {}
    for run in runs:
        for line in run.lines:
            by_account.setdefault(line.broker_id, []).append(line)
    found: list[str] = []
    orders = _order_texts([line for run in runs for line in run.lines], with_parts=False)
    for lines in by_account.values():
        if not any(line.orders or line.warnings for line in lines):
            continue
        found.append(bold(lines[0].account_label))
        for line in lines:
            found += [orders[line.broker_id, one.key] for one in line.orders]
            found += _warnings(line)
        results = [line for line in lines if line.result is not None]
        costs = [line.charges for line in results if line.charges is not None]
        if results:
            total = sum((line.result or Decimal(0) for line in results), Decimal(0))
            charges = sum(costs, Decimal(0)) if len(costs) == len(results) else None
            found += result_words(total, charges)
    return found


def _counted(lines: Sequence[str], room: int, noun: str) -> list[str]:
    """Return the lines that have room, and how many more there are."""
    shown = fitting(lines, len(lines), room)
    more = len(lines) - shown
    return [*lines[:shown], *([f"… and {plural(more, f'more {noun}')}."] if more else [])]


_FINE_STOPS = {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED}


def is_through(line: RunLine) -> bool:
    """Whether nothing of an account needs a look: such accounts may be left out of a long card."""
    return not line.warnings and not line.note and all(map(_is_fine, line.orders))


def _is_fine(order: OrderView) -> bool:
    if order.purpose is not Purpose.STOP:
        return order.state is OrderState.FILLED
    # One that ended without being hit made way for an exit, or what it left bare has a warning.
    return order.state in _FINE_STOPS or not is_final(order)


def _others(lines: Sequence[RunLine]) -> list[str]:
    """Return one line for the accounts of a long card that are not listed."""
    if not lines:
        return []
    through = sum(map(is_through, lines))
    more = plural(len(lines), "more account")
    return [f"… and {more}{part_of(through, len(lines), 'through')}: /orders."]


def changed(run: RunView) -> list[Target]:
    """Return the targets that this run brought: a strategy repeats the others at each slot."""
    traded = {order.instrument for line in run.lines for order in line.orders}
    return [one for one in run.targets if one.signal_at >= run.slot_at or one.instrument in traded]


def _standing(run: RunView) -> list[str]:
    """Return what a strategy wanted before already, in one line each."""
    held = [one for one in run.targets if one.direction is not Direction.FLAT]
    if not held:
        return ["No signal.", *[_why_flat(one) for one in run.targets if one.reason]]
    return ["No new signal.", *map(_since, held)]


def _why_flat(target: Target) -> str:
    reason = esc(short(target.reason, _REASON_LIMIT))
    return f"{bold(symbol_of(target.instrument))}\n{INDENT}{reason}"


def _since(target: Target) -> str:
    name = f"{DIRECTION[target.direction]} {bold(symbol_of(target.instrument))}"
    return f"{name} since {clock_time(target.signal_at)}"


def _target_line(target: Target) -> str:
    stop = f"stop {price(target.stop_price)}" if target.stop_price is not None else ""
    name = f"{DIRECTION[target.direction]} {bold(symbol_of(target.instrument))}"
    reason = f"\n{INDENT}{esc(short(target.reason, _REASON_LIMIT))}" if target.reason else ""
    return f"{fitted(name, stop)}{reason}"


def _order_texts(
    lines: Sequence[RunLine], *, with_parts: bool = True
) -> dict[tuple[str, str], str]:
    """Return the lines of each order by account and key, those of all accounts in one shape."""
    parts: dict[str, str] = {}
    for line in lines:
        parts |= _reversals(line.orders) if with_parts else {}
    orders = [(line.broker_id, one) for line in lines for one in line.orders]
    texts = card_lines([one for _, one in orders], parts)
    return {(whose, one.key): text for (whose, one), text in zip(orders, texts, strict=True)}


def account_lines(line: RunLine, *, is_signal: bool, is_closing: bool) -> list[str]:
    """Return what became of a run on an account."""
    texts = _order_texts([line])
    return _account(line, texts, is_signal=is_signal, is_closing=is_closing)


def _account(
    line: RunLine,
    orders: Mapping[tuple[str, str], str],
    *,
    is_signal: bool,
    is_closing: bool,
) -> list[str]:
    lines = [bold(line.account_label)]
    lines += [orders[line.broker_id, one.key] for one in line.orders]
    if line.result is not None:
        # A single exit has its result in its own line: it is not said twice.
        exits = [one.realised for one in line.orders if one.realised is not None]
        lines += result_words(line.result, line.charges, is_before_said=exits == [line.result])
    lines += [f"{INDENT}{esc(symbol_of(one))}: no longer held" for one in line.gone]
    if line.note:
        lines.append(f"{INDENT}{esc(line.note)}")
    lines += _warnings(line)
    is_going = any(one.endswith(ON_ITS_WAY) for one in line.warnings)
    if not line.orders and not line.note and not is_going:
        lines += _nothing(line.late, is_signal=is_signal, is_closing=is_closing)
    return lines


def _warnings(line: RunLine) -> list[str]:
    """Return the warnings of an account that none of its orders says already.

    That a stop or an exit is on its way is said by the order that was sent, a line above.
    """
    going = {
        str(one.instrument)
        for one in line.orders
        if one.purpose is not Purpose.ENTRY and not is_final(one)
    }
    return [
        warning_line(one)
        for one in line.warnings
        if not (one.endswith(ON_ITS_WAY) and one.partition(": ")[0] in going)
    ]


def _reversals(orders: Sequence[OrderView]) -> dict[str, str]:
    """Return what each order of a reversal does: its exit and its entry are of one side."""
    found = {}
    exits = [one for one in orders if one.purpose is Purpose.EXIT]
    for entry in (one for one in orders if one.purpose is Purpose.ENTRY):
        same = [o for o in exits if (o.instrument, o.side) == (entry.instrument, entry.side)]
        old, new = ("short", "long") if entry.side is Side.BUY else ("long", "short")
        if same:
            found[entry.key] = f"opens the {new}"
            found |= {one.key: f"closes the {old}" for one in same}
    return found


def _nothing(late: Sequence[Target], *, is_signal: bool, is_closing: bool) -> list[str]:
    """Return why an account has no order."""
    if not is_signal:
        # A decision to close has its orders in a moment, unless another order was there first.
        return [f"{INDENT}{'no order yet' if is_closing else 'flat, no order was needed'}"]
    if not late:
        return [f"{INDENT}nothing to do"]
    return [
        fitted(
            f"{symbol_of(one.instrument)}: signal of {clock_time(one.signal_at)}",
            "too old to enter",
            indent=INDENT,
        )
        for one in late
    ]
