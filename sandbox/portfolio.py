"""Portfolio of one client: positions, holdings and funds, all derived from its trades.

Positions are net per (symbol, product). Delivery bought on an earlier trading day is a holding: T1
for one trading day, then settled. Intraday positions of an earlier day are gone (the broker squares
them off), other products are carried until their contract ends. Margin: intraday takes a fifth of
the value, a future a seventh, everything else all of it; a sale of what is held takes none. What
trades cost is debited as ``sandbox.billing`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sandbox.accounts import User
from sandbox.billing import Costs
from sandbox.listing import find
from sandbox.orders import Order, Trade
from sandbox.sessions import broker_day, previous_trading_day

__all__ = ["Funds", "Holding", "Portfolio", "Position", "leverage"]

_LEVERAGE = {"MIS": 5.0}
_LEVERAGE_OF_DERIVATIVES = 7.0


def leverage(symbol: str, product: str) -> float:
    """Return how many times the blocked margin a position may be worth."""
    instrument = find(symbol)
    if instrument is not None and instrument.expiry is not None:
        return _LEVERAGE_OF_DERIVATIVES
    return _LEVERAGE.get(product, 1.0)


@dataclass
class Position:
    """A net position: carried (``overnight_quantity``) plus today's buys and sells."""

    symbol: str
    product: str
    overnight_quantity: int = 0
    overnight_price: float = 0.0
    buy_quantity: int = 0
    buy_value: float = 0.0
    sell_quantity: int = 0
    sell_value: float = 0.0

    @property
    def quantity(self) -> int:
        """Signed net quantity."""
        return self.overnight_quantity + self.buy_quantity - self.sell_quantity

    @property
    def total_buys(self) -> tuple[int, float]:
        """Quantity and value bought, what was carried long included."""
        carried = max(0, self.overnight_quantity)
        return self.buy_quantity + carried, self.buy_value + carried * self.overnight_price

    @property
    def total_sells(self) -> tuple[int, float]:
        """Quantity and value sold, what was carried short included."""
        carried = max(0, -self.overnight_quantity)
        return self.sell_quantity + carried, self.sell_value + carried * self.overnight_price

    @property
    def average_price(self) -> float:
        """Average price of the open side, 0 when flat."""
        if self.quantity == 0:
            return 0.0
        quantity, value = self.total_buys if self.quantity > 0 else self.total_sells
        return value / quantity

    def pnl(self, last_price: float) -> float:
        """Realised and unrealised profit at a price."""
        return self.total_sells[1] - self.total_buys[1] + self.quantity * last_price

    def unrealised(self, last_price: float) -> float:
        """Profit of what is open at a price."""
        return (last_price - self.average_price) * self.quantity if self.quantity else 0.0


@dataclass
class Holding:
    """Delivery shares of one ISIN.

    Attributes:
        symbol: Key of the instrument under which the broker lists them.
        quantity: Settled and not sold.
        t1_quantity: Bought a trading day ago, not settled.
        used_quantity: Sold today, ``used_settled`` of them from the settled ones.
        collateral_quantity: Pledged, and not to be sold.
    """

    symbol: str
    quantity: int = 0
    t1_quantity: int = 0
    used_quantity: int = 0
    cost: float = 0.0
    used_settled: int = 0
    collateral_quantity: int = 0

    @property
    def average_price(self) -> float:
        """Average cost of a share."""
        total = self.quantity + self.t1_quantity + self.used_quantity
        return self.cost / total if total else 0.0

    @property
    def is_shown(self) -> bool:
        """Whether the broker lists it; sold out today still counts."""
        shares = self.quantity + self.t1_quantity + self.used_quantity
        return bool(shares or self.collateral_quantity)


@dataclass(frozen=True)
class Funds:
    """Money in rupees; ``net`` is what may still be used."""

    opening: float
    net: float
    used: float
    realised: float
    unrealised: float
    delivery: float


