"""The charges of an account's executions of one day.

How each line is worked out, for each (exchange, kind) apart, so that executions of different kinds
add up to the paisa:

* brokerage: for each order its percent of the value, at most the cap; flat for options. The value
  of an order is that of all its executions. Where an order is partly intraday and partly delivery,
  each part has its own percent and both share the cap.
* STT: by side, **rounded to the rupee**, half up, because contract notes do
  (support.zerodha.com, How is the STT calculated: intraday and delivery are rounded apart there).
  Kite's ``/charges/orders`` answers for each order and does not round.
* exchange and SEBI: percent of the value. Stamp duty: percent of what was bought. Contract notes
  may round the stamp duty to the rupee as well; whether they do is not certain, so it is not done.
* GST: on the three that are services, before they are rounded.
* the depository's charge: flat, once for each share of which more was sold than bought in CNC.
* all but STT are rounded to the paisa, half up.

An estimate, then: the contract note of the evening is what counts. Not in it: interest, charges for
a square-off by the broker, and payments for the account itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

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


@dataclass(frozen=True, slots=True)
class _Part:
    """What one execution, or a share of it, adds to a kind."""

    order_id: str
    side: Side
    value: Decimal


def charges_of(
    executions: Iterable[Execution], broker: str, day: date, rates: Rates | None = None
) -> Charges:
    """Return what executions of one account on one day cost.

    Args:
        executions: All of them: an order's cap and what of CNC is intraday depend on the others.
        broker: The name in the broker's profile; that of an account id is
            ``core.domain.identifiers.broker_of``.
        day: The trading day, whose rates hold.
        rates: Other rates than the committed ones.
    """
    rates = rates or packaged_rates()
    done = [one for one in executions if one.quantity]
    parts, unknown = _by_kind(done)
    charged, result = defaultdict[str, Decimal](Decimal), NOTHING
    # Intraday before delivery: the cap of an order that is both is used up in this order.
    for exchange, kind in sorted(parts, key=lambda key: (key[0], key[1] is Kind.DELIVERY, key[1])):
        found = _rates_of(rates, broker, exchange, kind, day)
        if isinstance(found, str):
            unknown.append(found)
        else:
            result += _line(parts[exchange, kind], found, charged)
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
        exchange, kind = one.instrument.exchange, kind_of(one.instrument, one.product)
        if kind is None:
            unknown.append(f"found {one.instrument} {one.product}, which has no known rates")
        elif kind is Kind.DELIVERY:
            within = one.value * intraday[one.instrument, one.side]
            for part, value in ((Kind.INTRADAY, within), (kind, one.value - within)):
                if value:
                    parts[exchange, part].append(_Part(one.order_id, one.side, value))
        else:
            parts[exchange, kind].append(_Part(one.order_id, one.side, one.value))
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


def _rates_of(
    rates: Rates, broker: str, exchange: str, kind: Kind, day: date
) -> Mapping[str, Rate] | str:
    """Return the rates of one kind, or what is missing."""
    found: dict[str, Rate] = {}
    for charge in (*_NEEDED, "clearing"):
        rate = rates.at(charge, day, broker=broker, exchange=exchange, segment=kind)
        if rate is not None:
            found[charge] = rate
        elif charge in _NEEDED:
            return f"no {charge} rate of {kind} at {exchange} with {broker} on {day.isoformat()}"
    return found


def _line(
    parts: Sequence[_Part], rates: Mapping[str, Rate], charged: defaultdict[str, Decimal]
) -> Charges:
    """Return the charges of one kind; ``charged`` is each order's brokerage so far."""
    brokerage = _brokerage(parts, rates["brokerage"], charged)
    exchange = _of_value(parts, rates["exchange"])
    if "clearing" in rates:
        exchange += _of_value(parts, rates["clearing"])
    sebi = _of_value(parts, rates["sebi"])
    services = brokerage + exchange + sebi
    return Charges(
        brokerage=_rounded(brokerage),
        stt=_rounded(_of_value(parts, rates["stt"]), _RUPEE),
        exchange=_rounded(exchange),
        sebi=_rounded(sebi),
        gst=_rounded(services * (rates["gst"].sell or _ZERO)),
        stamp=_rounded(_of_value(parts, rates["stamp"])),
    )


def _brokerage(parts: Sequence[_Part], rate: Rate, charged: defaultdict[str, Decimal]) -> Decimal:
    orders: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in parts:
        share = rate.buy if one.side is Side.BUY else rate.sell
        orders[one.order_id] += _ZERO if share is None else one.value * share
    total = _ZERO
    for order_id, of_value in orders.items():
        amount = of_value
        if rate.rupees is not None:
            left = max(_ZERO, rate.rupees - charged[order_id])
            amount = left if rate.buy is None else min(of_value, left)
        charged[order_id] += amount
        total += amount
    return total


def _of_value(parts: Iterable[_Part], rate: Rate) -> Decimal:
    shares = {Side.BUY: rate.buy or _ZERO, Side.SELL: rate.sell or _ZERO}
    return sum((one.value * shares[one.side] for one in parts), _ZERO)


def _depository(executions: Iterable[Execution], broker: str, day: date, rates: Rates) -> Charges:
    """Return the depository's charge for the shares that leave the account."""
    sold: dict[InstrumentId, int] = {}
    for one in executions:
        if one.product is Product.CNC and kind_of(one.instrument, one.product) is Kind.DELIVERY:
            # One share at two exchanges is one ISIN, and charged once.
            name = next((known for known in sold if is_same_share(known, one.instrument)), None)
            name = name or one.instrument
            sold[name] = sold.get(name, 0) - one.side.sign * one.quantity
    left = sum(units > 0 for units in sold.values())
    if not left:
        return NOTHING
    where = {"broker": broker, "exchange": "NSE", "segment": Kind.DELIVERY}
    rate, gst = rates.at("dp", day, **where), rates.at("gst", day, **where)
    if rate is None or gst is None or rate.rupees is None:
        return Charges(unknown=(f"no dp rate with {broker} on {day.isoformat()}",))
    each = _rounded(rate.rupees * (1 + (gst.sell or _ZERO)))
    return Charges(dp=left * each)


def _rounded(amount: Decimal, quantum: Decimal = _PAISA) -> Decimal:
    return amount.quantize(quantum, ROUND_HALF_UP)
