"""Ledgers: what a strategy holds of an (instrument, product) on an account, by its fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product

__all__ = ["Ledger", "instrument_of", "ledger_key", "shrunk", "with_fill", "with_transfer"]


def ledger_key(strategy: str, broker_id: str, instrument: InstrumentId, product: Product) -> str:
    """Return the key shared by a ledger and its goal."""
    return f"{strategy}|{broker_id}|{instrument}|{product.value}"


def instrument_of(key: str) -> str:
    """Return the instrument of a ledger's key: ``NSE:SBIN``."""
    return key.split("|")[2]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What one strategy holds on one account: signed units, average price, realised profit.

    Prices are in rupees; ``realised`` is the profit of all fills so far. ``day`` is the trading day
    of the last fill: an intraday ledger ends with it. ``moved_units`` and ``moved_value`` are
    the signed units, and the rupees paid for them, that came or went without a fill on
    ``moved_day``: crossed with another strategy, or converted by a person.
    """

    strategy: str
    broker_id: str
    instrument: InstrumentId
    product: Product
    quantity: int = 0
    average_price: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    day: str = ""
    moved_units: int = 0
    moved_value: Decimal = Decimal(0)
    moved_day: str = ""

    @property
    def key(self) -> str:
        """The key shared with the goal."""
        return ledger_key(self.strategy, self.broker_id, self.instrument, self.product)


def with_fill(ledger: Ledger, signed: int, price: Decimal) -> Ledger:
    """Return the ledger after a fill of ``signed`` units at ``price``.

    Units that shrink the position realise profit against its average; units beyond zero open anew.
    """
    if signed == 0:
        return ledger
    held = ledger.quantity
    if held == 0 or (held > 0) == (signed > 0):
        total = held + signed
        cost = ledger.average_price * abs(held) + price * abs(signed)
        return replace(ledger, quantity=total, average_price=cost / abs(total))
    closing = min(abs(held), abs(signed))
    direction = 1 if held > 0 else -1
    realised = ledger.realised + (price - ledger.average_price) * closing * direction
    rest = held + signed
    if rest == 0:
        return replace(ledger, quantity=0, average_price=Decimal(0), realised=realised)
    # Past zero the rest is a new position, at the price of this fill.
    average = ledger.average_price if (rest > 0) == (held > 0) else price
    return replace(ledger, quantity=rest, average_price=average, realised=realised)


def with_transfer(ledger: Ledger, signed: int, price: Decimal, day: str) -> Ledger:
    """Return the ledger after ``signed`` units came or went without a fill, settled at a price."""
    is_more = ledger.moved_day == day
    return replace(
        with_fill(ledger, signed, price),
        moved_units=signed + (ledger.moved_units if is_more else 0),
        moved_value=signed * price + (ledger.moved_value if is_more else Decimal(0)),
        moved_day=day,
    )


def shrunk(ledgers: Sequence[Ledger], net: int) -> list[Ledger]:
    """Return the ledgers that must shrink so that together they are no larger than ``net``.

    Only a total that exceeds the broker's net in its own direction shrinks, the first ledgers of
    that direction first.
    """
    # By the total, not by ledger: two strategies may hold opposite sides, of which the broker shows
    # only the difference.
    total = sum(ledger.quantity for ledger in ledgers)
    if total == 0:
        return []
    sign = 1 if total > 0 else -1
    surplus = abs(total) - max(0, net * sign)
    changed = []
    for ledger in ledgers:
        if surplus <= 0 or ledger.quantity * sign <= 0:
            continue
        less = min(surplus, abs(ledger.quantity))
        changed.append(replace(ledger, quantity=ledger.quantity - less * sign))
        surplus -= less
    return changed
