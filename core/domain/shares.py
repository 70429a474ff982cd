"""Delivery shares: what of them may be sold, whatever exchange they are listed under (C3).

A broker lists a holding once for each ISIN, under the exchange of its choice, while orders and
positions name the exchange of the trade. Each share counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from core.domain.broker import Holding, Position
from core.domain.instrument import InstrumentId, Product

__all__ = ["is_same_share", "names_of", "sellable_shares"]

_CASH = frozenset({"NSE", "BSE"})
_SERIES = re.compile(r"-(?:BE|BL|BZ|SM|ST)$")
"""Series of NSE other than EQ, which are part of the symbol; BSE has none (facts/kite.md 11)."""


def is_same_share(one: InstrumentId, other: InstrumentId) -> bool:
    """Return whether two names are of one share by their symbols, at either exchange."""
    if one == other:
        return True
    in_cash = {one.exchange, other.exchange} <= _CASH
    return in_cash and _SERIES.sub("", one.symbol) == _SERIES.sub("", other.symbol)


def names_of(instrument: InstrumentId, holdings: Iterable[Holding]) -> frozenset[InstrumentId]:
    """Return the names that holdings join with an instrument by their ISIN, its own included."""
    return frozenset({instrument}).union(
        *(one.names for one in holdings if instrument in one.names)
    )


def sellable_shares(
    instrument: InstrumentId, positions: Iterable[Position], holdings: Iterable[Holding]
) -> int:
    """Return how many shares may be sold at the instrument's exchange.

    These are the settled ones that are neither pledged nor sold today, those still arriving (T1),
    and today's purchases at this exchange that were not sold again. A sale at the other exchange
    counts too; a purchase there does not, because it cannot be delivered here today.

    Positions and holdings may be read some seconds apart, so that a sale is in one and not yet in
    the other. What the day began with never changes, so both ways of counting are used, and the
    smaller one holds: no share is ever sold twice.
    """
    owned = [one for one in holdings if _is_of(instrument, one)]
    names = names_of(instrument, owned)
    own, elsewhere = 0, 0
    for position in positions:
        if position.product is not Product.CNC:
            continue
        if position.instrument == instrument:
            own += position.quantity
        elif position.instrument in names or is_same_share(position.instrument, instrument):
            elsewhere += min(position.quantity, 0)
    left = sum(one.quantity + one.t1_quantity for one in owned)
    used = sum(one.used_quantity for one in owned)
    by_holdings = left + max(own, 0)
    by_positions = left + used + own + elsewhere
    return max(0, min(by_holdings, by_positions))


def _is_of(instrument: InstrumentId, holding: Holding) -> bool:
    return instrument in holding.names or is_same_share(instrument, holding.instrument)
