"""The day's result of a strategy on an account, by the journal.

It is what the strategy's orders made of its ledgers.

Charges are those of the strategy's orders alone. Added up, strategies' charges may differ from the
account's by the rounding of the tax to the rupee, and where they trade the same share in CNC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from core.domain.broker import Holding, Position
from core.domain.charges import (
    Rates,
    charges_of,
    closing_charges,
    closing_execution,
    executions_of_orders,
)
from core.domain.day_result import DayResult, together
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, MANUAL, Order, Side
from core.domain.profit import days_profit, holding_of
from core.domain.truth import Key, key_of

__all__ = ["strategy_result"]

_ZERO = Decimal(0)


def strategy_result(
    strategy: str,
    ledgers: Iterable[Ledger],
    orders: Iterable[Order],
    positions: Iterable[Position],
    holdings: Iterable[Holding],
    broker: str,
    day: date,
    *,
    prices: Mapping[InstrumentId, Decimal] | None = None,
    rates: Rates | None = None,
) -> DayResult:
    """Return the result of a strategy on an account, by the journal.

    Args:
        strategy: Its name.
        ledgers: The account's ledgers; those of other strategies are left out.
        orders: The account's orders of the day. Those of other strategies are left out, but for
            fills by hand that closed units of this one: they say at which price.
        positions: The broker's, for last prices and previous closes.
        holdings: Delivery shares, for the same of what was carried in CNC.
        broker: The name of the broker.
        day: The trading day.
        prices: Later prices than those of the positions, as far as there are any.
        rates: Other rates than the committed ones.
    """
    filled = [one for one in orders if one.filled_quantity]
    mine = [one for one in filled if one.strategy == strategy]
    others = [one for one in filled if one.strategy in {MANUAL, EXTERNAL}]
    traded = {key_of(one) for one in mine}
    # An intraday ledger of an earlier day ended with that day.
    held = {
        key_of(one): one
        for one in ledgers
        if one.strategy == strategy
        and (key_of(one) in traded or one.product is not Product.MIS or one.day == day.isoformat())
    }
    witnesses, later = _Witnesses.of(positions, holdings), prices or {}
    moved = {key for key, one in held.items() if one.moved_day == day.isoformat()}
    parts = [
        _LedgerDay.of(key, held.get(key), witnesses, later.get(key[0]), day.isoformat())
        for key in sorted(traded | moved | {key for key, one in held.items() if one.quantity})
    ]
    results = [one.result(mine, others) for one in parts]
    done = list(executions_of_orders(mine))
    closing = [
        closing_execution(*one.key, one.quantity, one.price) for one in parts if one.quantity
    ]
    return replace(
        together(results),
        charges=charges_of(done, broker, day, rates),
        closing=closing_charges(done, closing, broker, day, rates),
    )


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """What the broker says of prices, and of what was carried."""

    positions: Mapping[Key, Position]
    holdings: tuple[Holding, ...]

    @classmethod
    def of(cls, positions: Iterable[Position], holdings: Iterable[Holding]) -> _Witnesses:
        return cls({key_of(one): one for one in positions}, tuple(holdings))

    def prices(self, key: Key) -> tuple[Decimal | None, Decimal | None]:
        """Return the last price and the previous close."""
        instrument, product = key
        holding = holding_of(instrument, self.holdings) if product is Product.CNC else None
        rows = [row for row in (self.positions.get(key), holding) if row is not None]
        last = next((row.last_price for row in rows if row.last_price), None)
        return last, next((row.previous_close for row in rows if row.previous_close), None)

    def carried(self, key: Key, quantity: int, traded: int, *, is_crossed: bool) -> int:
        """Return the signed units with which a ledger's day began.

        It is what its fills leave unexplained, unless the broker knows that nothing was carried:
        then something else than a fill has moved the ledger. In CNC positions do not show what was
        carried, and it is never a short. Of opposite strategies, which crossed, it shows the
        difference alone.
        """
        _, product = key
        if product is Product.MIS:
            return 0
        if product is Product.CNC:
            return max(0, quantity - traded)
        shown = self.positions.get(key)
        is_none = shown is not None and not shown.carried and not is_crossed
        return 0 if is_none else quantity - traded


@dataclass(frozen=True, slots=True)
class _LedgerDay:
    """What a strategy holds and traded in one (instrument, product)."""

    key: Key
    quantity: int
    average: Decimal
    price: Decimal
    close: Decimal | None
    crossed: tuple[int, Decimal]
    witnesses: _Witnesses
    is_priced: bool
    missing: tuple[str, ...]

    @classmethod
    def of(
        cls,
        key: Key,
        ledger: Ledger | None,
        witnesses: _Witnesses,
        later: Decimal | None,
        day: str,
    ) -> _LedgerDay:
        quantity = ledger.quantity if ledger else 0
        average = ledger.average_price if ledger else _ZERO
        last, close = witnesses.prices(key)
        price = last if later is None else later
        missing = (f"no price of {key[0]}",) if price is None and quantity else ()
        known = average if price is None else price
        is_priced = price is not None
        crossed = (0, _ZERO)
        if ledger is not None and ledger.moved_day == day:
            crossed = (ledger.moved_units, ledger.moved_value)
        return cls(key, quantity, average, known, close, crossed, witnesses, is_priced, missing)

    def result(self, mine: Sequence[Order], others: Sequence[Order]) -> DayResult:
        """Return the result before charges."""
        units, rupees = _sums(one for one in mine if key_of(one) == self.key)
        crossed, value = self.crossed
        side = Side.SELL if crossed < 0 else Side.BUY
        units[side] += abs(crossed)
        rupees[side] += value * side.sign
        traded = units[Side.BUY] - units[Side.SELL]
        carried = self.witnesses.carried(self.key, self.quantity, traded, is_crossed=bool(crossed))
        # What else moved the ledger without an order of the strategy: a fill by hand, or what no
        # price is known of, which is settled at the last one.
        moved = self.quantity - carried - traded
        missing = self.missing
        if not all(one.average_price for one in mine if key_of(one) == self.key):
            missing = (*missing, f"the price of a fill of {self.key[0]} is not known")
        if moved:
            side = Side.of(moved)
            foreign = [one for one in others if key_of(one) == self.key]
            by_hand, paid = _sums(foreign)
            if not all(one.average_price for one in foreign if one.request.side is side):
                missing = (*missing, f"the price of a fill of {self.key[0]} is not known")
            price = paid[side] / by_hand[side] if by_hand[side] else self.price
            units[side] += abs(moved)
            rupees[side] += abs(moved) * price
            if not by_hand[side] and not self.is_priced:
                missing = (*missing, f"no price of {self.key[0]}")
        close = self.close
        is_since_entry = bool(carried and not close)
        if is_since_entry and self.quantity * carried > 0:
            close = self.average
        elif is_since_entry:
            missing = (*missing, f"no previous close of {self.key[0]}, which was carried")
        profit = days_profit(
            Position(
                *self.key,
                self.quantity,
                self.average,
                self.price,
                units[Side.BUY],
                units[Side.SELL],
                previous_close=close,
                day_buy_value=rupees[Side.BUY],
                day_sell_value=rupees[Side.SELL],
            )
        )
        return DayResult(
            profit.realised, profit.unrealised, is_since_entry=is_since_entry, missing=missing
        )


def _sums(orders: Iterable[Order]) -> tuple[dict[Side, int], dict[Side, Decimal]]:
    """Return the units and the rupees of each side."""
    units = dict.fromkeys(Side, 0)
    rupees = dict.fromkeys(Side, _ZERO)
    for one in orders:
        units[one.request.side] += one.filled_quantity
        rupees[one.request.side] += one.filled_quantity * one.average_price
    return units, rupees
