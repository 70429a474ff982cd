"""The message of the day's end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from bot.notices.lookups import Lookups
from bot.views.lines import (
    ESTIMATED,
    held_list,
    result_amount,
    result_words,
    results_together,
)
from bot.views.markup import bold, clock_time, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from bot.views.words import plural
from core.domain.account import PAPER_MARK
from core.domain.identifiers import is_paper
from core.domain.money import signed_rupees
from core.domain.notices.summary import DaySummary, SummaryNotice
from core.domain.sessions import IST
from core.domain.views import PositionView

__all__ = ["summary_notice"]

_IN_FULL = 6
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class _ShownDay:
    """One account's day; ``charges`` is None where they are not known."""

    broker_id: str
    label: str
    trades: int
    booked: Decimal
    charges: Decimal | None
    unrealised: Decimal
    is_read: bool
    held: tuple[PositionView, ...]

    @property
    def after(self) -> Decimal:
        """What was booked after the charges that are known."""
        return self.booked - (self.charges or Decimal(0))


async def summary_notice(notice: SummaryNotice, lookups: Lookups) -> Screen:
    """Return the message of the day's end: money first, paper apart, then what tomorrow needs."""
    parts = await _parts(notice, lookups)
    money = [one for one in parts if not is_paper(one.broker_id)]
    paper = [one for one in parts if is_paper(one.broker_id)]
    is_short = len(parts) > _IN_FULL
    text = join(
        f"📒 {bold(f'The day · {_day(notice.day)}')}",
        _lines(money, is_short=is_short),
        _together(money),
        ["", bold(f"{PAPER_MARK}Paper, no money")] if paper and money else None,
        _lines(paper, is_short=is_short),
        ESTIMATED if any(one.charges for one in parts) else None,
        "",
        await _tomorrow(notice, lookups),
    )
    row = (button("Trades", Verb.TRADES), button("Positions", Verb.POSITIONS))
    return Screen(text, (row,))


async def _parts(notice: DaySummary, lookups: Lookups) -> list[_ShownDay]:
    figures = (notice.trades, notice.booked, notice.charges, notice.unrealised)
    found = []
    for broker_id, trades, booked, charges, unrealised in zip(
        notice.broker_ids, *figures, strict=False
    ):
        found.append(
            _ShownDay(
                broker_id,
                await lookups.label(broker_id),
                trades,
                booked,
                None if broker_id in notice.uncharged else charges,
                unrealised,
                broker_id not in notice.by_orders,
                await lookups.held(broker_id),
            )
        )
    return found


def _lines(parts: list[_ShownDay], *, is_short: bool) -> list[str]:
    # What needs a look comes first: a position without a stop, then what is held at all.
    ordered = sorted(parts, key=lambda one: (not _is_bare(one), not one.held))
    shown = [line for one in ordered[:_SHOWN] for line in (_short if is_short else _full)(one)]
    more = ordered[_SHOWN:]
    return [*shown, f"… and {plural(len(more), 'account')} more: /pnl"] if more else shown


def _is_bare(part: _ShownDay) -> bool:
    return any(position.warnings for position in part.held)


def _full(part: _ShownDay) -> list[str]:
    lines = [bold(part.label)]
    booked = result_words(part.booked, part.charges)
    lines.append(f"{INDENT}{plural(part.trades, 'trade')}" + (", booked:" if part.trades else ""))
    lines += [f"{INDENT}{one}" for one in booked] if part.trades else []
    if not part.is_read:
        lines.append(f"{INDENT}by my own orders: its login ended")
    if part.held:
        gain = f"open {signed_rupees(part.unrealised)}" if part.is_read else ""
        lines.append(fitted(f"still held: {len(part.held)}", gain, indent=INDENT))
        lines += held_list(part.held)
    return lines


def _short(part: _ShownDay) -> list[str]:
    held = f"{len(part.held)} held" if part.held else ""
    sign = "⚠️ " if _is_bare(part) else ""
    money = f"about {signed_rupees(part.after, paise=False)}"
    return [fitted(f"{sign}{esc(part.label)}", plural(part.trades, "trade"), money, held)]


def _together(money: list[_ShownDay]) -> str | None:
    if len(money) <= 1:
        return None
    total = results_together(one.after for one in money)
    return fitted(f"Together about {result_amount(total)}", "after charges")


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%a %-d %b}"


async def _tomorrow(notice: DaySummary, lookups: Lookups) -> str:
    """Return what the next session needs of the user."""
    accounts = await lookups.control.accounts.all()
    daily = [
        one
        for one in accounts
        if one.enabled and one.broker.tokens_die_at and not one.broker.is_paper
    ]
    if notice.opens_at is None:
        when = "I do not know when the next session is: look at the exchange's calendar."
    else:
        opens = notice.opens_at.astimezone(IST)
        when = f"Next session: {opens:%a %-d %b}, {clock_time(opens)}."
    if not daily:
        return when
    one_or_all = "Log in" if len(daily) == 1 else f"Log in to {plural(len(daily), 'account')}"
    ends = min(one.broker.tokens_die_at for one in daily if one.broker.tokens_die_at)
    return f"{when} {one_or_all} before it, after {ends:%H:%M}: /login."
