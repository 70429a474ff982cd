"""Instruments of the simulated exchange, shared by every broker.

A dozen large shares of NSE with their twins at BSE, a small share without derivatives, two indices.
Tokens follow Kite's rule ``exchange_token << 8 | segment`` (1 NSE, 2 NFO, 4 BSE, 9 indices). A
broker's simulator writes instruments in that broker's own spelling; inside the sandbox one is named
by its ``key``. The control port can change instruments while the sandbox runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

__all__ = [
    "BSE",
    "INSTRUMENTS",
    "NFO",
    "NSE",
    "Instrument",
    "InstrumentError",
    "by_key",
    "by_token",
    "changed_instrument",
    "instruments",
    "put",
    "restore",
]

NSE, BSE, NFO = "NSE", "BSE", "NFO"
_SEGMENT_NUMBERS = {NSE: 1, NFO: 2, BSE: 4}
_INDEX_NUMBER = 9


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
        has_derivatives: A share with derivatives has a closing auction, so it stops at 15:15.
        future_lot: Lot of its futures; 0 lists none.
        future_freeze: Freeze quantity of its futures; 0 for 40 lots.
        derivative_name: What its futures are called: ``NIFTY`` of ``NIFTY 50``.
        expiry: Last day of a contract, None in the cash market.
        follows: Key of the instrument whose price it follows: a twin at BSE, an underlying.
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
    exchange: str = NSE
    lot_size: int = 1
    published_freeze: int | None = None
    is_listed: bool = True
    has_derivatives: bool = True
    future_lot: int = 0
    future_freeze: int = 0
    derivative_name: str = ""
    expiry: date | None = None
    follows: str = ""

    def __post_init__(self) -> None:
        """Derivatives of a share carry its symbol."""
        if not self.derivative_name:
            object.__setattr__(self, "derivative_name", self.symbol)

    @property
    def key(self) -> str:
        """The name inside the sandbox: the symbol, with its exchange unless that is NSE."""
        return self.symbol if self.exchange == NSE else f"{self.exchange}:{self.symbol}"

    @property
    def hours(self) -> str:
        """The segment whose sessions it trades in (``sandbox.sessions``)."""
        if self.is_index:
            return "index"
        if self.expiry:
            return "derivatives"
        return "auction" if self.has_derivatives else "cash"

    @property
    def largest_order(self) -> int:
        """The largest quantity of one order that is whole lots, the size of a slice."""
        return self.freeze_quantity // self.lot_size * self.lot_size

    @property
    def instrument_token(self) -> int:
        """Kite's instrument token."""
        number = _INDEX_NUMBER if self.is_index else _SEGMENT_NUMBERS[self.exchange]
        return self.exchange_token << 8 | number

    @property
    def segment(self) -> str:
        """Kite's segment name."""
        if self.is_index:
            return "INDICES"
        return f"{self.exchange}-FUT" if self.expiry else self.exchange


_SHARES = (
    # symbol, token at NSE, token at BSE, name, ISIN, synthetic level, lot of its futures
    ("RELIANCE", 2885, 500325, "RELIANCE INDUSTRIES", "INE002A01018", 1480.0, 500),
    ("SBIN", 3045, 500112, "STATE BANK OF INDIA", "INE062A01020", 905.0, 750),
    ("INFY", 1594, 500209, "INFOSYS", "INE009A01021", 1510.0, 400),
    ("TCS", 11536, 532540, "TATA CONSULTANCY SERV LT", "INE467B01029", 3120.0, 175),
    ("HDFCBANK", 1333, 500180, "HDFC BANK", "INE040A01034", 985.0, 550),
    ("ICICIBANK", 4963, 532174, "ICICI BANK", "INE090A01021", 1365.0, 700),
    ("AXISBANK", 5900, 532215, "AXIS BANK", "INE238A01034", 1225.0, 625),
    ("TATAMOTORS", 3456, 500570, "TATA MOTORS", "INE155A01022", 395.0, 800),
    ("WIPRO", 3787, 507685, "WIPRO", "INE075A01022", 245.0, 3000),
    ("MARUTI", 10999, 532500, "MARUTI SUZUKI INDIA", "INE585B01010", 15800.0, 50),
    ("KOTAKBANK", 1922, 500247, "KOTAK MAHINDRA BANK", "INE237A01028", 2090.0, 400),
    ("ITC", 1660, 500875, "ITC", "INE154A01025", 405.0, 1600),
)
_COARSE_TICKS = {"MARUTI": 0.5}


def _shares(exchange: str) -> list[Instrument]:
    rows = []
    for symbol, nse, bse, name, isin, level, lot in _SHARES:
        tick = _COARSE_TICKS.get(symbol, 0.05)
        if exchange == NSE:
            rows.append(Instrument(symbol, nse, name, isin, level, tick, future_lot=lot))
        else:
            twin = Instrument(symbol, bse, name, isin, level, tick, exchange=BSE, follows=symbol)
            rows.append(twin)
    return rows


INSTRUMENTS: tuple[Instrument, ...] = (
    *_shares(NSE),
    Instrument("AARON", 1030, "AARON INDUSTRIES", "INE721Z01010", 350.0, has_derivatives=False),
    Instrument(
        "NIFTY 50",
        1001,
        "NIFTY 50",
        "",
        25900.0,
        is_index=True,
        future_lot=65,
        future_freeze=1755,
        derivative_name="NIFTY",
    ),
    Instrument(
        "NIFTY BANK",
        1017,
        "NIFTY BANK",
        "",
        58700.0,
        is_index=True,
        future_lot=30,
        future_freeze=600,
        derivative_name="BANKNIFTY",
    ),
    *_shares(BSE),
)
"""The cash market and the indices; their futures depend on the day (``sandbox.futures``)."""

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
    "has_derivatives": bool,
}


class InstrumentError(ValueError):
    """A change of an instrument that cannot be made; the message says why."""


def instruments() -> list[Instrument]:
    """Return every share and index that is listed."""
    return [item for item in _BY_SYMBOL.values() if item.is_listed]


def by_key(key: str) -> Instrument | None:
    """Return the share or index of a key, listed or not, or None when there is none."""
    return _BY_SYMBOL.get(key)


def by_token(instrument_token: int) -> Instrument | None:
    """Return the share or index of a Kite instrument token, or None."""
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
