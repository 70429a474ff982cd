"""Persistent orders, trades and position conversions of every account.

What changed in the last quarter of an hour of real time is kept in its earlier versions too, in
memory only, so that a broker can be made to answer with the state of some seconds ago.
"""

from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sandbox.clock import real_now
from sandbox.orders import Order, Trade
from sandbox.state import State

__all__ = ["HISTORY_S", "Account", "OrderStore"]

Account = tuple[str, str]
HISTORY_S = 900.0
_BEFORE_START = 0.0


class OrderStore:
    """Orders and trades by number and by account.

    Attributes:
        orders: Every order by its number.
        live: Those to which something may still happen.
        intraday: (account, day, symbol) that intraday trades or conversions made, not squared off
            yet.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.intraday: set[tuple[Account, date, str]] = set()
        self._by_account: dict[Account, list[Order]] = {}
        self._trades: dict[Account, list[Trade]] = {}
        self._conversions: dict[Account, list[dict[str, Any]]] = {}
        self._versions: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self._known_since: dict[str, float] = {}
        self._count = 0
        self.load()

    def load(self) -> None:
        """Read everything from the state."""
        for group in (self.orders, self.live, self._by_account, self._trades, self._conversions):
            group.clear()
        self.intraday.clear()
        self._versions.clear()
        self._known_since.clear()
        for value in self._state.group("order").values():
            self._remember(Order(**value))
            self._versions[value["order_id"]] = [(_BEFORE_START, value)]
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
            self.intraday.add((account, datetime.fromisoformat(trade.at).date(), trade.symbol))

    def keep(self, order: Order) -> None:
        """Keep an order as it is now."""
        if order.order_id not in self.orders:
            self._remember(order)
        if order.is_terminal and order.late_fill_real is None:
            self.live.pop(order.order_id, None)
        version = asdict(order)
        self._state.put("order", order.order_id, version)
        self._add_version(order.order_id, version)

    def _add_version(self, order_id: str, version: dict[str, Any]) -> None:
        """Keep a version, and of the old ones the last that a reader may still ask for."""
        real = real_now()
        versions = self._versions.setdefault(order_id, [])
        versions.append((real, version))
        while len(versions) > 1 and versions[1][0] < real - HISTORY_S:
            versions.pop(0)

    def add_trade(self, trade: Trade) -> None:
        """Keep a trade."""
        self._remember_trade(trade)
        self._known_since[trade.trade_id] = real_now()
        self._state.put("trade", trade.trade_id, asdict(trade))

    def add_conversion(self, account: Account, row: dict[str, Any]) -> None:
        """Keep a product change."""
        rows = self._conversions.setdefault(account, [])
        rows.append(row)
        if row["new"] == "MIS":
            self.intraday.add((account, date.fromisoformat(row["day"][:10]), row["symbol"]))
        self._state.put("conversions", ":".join(account), rows)

    def of(self, account: Account) -> tuple[list[Order], list[Trade], list[dict[str, Any]]]:
        """Return an account's orders, trades and conversions, oldest first."""
        return (
            self._by_account.get(account, []),
            self._trades.get(account, []),
            self._conversions.get(account, []),
        )

    def as_of(
        self, account: Account, real: float
    ) -> tuple[list[Order], list[Trade], list[dict[str, Any]]]:
        """Return what ``of`` would have returned at an earlier real time."""
        orders, trades, conversions = self.of(account)
        versions = [self._version(order.order_id, real) for order in orders]
        return (
            [Order(**version) for version in versions if version is not None],
            [t for t in trades if self._known_since.get(t.trade_id, _BEFORE_START) <= real],
            [row for row in conversions if row.get("real", _BEFORE_START) <= real],
        )

    def _version(self, order_id: str, real: float) -> dict[str, Any] | None:
        known = [version for at, version in self._versions.get(order_id, []) if at <= real]
        return known[-1] if known else None

    def next_number(self) -> int:
        """Return a number that was never given before."""
        self._count += 1
        self._state.put("counter", "exchange", self._count)
        return self._count

    def next_order_number(self, broker: str) -> int:
        """Return a number that no order of a broker had before."""
        key = f"orders:{broker}"
        number = int(self._state.get("counter", key) or self._count) + 1
        self._state.put("counter", key, number)
        return number
