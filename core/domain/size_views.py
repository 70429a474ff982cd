"""What a strategy would trade, in units and rupees, as the chat shows it before it is enabled."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product

__all__ = ["InstrumentView", "SizeLine", "SizeView"]

_ZERO = Decimal(0)
_MARGIN = 5
"""The most that intraday margin multiplies funds by (SEBI's peak margin: 20 % of the value)."""


@dataclass(frozen=True, slots=True)
class InstrumentView:
    """An instrument as the brokers' lists have it.

    Attributes:
        name: Of the company or contract; '' where no list says it.
        last_price: Rupees; None where no source of market data answers.
    """

    instrument: InstrumentId
    name: str = ""
    last_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SizeLine:
    """What a strategy would trade of one instrument on one account.

    Attributes:
        units: 0 where the size does not buy one lot, or nothing is known to work it out.
        price: Last price in rupees; None where it is not known.
    """

    instrument: InstrumentId
    units: int
    price: Decimal | None

    @property
    def value(self) -> Decimal | None:
        """What it is worth in rupees, None where the price is not known."""
        return None if self.price is None else self.units * self.price


@dataclass(frozen=True, slots=True)
class SizeView:
    """What a strategy would trade on one account, all its instruments together.

    Attributes:
        funds: What is free there, rupees; None when it was not read today.
        kept_out: Why nothing is entered there now, a clause; '' where it is.
    """

    broker_id: str
    account_label: str
    product: Product
    lines: tuple[SizeLine, ...]
    funds: Decimal | None
    kept_out: str = ""

    @property
    def value(self) -> Decimal | None:
        """Rupees of all of it, None where a price is not known."""
        found = [one.value for one in self.lines]
        known = [one for one in found if one is not None]
        return sum(known, _ZERO) if len(known) == len(found) else None

    @property
    def is_beyond(self) -> bool:
        """Whether the broker would certainly refuse: beyond the funds with any margin it gives."""
        if self.funds is None or self.value is None:
            return False
        times = _MARGIN if self.product is Product.MIS else 1
        return self.value > self.funds * times
