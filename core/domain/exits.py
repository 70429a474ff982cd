"""How much of what is held may still be sold or bought back (product.md C3)."""

from __future__ import annotations

from collections.abc import Iterable

from core.domain.broker import Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order, Side
from core.domain.shares import sellable_shares

__all__ = ["held_quantity", "left_to_exit", "units_on_side"]


def held_quantity(
    instrument: InstrumentId,
    product: Product,
    positions: Iterable[Position],
    holdings: Iterable[Holding],
) -> int:
    """Return the signed units that an exit could close.

    For MIS and NRML this is the net position. For CNC it is what may be sold
    (``core.domain.shares``): a negative CNC position is a delivery sale, and is never bought back.
    """
    if product is Product.CNC:
        return sellable_shares(instrument, positions, holdings)
    return sum(p.quantity for p in positions if (p.instrument, p.product) == (instrument, product))


def units_on_side(held: int, ledgers: Iterable[int], side: Side) -> int:
    """Return the units that orders of ``side`` could close, of all strategies and outside them.

    Strategies on opposite sides hold more of each than the broker's net shows.

    Args:
        held: The broker's net, signed.
        ledgers: What each strategy holds of it, signed; the rest of the net is outside.
        side: The side of the orders.
    """
    sizes = list(ledgers)
    outside = held - sum(sizes)
    return sum(max(0, -size * side.sign) for size in [*sizes, outside])


def left_to_exit(held: int, side: Side, working: Iterable[Order]) -> int:
    """Return how many units an order of ``side`` may close without flipping or growing.

    Args:
        held: Signed units held.
        side: The side of the exit; buying with a long (or no) position leaves nothing.
        working: Orders of the same (account, instrument, product) that may still fill, unresolved
            ones included. Those of the same side use up what is held; a resting stop is one of
            them.
    """
    if held == 0 or Side.of(-held) is not side:
        return 0
    used = sum(order.leaves_quantity for order in working if order.request.side is side)
    return max(0, abs(held) - used)
