"""Prices come from the first source that knows the instruments."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)
BAR = Candle(NOON - timedelta(minutes=5), Decimal(1), Decimal(1), Decimal(1), Decimal(1), 1)


@pytest.mark.row("D10")
async def test_source_that_knows_none_of_them_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account whose instruments could not be loaded does not hide the next one's prices."""
    engine = await MemoryEngine(market_clock(NOON)).owned()
    first = await engine.connect("First", ZERODHA)
    second = await engine.connect("Second", FYERS)

    async def refuse(instrument: InstrumentId, **_: object) -> list[Candle]:
        raise BrokerReadError(ReadFault.REFUSED, f"{instrument} is not in Kite's master")

    async def answer(_instrument: InstrumentId, **_: object) -> list[Candle]:
        return [BAR]

    monkeypatch.setattr(engine.at_broker(first), "candles", refuse)
    monkeypatch.setattr(engine.at_broker(second), "candles", answer)
    data = engine.wiring.market_data
    start = NOON - timedelta(hours=1)
    assert await data.candles([SBIN], start=start, end=NOON, minutes=5) == {SBIN: [BAR]}
    monkeypatch.setattr(engine.at_broker(second), "candles", refuse)
    assert await data.candles([SBIN], start=start, end=NOON, minutes=5) == {}
