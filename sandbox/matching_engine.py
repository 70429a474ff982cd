"""The matching engine: takes each working order through the prices up to now.

After acceptance an order passes the interim statuses within ``SETTLE_S`` of real time. A limit
price outside the day's circuit limits is accepted first and rejected then, as brokers do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from sandbox import orders as status
from sandbox.clock import IST, MarketClock
from sandbox.instruments import Instrument
from sandbox.market import Market, Tick
from sandbox.matching import admits, fill_price, may_meet, triggers
from sandbox.order_entry import resting_status
from sandbox.order_store import OrderStore
from sandbox.orders import Order, Trade
from sandbox.risk import protected_price
from sandbox.sessions import segment_session

__all__ = ["LAST_MATCHED", "SETTLE_S", "MatchingEngine"]

SETTLE_S = 0.03
LAST_MATCHED = "_seen"
"""Key in an order's ``extra``: market time up to which it was matched."""
_MATCH_EVERY = timedelta(milliseconds=200)
_STAGES = ((0.3, status.VALIDATING), (0.6, status.OPENING))
_LATE_REJECTION = "RMS:Rule: Check circuit limit including square off order exceeds"


class MatchingEngine:
    """Settles, triggers, fills and ends orders.

    Args:
        clock: Market time.
        market: Prices.
        store: Keeps orders and trades.
        notify: Called with each order that was filled, rejected or cancelled.
    """

    def __init__(
        self,
        clock: MarketClock,
        market: Market,
        store: OrderStore,
        notify: Callable[[Order], None],
    ) -> None:
        self._clock = clock
        self._market = market
        self._store = store
        self._notify = notify

    def advance(self, order: Order, now: datetime, real: float) -> None:
        """Let everything happen to an order that happens up to now."""
        if order.is_terminal:
            self._fill_late(order, now, real)
            return
        if order.reject_real is not None and real >= order.reject_real:
            self.reject(order, order.reject_message or _LATE_REJECTION, now)
            return
        if not self._is_settled(order, now, real) or order.reject_real is not None:
            return
        if self._is_out_of_band(order):
            self.reject(order, "The order price is out of the current circuit limits.", now)
            return
        self._match(order, now, real)
        if not order.is_terminal:
            self._expire(order, now)

    def settle(self, order: Order, at: datetime) -> None:
        """Let an order reach the exchange, where it waits for prices."""
        order.exchange_order_id = f"1{at:%d}{self._store.next_number():013d}"
        order.move(resting_status(order), at)
        self._store.keep(order)

    def reject(self, order: Order, reason: str, now: datetime) -> None:
        """Reject an order with the broker's reason."""
        order.message_raw = reason if reason.startswith("RMS:") else f"RMS:{reason}"
        order.move(status.REJECTED, now, reason.removeprefix("RMS:"))
        self._store.keep(order)
        self._notify(order)

    def finish(self, order: Order, final: str, at: datetime) -> None:
        """End an order; what has not filled counts as cancelled."""
        order.cancelled_quantity = order.quantity - order.filled_quantity
        order.move(final, at)
        self._store.keep(order)
        self._notify(order)

    def _instrument(self, order: Order) -> Instrument:
        instrument = self._market.find(order.symbol)
        if instrument is None:
            raise LookupError(f"no instrument {order.symbol!r}")
        return instrument

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
        self.settle(order, now)
        return True

    def _is_out_of_band(self, order: Order) -> bool:
        if order.exchange_at is None or not order.is_fresh or order.system_tags or not order.price:
            return False
        lowest, highest = self._market.circuits(self._instrument(order))
        return not lowest <= order.price <= highest

    def _match(self, order: Order, now: datetime, real: float) -> None:
        arrived = datetime.fromisoformat(order.arrived_at)
        seen = order.extra.get(LAST_MATCHED)
        after = max(arrived, datetime.fromisoformat(seen)) if seen else arrived
        if seen is None:
            after -= timedelta(microseconds=1)
        elif now <= after or self._may_wait(order, now - after):
            return  # a move of the price counts as seen only once a price of its time was looked at
        changed = met = False
        matters = partial(may_meet, order)
        for tick in self._market.ticks(self._instrument(order), after, now, matters):
            met |= tick.since >= arrived
            changed |= self._match_tick(order, tick, real)
            if order.is_terminal:
                break
        if met and order.validity == "IOC" and order.status == status.OPEN:
            self.finish(order, status.CANCELLED, now)
        order.extra[LAST_MATCHED] = now.isoformat()
        if changed:
            self._store.keep(order)

    def _may_wait(self, order: Order, unseen: timedelta) -> bool:
        """Return whether matching can be left for later: prices move once a second."""
        if order.cap_until_real is not None or order.extra.get("_moves") != self._market.moves:
            order.extra["_moves"] = self._market.moves
            return False
        return unseen < _MATCH_EVERY

    def _match_tick(self, order: Order, tick: Tick, real: float) -> bool:
        if triggers(order, tick):
            self._trigger(order, tick)
            touched = tick.price if tick.is_print else order.trigger_price
            if order.order_type == "SL-M" and admits(order, touched):
                self._fill(order, touched, tick, real)
                return True
        if order.status != status.OPEN:
            return False
        price = fill_price(order, tick)
        if price is None:
            has_met = tick.since >= datetime.fromisoformat(order.arrived_at)
            order.is_fresh = order.is_fresh and not has_met
            return False
        return self._fill(order, price, tick, real)

    def _trigger(self, order: Order, tick: Tick) -> None:
        """Release a stop: with price protection it becomes a limit order about its trigger.

        That limit is why a stop may rest: when the next price is beyond it, nothing fills until
        the price comes back.
        """
        order.is_triggered, order.is_fresh = True, tick.is_print
        if order.order_type == "SL-M" and order.protection:
            instrument = self._instrument(order)
            order.price = protected_price(
                instrument, order.trigger_price, order.sign, order.protection
            )
        order.move(status.OPEN, tick.at)
        self._store.keep(order)

    def _fill(self, order: Order, price: float, tick: Tick, real: float) -> bool:
        quantity = order.leaves_quantity
        available = self._market.liquidity(order.symbol)
        if available is not None:
            quantity = min(quantity, available)
        if order.fill_cap is not None and not (
            order.cap_until_real and real >= order.cap_until_real
        ):
            quantity = min(quantity, order.fill_cap - order.filled_quantity)
        if quantity <= 0 or self._market.stuck_side(self._instrument(order)) == order.side:
            return False
        if available is not None:
            self._market.limit_liquidity(order.symbol, available - quantity)
        self.execute(order, quantity, price, tick.at)
        return True

    def execute(self, order: Order, quantity: int, price: float, at: datetime) -> None:
        """Trade a quantity of an order at a price."""
        at = max(at, datetime.fromisoformat(order.placed_at))
        self._add_trade(order, quantity, price, at)
        total = order.average_price * order.filled_quantity + price * quantity
        order.filled_quantity += quantity
        order.average_price = round(total / order.filled_quantity, 4)
        done = order.filled_quantity == order.quantity
        order.move(status.COMPLETE if done else status.OPEN, at)
        self._store.keep(order)
        self._notify(order)

    def _fill_late(self, order: Order, now: datetime, real: float) -> None:
        """Fill a cancelled order, as an exchange does whose fill and cancel crossed."""
        if order.late_fill_real is None or real < order.late_fill_real:
            return
        order.late_fill_real, order.fill_cap, order.cancelled_quantity = None, None, 0
        order.status = status.OPEN
        price = self._market.last_price(self._instrument(order))
        self._fill(order, price, Tick(now, price, now), real)

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
        ends = segment_session(self._instrument(order).hours, arrived.date())[1]
        minutes = order.extra.get("ttl_minutes")
        if minutes is not None:
            placed = max(datetime.fromisoformat(order.placed_at), arrived)
            ends = min(ends, placed + timedelta(minutes=minutes))
        if now >= ends:
            self.finish(order, status.CANCELLED, ends)