class Portfolio:
    """A client's orders and trades, with the positions, holdings and funds they lead to.

    Args:
        user: Cash and holdings at the start.
        orders: Its orders, oldest first.
        trades: Its trades, oldest first.
        price: Gives the last price of a symbol.
        today: The broker's day, which ends some hours after midnight.
        is_purged: Nothing that is carried is shown, as between the purge and the new day's start.
        conversions: Product changes: ``day, symbol, quantity`` (signed), ``old, new, price``.
        costs: What the broker charges; None for nothing.
    """

    def __init__(
        self,
        user: User,
        orders: Iterable[Order],
        trades: Iterable[Trade],
        *,
        price: Callable[[str], float],
        today: date,
        conversions: Iterable[dict[str, Any]] = (),
        is_purged: bool = False,
        costs: Costs | None = None,
    ) -> None:
        self.user = user
        self._orders = list(orders)
        self._executed = list(trades)
        self._trades = [*self._executed, *_converted(user, conversions)]
        self._costs = costs
        self._price = price
        self.today = today
        self._is_purged = is_purged

    def orders(self) -> list[Order]:
        """Return today's orders, oldest first; one that waited for today's open is among them."""
        return [
            order
            for order in self._orders
            if self.today in {_day(order.placed_at), _day(order.arrived_at)}
        ]

    def trades(self) -> list[Trade]:
        """Return today's trades, oldest first."""
        return [t for t in self._trades if t.order_id and _day(t.at) == self.today]

    def working(self) -> list[Order]:
        """Return the orders that may still fill."""
        return [order for order in self._orders if not order.is_terminal]

    def positions(self) -> list[Position]:
        """Return the positions of today, closed ones included, in order of first trade."""
        found: dict[tuple[str, str], Position] = {}
        for trade in self._trades:
            day = _day(trade.at)
            if day != self.today and self._is_gone(trade):
                continue
            key = (trade.symbol, trade.product)
            position = found.setdefault(key, Position(*key))
            if day != self.today:
                _carry(position, trade)
            elif trade.side == "BUY":
                position.buy_quantity += trade.quantity
                position.buy_value += trade.quantity * trade.price
            else:
                position.sell_quantity += trade.quantity
                position.sell_value += trade.quantity * trade.price
        touched = {(t.symbol, t.product) for t in self._trades if _day(t.at) == self.today}
        return [
            position
            for key, position in found.items()
            if key in touched or (position.overnight_quantity and not self._is_purged)
        ]

    def _is_gone(self, trade: Trade) -> bool:
        """Return whether a trade of an earlier day is in no position any more."""
        if trade.product in {"CNC", "MIS"}:
            return True
        instrument = find(trade.symbol)
        expiry = instrument.expiry if instrument else None
        return expiry is not None and expiry < self.today

    def position(self, symbol: str, product: str) -> int:
        """Return a signed net quantity."""
        for position in self.positions():
            if (position.symbol, position.product) == (symbol, product):
                return position.quantity
        return 0

    def average_price(self, symbol: str, product: str) -> float:
        """Return the average price of an open position, 0 when flat."""
        for position in self.positions():
            if (position.symbol, position.product) == (symbol, product):
                return position.average_price
        return 0.0

    def holdings(self) -> list[Holding]:
        """Return the delivery holdings, those sold out today included."""
        found: dict[str, Holding] = {}
        for row in self.user.holdings:
            quantity, t1 = row["quantity"], row["t1_quantity"]
            held = found.setdefault(_isin(row["symbol"]), Holding(row["symbol"]))
            held.collateral_quantity += row.get("collateral_quantity", 0)
            held.quantity += quantity
            held.t1_quantity += t1
            held.cost += (quantity + t1) * row["average_price"]
        yesterday = previous_trading_day(self.today)
        for trade in self._trades:
            if trade.product == "CNC" and (_day(trade.at) != self.today):
                held = found.setdefault(_isin(trade.symbol), Holding(trade.symbol))
                _settle(held, trade, unsettled=_day(trade.at) >= yesterday)
        for position in self.positions():
            if position.product == "CNC" and _isin(position.symbol) in found:
                _use(found[_isin(position.symbol)], max(0, -position.quantity))
        return [held for held in found.values() if held.is_shown]

    def sellable(self, symbol: str) -> int:
        """Return what may be sold for delivery: held, bought today, less sold and being sold."""
        isin = _isin(symbol)
        held = sum(
            h.quantity + h.t1_quantity + h.used_quantity
            for h in self.holdings()
            if _isin(h.symbol) == isin
        )
        selling = sum(
            order.leaves_quantity
            for order in self.working()
            if (_isin(order.symbol), order.product, order.side) == (isin, "CNC", "SELL")
        )
        bought = sum(
            position.quantity
            for position in self.positions()
            if (_isin(position.symbol), position.product) == (isin, "CNC")
        )
        return held + bought - selling

    def required(self, order: Order) -> float:
        """Return the money that an order blocks: margin, and charges where they are withheld."""
        return self._order_margin(order) + self._withheld(order)

    def _withheld(self, order: Order) -> float:
        if self._costs is None:
            return 0.0
        price = order.price or order.trigger_price or self._price(order.symbol)
        return self._costs.withheld(order, price, self.today)

    def _order_margin(self, order: Order) -> float:
        if order.product == "CNC" and order.side == "SELL":
            return 0.0
        net = self.position(order.symbol, order.product) * order.sign
        closing = max(0, -net)
        price = order.price or order.trigger_price or self._price(order.symbol)
        opening = max(0, order.quantity - order.filled_quantity - closing)
        return opening * price / leverage(order.symbol, order.product)

    def funds(self) -> Funds:
        """Return the money at the present prices."""
        opening = self.user.cash + self._earlier_cash()
        if self._costs is not None:
            opening -= self._costs.before(self.today, self._executed)
        used = sum(self._order_margin(order) for order in self.working())
        used += sum(self._withheld(order) for order in self._charged_today())
        realised = unrealised = delivery = 0.0
        for position in self.positions():
            price = self._price(position.symbol)
            open_pnl = position.unrealised(price)
            value = abs(position.quantity) * position.average_price
            if position.product == "CNC":
                used += value if position.quantity > 0 else -value
                delivery += value if position.quantity > 0 else -value
            else:
                used += value / leverage(position.symbol, position.product)
            realised += position.pnl(price) - open_pnl
            if position.product != "CNC":
                unrealised += open_pnl
        net = opening - used + realised + min(0.0, unrealised)
        return Funds(opening, net, used, realised, unrealised, delivery)

    def _charged_today(self) -> list[Order]:
        """Return the orders of today that cost something, and those that may."""
        today = {order.order_id: order for order in self.orders() if order.filled_quantity}
        return list((today | {order.order_id: order for order in self.working()}).values())

    def _earlier_cash(self) -> float:
        """Return what earlier days' trades brought in or cost."""
        flow = 0.0
        kept: dict[tuple[str, str], tuple[int, float]] = {}
        for trade in self._trades:
            if _day(trade.at) == self.today:
                continue
            sign = 1 if trade.side == "BUY" else -1
            flow -= sign * trade.quantity * trade.price
            if trade.product != "CNC":
                quantity, value = kept.get((trade.symbol, trade.product), (0, 0.0))
                total = quantity + sign * trade.quantity
                kept[trade.symbol, trade.product] = (
                    total,
                    value + sign * trade.quantity * trade.price,
                )
        return flow + sum(value for quantity, value in kept.values() if quantity)


