"""Kite's binary ticks, read (facts/kite.md 8.2): pure.

A frame is a count of packets, then each packet behind its length; all numbers are big-endian. The
length of a packet is its mode: 8 bytes the last price, 44 the quote, 184 the quote with times, open
interest and depth; of an index 28 and 32. Prices are whole numbers whose unit depends on the
segment, which is the last byte of the token. The order of the fields is that of the official SDK's
reader (5.2.2), whose times depend on the machine's zone and whose prices are floats.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from core.adapters.clock import MARKET_ZONE

__all__ = ["DepthLevel", "Frame", "Ohlc", "Tick", "TickMode", "read_frame"]

_CDS, _BCD, _INDICES, _NCO = 3, 6, 9, 12
_DECIMALS: Final = {_CDS: 7, _BCD: 4, _NCO: 4}
_DECIMALS_ELSE: Final = 2
_LTP, _INDEX_QUOTE, _INDEX_FULL, _QUOTE, _FULL = 8, 28, 32, 44, 184
_DEPTH_AT, _DEPTH_LEVELS = 64, 5
_LEVEL = struct.Struct(">IIHxx")
_COUNT = struct.Struct(">H")


class TickMode(StrEnum):
    """How much a packet says."""

    LTP = "ltp"
    QUOTE = "quote"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Ohlc:
    """The day's open, high and low, and the close of the day before."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class DepthLevel:
    """One level of the book."""

    quantity: int
    price: Decimal
    orders: int


@dataclass(frozen=True, slots=True)
class Tick:
    """One packet. What its mode does not say is None, or empty.

    Attributes:
        token: Kite's number of the instrument.
        is_index: Whether it is an index, which has no volume and cannot be traded.
        volume: Units traded today.
        traded_at: When it was last traded, aware, IST.
        exchange_at: The exchange's time of the packet, aware, IST.
    """

    token: int
    mode: TickMode
    is_index: bool
    last_price: Decimal
    day: Ohlc | None = None
    last_quantity: int | None = None
    average_price: Decimal | None = None
    volume: int | None = None
    buy_quantity: int | None = None
    sell_quantity: int | None = None
    traded_at: datetime | None = None
    exchange_at: datetime | None = None
    open_interest: int | None = None
    open_interest_high: int | None = None
    open_interest_low: int | None = None
    bids: tuple[DepthLevel, ...] = ()
    asks: tuple[DepthLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """The ticks of one frame, in its order; ``unknown`` packets had no length that is known."""

    ticks: tuple[Tick, ...]
    unknown: int = 0


def read_frame(frame: bytes, *, has_depth: bool = True) -> Frame:
    """Return the ticks of a binary frame; none for a heartbeat.

    Args:
        frame: The frame.
        has_depth: Whether the book is wanted, which is half of the work.

    Raises:
        ValueError: The frame ends before its packets do, or goes on after them.
    """
    if len(frame) < _COUNT.size:
        return Frame(())
    (count,) = _COUNT.unpack_from(frame)
    at, ticks, unknown = _COUNT.size, [], 0
    for _ in range(count):
        packet, at = _packet(frame, at)
        tick = _tick(packet, has_depth=has_depth)
        if tick is None:
            unknown += 1
        else:
            ticks.append(tick)
    if at != len(frame):
        raise ValueError(f"{len(frame) - at} bytes after the last of {count} packets")
    return Frame(tuple(ticks), unknown)


def _packet(frame: bytes, at: int) -> tuple[bytes, int]:
    """Return the packet whose length stands at ``at``, and where the next one begins."""
    begins = at + _COUNT.size
    if begins > len(frame):
        raise ValueError("the frame ends before its packets do")
    (length,) = _COUNT.unpack_from(frame, at)
    if begins + length > len(frame):
        raise ValueError("the frame ends inside a packet")
    return frame[begins : begins + length], begins + length


def _tick(packet: bytes, *, has_depth: bool) -> Tick | None:
    """Return what a packet says, None when its length is no known mode."""
    match len(packet):
        case 8:
            token, last = struct.unpack(">2I", packet)
            return Tick(token, TickMode.LTP, _is_index(token), _price(last, token))
        case 28 | 32:
            return _index(packet)
        case 44 | 184:
            return _instrument(packet, has_depth=has_depth)
        case _:
            return None


def _index(packet: bytes) -> Tick:
    # The seventh number is the change, which follows from the last price and the close.
    token, last, high, low, opened, close = struct.unpack_from(">6I", packet)
    is_full = len(packet) == _INDEX_FULL
    return Tick(
        token,
        TickMode.FULL if is_full else TickMode.QUOTE,
        _is_index(token),
        _price(last, token),
        _ohlc(token, opened, high, low, close),
        exchange_at=_time(struct.unpack_from(">I", packet, _INDEX_QUOTE)[0]) if is_full else None,
    )


def _instrument(packet: bytes, *, has_depth: bool) -> Tick:
    token, last, quantity, average, volume, buys, sells, *day = struct.unpack_from(">11I", packet)
    is_full = len(packet) == _FULL
    traded, interest, most, least, at = (
        struct.unpack_from(">5I", packet, _QUOTE) if is_full else (0, None, None, None, 0)
    )
    levels = _levels(packet, token) if is_full and has_depth else ()
    return Tick(
        token,
        TickMode.FULL if is_full else TickMode.QUOTE,
        _is_index(token),
        _price(last, token),
        _ohlc(token, *day),
        last_quantity=quantity,
        average_price=_price(average, token),
        volume=volume,
        buy_quantity=buys,
        sell_quantity=sells,
        traded_at=_time(traded),
        exchange_at=_time(at),
        open_interest=interest,
        open_interest_high=most,
        open_interest_low=least,
        bids=levels[:_DEPTH_LEVELS],
        asks=levels[_DEPTH_LEVELS:],
    )


def _levels(packet: bytes, token: int) -> tuple[DepthLevel, ...]:
    """Return the ten levels: five bids, then five asks."""
    return tuple(
        DepthLevel(quantity, _price(price, token), orders)
        for quantity, price, orders in _LEVEL.iter_unpack(packet[_DEPTH_AT:])
    )


def _is_index(token: int) -> bool:
    return token & 0xFF == _INDICES


def _price(units: int, token: int) -> Decimal:
    return Decimal(units).scaleb(-_DECIMALS.get(token & 0xFF, _DECIMALS_ELSE))


def _ohlc(token: int, opened: int, high: int, low: int, close: int) -> Ohlc:
    return Ohlc(*(_price(units, token) for units in (opened, high, low, close)))


def _time(seconds: int) -> datetime | None:
    """Return a time of the wire; 0 says that there is none."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(MARKET_ZONE) if seconds else None
