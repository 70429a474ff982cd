"""One paper account at its broker: takes orders, fills them, and keeps its books.

What was acknowledged is committed before the answer, so neither an order nor a fill is ever lost:
after a kill the account is found as it was, and its orders by their tags.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from core.adapters.paper.book import PaperOrder
from core.adapters.paper.matching import Look, is_fresh, looked_at, protected
from core.adapters.paper.practice import PaperMarket
from core.adapters.paper.profile import PAPER_PROFILE
from core.adapters.paper.quotes import Quotes
from core.adapters.paper.rules import refused_form, refused_order, too_dear
from core.adapters.paper.state import State, ended, load
from core.domain.broker import BrokerStatus, Quote
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side, Validity
from core.domain.outcome import Acked, Ambiguous, Cause, NotSent, Refusal, Refused, WriteOutcome
from core.domain.sessions import IST, SessionWindow, plausible_kinds, trading_day, widest
from core.errors import BrokerReadError, LeaseLost, StoreError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Desk"]

T = TypeVar("T")
Known = Callable[[InstrumentId], Instrument | None]
_MARKET = {OrderType.MARKET, OrderType.SL_M}
_AFTER_CUT_OFF = timedelta(minutes=10)
"""How long after the controller's own cut-off the broker squares off what is left."""
_FRESH_S = 1.0


