"""The messages of notices about positions that came to their end."""

from __future__ import annotations

from collections.abc import Sequence

from bot.notices.lookups import Lookups
from bot.views.dashboard import ON_CARD, order_button
from bot.views.lines import result_words, strategy_words, symbol_of, terms_lines
from bot.views.markup import bold, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.width import fitted
from bot.views.words import DONE_VERB, price
from core.domain.instrument import InstrumentId
from core.domain.notices.results import ClosedBy, PositionClosed, ResultNotice
from core.domain.order import MANUAL, Purpose
from core.domain.views import OrderView
from core.errors import UserError

__all__ = ["result_notice"]

_TITLE = {
    ClosedBy.STOP: ("🛑", "Stop hit"),
    ClosedBy.GUARD: ("🛑", "Closed at the stop"),
    ClosedBy.DAY_GUARD: ("🛑", "Closed by your guard"),
    ClosedBy.USER: ("✅", "Closed by you"),
    ClosedBy.AFTER_PAUSE: ("✅", "Closed after the pause"),
    ClosedBy.LATE: ("✅", "Closed at last"),
}
_ORDER = "Your order: closed"


async def result_notice(notice: ResultNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about the end of a position."""
    place = (notice.broker_id, notice.instrument, notice.product, notice.side)
    left = await lookups.working(*place, Purpose.EXTERNAL)
    return _closed(notice, await lookups.label(notice.broker_id), left)


def _closed(notice: PositionClosed, label: str, left: Sequence[OrderView]) -> Screen:
    icon, title = _TITLE[notice.closed_by]
    if notice.strategy == MANUAL and notice.closed_by is ClosedBy.USER:
        title = _ORDER  # it takes the place of the order's card, and is known by the same name
    return Screen(
        join(
            fitted(f"{icon} {bold(title)}", bold(label)),
            fitted(
                f"{DONE_VERB[notice.side].capitalize()} {notice.quantity} "
                f"{bold(_symbol(notice.instrument))}",
                price(notice.price),
            ),
            _result(notice),
            None if notice.strategy == MANUAL else esc(strategy_words(notice.strategy)),
            _left_over(left),
        ),
        (
            *((cancel,) for one in left if (cancel := order_button(one, ON_CARD)) is not None),
            (button("Positions", Verb.POSITIONS, notice.broker_id),),
        ),
    )


def _left_over(orders: Sequence[OrderView]) -> list[str]:
    """Return a warning of orders by hand that would have closed what is closed now."""
    if not orders:
        return []
    it, were = ("it", "it was") if len(orders) == 1 else ("they", "they were")
    return [
        "",
        "⚠️ Still working, not mine:",
        *terms_lines(orders, "• "),
        f"If {were} for this position, cancel now: filled, {it} would open a new one.",
    ]


def _symbol(instrument: str) -> str:
    try:
        return symbol_of(InstrumentId.parse(instrument))
    except UserError:
        return instrument


def _result(notice: PositionClosed) -> list[str]:
    if notice.result is None:
        return ["Result not known here: the broker's app shows it."]
    return result_words(notice.result, notice.charges)
