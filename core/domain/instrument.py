"""Instruments. Saarthi names them the way Kite does, ``NSE:SBIN``; adapters translate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from core.errors import UserError

__all__ = [
    "DERIVATIVES_OF",
    "ExchangeFacts",
    "Instrument",
    "InstrumentId",
    "Product",
    "Segment",
    "why_not_closed",
    "why_not_handled",
]

DERIVATIVES_OF = {"NSE": "NFO", "BSE": "BFO"}
"""Where the derivatives of each cash exchange's shares are listed."""


class Product(StrEnum):
    """How a position is carried (Kite's words; Fyers: CNC, MARGIN, INTRADAY)."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"


class Segment(StrEnum):
    """Exchange segment, which decides sessions and cut-offs."""

    CASH = "cash"
    DERIVATIVES = "derivatives"
    CURRENCY = "currency"
    COMMODITY = "commodity"
    INDEX = "index"


@dataclass(frozen=True, slots=True, order=True)
class InstrumentId:
    """``exchange`` and Kite-style ``symbol``; its text form is ``NSE:SBIN``."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        """Return ``EXCHANGE:SYMBOL``."""
        return f"{self.exchange}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> InstrumentId:
        """Read ``NSE:SBIN``.

        Raises:
            UserError: Not of that form.
        """
        exchange, colon, symbol = text.strip().partition(":")
        if not (exchange.isupper() and colon and symbol):
            meant = text.strip().upper() if exchange.isalpha() and symbol else "NSE:SBIN"
            raise UserError(f"Found the instrument {text!r}; expected a form like {meant}.")
        return cls(exchange, symbol)


@dataclass(frozen=True, slots=True)
class ExchangeFacts:
    """What the exchange says of an instrument, the same at every broker.

    Attributes:
        freeze_quantity: The largest quantity of one order, in units and whole lots.
        isin: Of a share, '' for anything else.
    """

    freeze_quantity: int | None = None
    isin: str = ""


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row of a broker's instrument master, translated.

    Attributes:
        id: Saarthi's name.
        broker_symbol: What this broker calls it (``NSE:SBIN-EQ`` at Fyers).
        broker_token: The broker's numeric token, as text (Kite's historical data needs it).
        lot_size: Orders are multiples of it, in units.
        tick_size: Prices are multiples of it, in rupees.
        freeze_quantity: The exchange's largest quantity of one order, in units and whole lots;
            None when it is unknown.
        expiry: Last trading day of a derivative.
        has_derivatives: The exchange lists derivatives of it, so it has a closing auction since
            2026-08-03 and trades continuously only until 15:15 (facts/kite.md 12).
        isin: What a share is, whatever its exchange; '' when it is unknown.
        is_stale: It comes from an earlier day's master, because today's could not be had: good for
            exits, not for entries.
    """

    id: InstrumentId
    broker_symbol: str
    broker_token: str
    lot_size: int
    tick_size: Decimal
    segment: Segment
    name: str = ""
    freeze_quantity: int | None = None
    expiry: date | None = None
    has_derivatives: bool = False
    isin: str = ""
    is_stale: bool = False


_HANDLED = ("NSE", "BSE", "NFO", "BFO")


def why_not_handled(instrument: InstrumentId) -> str:
    """Return why Saarthi sends no order of an instrument, '' when it does.

    Commodities and currencies are ordered in lots at both brokers where everything else is in
    units (facts/kite.md 5.1, facts/fyers.md 4.2): a quantity would mean another size there.
    """
    if instrument.exchange in _HANDLED:
        return ""
    return (
        f"found {instrument}; Saarthi trades on {', '.join(_HANDLED[:-1])} and {_HANDLED[-1]} only"
    )


def why_not_closed(instrument: InstrumentId, product: Product) -> str:
    """Return why a user's own position is not closed here, '' when it is.

    A share that is carried on margin is MTF at both brokers (``NRML`` here, as no share is that):
    an order of another product would open a position beside it (facts/kite.md 5.1).
    """
    if reason := why_not_handled(instrument):
        return reason
    if product is Product.NRML and instrument.exchange in DERIVATIVES_OF:
        return f"found {instrument} on margin (MTF); Saarthi sends no order of that product"
    return ""
