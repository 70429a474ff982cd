"""The broker's own square-off: risk management (RMS) ends intraday trading at its cut-off.

At the cut-off of a segment (``sessions.square_off_time``) the RMS cancels the ``MIS`` orders that
were placed before it and closes what is open under ``MIS`` with market orders of its own, placed by
``ADMINSQF``. What such an order cannot fill it leaves open until the session ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime

from sandbox import orders as status
from sandbox.clock import IST, MarketClock
from sandbox.listing import find
from sandbox.matching_engine import MatchingEngine
from sandbox.order_store import Account, OrderStore
from sandbox.orders import RMS_USER, NewOrder, Order
from sandbox.portfolio import Portfolio
from sandbox.sessions import square_off_time
from sandbox.simulators import SimulatedBroker

__all__ = ["SquareOff"]

INTRADAY = "MIS"


class SquareOff:
    """Squares accounts off when it is time, or when it is told to.

    Args:
        clock: Market time.
        store: Orders and trades.
        engine: Cancels and fills.
        build: Makes an order of the RMS at a market time.
        portfolio: Returns an account's portfolio of a day.
        brokers: Tells each broker's cut-offs.
    """

    def __init__(
        self,
        clock: MarketClock,
        store: OrderStore,
        engine: MatchingEngine,
        build: Callable[[NewOrder, datetime], Order],
        portfolio: Callable[[Account, date], Portfolio],
        brokers: Mapping[str, SimulatedBroker],
    ) -> None:
        self._clock = clock
        self._store = store
        self._engine = engine
        self._build = build
        self._brokers = brokers
        self._portfolio = portfolio

    def run(self, now: datetime, real: float) -> None:
        """Square off whatever has passed its cut-off."""
        for order in list(self._store.live.values()):
            self._cancel_late(order, now)
        for account, day, symbol in list(self._store.intraday):
            cutoff = self._cutoff(account, day, symbol)
            if now >= cutoff:
                self._store.intraday.discard((account, day, symbol))
                self._close(account, symbol, cutoff, real)

    def force(self, account: Account, real: float) -> int:
        """Square an account off now, as for missing margin; return how many positions were open."""
        now = self._clock.now()
        day = now.astimezone(IST).date()
        for order in self._portfolio(account, day).working():
            if _is_clients(order):
                self._engine.finish(order, status.CANCELLED, now)
        symbols = [p.symbol for p in self._portfolio(account, day).positions() if p.quantity]
        return sum(self._close(account, symbol, now, real) for symbol in symbols)

    def _cancel_late(self, order: Order, now: datetime) -> None:
        """Cancel an intraday order that the cut-off of its day has overtaken."""
        if order.is_terminal or not _is_clients(order):
            return
        arrived = datetime.fromisoformat(order.arrived_at).astimezone(IST)
        cutoff = self._cutoff(order.account, arrived.date(), order.symbol)
        if arrived < cutoff <= now:
            self._engine.finish(order, status.CANCELLED, cutoff)

    def _close(self, account: Account, symbol: str, at: datetime, real: float) -> int:
        """Close one position, less what the RMS's own orders will close already."""
        portfolio = self._portfolio(account, at.astimezone(IST).date())
        open_quantity = portfolio.position(symbol, INTRADAY) + sum(
            order.sign * order.leaves_quantity
            for order in portfolio.working()
            if order.placed_by == RMS_USER and order.symbol == symbol
        )
        if open_quantity == 0:
            return 0
        side = "SELL" if open_quantity > 0 else "BUY"
        new = NewOrder(account, "", symbol, side, abs(open_quantity), INTRADAY, "MARKET")
        order = self._build(new, at)
        order.placed_by = RMS_USER
        self._engine.settle(order, at)
        self._engine.advance(order, self._clock.now(), real)
        return 1

    def _cutoff(self, account: Account, day: date, symbol: str) -> datetime:
        instrument = find(symbol)
        segment = instrument.hours if instrument else "cash"
        return square_off_time(day, self._brokers[account[0]].cutoffs, segment)


def _is_clients(order: Order) -> bool:
    return order.product == INTRADAY and order.placed_by != RMS_USER
