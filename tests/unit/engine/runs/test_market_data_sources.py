"""Prices come from the first source that knows the instruments."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST
from core.engine.runs import market_data
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


@pytest.mark.row("D10")
@pytest.mark.parametrize("second_knows", [True, False], ids=["another answers", "no other does"])
async def test_a_source_that_hangs_is_left_for_another_and_asked_again_at_last(
    monkeypatch: pytest.MonkeyPatch, *, second_knows: bool
) -> None:
    """A slot does not wait for a whole deadline where others have prices; a slow one is not lost."""
    monkeypatch.setattr(market_data, "_NEXT_AFTER_S", 0.01)
    engine = await MemoryEngine(market_clock(NOON)).owned()
    first = await engine.connect("First", ZERODHA)
    second = await engine.connect("Second", FYERS)
    asked: list[str] = []

    async def hang_once(_instrument: InstrumentId, **_: object) -> list[Candle]:
        asked.append("first")
        if len(asked) == 1:
            await asyncio.Event().wait()
        return [BAR]

    async def answer(_instrument: InstrumentId, **_: object) -> list[Candle]:
        asked.append("second")
        if not second_knows:
            raise BrokerReadError(ReadFault.PERMISSION, "no data in this plan")
        return [BAR]

    monkeypatch.setattr(engine.at_broker(first), "candles", hang_once)
    monkeypatch.setattr(engine.at_broker(second), "candles", answer)
    data = engine.wiring.market_data
    start = NOON - timedelta(hours=1)
    assert await data.candles([SBIN], start=start, end=NOON, minutes=5) == {SBIN: [BAR]}
    assert asked == ["first", "second"] + ([] if second_knows else ["first"])


@pytest.mark.row("D10")
async def test_who_only_needs_longer_is_asked_again_before_who_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first one's whole deadline would leave a slot no time for the other's answer."""
    monkeypatch.setattr(market_data, "_NEXT_AFTER_S", 0.01)
    engine = await MemoryEngine(market_clock(NOON)).owned()
    first = await engine.connect("First", ZERODHA)
    second = await engine.connect("Second", FYERS)
    asked: list[str] = []

    async def hang(_instrument: InstrumentId, **_: object) -> list[Candle]:
        asked.append("first")
        await asyncio.Event().wait()
        return []

    async def need_longer(_instrument: InstrumentId, **_: object) -> list[Candle]:
        asked.append("second")
        if asked.count("second") == 1:
            await asyncio.Event().wait()
        return [BAR]

    monkeypatch.setattr(engine.at_broker(first), "candles", hang)
    monkeypatch.setattr(engine.at_broker(second), "candles", need_longer)
    data = engine.wiring.market_data
    start = NOON - timedelta(hours=1)
    assert await data.candles([SBIN], start=start, end=NOON, minutes=5) == {SBIN: [BAR]}
    assert asked == ["first", "second", "second"]
