"""Kite's binary ticks, written (facts/kite.md 8.2): a count of packets, each behind its length.

The forms are those that the official SDK's reader (5.2.2) takes: 8 bytes the last price, 44 the
quote, 184 the quote with times, open interest and depth; of an index 28 and 32. Prices are paise:
the simulated exchange has no currencies, whose unit is another.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime

from sandbox.instruments import Instrument
from sandbox.tape import Print

__all__ = ["MODES", "frame", "packet"]

MODES = ("ltp", "quote", "full")
_LEVELS = 5


def frame(packets: Sequence[bytes]) -> bytes:
    """Return one frame of some packets."""
    parts = [struct.pack(">H", len(packets))]
    parts += [struct.pack(">H", len(one)) + one for one in packets]
    return b"".join(parts)


def packet(instrument: Instrument, mode: str, found: Print, now: datetime) -> bytes:
    """Return a print as a packet.

    Args:
        instrument: What was traded.
        mode: How much the packet says.
        found: The print.
        now: The exchange's time of the packet where the print has none.
    """
    token = instrument.instrument_token
    if mode == "ltp":
        return struct.pack(">2I", token, _paise(found.price))
    at = int((found.at or now).timestamp())
    if instrument.is_index:
        return _index(token, found, at if mode == "full" else None)
    quote = struct.pack(
        ">11I",
        token,
        _paise(found.price),
        found.quantity,
        _paise(found.average),
        found.volume,
        *_book_totals(),
        *map(_paise, (found.open, found.high, found.low, found.close)),
    )
    if mode == "quote":
        return quote
    traded = int(found.at.timestamp()) if found.at else 0
    return quote + struct.pack(">5I", traded, 0, 0, 0, at) + _depth(instrument, found.price)


def _index(token: int, found: Print, at: int | None) -> bytes:
    """Return an index's packet: high and low come before open and close there."""
    values = (found.price, found.high, found.low, found.open, found.close)
    change = _paise(found.price) - _paise(found.close)
    body = struct.pack(">6Ii", token, *map(_paise, values), change)
    return body if at is None else body + struct.pack(">I", at)


def _paise(price: float) -> int:
    return round(price * 100)


def _book_totals() -> tuple[int, int]:
    total = sum(250 * (level + 1) for level in range(_LEVELS))
    return total, total


def _depth(instrument: Instrument, price: float) -> bytes:
    """Return five bids, then five offers, a tick apart about the last price."""
    rows = []
    for sign in (-1, 1):
        for level in range(1, _LEVELS + 1):
            at = max(0.0, price + sign * instrument.tick_size * level)
            rows.append(struct.pack(">IIHH", 250 * level, _paise(at), level + 1, 0))
    return b"".join(rows)
