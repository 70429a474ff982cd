"""What the exchanges say, by Fyers' public JSON masters, and what each broker's master gets of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from core.adapters.fyers import FYERS
from core.adapters.fyers.exchange_facts import parse_facts
from core.adapters.zerodha import ZERODHA
from core.domain.instrument import ExchangeFacts, InstrumentId
from core.engine.accounts.masters import Masters
from core.errors import BrokerReadError, ReadFault
from tests.fakes.clock import ManualClock
from tests.fakes.scripted_broker import ScriptedBroker

SBIN = InstrumentId("NSE", "SBIN")
NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


def entry(ticker: str, segment: int, freeze: object, lot: object = 1) -> dict[str, object]:
    """Return one instrument of a JSON master."""
    return {"symTicker": ticker, "segment": segment, "qtyFreeze": freeze, "minLotSize": lot}


@pytest.mark.row("R3")
def test_largest_order_is_whole_lots_below_what_the_file_says() -> None:
    """1,756 in the file is 1,755 in an order; a missing or damaged figure is unknown, not zero."""
    rows = [
        entry("NSE:NIFTY26NOVFUT", 11, "1756", 65),
        entry("NSE:BANKNIFTY26NOVFUT", 11, 601, 30),
        entry("BSE:SENSEX26NOVFUT", 11, "1001", "20"),
        entry("NSE:M&M-EQ", 10, "100000"),
        entry("NSE:ITC-EQ", 10, ""),
        entry("NSE:INFY-EQ", 10, None),
        entry("NSE:TCS-EQ", 10, "0"),
        entry("NSE:NIFTY50-INDEX", 10, "-1"),
        entry("NSE:GOLD26NOVFUT", 20, "100"),
    ]
    body = json.dumps({str(row["symTicker"]): row for row in rows}).encode()
    found = parse_facts(body)
    assert {str(name): one.freeze_quantity for name, one in found.items()} == {
        "NFO:NIFTY26NOVFUT": 1755,
        "NFO:BANKNIFTY26NOVFUT": 600,
        "BFO:SENSEX26NOVFUT": 1000,
        "NSE:M&M": 99_999,
    }


def test_isin_is_kept_where_it_is_one() -> None:
    """A share is known by its ISIN; a filler is not one."""
    share = entry("NSE:ITC-EQ", 10, "") | {"isin": "INE154A01025"}
    other = entry("NSE:INFY-EQ", 10, "") | {"isin": "None"}
    body = json.dumps({"a": share, "b": other}).encode()
    assert {str(name): one.isin for name, one in parse_facts(body).items()} == {
        "NSE:ITC": "INE154A01025"
    }


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_something_else_is_malformed(body: bytes) -> None:
    """A page of a proxy is not a file in which nothing freezes."""
    with pytest.raises(BrokerReadError):
        parse_facts(body)


class _Freezes:
    """A ``FactsSource`` that knows SBIN, or fails."""

    def __init__(self) -> None:
        self.trouble = False

    async def load(self) -> Mapping[InstrumentId, ExchangeFacts]:
        if self.trouble:
            raise BrokerReadError(ReadFault.UNREACHABLE, "HTTP 502")
        return {SBIN: ExchangeFacts(100, "INE062A01020")}


@pytest.mark.row("R3")
async def test_every_broker_gets_the_exchanges_freeze() -> None:
    """The freeze is the exchange's: a broker whose master has none gets it from where it stands."""
    brokers = {one: ScriptedBroker(one) for one in (ZERODHA, FYERS)}
    source = _Freezes()
    brokers[FYERS].exchange_facts = source
    masters = Masters(brokers, ManualClock(NOW))
    for broker in brokers:
        table = await masters.instruments(broker)
        assert (table[SBIN].freeze_quantity, table[SBIN].isin) == (100, "INE062A01020")
        assert all(row.freeze_quantity is None for row in table.values() if row.id != SBIN)


@pytest.mark.row("R3")
async def test_unread_freeze_is_unknown() -> None:
    """Without the file instruments still load, and their freeze is unknown."""
    brokers = {one: ScriptedBroker(one) for one in (ZERODHA, FYERS)}
    source = _Freezes()
    source.trouble = True
    brokers[FYERS].exchange_facts = source
    masters = Masters(brokers, ManualClock(NOW))
    assert (await masters.instruments(ZERODHA))[SBIN].freeze_quantity is None
