"""What the operator reads from the simulated brokers' books before it moves the market."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.domain.money import signed_rupees

__all__ = ["RestingStop", "adverse_price", "results_of", "stop_of"]

Row = Mapping[str, Any]

# Far enough to trigger, and within the protection of every broker: the stop fills at once.
_BEYOND = 0.002
# Less than a usual stop of one percent, which would close the position first.
_ADVERSE = 0.006


@dataclass(frozen=True, slots=True)
class RestingStop:
    """A stop that rests in one instrument.

    Attributes:
        symbol: Without its exchange.
        side: Of the stop.
        trigger_price: Rupees.
    """

    symbol: str
    side: str
    trigger_price: float

    @property
    def price_beyond(self) -> float:
        """A price a little beyond the trigger, in rupees, on the tick."""
        factor = 1 - _BEYOND if self.side == "SELL" else 1 + _BEYOND
        return round(round(self.trigger_price * factor / 0.05) * 0.05, 2)


def stop_of(books: Sequence[Row]) -> RestingStop | None:
    """Return a stop of an instrument in which every one of these accounts rests one.

    The trigger is the farthest, so that a price beyond it hits them all; None while there is none.
    """
    by_place: list[dict[tuple[str, str], float]] = [
        {
            (row["symbol"], row["side"]): float(row["trigger_price"])
            for row in book["orders"]
            if row["status"] == "TRIGGER PENDING"
        }
        for book in books
    ]
    for symbol, side in sorted(set.intersection(*(set(one) for one in by_place))):
        triggers = [one[symbol, side] for one in by_place]
        return RestingStop(symbol, side, min(triggers) if side == "SELL" else max(triggers))
    return None


def adverse_price(position: Row) -> float:
    """Return a price at which a position of a broker's book loses a little, on the tick."""
    factor = 1 - _ADVERSE if position["quantity"] > 0 else 1 + _ADVERSE
    return round(round(float(position["last_price"]) * factor / 0.05) * 0.05, 2)


def results_of(trades: Iterable[Row], symbol: str) -> list[str]:
    """Return what each closed position in an instrument brought, as the chat shows it, in order.

    Args:
        trades: The account's trades of the day.
        symbol: Which instrument, without its exchange.
    """
    # By the money that went in and out, and not by the averages that the product itself keeps.
    found, held, paid = [], 0, Decimal(0)
    mine = [row for row in trades if row["symbol"] == symbol]
    for row in sorted(mine, key=lambda one: str(one["at"])):
        units = int(row["quantity"]) * (1 if row["side"] == "BUY" else -1)
        held += units
        paid += units * Decimal(str(row["price"]))
        if held == 0:
            found.append(signed_rupees(-paid))
            paid = Decimal(0)
    return found
