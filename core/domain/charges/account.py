"""The charges of an account's executions of one day.

A contract note has a column for each exchange segment (NSE, BSE, NFO, BFO). Each line of a column
is summed exactly and then rounded, so that executions of different segments add up to the paisa:

* brokerage: for each order its percent of the value, at most the cap; flat for options. The value
  of an order is that of all its executions. Where an order is partly intraday and partly delivery,
  each part has its own percent and both share the cap.
* STT: by side, **rounded to the rupee**, half up, because contract notes do. That of a share is on
  the average price of all its trades of the day at that exchange (support.zerodha.com, How is the
  STT calculated); of a future or an option on the price that was got. Kite's ``/charges/orders``
  answers for each order and rounds nothing.
* exchange, its investor protection fund (IPFT), a clearing member and SEBI: percent of the value.
* stamp duty: percent of what was bought, cut to the paisa.
* GST: on brokerage, exchange, clearing member and SEBI as they are rounded.
* the depository's charge: flat, once for each share of which more was sold than bought in CNC.
* all others are rounded to the paisa, half up.

An estimate, then: the contract note of the evening is what counts. Not in it: interest, charges for
a square-off by the broker, and payments for the account itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from core.domain.charges.amounts import NOTHING, Charges
from core.domain.charges.kinds import Execution, Kind, kind_of
from core.domain.charges.rates import Rate, Rates, packaged_rates
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Side
from core.domain.shares import is_same_share

__all__ = ["charges_of", "closing_charges"]

_PAISA = Decimal("0.01")
_RUPEE = Decimal(1)
_ZERO = Decimal(0)
_NEEDED = ("brokerage", "stt", "exchange", "sebi", "gst", "stamp")
_IF_ANY = ("ipft", "clearing")
_SHARES = frozenset({Kind.DELIVERY, Kind.INTRADAY})


@dataclass(frozen=True, slots=True)
class _Part:
    """What one execution, or a share of it, adds to a kind."""

    order_id: str
    instrument: InstrumentId
    side: Side
    units: Decimal
    value: Decimal


@dataclass(slots=True)
class _Column:
    """The exact lines of one exchange segment, before they are rounded."""

    lines: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    gst: Decimal = _ZERO

    def rounded(self) -> Charges:
        """Return the lines as the contract note has them."""
        whole = {name: _rounded(amount) for name, amount in self.lines.items()}
        services = ("brokerage", "exchange", "clearing", "sebi")
        taxed = sum((whole.get(name, _ZERO) for name in services), _ZERO)
        turnover = ("exchange", "ipft", "clearing")
        return Charges(
            brokerage=whole["brokerage"],
            stt=_rounded(self.lines["stt"], _RUPEE),
            exchange=sum((whole.get(name, _ZERO) for name in turnover), _ZERO),
            sebi=whole["sebi"],
            gst=_rounded(taxed * self.gst),
            stamp=self.lines["stamp"].quantize(_PAISA, ROUND_DOWN),
        )


def charges_of(
    executions: Iterable[Execution], broker: str, day: date, rates: Rates | None = None
) -> Charges:
    """Return what executions of one account on one day cost.

    Args:
        executions: All of them: an order's cap, what of CNC is intraday and the average price of a
            share depend on the others.
        broker: The name in the broker's profile; that of an account id is
            ``core.domain.identifiers.broker_of``.
        day: The trading day, whose rates hold.
        rates: Other rates than the committed ones.
    """
    rates = rates or packaged_rates()
    done = [one for one in executions if one.quantity]
    parts, unknown = _by_kind(done)
    averages = _averages(done)
    charged = defaultdict[str, Decimal](Decimal)
    columns = defaultdict[str, _Column](_Column)
    # Intraday before delivery: the cap of an order that is both is used up in this order.
    for exchange, kind in sorted(parts, key=lambda key: (key[0], key[1] is Kind.DELIVERY, key[1])):
        found = _rates_of(rates, broker, exchange, kind, day)
        if isinstance(found, str):
            unknown.append(found)
        else:
            prices = averages if kind in _SHARES else {}
            _add(columns[exchange], parts[exchange, kind], found, charged, prices)
    result = sum((one.rounded() for one in columns.values()), NOTHING)
    result += _depository(done, broker, day, rates)
    return result + Charges(unknown=tuple(dict.fromkeys(unknown)))


def closing_charges(
    done: Sequence[Execution],
    closing: Sequence[Execution],
    broker: str,
    day: date,
    rates: Rates | None = None,
) -> Charges:
    """Return by how much charges grow when executions are added to those of the day.

    For CNC it may be negative: what is sold again on the day was delivery until then, and becomes
    intraday, with a lower tax.
    """
    after = charges_of([*done, *closing], broker, day, rates)
    return after - charges_of(done, broker, day, rates)


def _by_kind(
    executions: Sequence[Execution],
) -> tuple[Mapping[tuple[str, Kind], list[_Part]], list[str]]:
    parts: defaultdict[tuple[str, Kind], list[_Part]] = defaultdict(list)
    unknown = []
    intraday = _intraday_shares(executions)
    for one in executions:
        kind = kind_of(one.instrument, one.product)
        if kind is None:
            unknown.append(f"found {one.instrument} {one.product}, which has no known rates")
            continue
        shares = {kind: Decimal(1)}
        if kind is Kind.DELIVERY:
            within = intraday[one.instrument, one.side]
            shares = {Kind.INTRADAY: within, kind: 1 - within}
        for part, share in shares.items():
            if share:
                units, value = one.quantity * share, one.value * share
                parts[one.instrument.exchange, part].append(
                    _Part(one.order_id, one.instrument, one.side, units, value)
                )
    return parts, unknown


def _intraday_shares(
    executions: Iterable[Execution],
) -> Mapping[tuple[InstrumentId, Side], Decimal]:
    """Return what share of each side's CNC units was bought and sold on the day.

    All executions of a side have the same share: which units were sold again is nobody's choice.
    """
    units: defaultdict[tuple[InstrumentId, Side], int] = defaultdict(int)
    for one in executions:
        if one.product is Product.CNC:
            units[one.instrument, one.side] += one.quantity
    both = {
        name: min(units.get((name, side), 0) for side in Side)
        for name in {name for name, _ in units}
    }
    return {key: Decimal(both[key[0]]) / count for key, count in units.items()}


def _averages(executions: Iterable[Execution]) -> Mapping[InstrumentId, Decimal]:
    """Return the average price of all that was traded in each instrument, whatever the side."""
    sums: dict[InstrumentId, tuple[int, Decimal]] = {}
    for one in executions:
        units, value = sums.get(one.instrument, (0, _ZERO))
        sums[one.instrument] = units + one.quantity, value + one.value
    return {name: value / units for name, (units, value) in sums.items()}


def _rates_of(
    rates: Rates, broker: str, exchange: str, kind: Kind, day: date
) -> Mapping[str, Rate] | str:
    """Return the rates of one kind, or what is missing."""
    found: dict[str, Rate] = {}
    for charge in (*_NEEDED, *_IF_ANY):
        rate = rates.at(charge, day, broker=broker, exchange=exchange, segment=kind)
        if rate is not None:
            found[charge] = rate
        elif charge in _NEEDED:
            return f"no {charge} rate of {kind} at {exchange} with {broker} on {day.isoformat()}"
    return found


def _add(
    column: _Column,
    parts: Sequence[_Part],
    rates: Mapping[str, Rate],
    charged: defaultdict[str, Decimal],
    prices: Mapping[InstrumentId, Decimal],
) -> None:
    """Add one kind to its column.

    ``charged`` is each order's brokerage so far, ``prices`` the average that its STT is on.
    """
    column.gst = rates["gst"].sell or _ZERO
    column.lines["brokerage"] += _brokerage(parts, rates["brokerage"], charged)
    for one in parts:
        price = prices.get(one.instrument)
        base = one.value if price is None else one.units * price
        column.lines["stt"] += base * _share(rates["stt"], one.side)
        for name in ("exchange", "ipft", "clearing", "sebi", "stamp"):
            if name in rates:
                column.lines[name] += one.value * _share(rates[name], one.side)


def _share(rate: Rate, side: Side) -> Decimal:
    return (rate.buy if side is Side.BUY else rate.sell) or _ZERO


def _brokerage(parts: Sequence[_Part], rate: Rate, charged: defaultdict[str, Decimal]) -> Decimal:
    orders: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in parts:
        orders[one.order_id] += one.value * _share(rate, one.side)
    total = _ZERO
    for order_id, of_value in orders.items():
        amount = of_value
        if rate.rupees is not None:
            left = max(_ZERO, rate.rupees - charged[order_id])
            amount = left if rate.buy is None else min(of_value, left)
        charged[order_id] += amount
        total += amount
    return total


def _depository(executions: Iterable[Execution], broker: str, day: date, rates: Rates) -> Charges:
    """Return the depository's charge for the shares that leave the account."""
    sold: defaultdict[InstrumentId, int] = defaultdict(int)
    for one in executions:
        if one.product is Product.CNC and kind_of(one.instrument, one.product) is Kind.DELIVERY:
            sold[one.instrument] -= one.side.sign * one.quantity
    # What was bought at the other exchange cannot be delivered for a sale today; one share at two
    # exchanges is one ISIN, and charged once.
    gone: list[InstrumentId] = []
    for name in sorted(name for name, units in sold.items() if units > 0):
        if not any(is_same_share(name, known) for known in gone):
            gone.append(name)
    if not gone:
        return NOTHING
    where = {"broker": broker, "exchange": "NSE", "segment": Kind.DELIVERY}
    rate, gst = rates.at("dp", day, **where), rates.at("gst", day, **where)
    if rate is None or gst is None or rate.rupees is None:
        return Charges(unknown=(f"no dp rate with {broker} on {day.isoformat()}",))
    each = _rounded(rate.rupees * (1 + (gst.sell or _ZERO)))
    return Charges(dp=len(gone) * each)


def _rounded(amount: Decimal, quantum: Decimal = _PAISA) -> Decimal:
    return amount.quantize(quantum, ROUND_HALF_UP)
