"""The lines for a position, an order, a trade or a holding, shared by all views."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from bot.views.markup import LONG, bold, clock_time, esc, short
from bot.views.rows import ListRow, laid_out
from bot.views.width import INDENT, fits_line
from bot.views.words import (
    DOING_VERB,
    DONE_VERB,
    ORDER_ICON,
    WORKING,
    is_final,
    order_state,
    price,
    state_words,
)
from core.domain.broker import Holding
from core.domain.instrument import DERIVATIVES_OF, InstrumentId, Product
from core.domain.money import as_shown, signed_rupees
from core.domain.order import OrderState, OrderType, Purpose
from core.domain.protection import ON_ITS_WAY
from core.domain.views import ExitView, OrderView, PnlView, PositionView, TradeView

__all__ = [
    "ESTIMATED",
    "ROWS",
    "brief",
    "card_lines",
    "held_lines",
    "held_list",
    "holding_lines",
    "is_stop",
    "order_line",
    "order_lines",
    "order_terms",
    "outcome_words",
    "owner_words",
    "planned_lines",
    "pnl_lines",
    "pnl_words",
    "position_line",
    "position_lines",
    "product_words",
    "result_amount",
    "result_words",
    "results_together",
    "strategy_words",
    "symbol_of",
    "terms_lines",
    "trade_lines",
    "warning_line",
]

_REASON_LIMIT = 160
_HELD = 5
_LAKH = 100_000
_MTF = "MTF"
_USUAL = frozenset({"NSE", "NFO"})
_USUAL_PREFIX = re.compile(r"\b(?:NSE|NFO):(?=[A-Z0-9])")
_ON_MARGIN = re.compile(rf"\b((?:{'|'.join(DERIVATIVES_OF)}):\S+ \(?){Product.NRML}\b")
_EXPLAINED = frozenset({OrderState.DENIED, OrderState.HELD, OrderState.REJECTED})
ESTIMATED = "Charges are estimated."
"""Stands once under figures after charges: the contract note counts, and what is held is held."""
ROWS = "Results in rows are before charges."
"""Stands once under rows with a result: charges are of the account, and said with its total."""


def position_line(position: PositionView) -> str:
    """Return some lines: what is held and its profit; prices, its stop and who holds it."""
    return position_lines([position])[0]


def position_lines(positions: Iterable[PositionView]) -> list[str]:
    """Return the lines of each position of a list."""
    return laid_out(list(map(_position_row, positions)))


def _position_row(position: PositionView) -> ListRow:
    gain = "result not known" if position.result is None else bold(signed_rupees(position.result))
    if position.is_since_entry:
        gain += " since entry"
    product = product_words(position.instrument, position.product)
    name = f"{bold(symbol_of(position.instrument))} {product}"
    if position.quantity == 0 and not any(position.owners.values()):
        return ListRow(name, ("closed", gain))
    # The gain includes profit booked earlier today; without the two parts it would seem to
    # contradict the prices in the next line.
    parts = _parts(position.realised, position.unrealised) if position.realised else ()
    # What was carried into the day counts from the previous close, not from its entry.
    close = position.previous_close
    prices = (
        f"avg {price(position.average_price)}",
        f"now {price(position.last_price)}" if position.is_listed else "",
    )
    carried = (f"last close {price(close)}" if close is not None else "",)
    owners = (_stop_words(position), esc(owner_words(position)))
    warnings = tuple(map(warning_line, position.warnings))
    return ListRow(
        name,
        (f"{position.quantity:+d}", gain),
        below=(parts, prices, carried, owners),
        last=warnings,
    )


def _stop_words(position: PositionView) -> str:
    return f"stop {price(position.stop)}" if position.stop is not None else ""


def held_lines(positions: Iterable[PositionView]) -> list[str]:
    """Return what is held and what protects it, indented: ``SBIN MIS · +10 · stop ₹805.00``."""
    rows = [
        ListRow(
            f"{bold(symbol_of(one.instrument))} {product_words(one.instrument, one.product)}",
            (f"{one.quantity:+d}", _stop_words(one)),
            last=tuple(map(warning_line, one.warnings)),
        )
        for one in positions
    ]
    return laid_out(rows, indent=INDENT)


def held_list(positions: Sequence[PositionView]) -> list[str]:
    """Return the lines of what an account holds, those without protection first."""
    if not positions:
        return [f"{INDENT}Nothing is held there."]
    ordered = sorted(positions, key=lambda one: not one.warnings)
    lines = held_lines(ordered[:_HELD])
    more = len(ordered) - _HELD
    return [*lines, f"{INDENT}… and {more} more: /positions"] if more > 0 else lines


def warning_line(words: str) -> str:
    """Return what is said of a position; a stop or an exit that is on its way is no warning."""
    sign = "⏳" if words.endswith(ON_ITS_WAY) else "⚠️"
    what, _, why = esc(brief(words)).partition(": ")
    line = f"{INDENT}{sign} {what}: {why}" if why else f"{INDENT}{sign} {what}"
    return line if fits_line(line) or not why else f"{INDENT}{sign} {what}:\n{INDENT}{why}"


def _parts(realised: Decimal, unrealised: Decimal) -> tuple[str, str]:
    return f"open {signed_rupees(unrealised)}", f"booked {signed_rupees(realised)}"


def symbol_of(instrument: InstrumentId) -> str:
    """Return an instrument as a line shows it: its exchange only where that is not the usual."""
    return instrument.symbol if instrument.exchange in _USUAL else str(instrument)


def brief(text: str) -> str:
    """Return a text that names things as lines do: ``SBIN MTF``, not ``NSE:SBIN NRML``."""
    return _USUAL_PREFIX.sub("", _ON_MARGIN.sub(rf"\1{_MTF}", text))


def product_words(instrument: InstrumentId | str, product: str) -> str:
    """Return a product by the broker's word: a share that is carried on margin is ``MTF``."""
    exchange, _, _ = str(instrument).partition(":")
    return _MTF if product == Product.NRML and exchange in DERIVATIVES_OF else str(product)


