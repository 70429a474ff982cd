"""The lines for a position, an order, a trade or a holding, shared by all views."""

from __future__ import annotations

from decimal import Decimal

from bot.views.markup import LONG, bold, clock_time, esc, short
from bot.views.words import ORDER_ICON, order_state, price
from core.domain.broker import Holding
from core.domain.money import signed_rupees
from core.domain.order import OrderType, Purpose
from core.domain.views import OrderView, PnlView, PositionView, TradeView

__all__ = [
    "ESTIMATED",
    "after_words",
    "holding_line",
    "order_line",
    "order_terms",
    "outcome_words",
    "owner_words",
    "pnl_words",
    "position_line",
    "result_words",
    "strategy_words",
    "trade_line",
]

_REASON_LIMIT = 160
ESTIMATED = "Charges estimated, with closing."
"""Stands once under figures after charges: the contract note counts, and what is held is held."""


def position_line(position: PositionView) -> str:
    """Return some lines: what is held and its profit; prices and who holds it."""
    gain = bold(signed_rupees(position.unrealised + position.realised))
    if position.is_since_entry:
        gain += " since entry"
    name = f"{bold(position.instrument)} {esc(position.product.value)}"
    after = after_words(position.unrealised + position.realised, position.charges)
    after = f"\n   {after}" if after else ""
    if position.quantity == 0:
        return f"{name} · closed · {gain}{after}"
    stop = f" · stop {price(position.stop)}" if position.stop is not None else ""
    owners = owner_words(position)
    taken = ""
    if position.realised:
        # The gain includes profit taken earlier today; without the two parts it would seem to
        # contradict the prices in the next line.
        opened = signed_rupees(position.unrealised)
        taken = f" (open {opened}, taken {signed_rupees(position.realised)})"
    # What was carried into the day counts from the previous close, not from its entry.
    close = position.previous_close
    carried = f", last close {price(close)}" if close is not None else ""
    return (
        f"{name} · {position.quantity:+d} · {gain}{taken}{after}\n"
        f"   avg {price(position.average_price)}{carried}, now {price(position.last_price)}{stop}"
        + (f" · {esc(owners)}" if owners else "")
        + "".join(f"\n   ⚠️ {esc(one)}" for one in position.warnings)
    )


def result_words(amount: Decimal, charges: Decimal | None) -> list[str]:
    """Return what a closed position brought, as two lines of its message; rupees."""
    before = f"Result {bold(signed_rupees(amount))} before charges"
    if charges is None:
        return [before, "charges unknown"]
    return [before, f"after them {bold(signed_rupees(amount - charges))} (estimated)"]


def strategy_words(name: str) -> str:
    """Return a strategy's name as the chat shows it: ``opening range breakout``."""
    known = {"manual": "by you", "external": "not mine"}
    return known.get(name) or name.replace("_", " ")


def owner_words(position: PositionView) -> str:
    """Return the owners of a position with their units: ``orb +10, by hand +5``."""
    owners = {name: units for name, units in position.owners.items() if units}
    external = position.quantity - sum(owners.values())
    parts = [f"{strategy_words(name)} {units:+d}" for name, units in owners.items()]
    if external:
        parts.append(f"by hand {external:+d}")
    return ", ".join(parts)


def order_terms(order: OrderView) -> str:
    """Return ``BUY 10 NSE:SBIN MIS limit ₹812.00`` (escaped)."""
    terms = f"{order.side.value} {order.quantity} {order.instrument} {order.product.value}"
    if order.order_type is OrderType.MARKET:
        return f"{esc(terms)} market"
    if order.order_type is OrderType.LIMIT and order.limit_price is not None:
        return f"{esc(terms)} limit {price(order.limit_price)}"
    trigger = f" at {price(order.trigger_price)}" if order.trigger_price is not None else ""
    return f"{esc(terms)} stop{trigger}"


def order_line(order: OrderView) -> str:
    """Return two lines: the order; its time, state and origin."""
    purpose = "" if order.purpose is Purpose.EXTERNAL else f" {order.purpose.value}"
    origin = strategy_words(order.strategy)
    return (
        f"{ORDER_ICON[order.state]} {order_terms(order)}\n"
        f"   {clock_time(order.at)} {esc(short(order_state(order), _REASON_LIMIT))}"
        f" · {esc(origin)}{esc(purpose)}"
    )


def outcome_words(order: OrderView) -> str:
    """Return how an order ended, such as ``✅ Sold 10 at ₹812.35.`` (escaped)."""
    words = short(order_state(order), LONG)
    return f"{ORDER_ICON[order.state]} {esc(words[:1].upper() + words[1:])}."


def trade_line(view: TradeView) -> str:
    """Return one line for an execution."""
    trade = view.trade
    when = clock_time(trade.traded_at) if trade.traded_at else "--:--"
    return (
        f"{when} {trade.side.value} {trade.quantity} {esc(trade.instrument)} "
        f"at {price(trade.price)}"
    )


def holding_line(holding: Holding) -> str:
    """Return one line for delivery shares."""
    arriving = f" (+{holding.t1_quantity} arriving)" if holding.t1_quantity else ""
    pledged = f" (+{holding.pledged_quantity} pledged)" if holding.pledged_quantity else ""
    owned = holding.quantity + holding.t1_quantity + holding.pledged_quantity
    gain = (holding.last_price - holding.average_price) * owned
    return (
        f"{bold(holding.instrument)} {holding.quantity}{arriving}{pledged} · "
        f"now {price(holding.last_price)} · {signed_rupees(gain)}"
    )


def pnl_words(pnl: PnlView) -> str:
    """Return today's profit before charges and after them, or that it is not known."""
    if pnl.total is None:
        return "not known: the broker could not be read"
    realised, unrealised = pnl.realised or Decimal(0), pnl.unrealised or Decimal(0)
    parts = f"taken {signed_rupees(realised)}, open {signed_rupees(unrealised)}"
    after = after_words(pnl.total, pnl.charges)
    if not after:
        return f"{bold(signed_rupees(pnl.total))} ({parts})"
    return f"{bold(signed_rupees(pnl.total))} before charges\n   {after}\n   {parts}"


def after_words(before: Decimal, charges: Decimal | None) -> str:
    """Return ``after charges +₹917.28``, that they are unknown, or '' when there are none."""
    if charges is None:
        return "charges unknown"
    return f"after charges {bold(signed_rupees(before - charges))}" if charges else ""
