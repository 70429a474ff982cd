"""The exchange and the brokers' order management: accepts orders, matches them, keeps portfolios.

A broker's simulator passes a ``NewOrder``, a ``Change`` or an order id, gets an ``Order`` back or
``Refused`` raised, and reads positions with ``portfolio``. All matching happens in ``advance``,
which a loop calls every few hundredths of a second and every reader calls first: it replays the
prices between the last match and now for each working order, so that a step of the clock fills
whatever would have filled on the way. Each change is stored before the call returns. ``listeners``
are called with each order that reached COMPLETE, CANCELLED or REJECTED, was modified or partly
filled.

The broker's own square-off of intraday positions is in ``sandbox.square_off``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from sandbox import orders as status
from sandbox.accounts import Accounts
from sandbox.billing import Billing, Costs
from sandbox.clock import IST, MarketClock, real_now
from sandbox.faults import Effects
from sandbox.instruments import Instrument
from sandbox.listing import is_listed
from sandbox.market import Market
from sandbox.matching_engine import LAST_MATCHED, MatchingEngine
from sandbox.order_changes import changed_order
from sandbox.order_entry import OrderEntry, resting_status
from sandbox.order_store import Account, OrderStore
from sandbox.orders import Change, NewOrder, Order, Refused, Trade
from sandbox.portfolio import Portfolio
from sandbox.risk import check_funds, check_order
from sandbox.sessions import broker_day, is_before_start_of_day
from sandbox.simulators import SimulatedBroker
from sandbox.square_off import SquareOff
from sandbox.state import State

__all__ = ["Exchange"]

UNKNOWN_INSTRUMENT = (
    "The instrument you are placing an order for has either expired or does not exist."
)
CLOSED_MESSAGE = "Markets are closed right now. Use GTT for placing long standing orders instead."


class Exchange:
    """Orders, trades and portfolios of every client.

    Args:
        clock: Market time.
        market: Prices.
        accounts: Clients, with cash and holdings.
        state: Keeps orders and trades.
        brokers: The simulated brokers by name.
    """

    def __init__(
        self,
        clock: MarketClock,
        market: Market,
        accounts: Accounts,
        state: State,
        brokers: Mapping[str, SimulatedBroker],
    ) -> None:
        self.clock = clock
        self.market = market
        self._accounts = accounts
        self._brokers = brokers
        self.listeners: list[Callable[[Order], None]] = []
        self._store = OrderStore(state)
        self.billing = Billing({name: broker.tariff for name, broker in brokers.items()})
        self._entry = OrderEntry(clock, market)
        self._engine = MatchingEngine(clock, market, self._store, self._notify)
        self._square_off = SquareOff(
            clock, self._store, self._engine, self._rms_order, self._portfolio, brokers
        )

    def load(self) -> None:
        """Read orders and trades from the state again."""
        self._store.load()
        self.billing.clear()

    def _notify(self, order: Order) -> None:
        for listener in self.listeners:
            listener(order)

    # Reading

    def portfolio(self, broker: str, user_id: str, *, as_of: float | None = None) -> Portfolio:
        """Return a client's portfolio, of now or as it was at an earlier real time.

        Raises:
            KeyError: The broker has no such client.
        """
        self.advance()
        return self._portfolio((broker, user_id), broker_day(self.clock.now()), as_of)

    def shown_portfolio(
        self, broker: str, user_id: str, *, as_of: float | None = None
    ) -> Portfolio:
        """Return what the broker shows: before the start of a day nothing that is carried."""
        self.advance()
        now = self.clock.now()
        account, is_purged = (broker, user_id), is_before_start_of_day(now)
        return self._portfolio(account, broker_day(now), as_of, is_purged=is_purged)

    def _portfolio(
        self,
        account: Account,
        day: date,
        as_of: float | None = None,
        *,
        is_purged: bool = False,
    ) -> Portfolio:
        user = self._accounts.user(*account)
        if user is None:
            raise KeyError(account[1])
        known = self._store.of(account) if as_of is None else self._store.as_of(account, as_of)
        orders, trades, conversions = known
        return Portfolio(
            user,
            orders,
            trades,
            price=self._price,
            today=day,
            conversions=conversions,
            is_purged=is_purged,
            costs=Costs(self.billing, account, self._store.orders),
        )

    def bill(self, broker: str, user_id: str, day: date | None = None) -> dict[str, Any]:
        """Return what a client is charged for a day, for the broker's present one by default."""
        self.advance()
        account = (broker, user_id)
        wanted = day or broker_day(self.clock.now())
        _orders, trades, _conversions = self._store.of(account)
        return self.billing.shown(account, wanted, trades, self._store.orders)

    def order(self, order_id: str) -> Order | None:
        """Return an order of any day, or None."""
        self.advance()
        return self._store.orders.get(order_id)

    def visible_orders(
        self, broker: str, user_id: str, *, as_of: float | None = None
    ) -> list[Order]:
        """Return the day's orders that the broker shows by now, oldest first."""
        real = real_now() if as_of is None else as_of
        shown = self.portfolio(broker, user_id, as_of=as_of).orders()
        return [order for order in shown if order.visible_real <= real]

    def visible_trades(
        self, broker: str, user_id: str, *, as_of: float | None = None
    ) -> list[Trade]:
        """Return the day's trades of the orders that the broker shows by now."""
        real = real_now() if as_of is None else as_of
        shown = self.portfolio(broker, user_id, as_of=as_of).trades()
        return [t for t in shown if self._store.orders[t.order_id].visible_real <= real]

    def _price(self, symbol: str) -> float:
        return self.market.last_price(self._instrument(symbol))

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self.market.find(symbol)
        if instrument is None or instrument.is_index:
            raise Refused("input", UNKNOWN_INSTRUMENT)
        return instrument

    # Commands

    def submit(
        self, new: NewOrder, effects: Effects | None = None, order_id: str | None = None
    ) -> Order:
        """Take an order.

        Args:
            new: The order.
            effects: Faults that travel with it.
            order_id: The broker's number; made here when left out.

        Raises:
            Refused: The order is wrong, the market closed, money or stock missing.
        """
        self.advance()
        instrument = self._instrument(new.symbol)
        now = self.clock.now()
        if not is_listed(instrument, now.astimezone(IST).date()):
            raise Refused("input", UNKNOWN_INSTRUMENT)
        check_order(new, instrument, self.market.last_price(instrument))
        if not (new.after_market or self.market.is_open(instrument, now)):
            raise Refused("input", CLOSED_MESSAGE)
        number = order_id or self.new_order_id(new.account[0])
        order = self._entry.build(new, instrument, number, now, effects)
        check_funds(self.portfolio(*order.account), order)
        order.move(status.AMO_RECEIVED if new.after_market else status.RECEIVED, now)
        self._store.keep(order)
        return order

    def new_order_id(self, broker: str) -> str:
        """Return an order id that was never given before, in the broker's form."""
        return self._order_id(broker, self.clock.now())

    def _order_id(self, broker: str, at: datetime) -> str:
        return self._brokers[broker].order_id(at, self._store.next_order_number(broker))

    def _rms_order(self, new: NewOrder, at: datetime) -> Order:
        number = self._order_id(new.account[0], at)
        return self._entry.build(new, self._instrument(new.symbol), number, at)

    def reject(self, new: NewOrder, reason: str, order_id: str | None = None) -> Order:
        """Store an order that the RMS refused, where a broker lists such orders (Fyers)."""
        now = self.clock.now()
        instrument = self._instrument(new.symbol)
        number = order_id or self.new_order_id(new.account[0])
        order = self._entry.build(new, instrument, number, now)
        self._engine.reject(order, reason, now)
        return order

    def modify(self, order_id: str, change: Change) -> Order:
        """Alter a working order.

        Raises:
            Refused: Unknown or finished order, too many changes, or a wrong value.
        """
        order = self._working(order_id)
        instrument = self._instrument(order.symbol)
        last = self.market.last_price(instrument)
        changed = changed_order(order, change, instrument, self._entry, last)
        check_funds(self.portfolio(*order.account), changed, replaces=order)
        now = self.clock.now()
        changed.modifications += 1
        changed.arrived_at, changed.is_fresh = now.isoformat(), True
        changed.extra = {k: v for k, v in order.extra.items() if k != LAST_MATCHED}
        changed.move("MODIFIED", now)
        is_interim = order.status in status.INTERIM
        changed.move(order.status if is_interim else resting_status(changed), now)
        vars(order).update(vars(changed))
        self._store.keep(order)
        self._notify(order)
        return order

    def cancel(self, order_id: str) -> Order:
        """Cancel what has not filled of a working order.

        Raises:
            Refused: Unknown or finished order.
        """
        order = self._working(order_id)
        if order.late_fill_s is not None:
            order.late_fill_real = real_now() + order.late_fill_s
        self._engine.finish(order, status.CANCELLED, self.clock.now())
        return order

    def fill(self, order_id: str, quantity: int | None, price: float | None) -> Order:
        """Fill a working order whatever the market says: all of it, at the last price by default.

        Raises:
            Refused: Unknown or finished order, or more than it still wants.
        """
        order = self._working(order_id)
        wanted = order.leaves_quantity if quantity is None else quantity
        if not 0 < wanted <= order.leaves_quantity:
            raise Refused("input", f"Only {order.leaves_quantity} may still fill.")
        now = self.clock.now()
        if order.status in status.INTERIM:
            self._engine.settle(order, now)
        last = self.market.last_price(self._instrument(order.symbol))
        self._engine.execute(order, wanted, last if price is None else price, now)
        return order

    def _working(self, order_id: str) -> Order:
        self.advance()
        order = self._store.orders.get(order_id)
        if order is None:
            raise Refused("order", "Couldn't find that `order_id`.")
        if order.is_terminal:
            raise Refused(
                "order", f"Order cannot be changed as it is already {order.status.lower()}."
            )
        return order

    def convert(
        self, account: tuple[str, str], symbol: str, quantity: int, old: str, new: str
    ) -> None:
        """Move a signed quantity of an open position from one product to another.

        Raises:
            Refused: There is not that much of it.
        """
        portfolio = self.portfolio(*account)
        held = portfolio.position(symbol, old)
        if quantity == 0 or held * quantity <= 0 or abs(quantity) > abs(held):
            raise Refused("input", "No open position of that quantity to convert.")
        now = self.clock.now().isoformat()
        moved = {"day": now, "real": real_now(), "symbol": symbol, "quantity": quantity}
        row = moved | {"old": old, "new": new, "price": portfolio.average_price(symbol, old)}
        self._store.add_conversion(account, row)

    # Time

    def advance(self) -> None:
        """Let everything happen that happens up to now."""
        if not (self._store.live or self._store.intraday):
            return
        now, real = self.clock.now(), real_now()
        for order in list(self._store.live.values()):
            self._engine.advance(order, now, real)
        self._square_off.run(now, real)

    def square_off(self, broker: str, user_id: str) -> int:
        """Let the broker's RMS close an account's intraday positions now; return how many."""
        self.advance()
        return self._square_off.force((broker, user_id), real_now())
