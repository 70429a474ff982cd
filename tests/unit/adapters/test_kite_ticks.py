"""Kite's binary ticks: frames built by the facts, and frames that nobody should send."""

from __future__ import annotations

import struct
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.zerodha.ticks import DepthLevel, Frame, Ohlc, Tick, TickMode, read_frame
from core.domain.sessions import IST

SBIN = 3042 << 8 | 1
NIFTY = 1001 << 8 | 9
USDINR = 412 << 8 | 3
BSE_USDINR = 412 << 8 | 6
NCO = 77 << 8 | 12
AT = datetime(2026, 11, 23, 9, 31, 5, tzinfo=IST)
DAY = (81_000, 82_050, 80_510, 81_505)
QUOTE = struct.pack(">11I", SBIN, 81_510, 3, 81_234, 1_234_567, 900, 800, *DAY)
LEVELS = [(10 * n, 81_500 + 5 * n, n) for n in range(10)]
FULL = (
    QUOTE
    + struct.pack(">5I", int(AT.timestamp()) - 1, 5_000, 6_000, 4_000, int(AT.timestamp()))
    + b"".join(struct.pack(">IIHH", *level, 0) for level in LEVELS)
)
INDEX = struct.pack(">7I", NIFTY, 2_600_010, 2_610_000, 2_590_000, 2_595_000, 2_580_000, 20_010)
OHLC = Ohlc(Decimal("810.00"), Decimal("820.50"), Decimal("805.10"), Decimal("815.05"))
SHARE = Tick(
    SBIN,
    TickMode.QUOTE,
    is_index=False,
    last_price=Decimal("815.10"),
    day=OHLC,
    last_quantity=3,
    average_price=Decimal("812.34"),
    volume=1_234_567,
    buy_quantity=900,
    sell_quantity=800,
)


def frame(*packets: bytes) -> bytes:
    """Return a frame of packets, each behind its length."""
    parts = [struct.pack(">H", len(packets))]
    parts += [struct.pack(">H", len(packet)) + packet for packet in packets]
    return b"".join(parts)


def ltp(token: int, units: int) -> bytes:
    return struct.pack(">II", token, units)


@pytest.mark.parametrize("heartbeat", [b"", b"\x00"])
def test_heartbeat_has_no_ticks(heartbeat: bytes) -> None:
    """A byte alone is a sign of life."""
    assert read_frame(heartbeat) == Frame(())


@pytest.mark.parametrize(
    ("token", "units", "price"),
    [
        (SBIN, 81_510, "815.10"),
        (NIFTY, 2_600_010, "26000.10"),
        (USDINR, 842_575_000, "84.2575000"),
        (BSE_USDINR, 842_575, "84.2575"),
        (NCO, 842_575, "84.2575"),
        (SBIN, 2**32 - 1, "42949672.95"),
    ],
)
def test_prices_are_exact_in_the_unit_of_their_segment(token: int, units: int, price: str) -> None:
    """Paise; at the currency segments four or seven places. No float takes part."""
    (tick,) = read_frame(frame(ltp(token, units))).ticks
    is_index = token == NIFTY
    assert tick == Tick(token, TickMode.LTP, is_index=is_index, last_price=Decimal(price))
    assert str(tick.last_price) == price


def test_quote_has_the_day() -> None:
    """44 bytes: quantities, average, volume and the day in the order open, high, low, close."""
    assert read_frame(frame(QUOTE)) == Frame((SHARE,))


def test_full_has_times_interest_and_depth() -> None:
    """184 bytes: the quote, then times in IST, open interest, five bids and five asks."""
    (tick,) = read_frame(frame(FULL)).ticks
    assert (tick.mode, tick.day, tick.volume) == (TickMode.FULL, OHLC, 1_234_567)
    assert (tick.exchange_at, tick.traded_at) == (AT, AT.replace(second=4))
    assert tick.exchange_at is not None and tick.exchange_at.utcoffset() == AT.utcoffset()
    interest = (tick.open_interest, tick.open_interest_high, tick.open_interest_low)
    assert interest == (5_000, 6_000, 4_000)
    found = [DepthLevel(q, Decimal(p).scaleb(-2), n) for q, p, n in LEVELS]
    assert (list(tick.bids), list(tick.asks)) == (found[:5], found[5:])


def test_no_time_on_the_wire_is_none() -> None:
    """An instrument that has not traded yet has 0 there, which is not 1970."""
    (tick,) = read_frame(frame(FULL[:44] + bytes(4) + FULL[48:])).ticks
    assert tick.traded_at is None and tick.exchange_at == AT


@pytest.mark.parametrize("is_full", [False, True])
def test_index_has_the_day_in_another_order(is_full: bool) -> None:
    """28 and 32 bytes: high, low, open, close; the time with 32; no volume."""
    packet = INDEX + (struct.pack(">I", int(AT.timestamp())) if is_full else b"")
    expected = Tick(
        NIFTY,
        TickMode.FULL if is_full else TickMode.QUOTE,
        is_index=True,
        last_price=Decimal("26000.10"),
        day=Ohlc(
            Decimal("25950.00"), Decimal("26100.00"), Decimal("25900.00"), Decimal("25800.00")
        ),
        exchange_at=AT if is_full else None,
    )
    assert read_frame(frame(packet)) == Frame((expected,))


def test_packets_of_all_modes_stand_in_one_frame() -> None:
    """In their order; one of a length that is not known yet is counted and harms no other."""
    found = read_frame(frame(ltp(SBIN, 1), b"x" * 50, QUOTE, b"", INDEX, FULL))
    modes = [TickMode.LTP, TickMode.QUOTE, TickMode.QUOTE, TickMode.FULL]
    assert ([one.mode for one in found.ticks], found.unknown) == (modes, 2)


@pytest.mark.parametrize(
    "broken",
    [
        frame(QUOTE)[:-1],
        frame(QUOTE, FULL)[:100],
        struct.pack(">H", 1),
        struct.pack(">HB", 1, 0),
        frame(QUOTE) + b"\x00",
        b"\x00\x00\x00",
    ],
)
def test_cut_frame_says_so(broken: bytes) -> None:
    """A frame that does not end with its last packet is not believed at all."""
    with pytest.raises(ValueError, match=r"frame|packet"):
        read_frame(broken)


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_refused(anything: bytes) -> None:
    """No bytes raise anything but ``ValueError``."""
    try:
        found = read_frame(anything)
    except ValueError:
        return
    assert all(tick.last_price >= 0 for tick in found.ticks)


@given(st.lists(st.sampled_from([QUOTE, FULL, INDEX, ltp(SBIN, 5)]), max_size=20))
def test_each_packet_is_one_tick(packets: list[bytes]) -> None:
    """However many there are, and each as if it were alone."""
    found = read_frame(frame(*packets))
    alone = [tick for packet in packets for tick in read_frame(frame(packet)).ticks]
    assert (list(found.ticks), found.unknown) == (alone, 0)
