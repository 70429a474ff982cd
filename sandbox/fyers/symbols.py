"""Fyers' spelling of the exchange's instruments: `NSE:SBIN-EQ`, `NSE:NIFTY50-INDEX`, fyToken."""

from sandbox.instruments import Instrument, instruments

__all__ = ["CAPITAL_MARKET", "NSE", "find_symbol", "fy_token", "symbol_of"]

NSE = 10
CAPITAL_MARKET = 10


def symbol_of(instrument: Instrument) -> str:
    """Return the symbol ticker of an instrument."""
    if instrument.is_index:
        return f"{instrument.exchange}:{instrument.symbol.replace(' ', '')}-INDEX"
    return f"{instrument.exchange}:{instrument.symbol}-EQ"


def fy_token(instrument: Instrument) -> str:
    """Return exchange, segment, an empty expiry and the exchange's token in one string."""
    return f"{NSE}{CAPITAL_MARKET}000000{instrument.exchange_token}"


def find_symbol(symbol: str) -> Instrument | None:
    """Return the listed instrument of a symbol ticker, or None when there is none."""
    return next((item for item in instruments() if symbol_of(item) == symbol), None)
