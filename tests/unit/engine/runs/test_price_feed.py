"""The stream of prices is watched: what it does not tell is asked for, and the user is told once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.notices.prices import PricesPolled, PricesPushed
from core.domain.sessions import IST
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.price_feed import PriceFeed
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.scripted_broker import ScriptedAccount
from tests.fakes.scripted_prices import ScriptedPrices
from tests.fakes.stream_server import until

pytestmark = pytest.mark.row("D10")

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)
TCS = InstrumentId("NSE", "TCS")
MANY = [InstrumentId("NSE", f"SHARE{number}") for number in range(8)]


class Quoting(ScriptedAccount):
    """Notes what quotes it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[InstrumentId]] = []

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        self.asked.append(list(instruments))
        return await super().quotes(instruments)


@dataclass
class Feeding:
    """A feed that runs over one account."""

    engine: MemoryEngine
    at: Quoting
    stream: ScriptedPrices

    @property
    def feed(self) -> PriceFeed:
        """The feed."""
        return self.engine.wiring.price_parts.feed

    @property
    def live(self) -> LivePrices:
        """What is heard."""
        return self.engine.wiring.price_parts.live

    def quote(self, name: InstrumentId, last: str, volume: int | None = None) -> None:
        """Let a quote say so."""
        self.at.quote_list[name] = Quote(name, Decimal(last), volume=volume)

    async def goes_on(self) -> None:
        """Let half a second pass, and the feed look once."""
        await self.engine.clock.advance(0.5)
        await self.engine.clock.wait_for_sleepers()

    async def passes(self, seconds: float) -> None:
        """Let time pass in halves of a second, with a sign of life in each."""
        for _ in range(int(seconds * 2)):
            await self.goes_on()
            if self.stream.status.is_live:
                self.stream.beat()

    async def trades(self, seconds: float, last: str = "815.10", *, late_s: float = 0) -> None:
        """Let SBIN trade twice a second for a while, its quote with it."""
        for _ in range(int(seconds * 2)):
            self.volume += 1
            self.quote(SBIN, last, self.volume)
            self.stream.tick(SBIN, last, self.volume, late_s=late_s)
            await self.goes_on()

    volume: int = 100

    async def told(self) -> list[str]:
        """Return what the user was told of prices."""
        return [n.kind for n in await self.engine.notices(PricesPolled, PricesPushed)]


@asynccontextmanager
async def feeding(
    *wanted: InstrumentId, has_stream: bool = True, refuses: bool = False
) -> AsyncIterator[Feeding]:
    """Run a feed until the block ends."""
    engine = await MemoryEngine(market_clock(NOON)).owned()
    engine.brokers[ZERODHA].accounts.default_factory = Quoting
    account = await engine.connect()
    at = engine.brokers[ZERODHA].accounts[account.broker_id]
    assert isinstance(at, Quoting)
    stream = ScriptedPrices(engine.clock)
    stream.refuses = refuses
    at.price_stream = stream if has_stream else None
    found = Feeding(engine, at, stream)
    found.feed.want("runs", wanted or [SBIN], has_bars=True)
    task = asyncio.create_task(found.feed.run())
    try:
        await until(lambda: stream.runs or not has_stream)
        await engine.clock.wait_for_sleepers()
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_told_is_there_without_a_request() -> None:
    """One quote proves that the stream tells of the instrument; after that nothing is asked."""
    async with feeding() as it:
        await it.trades(10)
        assert it.stream.wanted == {SBIN} and it.live.is_live(SBIN)
        price = it.engine.wiring.prices.get(SBIN)
        assert price is not None and it.engine.clock.now() - price.at <= timedelta(seconds=0.5)
        assert it.at.asked == [[SBIN]]
        quote = it.live.quote(SBIN)
        assert quote is not None and quote.last_price == Decimal("815.10")
        assert await it.told() == []


async def test_price_of_another_instrument_is_not_believed() -> None:
    """A token that leads elsewhere: the stream and the quote by name are far apart."""
    async with feeding() as it:
        it.quote(SBIN, "815.10", 1)
        for _ in range(6):
            it.stream.tick(SBIN, "3512.00", 5)
            await it.goes_on()
        assert not it.live.is_live(SBIN) and it.live.quote(SBIN) is None
        price = it.engine.wiring.prices.get(SBIN)
        assert price is not None and price.last == Decimal("815.10")  # the quote's


