"""Lookups over everything that is or was listed: the cash market, indices and futures."""

from __future__ import annotations

from datetime import date

from sandbox.futures import find_future, find_future_token, futures_on
from sandbox.instruments import NFO, Instrument, by_key, by_token, instruments

__all__ = ["find", "find_token", "is_listed", "listed_on"]

_TOKEN_BITS = 8
_NFO_NUMBER = 2


def find(key: str) -> Instrument | None:
    """Return the instrument of a key, listed or not, or None when there is none."""
    return by_key(key) or (find_future(key) if key.startswith(f"{NFO}:") else None)


def find_token(instrument_token: int) -> Instrument | None:
    """Return the instrument of a Kite instrument token, or None."""
    found = by_token(instrument_token)
    if found is None and instrument_token % (1 << _TOKEN_BITS) == _NFO_NUMBER:
        return find_future_token(instrument_token >> _TOKEN_BITS)
    return found


def listed_on(day: date) -> list[Instrument]:
    """Return everything that masters list on a day."""
    return [*instruments(), *futures_on(day)]


def is_listed(instrument: Instrument, day: date) -> bool:
    """Return whether orders in an instrument are taken on a day."""
    return instrument.is_listed and (instrument.expiry is None or instrument in futures_on(day))
