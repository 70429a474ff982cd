"""One look at prices serves everybody who judges by them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.ticks import PriceTick
from core.engine.runs import price_watch
from core.engine.runs.price_watch import Need, PriceWatch
from core.errors import BrokerReadError, ReadFault, StoreUnavailable
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = [pytest.mark.row("R5", "D9")]
TCS = InstrumentId("NSE", "TCS")


class CountingAccount(ScriptedAccount):
    """Notes what quotes it was asked for; one that ``hangs`` never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[InstrumentId]] = []
        self.hangs = False

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        self.asked.append(list(instruments))
        if self.hangs:
            await asyncio.Event().wait()
        return await super().quotes(instruments)


@dataclass
class Judge:
    """Needs what a test says, and notes that it judged."""

    wants: Need | None
    trouble: Exception | None = None
    judged: int = 0
    needs: list[str] = field(default_factory=list)

    async def need(self) -> Need | None:
        return self.wants

    async def judge(self) -> None:
        self.judged += 1
        if self.trouble is not None:
            raise self.trouble


async def opened(*judges: Judge) -> tuple[MemoryEngine, CountingAccount, PriceWatch]:
    engine = await MemoryEngine(ManualClock()).owned()
    for broker in engine.brokers.values():
        broker.accounts.default_factory = CountingAccount
    account = await engine.connect()
    at = engine.brokers[ZERODHA].accounts[account.broker_id]
    assert isinstance(at, CountingAccount)
    wiring = engine.wiring
    parts = wiring.price_parts
    watch = PriceWatch(
        engine.clock, parts.data, wiring.prices, judges, live=parts.live, feed=parts.feed
    )
    return engine, at, watch


async def test_one_request_serves_all_judges() -> None:
    """At the pace of the quickest; nobody asks for the same price twice."""
    quick, slow = Judge(Need(frozenset([SBIN]), 3)), Judge(Need(frozenset([SBIN, TCS]), 6))
    idle = Judge(None)
    engine, at, watch = await opened(quick, slow, idle)
    for _ in range(3):
        await watch.tick()
        await engine.clock.advance(1.5)
    assert at.asked == [[SBIN, TCS]] * 2
    assert (quick.judged, slow.judged, idle.judged) == (2, 2, 0)
    assert engine.wiring.prices.get(SBIN) is not None


async def test_nothing_is_asked_where_nobody_needs_a_price() -> None:
    """What is closed has a result without a price."""
    judge = Judge(Need(frozenset(), 3))
    _, at, watch = await opened(judge)
    await watch.tick()
    assert (at.asked, judge.judged) == ([], 1)


async def test_failing_request_leaves_the_judging_to_the_judges() -> None:
    """The last price keeps its time, and everybody judges what it is worth."""
    judge = Judge(Need(frozenset([SBIN]), 3))
    engine, at, watch = await opened(judge)
    await watch.tick()
    first = engine.wiring.prices.get(SBIN)
    at.trouble = BrokerReadError(ReadFault.UNREACHABLE, "503")
    await engine.clock.advance(3)
    await watch.tick()
    assert engine.wiring.prices.get(SBIN) == first
    assert judge.judged == 2


async def test_judge_that_fails_keeps_no_other_from_judging() -> None:
    """Its error is raised when all have judged; a store that is away is no error."""
    broken, away = Judge(Need(frozenset(), 3), ValueError("no")), Judge(Need(frozenset(), 3))
    away.trouble, last = StoreUnavailable("away"), Judge(Need(frozenset(), 3))
    _, _, watch = await opened(away, broken, last)
    with pytest.raises(ValueError, match="no"):
        await watch.tick()
    assert last.judged == 1


