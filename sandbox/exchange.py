"""The exchange and the brokers' order management: accepts orders, matches them, keeps portfolios.

A broker's simulator passes a ``NewOrder``, a ``Change`` or an order id, gets an ``Order`` back or
``Refused`` raised, and reads positions with ``portfolio``. All matching happens in ``advance``,
which a loop calls every few hundredths of a second and every reader calls first: it replays the
prices between the last match and now for each working order, so that a step of the clock fills
whatever would have filled on the way. Each change is stored before the call returns. ``listeners``
are called with each order that reached COMPLETE, CANCELLED or REJECTED, was modified or partly
filled.

At the intraday cut-off (``sessions.square_off_time``) the broker's risk management (RMS) cancels
working ``MIS`` orders and closes open ``MIS`` positions with its own orders, placed by
``ADMINSQF``.

After acceptance an order passes the interim statuses within ``SETTLE_S`` of real time. A limit
price outside the day's circuit limits is accepted first and rejected then, as brokers do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from functools import partial

from sandbox import orders as status
from sandbox.accounts import Accounts
from sandbox.clock import IST, MarketClock, real_now
from sandbox.faults import Effects
from sandbox.instruments import Instrument
from sandbox.market import Market, Tick
from sandbox.matching import fill_price, may_meet, replay_arrival, triggers
from sandbox.order_store import Account, OrderStore
from sandbox.orders import Change, NewOrder, Order, Refused, Trade
from sandbox.portfolio import Portfolio
from sandbox.risk import check_funds, check_order, check_price, protected_price
from sandbox.sessions import next_open, session, square_off_time
from sandbox.state import State

__all__ = ["MAX_MODIFICATIONS", "SETTLE_S", "Exchange"]

SETTLE_S = 0.03
MAX_MODIFICATIONS = 25
UNKNOWN_INSTRUMENT = (
    "The instrument you are placing an order for has either expired or does not exist."
)
CLOSED_MESSAGE = "Markets are closed right now. Use GTT for placing long standing orders instead."
RMS_USER = "ADMINSQF"
_MATCH_EVERY = timedelta(milliseconds=200)
_STAGES = ((0.3, status.VALIDATING), (0.6, status.OPENING))


class Exchange:
    """Orders, trades and portfolios of every client.

    Args:
        clock: Market time.
        market: Prices.
        accounts: Clients, with cash and holdings.
        state: Keeps orders and trades.
    """

    def __init__(
        self, clock: MarketClock, market: Market, accounts: Accounts, state: State
    ) -> None:
        self.clock = clock
        self.market = market
        self._accounts = accounts
        self.listeners: list[Callable[[Order], None]] = []
        self._store = OrderStore(state)

    def load(self) -> None:
        """Read orders and trades from the state again."""
        self._store.load()

    def _notify(self, order: Order) -> None:
        for listener in self.listeners:
            listener(order)

    # Reading

    def portfolio(self, broker: str, user_id: str) -> Portfolio:
        """Return a client's portfolio as of now.

        Raises:
            KeyError: The broker has no such client.
        """
        self.advance()
        return self._portfolio((broker, user_id), self.clock.now().astimezone(IST).date())

    def _portfolio(self, account: Account, day: date) -> Portfolio:
        user = self._accounts.user(*account)
        if user is None:
            raise KeyError(account[1])
        orders, trades, conversions = self._store.of(account)
        return Portfolio(
            user, orders, trades, price=self._price, today=day, conversions=conversions
        )

    def order(self, order_id: str) -> Order | None:
        """Return an order of any day, or None."""
        self.advance()
        return self._store.orders.get(order_id)

    def visible_orders(self, broker: str, user_id: str) -> list[Order]:
        """Return the day's orders that the broker shows by now, oldest first."""
        real = real_now()
        return [o for o in self.portfolio(broker, user_id).orders() if o.visible_real <= real]

    def visible_trades(self, broker: str, user_id: str) -> list[Trade]:
        """Return the day's trades of the orders that the broker shows by now."""
        real = real_now()
        shown = self.portfolio(broker, user_id).trades()
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
        check_order(new, instrument, self.market.last_price(instrument))
        now = self.clock.now()
        if not (new.after_market or self.market.is_open(instrument, now)):
            raise Refused("input", CLOSED_MESSAGE)
        order = self._build(new, instrument, effects or Effects(), order_id, now)
        check_funds(self.portfolio(*order.account), order)
        order.move(status.AMO_RECEIVED if new.after_market else status.RECEIVED, now)
        self._store.keep(order)
        return order

    def reject(self, new: NewOrder, reason: str, order_id: str | None = None) -> Order:
        """Store an order that the RMS refused, where a broker lists such orders (Fyers)."""
        now = self.clock.now()
        instrument = self._instrument(new.symbol)
        order = self._build(new, instrument, Effects(), order_id, now)
        self._reject(order, reason, now)
        return order

    def modify(self, order_id: str, change: Change) -> Order:
        """Alter a working order.

        Raises:
            Refused: Unknown or finished order, too many changes, or a wrong value.
        """
        order = self._working(order_id)
        if order.modifications >= MAX_MODIFICATIONS:
            raise Refused("order", "Maximum allowed order modifications exceeded.")
        instrument = self._instrument(order.symbol)
        quantity = change.quantity if change.quantity is not None else order.quantity
        if quantity <= order.filled_quantity:
            raise Refused(
                "input", "Quantity cannot be less than or equal to what is already filled."
            )
        check_price(instrument, change.price or 0.0)
        check_price(instrument, change.trigger_price or 0.0)
        now = self.clock.now()
        before = asdict(order)
        order.quantity = quantity
        for name in ("price", "trigger_price", "validity", "disclosed_quantity"):
            value = getattr(change, name)
            if value is not None:
                setattr(order, name, value)
        if change.order_type is not None:
            self._retype(order, change, instrument)
        try:
            check_funds(self.portfolio(*order.account), order, is_replaced=True)
        except Refused:
            for name, value in before.items():
                setattr(order, name, value)
            raise
        order.modifications += 1
        order.arrived_at, order.is_fresh = now.isoformat(), True
        order.move("MODIFIED", now)
        order.move(before["status"] if before["status"] in status.INTERIM else _resting(order), now)
        self._store.keep(order)
        self._notify(order)
        return order

    def _retype(self, order: Order, change: Change, instrument: Instrument) -> None:
        order.order_type = change.order_type or order.order_type
        if order.order_type not in {"SL", "SL-M"}:
            order.trigger_price, order.is_triggered = 0.0, False
        if order.order_type == "MARKET":
            order.price = 0.0
            if change.protection:
                self._protect(order, change.protection, instrument)

    def cancel(self, order_id: str) -> Order:
        """Cancel what has not filled of a working order.

        Raises:
            Refused: Unknown or finished order.
        """
        order = self._working(order_id)
        if order.late_fill_s is not None:
            order.late_fill_real = real_now() + order.late_fill_s
        self._finish(order, status.CANCELLED, self.clock.now())
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
        moved = {"day": portfolio.today.isoformat(), "symbol": symbol, "quantity": quantity}
        row = moved | {"old": old, "new": new, "price": portfolio.average_price(symbol, old)}
        self._store.add_conversion(account, row)

    def _build(
        self,
        new: NewOrder,
        instrument: Instrument,
        effects: Effects,
        order_id: str | None,
        now: datetime,
    ) -> Order:
        real = real_now()
        arrived = next_open(now) if new.after_market else now
        if self.market.is_replay and new.order_type == "MARKET":
            arrived = replay_arrival(arrived, self.clock.speed)
        order = Order(
            order_id=order_id or self._store.next_order_id(now),
            broker=new.account[0],
            user_id=new.account[1],
            api_key=new.api_key,
            symbol=instrument.symbol,
            side=new.side,
            quantity=new.quantity,
            product=new.product,
            order_type=new.order_type,
            price=new.price,
            trigger_price=new.trigger_price,
            validity=new.validity,
            tag=None if effects.lose_tag else new.tag,
            placed_at=now.isoformat(),
            arrived_at=arrived.isoformat(),
            accepted_real=real,
            disclosed_quantity=new.disclosed_quantity,
            protection=new.protection,
            visible_real=real + effects.hide_s if effects.hide_s else 0.0,
            reject_message=effects.reject_message,
            fill_cap=effects.fill_cap,
            late_fill_s=effects.late_fill_s,
            placed_by=new.account[1],
            extra=dict(new.extra),
        )
        if effects.reject_after_s is not None:
            order.reject_real = real + effects.reject_after_s
        if effects.cap_s is not None:
            order.cap_until_real = real + effects.cap_s
        if new.protection and new.order_type == "MARKET":
            self._protect(order, new.protection, instrument)
        return order

    def _protect(self, order: Order, protection: float, instrument: Instrument) -> None:
        """Turn a market order into a limit order about the last price."""
        last = self.market.last_price(instrument)
        order.system_tags = ["mktp"] + ([f"mktp:{protection:.2f}"] if protection > 0 else [])
        order.order_type = "LIMIT"
        order.price = protected_price(instrument, last, order.sign, protection)

    # Time

    def advance(self) -> None:
        """Let everything happen that happens up to now."""
        if not (self._store.live or self._store.intraday):
            return
        now, real = self.clock.now(), real_now()
        for order in list(self._store.live.values()):
            self._advance_order(order, now, real)
        for account, day in list(self._store.intraday):
            cutoff = square_off_time(day)
            if now >= cutoff:
                self._square_off(account, cutoff, real)

    def _square_off(self, account: Account, cutoff: datetime, real: float) -> None:
        """Cancel working intraday orders and close open intraday positions, as the RMS does."""
        day = cutoff.date()
        self._store.intraday.discard((account, day))
        portfolio = self._portfolio(account, day)
        for order in portfolio.working():
            if order.product == "MIS" and order.placed_by != RMS_USER:
                self._finish(order, status.CANCELLED, cutoff)
        for position in portfolio.positions():
            if position.product != "MIS" or position.quantity == 0:
                continue
            side = "SELL" if position.quantity > 0 else "BUY"
            quantity = abs(position.quantity)
            new = NewOrder(account, "", position.symbol, side, quantity, "MIS", "MARKET")
            instrument = self._instrument(position.symbol)
            order = self._build(new, instrument, Effects(), None, cutoff)
            order.placed_by = RMS_USER
            order.exchange_order_id = f"1{cutoff:%d}{self._store.next_number():013d}"
            order.move(status.OPEN, cutoff)
            self._store.keep(order)
            self._advance_order(order, self.clock.now(), real)

    def _fill_late(self, order: Order, now: datetime, real: float) -> None:
        """Fill a cancelled order, as an exchange does whose fill and cancel crossed."""
        if order.late_fill_real is None or real < order.late_fill_real:
            return
        order.late_fill_real, order.fill_cap, order.cancelled_quantity = None, None, 0
        order.status = status.OPEN
        price = self.market.last_price(self._instrument(order.symbol))
        self._fill(order, price, Tick(now, price, now), real)

    def _advance_order(self, order: Order, now: datetime, real: float) -> None:
        if order.is_terminal:
            self._fill_late(order, now, real)
            return
        if order.reject_real is not None and real >= order.reject_real:
            reason = (
                order.reject_message
                or "RMS:Rule: Check circuit limit including square off order exceeds"
            )
            self._reject(order, reason, now)
            return
        if not self._is_settled(order, now, real) or order.reject_real is not None:
            return
        if self._is_out_of_band(order):
            self._reject(order, "The order price is out of the current circuit limits.", now)
            return
        self._match(order, now, real)
        if not order.is_terminal:
            self._expire(order, now)

    def _is_settled(self, order: Order, now: datetime, real: float) -> bool:
        if order.status not in status.INTERIM:
            return True
        if order.status == status.AMO_RECEIVED and now < datetime.fromisoformat(order.arrived_at):
            return False
        age = real - order.accepted_real
        known = {entry["status"] for entry in order.history}
        for share, name in _STAGES:
            if age >= share * SETTLE_S and name not in known:
                order.move(name, now)
        if age < SETTLE_S:
            return False
        order.exchange_order_id = f"1{now:%d}{self._store.next_number():013d}"
        order.move(_resting(order), now)
        self._store.keep(order)
        return True

    def _is_out_of_band(self, order: Order) -> bool:
        if order.exchange_at is None or not order.is_fresh or order.system_tags or not order.price:
            return False
        lowest, highest = self.market.circuits(self._instrument(order.symbol))
        return not lowest <= order.price <= highest

    def _match(self, order: Order, now: datetime, real: float) -> None:
        instrument = self._instrument(order.symbol)
        arrived = datetime.fromisoformat(order.arrived_at)
        seen = order.extra.get("_seen")
        after = max(arrived, datetime.fromisoformat(seen)) if seen else arrived
        if seen is None:
            after -= timedelta(microseconds=1)
        elif self._may_wait(order, now - after):
            return
        changed = met = False
        matters = partial(may_meet, order)
        for tick in self.market.ticks(instrument, after, now, matters):
            met |= tick.since >= arrived
            changed |= self._match_tick(order, tick, real)
            if order.is_terminal:
                break
        if met and order.validity == "IOC" and order.status == status.OPEN:
            self._finish(order, status.CANCELLED, now)
        order.extra["_seen"] = now.isoformat()
        if changed:
            self._store.keep(order)

    def _may_wait(self, order: Order, unseen: timedelta) -> bool:
        """Return whether matching can be left for later: prices move once a second."""
        if order.cap_until_real is not None or order.extra.get("_moves") != self.market.moves:
            order.extra["_moves"] = self.market.moves
            return False
        return unseen < _MATCH_EVERY

    def _match_tick(self, order: Order, tick: Tick, real: float) -> bool:
        if triggers(order, tick):
            order.is_triggered, order.is_fresh = True, tick.is_print
            order.move(status.OPEN, tick.at)
            if order.order_type == "SL-M":
                touched = order.trigger_price if not tick.is_print else tick.price
                return self._fill(order, touched, tick, real)
        if order.status != status.OPEN:
            return False
        price = fill_price(order, tick)
        if price is None:
            has_met = tick.since >= datetime.fromisoformat(order.arrived_at)
            order.is_fresh = order.is_fresh and not has_met
            return False
        return self._fill(order, price, tick, real)

    def _fill(self, order: Order, price: float, tick: Tick, real: float) -> bool:
        quantity = order.leaves_quantity
        if order.fill_cap is not None and not (
            order.cap_until_real and real >= order.cap_until_real
        ):
            quantity = min(quantity, order.fill_cap - order.filled_quantity)
        if quantity <= 0:
            return False
        at = max(tick.at, datetime.fromisoformat(order.placed_at))
        self._add_trade(order, quantity, price, at)
        total = order.average_price * order.filled_quantity + price * quantity
        order.filled_quantity += quantity
        order.average_price = round(total / order.filled_quantity, 4)
        done = order.filled_quantity == order.quantity
        order.move(status.COMPLETE if done else status.OPEN, at)
        self._store.keep(order)
        self._notify(order)
        return True

    def _add_trade(self, order: Order, quantity: int, price: float, at: datetime) -> None:
        trade = Trade(
            trade_id=f"{10_000_000 + self._store.next_number()}",
            order_id=order.order_id,
            exchange_order_id=order.exchange_order_id or "",
            broker=order.broker,
            user_id=order.user_id,
            symbol=order.symbol,
            side=order.side,
            product=order.product,
            quantity=quantity,
            price=price,
            at=at.isoformat(),
        )
        self._store.add_trade(trade)

    def _expire(self, order: Order, now: datetime) -> None:
        arrived = datetime.fromisoformat(order.arrived_at).astimezone(IST)
        ends = session(arrived.date())[1]
        minutes = order.extra.get("ttl_minutes")
        if minutes is not None:
            placed = max(datetime.fromisoformat(order.placed_at), arrived)
            ends = min(ends, placed + timedelta(minutes=minutes))
        if now >= ends:
            self._finish(order, status.CANCELLED, ends)

    def _reject(self, order: Order, reason: str, now: datetime) -> None:
        order.message_raw = reason if reason.startswith("RMS:") else f"RMS:{reason}"
        order.move(status.REJECTED, now, reason.removeprefix("RMS:"))
        self._store.keep(order)
        self._notify(order)

    def _finish(self, order: Order, final: str, at: datetime) -> None:
        order.cancelled_quantity = order.quantity - order.filled_quantity
        order.move(final, at)
        self._store.keep(order)
        self._notify(order)


def _resting(order: Order) -> str:
    waits = order.order_type in {"SL", "SL-M"} and not order.is_triggered
    return status.TRIGGER_PENDING if waits else status.OPEN
