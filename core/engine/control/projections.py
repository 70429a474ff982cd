"""Domain objects and stored rows as the views that the chat shows (product.md E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from core.domain.account import Account
from core.domain.broker import Holding, Position
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.profit import Profit
from core.domain.slicing import was_too_large
from core.domain.target import Target
from core.domain.views import OrderView, PositionView
from core.engine.orders.steps import on_tick
from core.ports.clock import Clock

__all__ = [
    "at_broker",
    "bare_by_hand",
    "is_stop",
    "ledger_view",
    "order_view",
    "position_key",
    "position_view",
    "state_words",
    "value_of",
]

_WORDS = {
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "cancelled",
    OrderState.REJECTED: "rejected",
    OrderState.EXPIRED: "expired",
    OrderState.DENIED: "refused by me",
    OrderState.NOT_PLACED: "given up as not placed",
    OrderState.ACCEPTED: "working at the broker",
    OrderState.PARTIALLY_FILLED: "filled in part",
}


def state_words(order: Order) -> str:
    """Return what became of an order, for a sentence: "that order is … already"."""
    return _WORDS.get(order.state, order.state.value)


def position_key(instrument: InstrumentId, product: Product) -> str:
    """Return a position's handle for buttons."""
    return f"{instrument}|{product}"


def position_view(
    account: Account,
    position: Position,
    profit: Profit,
    charges: Decimal | None,
    owners: Mapping[str, int],
    stop: Decimal | None,
    warnings: Sequence[str] = (),
) -> PositionView:
    """Return a position as the chat shows it."""
    return PositionView(
        key=position_key(position.instrument, position.product),
        broker_id=account.broker_id,
        account_label=account.label,
        instrument=position.instrument,
        product=position.product,
        quantity=position.quantity,
        average_price=profit.average or position.average_price,
        last_price=position.last_price,
        realised=profit.realised,
        unrealised=profit.unrealised,
        owners=owners,
        stop=stop,
        warnings=tuple(warnings),
        is_since_entry=profit.is_since_entry,
        previous_close=position.previous_close if position.carried else None,
        charges=charges,
    )


def is_stop(order: Order) -> bool:
    """Whether an order would close a position at a loss: a stop of ours, or one placed by hand."""
    kind = order.request.order_type
    is_theirs = order.purpose is Purpose.EXTERNAL and kind in {OrderType.SL, OrderType.SL_M}
    return order.purpose is Purpose.STOP or is_theirs


def bare_by_hand(position: Position, owners: Mapping[str, int], stop: Decimal | None) -> list[str]:
    """Return the warning of what no strategy owns and no stop protects; delivery needs none."""
    outside = position.quantity - sum(owners.values())
    if not outside or stop is not None or position.product is Product.CNC:
        return []
    return [f"no stop for your own {outside:+d}" if owners else "no stop"]


def ledger_view(
    account: Account, ledger: Ledger, stop: Decimal | None = None, warnings: Sequence[str] = ()
) -> PositionView:
    """Return what a strategy holds, and what protects it, where no list of the broker shows it."""
    return PositionView(
        key=position_key(ledger.instrument, ledger.product),
        broker_id=account.broker_id,
        account_label=account.label,
        instrument=ledger.instrument,
        product=ledger.product,
        quantity=ledger.quantity,
        average_price=ledger.average_price,
        last_price=ledger.average_price,
        realised=Decimal(0),
        unrealised=Decimal(0),
        owners={ledger.strategy: ledger.quantity},
        stop=stop,
        warnings=tuple(warnings),
        is_listed=False,
    )


def order_view(clock: Clock, account: Account | str, order: Order) -> OrderView:
    """Return an order as the chat shows it; of a disconnected account only the name is given."""
    request = order.request
    is_followed = not isinstance(account, str)
    return OrderView(
        key=order.client_order_id,
        broker_id=order.broker_id,
        account_label=account if isinstance(account, str) else account.label,
        instrument=request.instrument,
        side=request.side,
        quantity=request.quantity,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        order_type=request.order_type,
        product=request.product,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
        state=order.state,
        purpose=order.purpose,
        strategy=order.strategy,
        reason=order.reason,
        broker_order_id=order.broker_order_id,
        at=clock.market_at(order.submitted_at or order.created_at),
        is_cancellable=is_followed
        and order.state in {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED},
        is_followed=is_followed,
        sequel=_sequel(order) if is_followed else "",
        realised=order.realised,
    )


def _sequel(order: Order) -> str:
    """Say what follows a refused exit: its position is open, whatever the refusal sounds like."""
    if order.state is not OrderState.REJECTED or order.purpose is not Purpose.EXIT:
        return ""
    if was_too_large(order):
        most = f"at most {order.largest}" if order.largest else "fewer units"
        return f"The position is open until I have closed it in orders of {most}, which follow now."
    return "The position is still open; I try again."


def at_broker(target: Target, tables: Sequence[Mapping[InstrumentId, Instrument]]) -> Target:
    """Return a target with its stop where it is placed: on the tick grid of the exchange."""
    if target.stop_price is None or not target.direction:
        return target
    known = next((table[target.instrument] for table in tables if target.instrument in table), None)
    side = Side.of(-int(target.direction))
    return replace(target, stop_price=on_tick(target.stop_price, side, known))


def value_of(positions: Sequence[PositionView], holdings: Sequence[Holding]) -> Decimal:
    """Return what positions and holdings are worth."""
    open_value = sum((abs(p.quantity) * p.last_price for p in positions), Decimal(0))
    shares = [(h.quantity + h.t1_quantity + h.pledged_quantity, h.last_price) for h in holdings]
    held = sum((units * price for units, price in shares), Decimal(0))
    return open_value + held
