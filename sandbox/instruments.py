"""What can be traded: a dozen large NSE stocks and two indices, shared by every broker.

Tokens follow Kite's rule ``exchange_token << 8 | segment`` (1 for NSE, 9 for indices). A broker's
simulator writes these instruments in that broker's own spelling.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INSTRUMENTS", "Instrument", "find", "find_token"]

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

_BY_SYMBOL = {item.symbol: item for item in INSTRUMENTS}
_BY_TOKEN = {item.instrument_token: item for item in INSTRUMENTS}


def find(symbol: str, exchange: str = "NSE") -> Instrument | None:
    """Return the instrument of a symbol, or None when there is none."""
    found = _BY_SYMBOL.get(symbol)
    return found if found is not None and found.exchange == exchange else None


def find_token(instrument_token: int) -> Instrument | None:
    """Return the instrument of a Kite instrument token, or None."""
    return _BY_TOKEN.get(instrument_token)
