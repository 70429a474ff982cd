"""What of an order fills at a look at the price: rather less, and rather dearer, than at a broker.

* An order that takes pays the other side of the depth, level by level; where the depth is not
  known, a spread on the last price. A market order takes no worse price than its protection, and
  what is left of it rests there, as at a broker.
* A limit order that rests fills when the last price has gone *through* its limit, not when it only
  touched it, and then at its limit.
* Of units it gets what waits in the depth; without one, a small part of what was traded. Where
  nothing is known of either, a fixed amount of rupees at a look.
* A stop triggers by the last price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.adapters.paper.book import PaperOrder
from core.domain.broker import PriceLevel, Quote
from core.domain.instrument import Instrument
from core.domain.order import OrderType, Side

__all__ = ["Look", "is_fresh", "looked_at", "protected"]

_FRESH_FOR = timedelta(minutes=2)
_SPREAD = Decimal("0.0005")
"""Of the price, on each side, where nothing is known of the depth."""
_FIRST_SHARE, _LATER_SHARE = Decimal("0.01"), Decimal("0.1")
"""Of the day's volume at the first look, and of what was traded since the look before."""
_UNKNOWN_RUPEES = Decimal(500_000)
_PROTECTION = ((100, "0.02"), (500, "0.01"), (None, "0.005"))
_OPTION_PROTECTION = ((10, "0.05"), (100, "0.03"), (500, "0.02"), (None, "0.01"))
_MARKET = {OrderType.MARKET, OrderType.SL_M}


@dataclass(frozen=True, slots=True)
class Look:
    """A look at one instrument's price.

    Attributes:
        at: Market time.
        taken: Units of each side that the account has taken out of this depth just now.
    """

    quote: Quote
    instrument: Instrument
    at: datetime
    taken: Mapping[Side, int] = field(default_factory=dict)

    @property
    def last(self) -> Decimal:
        """The last price."""
        return self.quote.last_price

    def levels(self, side: Side) -> tuple[PriceLevel, ...]:
        """Return what an order of this side can take, best first; none where nobody offers."""
        quote = self.quote
        stuck = quote.upper_circuit if side is Side.BUY else quote.lower_circuit
        if stuck is not None and (self.last - stuck) * side.sign >= 0:
            return ()
        known = quote.asks if side is Side.BUY else quote.bids
        if known:
            return tuple(self._left(known, side))
        tick = self.instrument.tick_size
        half = max(tick, _to_tick(self.last * _SPREAD, tick, Side.BUY))
        price = self.last + half * side.sign
        return (PriceLevel(price, None),) if price > 0 else ()

    def _left(self, known: Iterable[PriceLevel], side: Side) -> Iterator[PriceLevel]:
        taken = self.taken.get(side, 0)
        for level in known:
            # A stale best price on the wrong side of the last one is no gift.
            price, units = self._worse(level.price, side), level.quantity
            if units is None:
                yield PriceLevel(price, None)
                continue
            yield PriceLevel(price, max(0, units - taken))
            taken = max(0, taken - units)

    def _worse(self, price: Decimal, side: Side) -> Decimal:
        return max(price, self.last) if side is Side.BUY else min(price, self.last)


def is_fresh(quote: Quote, now: datetime) -> bool:
    """Whether a quote is new enough to fill orders at."""
    return quote.last_price > 0 and (quote.at is None or now - quote.at <= _FRESH_FOR)


def protected(side: Side, last: Decimal, instrument: Instrument) -> Decimal:
    """Return the worst price of a market order (facts/kite.md 5.3), a multiple of the tick."""
    is_option = instrument.id.symbol.endswith(("CE", "PE")) and instrument.expiry is not None
    table = _OPTION_PROTECTION if is_option else _PROTECTION
    share = next(Decimal(part) for below, part in table if below is None or last < below)
    found = _to_tick(last * (1 + share * side.sign), instrument.tick_size, side)
    return max(found, instrument.tick_size)


def _to_tick(price: Decimal, tick: Decimal, side: Side) -> Decimal:
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding) * tick


def looked_at(order: PaperOrder, look: Look) -> tuple[PaperOrder, list[tuple[int, Decimal]]]:
    """Return the order after a look, and what it fills: units and prices, best first."""
    if order.is_waiting_stop:
        if not _has_reached(order, look.last):
            return replace(order, is_looked_at=True, seen_volume=look.quote.volume), []
        # One that has just triggered takes, as one that has just come.
        order = replace(order, is_triggered=True, is_looked_at=False, updated_at=look.at)
    if order.order_type in _MARKET and order.bound is None:
        bound = protected(order.side, look.last, look.instrument)
        order = replace(order, bound=bound)
    fills = list(_fills(order, look, is_first=not order.is_looked_at))
    return replace(order, is_looked_at=True, seen_volume=look.quote.volume), fills


def _has_reached(order: PaperOrder, last: Decimal) -> bool:
    trigger = order.trigger_price
    return trigger is not None and (last - trigger) * order.side.sign >= 0


def _fills(order: PaperOrder, look: Look, *, is_first: bool) -> Iterator[tuple[int, Decimal]]:
    limit = order.bound if order.order_type in _MARKET else order.limit_price
    if limit is None:
        return
    left = order.leaves
    lot = look.instrument.lot_size
    traded = _share_of(order, look, is_first=is_first)
    if order.order_type not in _MARKET and not is_first:
        units = min(left, traded)
        if (limit - look.last) * order.side.sign > 0 and units > 0:
            yield units, limit
        return
    for level in look.levels(order.side):
        if (limit - level.price) * order.side.sign < 0:
            return
        offered = traded if level.quantity is None or not is_first else level.quantity
        units = min(left, offered // lot * lot)
        if units > 0:
            yield units, level.price
        left -= units
        if left <= 0 or not is_first or level.quantity is None:
            return


def _share_of(order: PaperOrder, look: Look, *, is_first: bool) -> int:
    """Return the units of what was traded that an order may have, in whole lots."""
    lot, volume = look.instrument.lot_size, look.quote.volume
    if volume is None:
        units = int(_UNKNOWN_RUPEES / look.last)
    elif is_first:
        units = int(volume * _FIRST_SHARE)
    else:
        since = volume - (order.seen_volume or 0)
        if since <= 0:
            return 0
        units = int(since * _LATER_SHARE)
    return max(lot, units // lot * lot)
