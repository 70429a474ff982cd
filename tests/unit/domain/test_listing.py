"""What cannot be traded is refused with its reason, and what else may be meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.listing import gone, nearest

TODAY = date(2026, 11, 23)


def listed(text: str, segment: Segment = Segment.CASH, expiry: date | None = None) -> Instrument:
    name = InstrumentId.parse(text)
    return Instrument(name, name.symbol, "1", 1, Decimal("0.05"), segment, expiry=expiry)


ROWS = [
    listed("NSE:SBIN"),
    listed("BSE:SBIN"),
    listed("NSE:RELIANCE"),
    listed("NSE:TATAMTRDVR"),
    listed("NSE:TATAMOTORS-BE"),
    listed("NSE:NIFTY 50", Segment.INDEX),
    listed("NFO:SBIN26NOVFUT", Segment.DERIVATIVES, date(2026, 11, 26)),
    listed("NFO:SBIN26OCTFUT", Segment.DERIVATIVES, date(2026, 10, 29)),
    listed("MCX:GOLD26DECFUT", Segment.COMMODITY, date(2026, 12, 5)),
]
KITE = {row.id: row for row in ROWS}


@pytest.mark.row("D10", "R3")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NSE:SBIN", ""),
        ("NFO:SBIN26NOVFUT", ""),
        ("NSE:NIFTY 50", "NSE:NIFTY 50 is an index, which cannot be traded"),
        ("NFO:SBIN26OCTFUT", "NFO:SBIN26OCTFUT expired on 29 Oct 2026"),
        ("MCX:GOLD26DECFUT", "MCX:GOLD26DECFUT is a commodity contract"),
        ("NSE:sbin", "is not in the instruments of Zerodha; did you mean NSE:SBIN or BSE:SBIN?"),
        ("NSE:RELAINCE", "did you mean NSE:RELIANCE?"),
        ("NSE:TATAMOTORS", "did you mean NSE:TATAMOTORS-BE"),
        ("NSE:QQQQ", "NSE:QQQQ is not in the instruments of Zerodha"),
    ],
)
def test_an_instrument_is_looked_up(text: str, said: str) -> None:
    """Unknown, renamed, an index, expired, in lower case: one sentence each."""
    reason = gone(InstrumentId.parse(text), {"Zerodha": KITE}, TODAY)
    assert reason == "" if not said else said in reason


def test_one_brokers_list_is_enough() -> None:
    """What one broker trades is accepted; without any list nothing is known to be gone."""
    sbin = InstrumentId.parse("NSE:SBIN")
    other = {row.id: row for row in ROWS[2:]}
    index = {sbin: replace(ROWS[0], segment=Segment.INDEX)}
    assert gone(sbin, {"Zerodha": KITE, "Fyers": other}, TODAY) == ""
    assert gone(sbin, {"Zerodha": KITE, "Fyers": index}, TODAY) == ""
    assert "Fyers" in gone(sbin, {"Zerodha": {}, "Fyers": other}, TODAY)
    assert gone(sbin, {"Zerodha": {}}, TODAY) == ""


def test_the_exchange_that_was_typed_comes_first() -> None:
    """At most three are named."""
    known = [InstrumentId("NSE", f"ABC{number}") for number in range(9)]
    assert len(nearest(InstrumentId("NSE", "ABC"), known)) == 3
    both = [InstrumentId("BSE", "SBIN"), InstrumentId("NSE", "SBIN")]
    assert nearest(InstrumentId("BSE", "sbin"), both)[0] == InstrumentId("BSE", "SBIN")
