"""Persistent orders, trades and position conversions of every account."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sandbox.orders import Order, Trade
from sandbox.state import State

__all__ = ["Account", "OrderStore"]

Account = tuple[str, str]


class OrderStore:
    """Orders and trades by number and by account.

    Attributes:
        orders: Every order by its number.
        live: Those to which something may still happen.
        intraday: (account, day) with intraday trades that are not squared off yet.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.intraday: set[tuple[Account, date]] = set()
        self._by_account: dict[Account, list[Order]] = {}
        self._trades: dict[Account, list[Trade]] = {}
        self._conversions: dict[Account, list[dict[str, Any]]] = {}
        self._count = self._ids = 0
        self.load()

    def load(self) -> None:
        """Read everything from the state."""
        for group in (self.orders, self.live, self._by_account, self._trades, self._conversions):
            group.clear()
        self.intraday.clear()
        for value in self._state.group("order").values():
            self._remember(Order(**value))
        for value in self._state.group("trade").values():
            self._remember_trade(Trade(**value))
        for key, rows in self._state.group("conversions").items():
            broker, _, user_id = key.partition(":")
            self._conversions[broker, user_id] = rows
        self._count = int(self._state.get("counter", "exchange") or 0)

    def _remember(self, order: Order) -> None:
        self.orders[order.order_id] = order
        self._by_account.setdefault(order.account, []).append(order)
        if not order.is_terminal or order.late_fill_real is not None:
            self.live[order.order_id] = order

    def _remember_trade(self, trade: Trade) -> None:
        account = (trade.broker, trade.user_id)
        self._trades.setdefault(account, []).append(trade)
        if trade.product == "MIS":
            self.intraday.add((account, datetime.fromisoformat(trade.at).date()))

    def keep(self, order: Order) -> None:
        """Keep an order as it is now."""
        if order.order_id not in self.orders:
            self._remember(order)
        if order.is_terminal and order.late_fill_real is None:
            self.live.pop(order.order_id, None)
        self._state.put("order", order.order_id, asdict(order))

    def add_trade(self, trade: Trade) -> None:
        """Keep a trade."""
        self._remember_trade(trade)
        self._state.put("trade", trade.trade_id, asdict(trade))

    def add_conversion(self, account: Account, row: dict[str, Any]) -> None:
        """Keep a product change."""
        rows = self._conversions.setdefault(account, [])
        rows.append(row)
        self._state.put("conversions", ":".join(account), rows)

    def of(self, account: Account) -> tuple[list[Order], list[Trade], list[dict[str, Any]]]:
        """Return an account's orders, trades and conversions, oldest first."""
        return (
            self._by_account.get(account, []),
            self._trades.get(account, []),
            self._conversions.get(account, []),
        )

    def next_number(self) -> int:
        """Return a number that was never given before."""
        self._count += 1
        self._state.put("counter", "exchange", self._count)
        return self._count

    def next_order_id(self, now: datetime) -> str:
        """Hand out both of Kite's forms in turn: 15 digits by date, 19 digits."""
        number, self._ids = self.next_number(), self._ids + 1
        if self._ids % 3:
            return f"{now:%y%m%d}{number + 1_000_000:09d}"
        return str(1_950_000_000_000_000_000 + int(now.timestamp()) * 1000 + number)