def result_words(
    amount: Decimal, charges: Decimal | None, *, is_before_said: bool = False
) -> list[str]:
    """Return what a closed position brought, as two lines of its message; rupees.

    "About", because charges are estimated. Of a lakh and more the paise are left out.

    Args:
        amount: Before charges.
        charges: None when they are not known.
        is_before_said: The line above says the first already, and what it is.
    """
    if is_before_said:
        after = None if charges is None else amount - charges
        return [
            "charges unknown" if after is None else f"After charges about {result_amount(after)}"
        ]
    before = f"Before charges {result_amount(amount)}"
    if charges is None:
        return [before, "charges unknown"]
    return [before, f"After them about {result_amount(amount - charges)}"]


def result_amount(amount: Decimal) -> str:
    """Return what something brought: rupees, in bold."""
    return bold(signed_rupees(amount, paise=abs(amount) < _LAKH))


def results_together(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of results as each is shown above it."""
    shown = (as_shown(one, paise=abs(one) < _LAKH) for one in amounts)
    return sum(shown, Decimal(0))


def strategy_words(name: str) -> str:
    """Return a strategy's name as the chat shows it: ``opening range breakout``."""
    known = {"manual": "by you", "external": "not mine"}
    return known.get(name) or name.replace("_", " ")


def owner_words(position: PositionView) -> str:
    """Return who holds a position: ``orb``, or each with its units: ``orb +10, by hand +5``."""
    owners = {name: units for name, units in position.owners.items() if units}
    external = position.quantity - sum(owners.values())
    if len(owners) == 1 and not external:
        return strategy_words(next(iter(owners)))
    if not owners:
        return "by hand" if external else ""
    parts = [f"{strategy_words(name)} {units:+d}" for name, units in owners.items()]
    if external:
        parts.append(f"by hand {external:+d}")
    return ", ".join(parts)


def is_stop(order: OrderView) -> bool:
    """Whether an order protects a position: a stop of ours, or one that was placed by hand."""
    is_theirs = order.purpose is Purpose.EXTERNAL
    return order.purpose is Purpose.STOP or (
        is_theirs and order.order_type in {OrderType.SL, OrderType.SL_M}
    )


def order_terms(order: OrderView) -> str:
    """Return ``Buy 10 SBIN MIS · limit ₹812.00``, what was asked for, as lines of a message."""
    return terms_lines([order])[0]


def terms_lines(orders: Iterable[OrderView], before: str = "", *, indent: str = "") -> list[str]:
    """Return what was asked for with each order of a list, after a mark."""
    rows = []
    for order in orders:
        market = "market" if order.order_type is OrderType.MARKET else ""
        deed = f"{before}{order.side.word} {order.quantity}"
        rows.append(ListRow(_name(order), (_terms(order, is_named=True) or market,), deed))
    return laid_out(rows, indent=indent)


def planned_lines(exits: Iterable[ExitView], before: str = "", *, indent: str = "") -> list[str]:
    """Return what is to be closed with each exit of a list, after a mark."""
    rows = [
        ListRow(
            f"{esc(symbol_of(one.instrument))} {product_words(one.instrument, one.product)}",
            deed=f"{before}{one.side.word} {one.quantity}",
        )
        for one in exits
    ]
    return laid_out(rows, indent=indent)


def order_line(order: OrderView) -> str:
    """Return an order as lines: what was done or is asked for, its price, when and by whom."""
    return order_lines([order])[0]


def order_lines(orders: Iterable[OrderView]) -> list[str]:
    """Return the lines of each order of a list."""
    return laid_out([_order_row(one) for one in orders])


def card_lines(orders: Sequence[OrderView], parts: Mapping[str, str]) -> list[str]:
    """Return the lines of each order of a card, which names what a list says of each.

    ``✅ Sold 100 SBIN · ₹958.05`` and under it ``exit +₹150.00 · before charges``.

    Args:
        orders: Those of all accounts.
        parts: What an order (by its key) does in a reversal, whose exit and entry would look alike.
    """
    return laid_out(
        [_order_row(one, is_on_card=True, part=parts.get(one.key, "")) for one in orders]
    )


def _order_row(order: OrderView, *, is_on_card: bool = False, part: str = "") -> ListRow:
    at, state = _terms_words(order)
    reason = ""
    if order.reason and order.state in _EXPLAINED:
        reason = f"{INDENT}{esc(short(brief(order.reason), _REASON_LIMIT))}"
    whose = esc(strategy_words(order.strategy))
    product = product_words(order.instrument, order.product)
    by = () if is_on_card else (product, clock_time(order.at), whose)
    notes = _notes(order, part, is_on_card=is_on_card)
    return ListRow(
        esc(symbol_of(order.instrument)),
        # A price is seen first; without one the state takes its place.
        (at or state,),
        f"{ORDER_ICON[order.state]} {_deed(order)}",
        ((state if at else "",), tuple(notes), by),
        (reason,),
    )


def _name(order: OrderView) -> str:
    return f"{esc(symbol_of(order.instrument))} {product_words(order.instrument, order.product)}"


def _deed(order: OrderView) -> str:
    """Return ``Bought 10``, ``Buying 10``, ``Stop: sell 10`` or ``Buy 10``."""
    side, done = order.side, order.filled_quantity
    if order.state is OrderState.FILLED:
        return f"{DONE_VERB[side].capitalize()} {done}"
    if done and is_final(order):
        return f"{DONE_VERB[side].capitalize()} {done} of {order.quantity}"
    if order.purpose is Purpose.STOP:
        return f"Stop: {side.value.lower()} {order.quantity}"
    if (order.state in WORKING or (done and not is_final(order))) and order.is_followed:
        return f"{DOING_VERB[side]} {order.quantity}"
    return f"{side.word} {order.quantity}"


def _terms_words(order: OrderView) -> tuple[str, str]:
    """Return at what price, and the state where the first words do not say it."""
    if order.filled_quantity and is_final(order):
        return price(order.average_price), ""
    return _terms(order, is_named=order.purpose is not Purpose.STOP), esc(state_words(order))


def _terms(order: OrderView, *, is_named: bool) -> str:
    """Return the limit or the trigger of an order, '' for a market order."""
    if order.order_type is OrderType.LIMIT and order.limit_price is not None:
        return f"limit {price(order.limit_price)}"
    if order.trigger_price is not None and order.order_type is not OrderType.MARKET:
        return f"stop {price(order.trigger_price)}" if is_named else price(order.trigger_price)
    return ""


def _notes(order: OrderView, part: str, *, is_on_card: bool) -> list[str]:
    """Return what an exit has brought; why the rest of an order was not filled."""
    found = [part]
    if order.purpose in {Purpose.EXIT, Purpose.STOP} and order.filled_quantity:
        booked = "" if order.realised is None else signed_rupees(order.realised)
        # A list says once that its rows are before charges.
        charges = "before charges" if booked and is_on_card else ""
        # One part, so that it breaks alike in all rows, unless it is too wide for that.
        words = [booked if part else f"{order.purpose.value} {booked}".strip(), charges]
        line = " · ".join(filter(None, words))
        found += [line] if fits_line(f"{INDENT}{line}") else words
    if order.filled_quantity and is_final(order) and order.state is not OrderState.FILLED:
        found.append("rest " + state_words(order))
    return found


def outcome_words(order: OrderView) -> str:
    """Return how an order ended, such as ``✅ Sold 10 at ₹812.35.`` (escaped)."""
    words = short(brief(order_state(order)), LONG)
    return f"{ORDER_ICON[order.state]} {esc(words[:1].upper() + words[1:])}."


def trade_lines(views: Iterable[TradeView]) -> list[str]:
    """Return the lines of each execution of a list."""
    return laid_out(list(map(_trade_row, views)))


def _trade_row(view: TradeView) -> ListRow:
    trade = view.trade
    when = clock_time(trade.traded_at) if trade.traded_at else "--:--"
    name = esc(symbol_of(trade.instrument))
    return ListRow(name, (price(trade.price),), f"{when} {DONE_VERB[trade.side]} {trade.quantity}")


def holding_lines(holdings: Iterable[Holding]) -> list[str]:
    """Return the lines of delivery shares, each of a list."""
    return laid_out(list(map(_holding_row, holdings)))


def _holding_row(holding: Holding) -> ListRow:
    owned = holding.quantity + holding.t1_quantity + holding.pledged_quantity
    gain = (holding.last_price - holding.average_price) * owned
    return ListRow(
        f"{bold(symbol_of(holding.instrument))} {holding.quantity}",
        (f"now {price(holding.last_price)}",),
        below=(
            (
                f"{holding.t1_quantity} in T1" if holding.t1_quantity else "",
                f"{holding.pledged_quantity} pledged" if holding.pledged_quantity else "",
            ),
            (f"{signed_rupees(gain)} since bought",),
        ),
    )


def pnl_words(pnl: PnlView, name: str = "", *, indent: str = "") -> str:
    """Return today's profit before charges and after them, or that it is not known."""
    return pnl_lines([pnl], name, indent=indent)[0]


def pnl_lines(found: Iterable[PnlView], name: str = "", *, indent: str = "") -> list[str]:
    """Return today's profit of each before charges and after them, or that it is not known.

    Args:
        found: The profits of a list.
        name: What stands before each, with a space after it.
        indent: Before the first line; the parts are below it.
    """
    return laid_out([_pnl_row(one, name) for one in found], indent=indent)


def _pnl_row(pnl: PnlView, name: str) -> ListRow:
    if pnl.total is None:
        return ListRow(f"{name}not known:", last=(f"{INDENT}the broker could not be read",))
    realised, unrealised = pnl.realised or Decimal(0), pnl.unrealised or Decimal(0)
    after = _after_words(pnl.total, pnl.charges)
    return ListRow(
        f"{name}{bold(signed_rupees(pnl.total))}",
        ("before charges" if after else "",),
        below=((after,), _parts(realised, unrealised)),
    )


def _after_words(before: Decimal, charges: Decimal | None) -> str:
    """Return ``after charges +₹917.28``, that they are unknown, or '' when there are none."""
    if charges is None:
        return "charges unknown"
    return f"after charges {bold(signed_rupees(before - charges))}" if charges else ""
