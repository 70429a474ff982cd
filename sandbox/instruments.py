"""Instruments of the simulated exchange, shared by every broker.

Tokens follow Kite's rule ``exchange_token << 8 | segment`` (1 for NSE, 9 for indices). A broker's
simulator writes these instruments in that broker's own spelling. Inside the sandbox an instrument
is named by its ``key``. The control port can change instruments while the sandbox runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "INSTRUMENTS",
    "Instrument",
    "InstrumentError",
    "changed_instrument",
    "find",
    "find_token",
    "instruments",
    "put",
    "restore",
]

_NSE = 1
_INDEX = 9


@dataclass(frozen=True)
class Instrument:
    """An instrument of the simulated exchange.

    Attributes:
        symbol: NSE symbol without exchange or series, as ``SBIN`` or ``NIFTY 50``.
        exchange_token: The exchange's number.
        name: Company or index name.
        isin: ISIN, empty for an index.
        base_price: The level about which the synthetic market moves.
        tick_size: Smallest price step in rupees.
        freeze_quantity: The largest quantity of one order.
        is_index: An index: quoted, never traded.
        published_freeze: What a broker's master calls the freeze quantity, when it is not the
            largest quantity but the smallest one that is refused.
        is_listed: Masters and quotes have it, and orders are taken.
    """

    symbol: str
    exchange_token: int
    name: str
    isin: str
    base_price: float
    tick_size: float = 0.05
    freeze_quantity: int = 100_000
    is_index: bool = False
    exchange: str = "NSE"
    lot_size: int = 1
    published_freeze: int | None = None
    is_listed: bool = True

    @property
    def key(self) -> str:
        """The name inside the sandbox: the symbol, with its exchange unless that is NSE."""
        return self.symbol if self.exchange == "NSE" else f"{self.exchange}:{self.symbol}"

    @property
    def largest_order(self) -> int:
        """The largest quantity of one order that is whole lots, the size of a slice."""
        return self.freeze_quantity // self.lot_size * self.lot_size

    @property
    def instrument_token(self) -> int:
        """Kite's instrument token."""
        return self.exchange_token << 8 | (_INDEX if self.is_index else _NSE)

    @property
    def segment(self) -> str:
        """Kite's segment name."""
        return "INDICES" if self.is_index else self.exchange


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument("RELIANCE", 2885, "RELIANCE INDUSTRIES", "INE002A01018", 1480.0),
    Instrument("SBIN", 3045, "STATE BANK OF INDIA", "INE062A01020", 905.0),
    Instrument("INFY", 1594, "INFOSYS", "INE009A01021", 1510.0),
    Instrument("TCS", 11536, "TATA CONSULTANCY SERV LT", "INE467B01029", 3120.0),
    Instrument("HDFCBANK", 1333, "HDFC BANK", "INE040A01034", 985.0),
    Instrument("ICICIBANK", 4963, "ICICI BANK", "INE090A01021", 1365.0),
    Instrument("AXISBANK", 5900, "AXIS BANK", "INE238A01034", 1225.0),
    Instrument("TATAMOTORS", 3456, "TATA MOTORS", "INE155A01022", 395.0),
    Instrument("WIPRO", 3787, "WIPRO", "INE075A01022", 245.0),
    Instrument("MARUTI", 10999, "MARUTI SUZUKI INDIA", "INE585B01010", 15800.0, 0.5),
    Instrument("KOTAKBANK", 1922, "KOTAK MAHINDRA BANK", "INE237A01028", 2090.0),
    Instrument("ITC", 1660, "ITC", "INE154A01025", 405.0),
    Instrument("NIFTY 50", 1001, "NIFTY 50", "", 25900.0, is_index=True),
    Instrument("NIFTY BANK", 1017, "NIFTY BANK", "", 58700.0, is_index=True),
)

_BY_SYMBOL = {item.key: item for item in INSTRUMENTS}
_BY_TOKEN = {item.instrument_token: item for item in INSTRUMENTS}
_CHANGEABLE = {
    "exchange_token": int,
    "name": str,
    "isin": str,
    "base_price": float,
    "tick_size": float,
    "freeze_quantity": int,
    "published_freeze": int,
    "lot_size": int,
    "is_listed": bool,
}


class InstrumentError(ValueError):
    """A change of an instrument that cannot be made; the message says why."""


def instruments() -> list[Instrument]:
    """Return every instrument that is listed."""
    return [item for item in _BY_SYMBOL.values() if item.is_listed]


def find(key: str) -> Instrument | None:
    """Return the instrument of a key, listed or not, or None when there is none."""
    return _BY_SYMBOL.get(key)


def find_token(instrument_token: int) -> Instrument | None:
    """Return the instrument of a Kite instrument token, or None."""
    return _BY_TOKEN.get(instrument_token)


def put(instrument: Instrument) -> None:
    """Add an instrument, or replace the one with its key."""
    old = _BY_SYMBOL.get(instrument.key)
    if old is not None:
        _BY_TOKEN.pop(old.instrument_token, None)
    _BY_SYMBOL[instrument.key] = instrument
    _BY_TOKEN[instrument.instrument_token] = instrument


def restore() -> None:
    """Undo every change: the instruments are the built-in ones again."""
    _BY_SYMBOL.clear()
    _BY_TOKEN.clear()
    for item in INSTRUMENTS:
        put(item)


def changed_instrument(key: str, fields: Mapping[str, Any]) -> Instrument:
    """Return an instrument with some fields changed, or a new share of NSE.

    Raises:
        InstrumentError: An unknown field, a value of the wrong type, or a new share that lacks
            what every instrument needs.
    """
    for name, value in fields.items():
        wanted = _CHANGEABLE.get(name)
        if wanted is None:
            raise InstrumentError(f"no field {name!r}; there are {sorted(_CHANGEABLE)}")
        is_number = wanted is float and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not wanted and not is_number:
            raise InstrumentError(f"{name} must be of type {wanted.__name__}")
        if wanted in {int, float} and value <= 0:
            raise InstrumentError(f"{name} must be above 0")
    old = _BY_SYMBOL.get(key)
    if old is not None:
        return replace(old, **fields)
    missing = {"exchange_token", "name", "isin", "base_price"} - set(fields)
    if missing or ":" in key or not key:
        raise InstrumentError(f"no instrument {key!r}; a new one also needs {sorted(missing)}")
    return Instrument(symbol=key, **fields)