async def test_source_that_hangs_costs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one answers, and the slow one is asked last from then on."""
    monkeypatch.setattr(price_watch, "_ANSWER_S", 0.0)
    engine, at, watch = await opened(Judge(Need(frozenset([SBIN]), 3)))
    other = await engine.connect("Other", FYERS)
    at.hangs = True
    await watch.tick()
    price = engine.wiring.prices.get(SBIN)
    assert price is not None and price.last == Decimal("815.10")
    await engine.clock.advance(3)
    await watch.tick()
    second = engine.brokers[FYERS].accounts[other.broker_id]
    assert isinstance(second, CountingAccount)
    assert (len(at.asked), len(second.asked)) == (1, 2)


async def test_price_of_zero_is_no_price() -> None:
    """A feed without a price says zero, which every guard and stop would take for a total loss."""
    engine, at, watch = await opened(Judge(Need(frozenset([SBIN]), 3)))
    await watch.tick()
    first = engine.wiring.prices.get(SBIN)
    at.quote_list[SBIN] = Quote(SBIN, Decimal(0))
    await engine.clock.advance(3)
    await watch.tick()
    assert engine.wiring.prices.get(SBIN) == first


async def test_price_of_before_the_clock_was_set_back_is_replaced() -> None:
    """Its time is yet to come by then, and it would hide every newer price until that."""
    engine, at, watch = await opened(Judge(Need(frozenset([SBIN]), 3)))
    at.quote_list[SBIN] = Quote(SBIN, Decimal(820))
    await watch.tick()
    await engine.clock.advance(3)
    engine.clock.step_wall(-600)
    at.quote_list[SBIN] = Quote(SBIN, Decimal(700))
    await watch.tick()
    found = engine.wiring.prices.get(SBIN)
    assert found is not None and found.last == 700


async def test_price_that_is_pushed_is_not_asked_for() -> None:
    """Only of what the stream does not tell; when it falls silent the request comes back."""
    judge = Judge(Need(frozenset([SBIN, TCS]), 3))
    engine, at, watch = await opened(judge)
    live, now = engine.wiring.price_parts.live, engine.clock.market_now()
    live.is_streaming = True
    live.hear([PriceTick(SBIN, Decimal("815.10"), now, now, now, 5)])
    live.take({SBIN: Quote(SBIN, Decimal("815.10"), volume=5)}, asked_at=now)
    live.hear([PriceTick(SBIN, Decimal("816.00"), now, now, now, 6)])
    await watch.tick()
    found = engine.wiring.prices.get(SBIN)
    assert found is not None and found.last == Decimal("816.00")
    assert (at.asked, judge.judged) == ([[TCS]], 1)
    live.hear([PriceTick(SBIN, Decimal(0), now, now, now, 6)])
    assert engine.wiring.prices.get(SBIN) == found  # a price of zero is none
    await engine.clock.advance(9)
    await watch.tick()
    assert at.asked == [[TCS], [SBIN, TCS]]


async def test_pushed_price_outside_the_limits_of_the_day_is_none() -> None:
    """The circuit limits of the last quote hold for what is pushed too."""
    engine, _, _ = await opened()
    live, now = engine.wiring.price_parts.live, engine.clock.market_now()
    live.is_streaming = True
    low, high = Decimal(800), Decimal(830)
    live.hear([PriceTick(SBIN, Decimal(815), now, now, now, 5)])
    live.take({SBIN: Quote(SBIN, Decimal(815), None, low, high, volume=5)}, asked_at=now)
    live.hear([PriceTick(SBIN, Decimal(700), now, now, now, 6)])
    found = engine.wiring.prices.get(SBIN)
    assert found is not None and found.last == 815 and live.quote(SBIN) is None


async def test_quote_of_what_does_not_trade_keeps_its_price_of_now() -> None:
    """No tick comes where nothing trades: the quote that proves it is a price of its own time."""
    engine, _, _ = await opened()
    live, clock = engine.wiring.price_parts.live, engine.clock
    live.is_streaming = True
    first = clock.market_now()
    live.hear([PriceTick(SBIN, Decimal(815), first, first, first, 5)])
    quote = Quote(SBIN, Decimal(815), volume=5)
    live.take({SBIN: quote}, asked_at=first)
    await clock.advance(14)
    live.take({SBIN: quote}, asked_at=clock.market_now())
    found = engine.wiring.prices.get(SBIN)
    assert found is not None and found.at == clock.now() and live.is_fresh(SBIN)
