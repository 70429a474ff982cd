"""The lines for a position, an order, a trade or a holding, shared by all views."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from bot.views.markup import LONG, bold, clock_time, esc, short
from bot.views.width import INDENT, fitted
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
from core.domain.instrument import InstrumentId
from core.domain.money import signed_rupees
from core.domain.order import OrderState, OrderType, Purpose
from core.domain.protection import ON_ITS_WAY
from core.domain.views import OrderView, PnlView, PositionView, TradeView

__all__ = [
    "ESTIMATED",
    "ROWS",
    "brief",
    "held_lines",
    "held_list",
    "holding_line",
    "is_stop",
    "order_line",
    "order_terms",
    "outcome_words",
    "owner_words",
    "pnl_words",
    "position_line",
    "result_words",
    "strategy_words",
    "symbol_of",
    "trade_line",
    "warning_line",
]

_REASON_LIMIT = 160
_HELD = 5
_LAKH = 100_000
_USUAL = frozenset({"NSE", "NFO"})
_USUAL_PREFIX = re.compile(r"\b(?:NSE|NFO):(?=[A-Z0-9])")
_EXPLAINED = frozenset({OrderState.DENIED, OrderState.HELD, OrderState.REJECTED})
ESTIMATED = "Charges are estimated."
"""Stands once under figures after charges: the contract note counts, and what is held is held."""
ROWS = "Results in rows are before charges."
"""Stands once under rows with a result: charges are of the account, and said with its total."""


def position_line(position: PositionView) -> str:
    """Return some lines: what is held and its profit; prices, its stop and who holds it."""
    gain = "result not known" if position.result is None else bold(signed_rupees(position.result))
    if position.is_since_entry:
        gain += " since entry"
    name = f"{bold(symbol_of(position.instrument))} {esc(position.product.value)}"
    if position.quantity == 0 and not any(position.owners.values()):
        return fitted(name, "closed", gain)
    parts = ""
    if position.realised:
        # The gain includes profit booked earlier today; without the two parts it would seem to
        # contradict the prices in the next line.
        parts = fitted(*_parts(position.realised, position.unrealised), indent=INDENT)
    # What was carried into the day counts from the previous close, not from its entry.
    close = position.previous_close
    prices = fitted(
        f"avg {price(position.average_price)}",
        f"last close {price(close)}" if close is not None else "",
        f"now {price(position.last_price)}" if position.is_listed else "",
        indent=INDENT,
    )
    stop = f"stop {price(position.stop)}" if position.stop is not None else ""
    owners = fitted(stop, esc(owner_words(position)), indent=INDENT)
    warnings = [warning_line(one) for one in position.warnings]
    first = fitted(name, f"{position.quantity:+d}", gain)
    return "\n".join(filter(None, [first, parts, prices, owners, *warnings]))


def held_lines(position: PositionView) -> list[str]:
    """Return what is held and what protects it, indented: ``SBIN MIS · +10 · stop ₹805.00``."""
    name = f"{bold(symbol_of(position.instrument))} {esc(position.product.value)}"
    stop = f"stop {price(position.stop)}" if position.stop is not None else ""
    lines = [fitted(name, f"{position.quantity:+d}", stop, indent=INDENT)]
    return [*lines, *(warning_line(one) for one in position.warnings)]


def held_list(positions: Sequence[PositionView]) -> list[str]:
    """Return the lines of what an account holds, those without protection first."""
    if not positions:
        return [f"{INDENT}nothing is held there"]
    ordered = sorted(positions, key=lambda one: not one.warnings)
    lines = [line for one in ordered[:_HELD] for line in held_lines(one)]
    more = len(ordered) - _HELD
    return [*lines, f"{INDENT}… and {more} more: /positions"] if more > 0 else lines


def warning_line(words: str) -> str:
    """Return what is said of a position; a stop or an exit that is on its way is no warning."""
    sign = "⏳" if words.endswith(ON_ITS_WAY) else "⚠️"
    return f"{INDENT}{sign} {esc(words)}"


def _parts(realised: Decimal, unrealised: Decimal) -> tuple[str, str]:
    return f"open {signed_rupees(unrealised)}", f"booked {signed_rupees(realised)}"


def symbol_of(instrument: InstrumentId) -> str:
    """Return an instrument as a line shows it: its exchange only where that is not the usual."""
    return instrument.symbol if instrument.exchange in _USUAL else str(instrument)


def brief(text: str) -> str:
    """Return a text in which instruments stand as lines show them: ``SBIN``, not ``NSE:SBIN``."""
    return _USUAL_PREFIX.sub("", text)


def result_words(amount: Decimal, charges: Decimal | None) -> list[str]:
    """Return what a closed position brought, as two lines of its message; rupees.

    "About", because charges are estimated. Of a lakh and more the paise are left out.
    """
    before = f"Before charges {_amount(amount)}"
    if charges is None:
        return [before, "charges unknown"]
    return [before, f"After them about {_amount(amount - charges)}"]


def _amount(amount: Decimal) -> str:
    return bold(signed_rupees(amount, paise=abs(amount) < _LAKH))


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
    """Return ``BUY 10 NSE:SBIN MIS limit ₹812.00`` (escaped)."""
    terms = f"{order.side.value} {order.quantity} {order.instrument} {order.product.value}"
    if order.order_type is OrderType.MARKET:
        return f"{esc(terms)} market"
    if order.order_type is OrderType.LIMIT and order.limit_price is not None:
        return f"{esc(terms)} limit {price(order.limit_price)}"
    trigger = f" at {price(order.trigger_price)}" if order.trigger_price is not None else ""
    return f"{esc(terms)} stop{trigger}"


def order_line(order: OrderView, *, is_on_card: bool = False, part: str = "") -> str:
    """Return an order: what was done or is asked for, its price, and on a list when and by whom.

    ``✅ Sold 100 SBIN · ₹958.05`` and under it ``exit +₹150.00``; a card names the rest itself.

    Args:
        order: The order.
        is_on_card: It stands on the card of its run.
        part: What it does in a reversal, whose exit and entry would look the same.
    """
    product = "" if is_on_card else f" {esc(order.product.value)}"
    what = f"{ORDER_ICON[order.state]} {_deed(order)} {esc(symbol_of(order.instrument))}{product}"
    lines = [fitted(what, *_terms_words(order))]
    lines += [fitted(*_notes(order, part), indent=INDENT)]
    if not is_on_card:
        lines.append(
            fitted(clock_time(order.at), esc(strategy_words(order.strategy)), indent=INDENT)
        )
    if order.reason and order.state in _EXPLAINED:
        lines.append(f"{INDENT}{esc(short(order.reason, _REASON_LIMIT))}")
    return "\n".join(filter(None, lines))


def _deed(order: OrderView) -> str:
    """Return ``Bought 10``, ``Buying 10``, ``Stop: sell 10`` or ``Buy 10``."""
    side, done = order.side, order.filled_quantity
    if order.state is OrderState.FILLED:
        return f"{DONE_VERB[side].capitalize()} {done}"
    if done and is_final(order):
        return f"{DONE_VERB[side].capitalize()} {done} of {order.quantity}"
    if order.purpose is Purpose.STOP:
        return f"Stop: {side.value.lower()} {order.quantity}"
    if order.state in WORKING and order.is_followed:
        return f"{DOING_VERB[side]} {order.quantity}"
    return f"{side.value.capitalize()} {order.quantity}"


def _terms_words(order: OrderView) -> list[str]:
    """Return at what price, and the state where the first words do not say it."""
    if order.filled_quantity and is_final(order):
        return [price(order.average_price)]
    at = ""
    if order.order_type is OrderType.LIMIT and order.limit_price is not None:
        at = f"limit {price(order.limit_price)}"
    elif order.trigger_price is not None and order.order_type is not OrderType.MARKET:
        is_stop = order.purpose is Purpose.STOP
        at = price(order.trigger_price) if is_stop else f"stop {price(order.trigger_price)}"
    return [at, esc(state_words(order))]


def _notes(order: OrderView, part: str) -> list[str]:
    """Return what an exit has brought; why the rest of an order was not filled."""
    found = []
    if part and not order.filled_quantity:
        found.append(part)
    elif order.purpose in {Purpose.EXIT, Purpose.STOP} and order.filled_quantity:
        booked = "" if order.realised is None else f" {signed_rupees(order.realised)}"
        found.append(f"{part or order.purpose.value}{booked}")
    elif part:
        found.append(part)
    if order.filled_quantity and is_final(order) and order.state is not OrderState.FILLED:
        found.append("rest " + state_words(order))
    return found


def outcome_words(order: OrderView) -> str:
    """Return how an order ended, such as ``✅ Sold 10 at ₹812.35.`` (escaped)."""
    words = short(order_state(order), LONG)
    return f"{ORDER_ICON[order.state]} {esc(words[:1].upper() + words[1:])}."


def trade_line(view: TradeView) -> str:
    """Return one line for an execution."""
    trade = view.trade
    when = clock_time(trade.traded_at) if trade.traded_at else "--:--"
    deed = f"{DONE_VERB[trade.side]} {trade.quantity} {esc(symbol_of(trade.instrument))}"
    return fitted(f"{when} {deed}", price(trade.price))


def holding_line(holding: Holding) -> str:
    """Return one line for delivery shares."""
    owned = holding.quantity + holding.t1_quantity + holding.pledged_quantity
    gain = (holding.last_price - holding.average_price) * owned
    return fitted(
        f"{bold(symbol_of(holding.instrument))} {holding.quantity}",
        f"{holding.t1_quantity} arriving" if holding.t1_quantity else "",
        f"{holding.pledged_quantity} pledged" if holding.pledged_quantity else "",
        f"now {price(holding.last_price)}",
        f"{signed_rupees(gain)} since bought",
    )


def pnl_words(pnl: PnlView, name: str = "", *, indent: str = "") -> str:
    """Return today's profit before charges and after them, or that it is not known.

    Args:
        pnl: The profit.
        name: What stands before it, with a space after it.
        indent: Before the first line; the parts are below it.
    """
    if pnl.total is None:
        return f"{indent}{name}not known: the broker could not be read"
    realised, unrealised = pnl.realised or Decimal(0), pnl.unrealised or Decimal(0)
    after = _after_words(pnl.total, pnl.charges)
    total = f"{name}{bold(signed_rupees(pnl.total))}"
    lines = [
        fitted(total, "before charges" if after else "", indent=indent),
        f"{INDENT}{after}" if after else "",
        fitted(*_parts(realised, unrealised), indent=INDENT),
    ]
    return "\n".join(filter(None, lines))


def _after_words(before: Decimal, charges: Decimal | None) -> str:
    """Return ``after charges +₹917.28``, that they are unknown, or '' when there are none."""
    if charges is None:
        return "charges unknown"
    return f"after charges {bold(signed_rupees(before - charges))}" if charges else ""