async def test_prices_that_stop_are_noticed_within_five_seconds() -> None:
    """Heartbeats go on and the quote moves: not believed any more, said once, and opened anew."""
    async with feeding() as it:
        await it.trades(12)
        it.quote(SBIN, "816.00", 10_000)
        await it.passes(5)
        assert not it.live.is_live(SBIN) and it.live.quote(SBIN) is None
        assert await it.told() == ["prices_polled"]
        await it.passes(20)
        assert await it.told() == ["prices_polled"]
        assert it.stream.runs > 1
        await it.trades(40)
        assert it.live.is_live(SBIN)
        assert await it.told() == ["prices_polled", "prices_pushed"]


async def test_market_that_stands_still_is_no_trouble() -> None:
    """Nothing trades, and the quote says so: the price is of now by that."""
    async with feeding() as it:
        await it.trades(5)
        await it.passes(60)
        assert it.live.is_fresh(SBIN) and await it.told() == []
        assert len(it.at.asked) <= 62


async def test_one_that_is_lost_costs_no_other() -> None:
    """The stream goes on with one and is silent about another whose quote moves."""
    async with feeding(SBIN, TCS) as it:
        it.quote(TCS, "3500.00", 5)
        it.stream.tick(TCS, "3500.00", 5)
        await it.trades(4)
        assert it.live.is_live(TCS)
        it.quote(TCS, "3510.00", 50)
        await it.trades(8)
        assert (it.live.is_live(SBIN), it.live.is_live(TCS)) == (True, False)
        assert await it.told() == []
        it.stream.tick(TCS, "3510.00", 60)
        assert it.live.is_live(TCS)


async def test_late_prices_are_no_prices_of_now() -> None:
    """By the exchange's own times: what comes four seconds late is not relied on."""
    async with feeding() as it:
        await it.trades(10)
        await it.trades(4.5, late_s=4.5)
        assert not it.live.is_live(SBIN)
        assert await it.told() == ["prices_polled"]
        await it.trades(8)
        assert it.live.is_live(SBIN)


async def test_lost_connection_is_said_when_it_lasts() -> None:
    """It is not relied on at once; a cut that is mended in a second or two is not news."""
    async with feeding() as it:
        await it.trades(5)
        it.stream.fall()
        assert not it.live.is_live(SBIN)
        await it.passes(2)
        it.stream.rise()
        await it.trades(5)
        assert it.live.is_live(SBIN) and await it.told() == []
        it.stream.fall("the connection was closed (1006)")
        await it.passes(5)
        (trouble,) = (await it.engine.control.health.read()).troubles
        assert trouble == "prices are asked for, not pushed: the connection was closed (1006)"
        (notice,) = await it.engine.notices(PricesPolled)
        assert notice == PricesPolled("Zerodha - Main", "the connection was closed (1006)")


async def test_refused_stream_leaves_its_source_alone() -> None:
    """A plan without the socket: prices are asked for, and it is tried again minutes later."""
    async with feeding(refuses=True) as it:
        await it.passes(60)
        assert it.stream.runs == 1
        await it.passes(300)
        assert it.stream.runs == 2


async def test_silence_without_quotes_is_not_believed() -> None:
    """Neither ticks nor quotes come: whether prices move is not known."""
    async with feeding() as it:
        await it.trades(12)
        it.at.quote_troubles = [BrokerReadError(ReadFault.UNREACHABLE, "503")] * 50
        await it.passes(5)
        assert not it.live.is_live(SBIN)


async def test_many_are_polled_where_there_is_no_stream() -> None:
    """One batched quote each two seconds; few are not worth it, for their history is there as soon."""
    async with feeding(*MANY, has_stream=False) as it:
        for name in MANY:
            it.quote(name, "100.00", 10)
        await it.passes(10)
        assert 4 <= len(it.at.asked) <= 6 and len(it.at.asked[0]) == len(MANY)
        it.feed.want("runs", MANY[:3], has_bars=True)
        await it.passes(1)
        before = len(it.at.asked)
        await it.passes(10)
        assert len(it.at.asked) == before


async def test_nothing_is_opened_where_nobody_wants_prices() -> None:
    """And what is open is closed when the last one is content."""
    async with feeding() as it:
        await it.trades(2)
        it.feed.want("runs", [])
        await it.goes_on()
        assert not it.stream.status.is_live
        for _ in range(20):
            await it.goes_on()
        assert it.stream.runs == 1


async def test_closed_market_is_silent_without_trouble() -> None:
    """After the close no ticks come, and nothing is asked or said."""
    async with feeding() as it:
        await it.trades(2)
        it.engine.clock.step_wall(4 * 3600)
        await it.passes(2)
        it.at.asked.clear()
        await it.passes(30)
        assert it.at.asked == [] and await it.told() == []
