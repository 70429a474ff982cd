"""Fyers' spelling of the exchange's instruments, and its numbers of exchanges and segments.

`NSE:SBIN-EQ`, `BSE:SBIN-A`, `NSE:NIFTY50-INDEX`, `NSE:NIFTY26NOVFUT`; derivatives carry the prefix
of their exchange, so the symbol alone does not name the segment.
"""

from datetime import date

from sandbox.instruments import BSE, Instrument
from sandbox.listing import listed_on

__all__ = [
    "CAPITAL_MARKET",
    "DERIVATIVES",
    "exchange_number",
    "find_symbol",
    "fy_token",
    "segment_number",
    "symbol_of",
]

_NSE_NUMBER, _BSE_NUMBER = 10, 12
CAPITAL_MARKET, DERIVATIVES = 10, 11
_BSE_GROUP = "A"


def symbol_of(instrument: Instrument) -> str:
    """Return the symbol ticker of an instrument."""
    if instrument.expiry is not None:
        return f"NSE:{instrument.symbol}"
    if instrument.is_index:
        return f"{instrument.exchange}:{instrument.symbol.replace(' ', '')}-INDEX"
    series = _BSE_GROUP if instrument.exchange == BSE else "EQ"
    return f"{instrument.exchange}:{instrument.symbol}-{series}"


def exchange_number(instrument: Instrument) -> int:
    """Return Fyers' number of the instrument's exchange."""
    return _BSE_NUMBER if instrument.exchange == BSE else _NSE_NUMBER


def segment_number(instrument: Instrument) -> int:
    """Return Fyers' number of the instrument's segment."""
    return DERIVATIVES if instrument.expiry is not None else CAPITAL_MARKET


def fy_token(instrument: Instrument) -> str:
    """Return exchange, segment, expiry (zeros in cash) and the exchange's token in one string."""
    expiry = f"{instrument.expiry:%y%m%d}" if instrument.expiry else "000000"
    numbers = f"{exchange_number(instrument)}{segment_number(instrument)}"
    return f"{numbers}{expiry}{instrument.exchange_token}"


def find_symbol(symbol: str, today: date) -> Instrument | None:
    """Return the instrument that a symbol ticker names today, or None when there is none."""
    return next((item for item in listed_on(today) if symbol_of(item) == symbol), None)
