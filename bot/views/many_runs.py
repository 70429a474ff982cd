"""The card of several runs of one moment: a line each, and what needs a look below. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.callbacks import handle
from bot.views.lines import symbol_of
from bot.views.markup import bold, clock_time, join, units
from bot.views.paging import fitting
from bot.views.paper import MADE_UP
from bot.views.rows import ListRow, laid_out
from bot.views.runs import DIRECTION, account_lines, changed, head_of, is_through
from bot.views.screen import Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import fitted
from bot.views.words import is_final, plural
from core.domain.order import OrderState, Purpose
from core.domain.protection import ON_ITS_WAY
from core.domain.views import OrderView, RunLine, RunView

__all__ = ["runs_card"]

_ROOM = 3600
_RUNS = 2700
"""The room of the runs' lines; what needs a look has the rest."""
_LOOKS = 12


def runs_card(runs: Sequence[tuple[RunView, str]]) -> Screen:
    """Return the card of runs, each with its strategy's title: edited as their orders go on (E1).

    What needs a look stands first and in full. A button opens a strategy, which shows its run.
    """
    times = sorted({run.slot_at for run, _ in runs})
    span = " to ".join(dict.fromkeys(clock_time(at) for at in (times[0], times[-1])))
    lines = [fitted(bold(plural(len(runs), "run")), span)]
    if any(run.is_practice for run, _ in runs):
        lines.append(MADE_UP)
    ordered = sorted(runs, key=lambda one: (not _loud(one[0]), _is_done(one[0])))
    found = laid_out([_row(run, title) for run, title in ordered])
    shown = fitting(found, len(found), _RUNS)
    lines += found[:shown]
    if len(found) > shown:
        lines.append(f"… and {plural(len(found) - shown, 'more run')}.")
    looks = [
        f"{bold(title)}\n{join(account_lines(line, is_signal=True, is_closing=run.is_closing))}"
        for run, title in ordered
        for line in _loud(run)
    ]
    shown = fitting(looks, _LOOKS, _ROOM - units(join(lines)))
    if looks:
        lines += ["", *looks[:shown]]
    if len(looks) > shown:
        lines.append(f"… and {plural(len(looks) - shown, 'more account')} to look at: /orders.")
    titles = dict.fromkeys((run.strategy, title) for run, title in runs)
    buttons = [button(title, Verb.STRATEGY, handle(name)) for name, title in titles]
    return Screen(join(lines), grid(buttons, 2))


def _loud(run: RunView) -> list[RunLine]:
    """Return the accounts that need a look: what is unprotected or refused first."""
    found = [line for line in run.lines if _has_failed(line) or (line.note and not line.is_quiet)]
    return sorted(found, key=lambda line: not _has_failed(line))


def _row(run: RunView, title: str) -> ListRow:
    """Return one run: ``✅ Orb · Long SBIN · 3 of 3 filled``."""
    return ListRow(f"{_mark(run)} {bold(head_of(run, title))}", (*_signals(run), *_orders(run)))


def _mark(run: RunView) -> str:
    if _loud(run):
        return "⚠️"
    if not any(line.orders for line in run.lines):
        return "➖"
    return "✅" if _is_done(run) else "⏳"


def _signals(run: RunView) -> list[str]:
    new = changed(run)
    if len(new) == 1:
        return [f"{DIRECTION[new[0].direction]} {symbol_of(new[0].instrument)}"]
    return [plural(len(new), "signal")] if new else []


def _orders(run: RunView) -> list[str]:
    """Return how far its entries and exits are; stops are not counted."""
    orders = [one for line in run.lines for one in _own(line)]
    if not orders:
        return ["no order"]
    filled = sum(one.state is OrderState.FILLED for one in orders)
    partly = sum(0 < one.filled_quantity < one.quantity for one in orders)
    return [f"{filled} of {len(orders)} filled", *([f"{partly} in part"] if partly else [])]


def _has_failed(line: RunLine) -> bool:
    """Whether it is unprotected, or an entry or exit ended without being filled."""
    is_bare = any(not words.endswith(ON_ITS_WAY) for words in line.warnings)
    ended = [one for one in _own(line) if is_final(one)]
    return is_bare or any(one.state is not OrderState.FILLED for one in ended)


def _own(line: RunLine) -> list[OrderView]:
    return [one for one in line.orders if one.purpose is not Purpose.STOP]


def _is_done(run: RunView) -> bool:
    return all(is_through(line) or not line.orders for line in run.lines)
