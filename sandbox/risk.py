"""Checks of the broker's risk management system (RMS). Each one raises ``Refused``."""

from sandbox.instruments import Instrument
from sandbox.orders import NewOrder, Order, Refused
from sandbox.portfolio import Portfolio

__all__ = [
    "STOPS",
    "check_funds",
    "check_order",
    "check_price",
    "check_quantity",
    "check_stop",
    "protected_price",
    "to_tick",
]

STOPS = frozenset({"SL", "SL-M"})
_ROUNDING = 1e-6
_PROTECTION_BANDS = ((100.0, 3.0), (500.0, 2.0))
_NARROWEST_BAND = 1.0


def to_tick(instrument: Instrument, price: float) -> float:
    """Round a price to the instrument's tick."""
    return round(round(price / instrument.tick_size) * instrument.tick_size, 2)


def protected_price(instrument: Instrument, last: float, sign: int, percent: float) -> float:
    """Return the limit of a market order: ``percent`` beyond the last price, -1 by the band."""
    if percent < 0:
        percent = next((wide for below, wide in _PROTECTION_BANDS if last < below), _NARROWEST_BAND)
    return max(instrument.tick_size, to_tick(instrument, last * (1 + sign * percent / 100)))


def check_price(instrument: Instrument, price: float) -> None:
    """Check that a price is a multiple of the tick."""
    if price < 0 or abs(to_tick(instrument, price) - price) > _ROUNDING:
        raise Refused(
            "input",
            f"Tick size for this script is {instrument.tick_size}. "
            "Kindly enter price in the multiple of tick size for this script.",
        )


def check_quantity(instrument: Instrument, quantity: int) -> None:
    """Check that a quantity is whole lots and no more than one order may have."""
    if quantity <= 0:
        raise Refused("input", "Invalid `quantity`.")
    if quantity % instrument.lot_size:
        raise Refused("input", f"Quantity should be a multiple of {instrument.lot_size}.")
    if quantity > instrument.freeze_quantity:
        limit, symbol = instrument.freeze_quantity, instrument.symbol
        raise Refused("input", f"Quantity exceeds the freeze limit of {limit} for {symbol}.")


def check_order(new: NewOrder, instrument: Instrument, last: float) -> None:
    """Check quantity, lot, freeze limit, prices and the side of a stop."""
    check_quantity(instrument, new.quantity)
    if new.product == "CNC" and instrument.expiry is not None:
        raise Refused("input", "Product CNC is not allowed for derivatives.")
    if new.order_type in {"LIMIT", "SL"} and new.price <= 0:
        raise Refused("input", "Price is required for this order type.")
    if new.order_type in STOPS:
        check_stop(new, None if new.after_market else last)
    check_price(instrument, new.price)
    check_price(instrument, new.trigger_price)


def check_stop(order: NewOrder | Order, last: float | None) -> None:
    """Check that a stop lies beyond the last price, and a stop-limit's limit beyond its trigger.

    Args:
        order: A stop that has not triggered.
        last: The last price; None when there is none to compare with (an order for tomorrow).
    """
    if order.trigger_price <= 0:
        raise Refused("input", "Trigger price is required for this order type.")
    sign, word = (1, "higher") if order.side == "BUY" else (-1, "lower")
    if last is not None and (order.trigger_price - last) * sign <= 0:
        raise Refused(
            "input",
            f"Trigger price for stoploss {order.side.lower()} orders should be {word} than the "
            f"last traded price ({last:.2f}).",
        )
    if order.order_type == "SL" and (order.price - order.trigger_price) * sign < 0:
        wrong = "higher" if sign > 0 else "lower"
        raise Refused("input", f"Trigger price cannot be {wrong} than the price.")


def check_funds(portfolio: Portfolio, order: Order, *, replaces: Order | None = None) -> None:
    """Check that there is stock to deliver, or money to block.

    Args:
        portfolio: The client's portfolio.
        order: The order in the shape that is wanted.
        replaces: The order as it was, when this is a change: what it blocks is free for the new.
    """
    if order.product == "CNC" and order.side == "SELL":
        may = portfolio.sellable(order.symbol) + (replaces.leaves_quantity if replaces else 0)
        if order.leaves_quantity > may:
            raise Refused(
                "holding", f"Insufficient stock holding. Max. sellable quantity is {max(0, may)}."
            )
        return
    required = portfolio.required(order)
    available = portfolio.funds().net + (portfolio.required(replaces) if replaces else 0.0)
    if required > available:
        raise Refused(
            "margin",
            f"Insufficient funds. Required margin is {required:.2f} but available margin is "
            f"{available:.2f}. Check the orderbook for open orders.",
        )
