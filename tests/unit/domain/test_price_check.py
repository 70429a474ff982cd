"""Which prices are believed before an entry: by age, identity and band, each with its numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId
from core.domain.order import Side
from core.domain.price_check import (
    Asked,
    at_circuit,
    band_of,
    doubt_about,
    is_at_limit,
    lacks_limit,
)
from core.domain.sessions import IST

SBIN = InstrumentId("NSE", "SBIN")
FUTURE = InstrumentId("NFO", "SBIN26NOVFUT")
SLOT = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
MINUTE = timedelta(minutes=1)
ASKED = Asked(SLOT, SLOT + timedelta(seconds=2), MINUTE)


def bar(close: str, age: timedelta = MINUTE) -> Candle:
    price = Decimal(close)
    return Candle(SLOT - age, price, price, price, price, 1)


def quote(price: str, at: datetime | None = SLOT, of: InstrumentId = SBIN) -> Quote:
    return Quote(of, Decimal(price), at)


@pytest.mark.row("D10")
@pytest.mark.parametrize(
    ("bars", "answer", "said"),
    [
        ([bar("970.00")], quote("970.00"), ""),
        ([bar("970.00")], quote("1018.50"), ""),
        ([bar("970.00")], quote("924.00"), ""),
        ([bar("97.00")], quote("970.00"), "bars end at ₹97.00, last price is ₹970.00"),
        ([bar("970.00")], quote("97.00"), "bars end at ₹970.00, last price is ₹97.00"),
        ([bar("970.00")], quote("1030.00"), "bars end at ₹970.00, last price is ₹1,030.00"),
        ([bar("970.00")], quote("0"), "last price is ₹0.00"),
        ([], quote("970.00"), "there are no bars of it"),
        ([bar("970.00", 4 * MINUTE)], quote("970.00"), ""),
        ([bar("970.00", 5 * MINUTE)], quote("970.00"), "its newest bar is of 23 Nov 09:55"),
        ([bar("970.00")], None, "no last price could be had"),
        ([bar("970.00")], quote("970.00", of=FUTURE), "the quote that came is of NFO:SBIN26NOVFUT"),
        ([bar("970.00")], quote("970.00", None), ""),
        ([bar("970.00")], quote("970.00", SLOT - 4 * MINUTE), ""),
        ([bar("970.00")], quote("970.00", SLOT - 6 * MINUTE), "its last price is of 23 Nov 09:54"),
        ([bar("970.00")], quote("970.00", SLOT + 60 * MINUTE), ""),
    ],
)
def test_a_price_is_believed_or_said_to_be_wrong(
    bars: list[Candle], answer: Quote | None, said: str
) -> None:
    """Age of bars and quote, identity and five percent of the last price decide, one sentence each."""
    doubt = doubt_about(SBIN, bars, answer, ASKED)
    assert doubt == "" if not said else (said in doubt and doubt.startswith("NSE:SBIN: "))
    assert not said or doubt.endswith(": not entered")


def test_long_bars_may_be_older_and_derivatives_move_further() -> None:
    """With bars of 15 minutes a quote may be 45 minutes old; a future moves 20 % before it is denied."""
    asked = replace(ASKED, step=15 * MINUTE)
    bars = [bar("970.00", 15 * MINUTE)]
    assert doubt_about(SBIN, bars, quote("970.00", SLOT - 40 * MINUTE), asked) == ""
    assert (band_of(SBIN), band_of(FUTURE)) == (Decimal(5), Decimal(20))
    assert doubt_about(FUTURE, [bar("970.00")], quote("1100", of=FUTURE), ASKED) == ""


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("side", "price", "lower", "upper", "expected"),
    [
        (Side.SELL, 90, 90, 110, True),
        (Side.SELL, 91, 90, 110, False),
        (Side.SELL, 110, 90, 110, False),
        (Side.BUY, 110, 90, 110, True),
        (Side.BUY, 90, 90, 110, False),
        (Side.SELL, 90, None, None, False),
        (Side.BUY, 90, None, None, False),
    ],
)
def test_a_side_cannot_trade_beyond_its_own_limit(
    side: Side, price: int, lower: int | None, upper: int | None, expected: bool
):
    """A sell has no buyer at the lower limit; an unknown limit is no reason to wait."""
    low, high = (None if one is None else Decimal(one) for one in (lower, upper))
    quote = Quote(SBIN, Decimal(price), lower_circuit=low, upper_circuit=high)
    assert is_at_limit(side, quote) is expected


@pytest.mark.row("R3")
def test_an_entry_at_its_own_limit_is_said_with_the_price() -> None:
    """A long where nobody sells and a short where nobody buys; the other side trades."""
    low, high = Decimal("726.00"), Decimal("888.00")
    up, down = (Quote(SBIN, one, None, low, high) for one in (high, low))
    said = "NSE:SBIN: its price stands at its {} circuit limit of {}, where nobody {}: not entered"
    assert at_circuit(Side.BUY, up) == said.format("upper", "₹888.00", "sells")
    assert at_circuit(Side.SELL, down) == said.format("lower", "₹726.00", "buys")
    assert at_circuit(Side.SELL, up) == at_circuit(Side.BUY, down) == ""


@pytest.mark.row("R3")
def test_a_limit_is_asked_for_where_the_price_may_stand_at_it() -> None:
    """At the day's end on the order's side, and where that end is unknown; a known limit never."""
    top = Quote(SBIN, Decimal(888), day_high=Decimal(888), day_low=Decimal(800))
    below = replace(top, last_price=Decimal("887.95"))
    bottom = replace(top, last_price=Decimal(800))
    assert [lacks_limit(Side.BUY, one) for one in (top, below, bottom)] == [True, False, False]
    assert [lacks_limit(Side.SELL, one) for one in (top, below, bottom)] == [False, False, True]
    bare = Quote(SBIN, Decimal(888))
    assert lacks_limit(Side.BUY, bare)
    assert lacks_limit(Side.SELL, bare)
    assert not lacks_limit(Side.BUY, replace(bare, upper_circuit=Decimal(900)))
    assert not lacks_limit(Side.SELL, replace(bare, lower_circuit=Decimal(700)))
