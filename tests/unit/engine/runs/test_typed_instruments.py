"""An instrument that a user types is one that Saarthi can trade."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.domain.sessions import IST
from core.errors import UserError
from strategy.registry import STRATEGIES
from tests.fakes.memory_engine import MemoryEngine, market_clock

NAME = "opening_range_breakout"


@pytest.mark.row("R3")
@pytest.mark.parametrize("text", ["MCX:CRUDEOIL26NOVFUT", "NSE:SBIN, CDS:USDINR26NOVFUT"])
async def test_exchange_that_is_not_handled_is_refused_when_typed(text: str) -> None:
    """Quantities are lots there; the sentence names the instrument and what is traded."""
    engine = MemoryEngine(market_clock(datetime(2026, 11, 23, 8, tzinfo=IST)), registry=STRATEGIES)
    settings = engine.control.strategy_settings
    with pytest.raises(UserError, match=r"Found (MCX|CDS):\w+; Saarthi trades on NSE, BSE, NFO"):
        await settings.set_parameter(engine.command(), NAME, "instruments", text)
    await settings.set_parameter(engine.command(), NAME, "instruments", "NSE:SBIN, NFO:X26NOVFUT")


@pytest.mark.row("R3")
async def test_position_counted_in_lots_is_closed_at_the_broker() -> None:
    """Its size would be wrong here: Close says where to close it, and sends nothing."""
    engine = await MemoryEngine(market_clock(datetime(2026, 11, 23, 12, tzinfo=IST))).owned()
    account = await engine.connect()
    with pytest.raises(UserError, match=r"BFO only\. Close this position in the broker's app"):
        await engine.control.orders.close(
            engine.command(), account.broker_id, "MCX:GOLD26DECFUT|NRML", despite_pause=False
        )
    assert engine.at_broker(account).placed == []