def _converted(user: User, conversions: Iterable[dict[str, Any]]) -> Iterable[Trade]:
    """Yield product changes as pairs of trades without an order."""
    for row in conversions:
        for product, signed in ((row["old"], -row["quantity"]), (row["new"], row["quantity"])):
            yield Trade(
                trade_id="",
                order_id="",
                exchange_order_id="",
                broker=user.broker,
                user_id=user.user_id,
                symbol=row["symbol"],
                side="BUY" if signed > 0 else "SELL",
                product=product,
                quantity=abs(signed),
                price=row["price"],
                at=row["day"],
            )


def _isin(symbol: str) -> str:
    """Return what joins a share over exchanges, the symbol where there is none."""
    instrument = find(symbol)
    return instrument.isin if instrument and instrument.isin else symbol


def _day(text: str) -> date:
    """Return the broker's day of a market time, or a day as it is."""
    moment = datetime.fromisoformat(text)
    return moment.date() if moment.tzinfo is None else broker_day(moment)


def _carry(position: Position, trade: Trade) -> None:
    sign = 1 if trade.side == "BUY" else -1
    before = position.overnight_quantity
    after = before + sign * trade.quantity
    if before * sign >= 0:
        value = abs(before) * position.overnight_price + trade.quantity * trade.price
        position.overnight_price = value / abs(after)
    elif after * before < 0:
        position.overnight_price = trade.price
    position.overnight_quantity = after


def _settle(held: Holding, trade: Trade, *, unsettled: bool) -> None:
    if trade.side == "BUY":
        held.cost += trade.quantity * trade.price
        if unsettled:
            held.t1_quantity += trade.quantity
        else:
            held.quantity += trade.quantity
        return
    held.cost -= trade.quantity * held.average_price
    settled = min(held.quantity, trade.quantity)
    held.quantity -= settled
    held.t1_quantity -= trade.quantity - settled


def _use(held: Holding, sold: int) -> None:
    settled = min(held.quantity, sold)
    held.quantity -= settled
    held.t1_quantity -= min(held.t1_quantity, sold - settled)
    held.used_settled += settled
    held.used_quantity += sold