class Desk:
    """An account's books, with the rules of its exchange.

    Args:
        broker_id: The account.
        store: Where its books are kept.
        clock: Its market time is the exchange's.
        calendar: When the exchange trades.
        quotes: The prices of the data account, or made-up ones.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        quotes: Quotes,
        market: PaperMarket,
    ) -> None:
        self.broker_id = broker_id
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._quotes = quotes
        self._market = market
        self._lock = asyncio.Lock()
        self._commits: set[asyncio.Task[Any]] = set()
        self.known: Known = lambda _name: None

    # Writes

    async def place(self, request: OrderRequest) -> WriteOutcome:
        """Take one order; it may have filled when this returns."""
        known = self.known(request.instrument)
        if (refused := refused_form(request, known)) is not None or known is None:
            return refused or Refused(Refusal.REJECTED, "unknown instrument")
        now, was_practice = self._clock.market_now(), await self._market.is_practice()
        quote = await self._quote(known, now)
        if isinstance(quote, NotSent):
            return quote

        def change(state: State) -> WriteOutcome:
            if state.book.is_practice is not was_practice:
                return NotSent("a broker was connected at this moment: prices are real from now on")
            order = _new_order(state, request, now)
            if quote is None:
                state.put(_rejected(order, "the market is closed for this instrument", now))
                return Acked(order.order_id)
            look = Look(quote, known, now, state.taken(known.id, now))
            if order.order_type in _MARKET:
                from_price = order.trigger_price or look.last
                bound = protected(order.side, from_price, known)
                order = replace(order, bound=bound)
            lots = self._lots(state, known)
            window = self._window(known, now)
            reason = refused_order(order, look, state.book, state.working, lots, window)
            if reason is not None:
                state.put(replace(_rejected(order, reason.message, now), cause=reason.cause))
                return Acked(order.order_id)
            if order.is_waiting_stop:
                order = replace(order, bound=None)
            order, fills = looked_at(order, look)
            state.fill(order, fills, now)
            return Acked(order.order_id)

        return await self._write(change)

    async def _quote(self, known: Instrument, now: datetime) -> Quote | NotSent | None:
        """Return a price to judge by; None where the market is closed anyway."""
        window = self._window(known, now)
        if window is None or not window.contains(now):
            return None
        try:
            found = (await self._quotes.of([known.id], _FRESH_S)).get(known.id)
        except BrokerReadError as error:
            return NotSent(f"a paper account needs the data account's prices: {error}")
        if found is None or not is_fresh(found, now):
            return NotSent(f"there is no fresh price of {known.id} to fill a paper order at")
        return found

    async def modify(self, order_id: str, request: OrderRequest) -> WriteOutcome:
        """Change a working order's quantity and prices."""
        known = self.known(request.instrument)
        if (refused := refused_form(request, known)) is not None or known is None:
            return refused or Refused(Refusal.REJECTED, "unknown instrument")
        now = self._clock.market_now()

        def change(state: State) -> WriteOutcome:
            order = state.orders.get(order_id)
            if order is None or not order.is_working:
                return _not_open(order)
            if request.quantity <= order.filled_quantity:
                return Refused(Refusal.REJECTED, f"{order.filled_quantity} units have filled")
            after = replace(
                order,
                quantity=request.quantity,
                order_type=request.order_type,
                limit_price=_limit(request),
                trigger_price=_trigger(request),
                updated_at=now,
                is_looked_at=False,
            )
            beside = [one for one in state.working if one.order_id != order_id]
            reason = too_dear(after, state.book, beside, self._lots(state, known))
            if reason is not None:
                return Refused(Refusal.REJECTED, reason.message, cause=reason.cause)
            state.put(after)
            return Acked(order_id)

        return await self._write(change)

    async def cancel(self, order_id: str) -> WriteOutcome:
        """Cancel a working order."""
        now = self._clock.market_now()

        def change(state: State) -> WriteOutcome:
            order = state.orders.get(order_id)
            if order is None or not order.is_working:
                return _not_open(order)
            state.put(ended(order, BrokerStatus.CANCELED, "", now))
            return Acked(order_id)

        return await self._write(change)

    async def _write(self, change: Callable[[State], WriteOutcome]) -> WriteOutcome:
        try:
            return await self.change(change)
        except (StoreError, LeaseLost) as error:
            # It may have been committed: the day's orders show it.
            return Ambiguous(f"the books of the paper account: {error}")

    async def change(self, change: Callable[[State], T], *, nonce: str = "") -> T:
        """Change the books in one transaction."""
        nonce = nonce or f"paper:{secrets.token_hex(12)}"

        is_practice = await self._market.is_practice()

        async def body(view: StoreView) -> T:
            state = await self._current(view)
            state.begin_prices(is_practice=is_practice, now=self._clock.market_now())
            result = change(state)
            state.learn_expiries(self.known)
            await state.save(view)
            return result

        async def commit() -> T:
            async with self._lock:
                return await self._store.transaction(body, nonce=nonce)

        # To its end even when nobody waits any more: a read that begins later must show it.
        task = asyncio.get_running_loop().create_task(commit())
        self._commits.add(task)
        task.add_done_callback(self._committed)
        return await asyncio.shield(task)

    def _committed(self, task: asyncio.Task[Any]) -> None:
        self._commits.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits

    async def _current(self, view: StoreView) -> State:
        now = self._clock.market_now()
        state = await load(view, self.broker_id, now)
        state.begin_day(trading_day(now), self.known)
        return state

    # Reads

    async def read(self) -> State:
        """Return the books as they are today, with all that was asked for before.

        So an order that they do not show was never taken (``BrokerProfile.lists_all``).
        """
        async with self._lock:
            return await self._current(self._store)

    async def names(self) -> tuple[set[InstrumentId], bool]:
        """Return what is held or ordered, and whether anything is to be worked on.

        A new day is work too: what it closes is closed for good only when that is written.
        """
        state = await self.read()
        has_changed = state.book.is_practice is not await self._market.is_practice()
        working = {one.instrument for one in state.working}
        held = {one.instrument for one in state.book.places.values() if one.quantity}
        intraday = any(
            one.quantity and one.product is Product.MIS for one in state.book.places.values()
        )
        names = working | held | set(state.book.shares)
        is_turned = has_changed and bool(names)
        return names, bool(working) or intraday or is_turned or state.has_rolled

    # The exchange

    async def look(
        self, quotes: Mapping[InstrumentId, Quote], *, is_practice: bool, keep_prices: bool
    ) -> None:
        """Fill what can be filled at these prices, and end what is over.

        Args:
            quotes: Prices of now.
            is_practice: Whether they are made up.
            keep_prices: Write the last prices of what is held, whether anything fills or not.
        """
        now = self._clock.market_now()

        def change(state: State) -> None:
            if state.book.is_practice is not is_practice:
                return  # they are of the other kind than when they were asked for
            for order in state.working:
                self._look_at(state, order, quotes.get(order.instrument), now)
            self._square_off(state, quotes, now)
            if keep_prices:
                state.book = state.book.marked(
                    lambda name: quotes[name].last_price if name in quotes else None
                )

        await self.change(change)

    def _look_at(self, state: State, order: PaperOrder, quote: Quote | None, now: datetime) -> None:
        known = self.known(order.instrument)
        if known is None:
            return
        window = self._window(known, now)
        if window is None or now >= window.close_at:
            state.put(ended(order, BrokerStatus.EXPIRED, "the session has ended", now))
        elif window.contains(now) and quote is not None and is_fresh(quote, now):
            look = Look(quote, known, now, state.taken(known.id, now))
            after, fills = looked_at(order, look)
            state.fill(after, fills, now)

    def _square_off(
        self, state: State, quotes: Mapping[InstrumentId, Quote], now: datetime
    ) -> None:
        """Close intraday positions as brokers do, some minutes after the controller should have."""
        for place in list(state.book.places.values()):
            known = self.known(place.instrument)
            if place.product is not Product.MIS or not place.quantity or known is None:
                continue
            window, quote = self._window(known, now), quotes.get(place.instrument)
            is_open = window is not None and window.contains(now)
            is_priced = quote is not None and is_fresh(quote, now)
            # What is left after the session is closed over night, at the last price.
            if not is_open or not is_priced or now < self._squares_off_at(known, now):
                continue
            for order in state.working:
                if order.key == place.key and order.tag is not None:
                    why = "cancelled by the square-off of the paper broker"
                    state.put(ended(order, BrokerStatus.CANCELED, why, now))
            if any(one.key == place.key for one in state.working):
                continue  # its own order of a look before
            request = OrderRequest(
                "",
                place.instrument,
                Side.of(-place.quantity),
                abs(place.quantity),
                OrderType.MARKET,
                Product.MIS,
            )
            state.put(_new_order(state, request, now))
            order = max(state.working, key=lambda one: one.order_id)
            self._look_at(state, order, quote, now)

    def _squares_off_at(self, known: Instrument, now: datetime) -> datetime:
        day = now.astimezone(IST).date()
        at = self._calendar.square_off(
            day, PAPER_PROFILE, known.segment, has_derivatives=known.has_derivatives
        )
        return datetime.combine(day, at, IST) + _AFTER_CUT_OFF

    def _window(self, known: Instrument, now: datetime) -> SessionWindow | None:
        day = now.astimezone(IST).date()
        found = []
        for segment, has_derivatives in plausible_kinds(known.id, known):
            try:
                found.append(
                    self._calendar.exit_session(day, segment, has_derivatives=has_derivatives)
                )
            except LookupError:
                continue
        return widest(found)

    def _lots(self, state: State, known: Instrument) -> dict[InstrumentId, Instrument]:
        names = {one.instrument for one in state.working}
        names |= {one.instrument for one in state.book.places.values()}
        found = {name: row for name in names if (row := self.known(name)) is not None}
        return {**found, known.id: known}


def _new_order(state: State, request: OrderRequest, now: datetime) -> PaperOrder:
    return PaperOrder(
        order_id=state.new_id(now),
        tag=request.client_order_id or None,
        instrument=request.instrument,
        side=request.side,
        product=request.product,
        order_type=request.order_type,
        quantity=request.quantity,
        placed_at=now,
        updated_at=now,
        limit_price=_limit(request),
        trigger_price=_trigger(request),
        validity=request.validity if request.validity is Validity.IOC else Validity.DAY,
    )


def _limit(request: OrderRequest) -> Decimal | None:
    return request.limit_price if request.order_type in {OrderType.LIMIT, OrderType.SL} else None


def _trigger(request: OrderRequest) -> Decimal | None:
    is_stop = request.order_type in {OrderType.SL, OrderType.SL_M}
    return request.trigger_price if is_stop else None


def _rejected(order: PaperOrder, why: str, now: datetime) -> PaperOrder:

    return replace(ended(order, BrokerStatus.REJECTED, why, now), cause=Cause.CLOSED)


def _not_open(order: PaperOrder | None) -> Refused:
    state = "unknown" if order is None else order.status.value
    return Refused(Refusal.REJECTED, f"the order is not open: it is {state}")
