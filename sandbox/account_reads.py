"""What a broker shows of an account in answer to one request, stale or empty when a fault says so.

The routes that list orders, trades, positions and holdings read through ``AccountReads``, so that a
fault can strike each of them alone (``match`` by ``path``). Writes never do: the exchange knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiohttp import web

from sandbox.clock import real_now
from sandbox.exchange import Exchange
from sandbox.orders import Order, Trade
from sandbox.portfolio import Portfolio
from sandbox.world import World

__all__ = ["AccountReads", "AccountView"]


@dataclass(frozen=True)
class AccountView:
    """An account as one answer shows it.

    Attributes:
        as_of: The real time of what is shown; None for now.
        is_empty: Nothing is shown at all.
    """

    exchange: Exchange
    broker: str
    user_id: str
    as_of: float | None = None
    is_empty: bool = False

    def portfolio(self) -> Portfolio:
        """Return positions and holdings."""
        shown = self.exchange.shown_portfolio(self.broker, self.user_id, as_of=self.as_of)
        if not self.is_empty:
            return shown
        nobody = replace(shown.user, holdings=[])
        return Portfolio(nobody, [], [], price=lambda _symbol: 0.0, today=shown.today)

    def orders(self) -> list[Order]:
        """Return the day's orders, oldest first."""
        if self.is_empty:
            return []
        return self.exchange.visible_orders(self.broker, self.user_id, as_of=self.as_of)

    def trades(self) -> list[Trade]:
        """Return the day's trades, oldest first."""
        if self.is_empty:
            return []
        return self.exchange.visible_trades(self.broker, self.user_id, as_of=self.as_of)


class AccountReads:
    """Reads for one broker's application.

    Args:
        world: What all simulators share.
        broker: ``kite`` or ``fyers``, also the target of the faults.
    """

    def __init__(self, world: World, broker: str) -> None:
        self._world = world
        self._broker = broker

    def view(self, request: web.Request, api_key: str, user_id: str) -> AccountView:
        """Return what a request shows; a matching fault counts as struck."""
        known = {"api_key": api_key, "user_id": user_id}
        faults, exchange = self._world.faults, self._world.exchange
        if faults.take(self._broker, {"empty_reads"}, request, known):
            return AccountView(exchange, self._broker, user_id, is_empty=True)
        stale = faults.take(self._broker, {"stale_reads"}, request, known)
        if stale is None:
            return AccountView(exchange, self._broker, user_id)
        ago = stale.options.get("delay_s")
        as_of = stale.set_real if ago is None else real_now() - float(ago)
        return AccountView(exchange, self._broker, user_id, as_of)
