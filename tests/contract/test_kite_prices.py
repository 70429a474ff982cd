"""Kite's prices over the simulator: the stream, and bars built of it beside its own candles."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.adapters.zerodha import ZERODHA
from core.adapters.zerodha.instruments import parse_master
from core.adapters.zerodha.mapping import candle
from core.adapters.zerodha.price_stream import KitePriceStream
from core.adapters.zerodha.ticks import TickMode, read_frame
from core.domain.broker import Candle
from core.domain.instrument import Instrument, InstrumentId
from core.domain.minute_bars import MinuteBars
from core.domain.sessions import IST
from core.domain.ticks import PriceTick
from core.ports.broker import Credentials
from tests.fakes.brokers import MASTER
from tests.fakes.clock import ManualClock, RunningClock
from tests.fakes.kite_client import log_in, raw
from tests.fakes.sandbox_process import Sandbox, eventually
from tests.fakes.stream_server import serving_stream, until

pytest_plugins = ("tests.fakes.kite_fixtures",)

REPLAY = Path(__file__).parent.parent / "data" / "replay" / "2021-05-12"
SBIN, RELIANCE = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE")
NIFTY, FUTURE = InstrumentId("NSE", "NIFTY 50"), InstrumentId("NFO", "SBIN26NOVFUT")


@dataclass
class Heard:
    """A stream that runs against the simulator, and all that it told."""

    sandbox: Sandbox
    kite: Any
    stream: KitePriceStream
    master: dict[InstrumentId, Instrument]
    ticks: list[PriceTick] = field(default_factory=list)
    beats: int = 0

    def hear(self, ticks: Sequence[PriceTick]) -> None:
        # Without a time are those that come before the full mode is asked for.
        self.ticks += [tick for tick in ticks if tick.has_time]
        self.beats += not ticks

    def newest(self, name: InstrumentId) -> datetime | None:
        """Return the time of what was heard last of an instrument."""
        return next((t.moment for t in reversed(self.ticks) if t.instrument == name), None)

    async def has_reached(self, name: InstrumentId, at: datetime) -> None:
        """Wait until the instrument was heard at a time or later."""
        await until(lambda: (newest := self.newest(name)) is not None and newest >= at)

    def built(self, name: InstrumentId, since: datetime, until_: datetime) -> list[Candle]:
        """Return the bars of what was heard."""
        bars = MinuteBars()
        for tick in self.ticks:
            if tick.instrument == name:
                bars.add(tick)
        return bars.bars(since, until_)

    def history(self, name: InstrumentId, since: datetime, until_: datetime) -> list[Candle]:
        """Return the simulator's own candles."""
        token = self.master[name].broker_token
        span = {"from": f"{since:%Y-%m-%d %H:%M:%S}", "to": f"{until_:%Y-%m-%d %H:%M:%S}"}
        path = f"/instruments/historical/{token}/minute"

        def ask() -> Any:
            answer = raw(self.sandbox, self.kite, "GET", path, params=span)
            return answer.ok and json.loads(answer.text, parse_float=Decimal)  # three a second

        rows = eventually(ask)["data"]["candles"]
        return [bar for bar in map(candle, rows) if bar.start < until_]


@asynccontextmanager
async def hearing(sandbox: Sandbox, *wanted: InstrumentId) -> AsyncIterator[Heard]:
    """Run a stream until the block ends."""
    kite = log_in(sandbox)
    rows = parse_master(raw(sandbox, kite, "GET", "/instruments").content)
    master = {row.id: row for row in rows}
    login = Credentials("zerodha_aaaaaaaaaa", kite.api_key, "secret", kite.access_token)
    root = sandbox.url("kite").replace("http", "ws", 1)
    stream = KitePriceStream(RunningClock(), root, login, master)
    heard = Heard(sandbox, kite, stream, master)
    stream.want(frozenset(wanted))
    task = asyncio.create_task(stream.run(heard.hear))
    try:
        await until(lambda: {one.instrument for one in heard.ticks} >= set(wanted))
        yield heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def ist(clock: str, day: str = "2026-11-23") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=IST)


@pytest.fixture
def replayed() -> Iterator[Sandbox]:
    """A sandbox that plays the made-up day, its clock all but standing."""
    sandbox = Sandbox("--replay", str(REPLAY), clock="2021-05-12T10:00:30*0.001")
    yield sandbox
    sandbox.end()


async def test_bars_agree_with_the_history(sandbox: Sandbox) -> None:
    """Each whole minute is the candle of the historical endpoint: a share, its future, an index."""
    names = (SBIN, RELIANCE, NIFTY, FUTURE)
    async with hearing(sandbox, *names) as heard:
        for _ in range(3):
            sandbox.ask("POST", "/clock", {"by": 100})
        last, first = ist("10:05:00"), ist("10:01:00")
        for name in names:
            await heard.has_reached(name, last)
            expected = heard.history(name, first, last)
            assert len(expected) == 4
            assert heard.built(name, first, last) == expected


async def test_bars_agree_while_prices_are_set_by_hand(sandbox: Sandbox) -> None:
    """A price that is pinned in the middle of a minute, and one that is let go again."""
    async with hearing(sandbox, SBIN) as heard:
        for price in (900, 880, None):
            sandbox.ask("POST", "/clock", {"by": 47})
            sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": price})
        sandbox.ask("POST", "/clock", {"by": 90})
        await heard.has_reached(SBIN, ist("10:04:00"))
        span = (ist("10:01:00"), ist("10:04:00"))
        assert heard.built(SBIN, *span) == heard.history(SBIN, *span)


async def test_bars_agree_over_a_recording(replayed: Sandbox) -> None:
    """A replayed bar prints its open at its start, and its range and close at its end."""
    async with hearing(replayed, SBIN) as heard:
        replayed.ask("POST", "/clock", {"by": 400})
        last, first = ist("10:07:00", "2021-05-12"), ist("10:01:00", "2021-05-12")
        await heard.has_reached(SBIN, last)
        expected = heard.history(SBIN, first, last)
        assert len(expected) == 6
        assert heard.built(SBIN, first, last) == expected


async def test_wanted_instruments_are_asked_for_anew(sandbox: Sandbox) -> None:
    """After a cut all that is wanted is heard again; what is no longer wanted is not."""
    async with hearing(sandbox, SBIN, NIFTY) as heard:
        heard.stream.want(frozenset({NIFTY, RELIANCE}))
        await until(lambda: heard.newest(RELIANCE) is not None)
        heard.ticks.clear()
        assert sandbox.ask("POST", "/sockets/drop", {"broker": "kite"}) == {"dropped": 1}
        await until(lambda: heard.newest(NIFTY) and heard.newest(RELIANCE))
        sandbox.ask("POST", "/clock", {"by": 5})
        await heard.has_reached(RELIANCE, ist("10:00:34"))
        assert heard.newest(SBIN) is None


async def test_heartbeats_go_on_without_ticks(sandbox: Sandbox) -> None:
    """A stream whose prices stopped is open all the same; with the fault gone it goes on."""
    async with hearing(sandbox, SBIN) as heard:
        sandbox.fault("stop_ticks", times=0)
        before = heard.beats
        sandbox.ask("POST", "/clock", {"by": 30})
        await until(lambda: heard.beats > before + 1)
        assert heard.stream.status.is_live
        newest = heard.newest(SBIN)
        assert newest is not None and newest < ist("10:00:40")
        sandbox.ask("DELETE", "/faults")
        sandbox.ask("POST", "/clock", {"by": 30})
        await heard.has_reached(SBIN, ist("10:01:20"))


async def test_delayed_ticks_come_as_they_were(sandbox: Sandbox) -> None:
    """They keep the exchange's time, by which it is seen that they are late."""
    async with hearing(sandbox, SBIN) as heard:
        sandbox.fault("delay_ticks", times=1, delay_s=0.3)
        sandbox.ask("POST", "/clock", {"by": 2})
        sandbox.ask("POST", "/clock", {"by": 60})
        await heard.has_reached(SBIN, ist("10:01:30"))
        await until(lambda: any(t.moment < ist("10:00:33") for t in heard.ticks[1:]))


async def test_modes_are_those_of_the_facts(sandbox: Sandbox) -> None:
    """A subscription alone is a quote; the last price and the whole book are asked for."""
    kite = log_in(sandbox)
    token, index = 0, 0
    for row in parse_master(raw(sandbox, kite, "GET", "/instruments").content):
        token = int(row.broker_token) if row.id == SBIN else token
        index = int(row.broker_token) if row.id == NIFTY else index
    url = f"{sandbox.url('kite')}/?api_key={kite.api_key}&access_token={kite.access_token}"
    async with aiohttp.ClientSession(trust_env=False) as http, http.ws_connect(url) as socket:

        async def answer(command: object) -> bytes:
            await socket.send_str(json.dumps(command))
            while True:
                data: bytes = await socket.receive_bytes(timeout=60)
                if len(data) > 1:
                    return data

        both = {"a": "subscribe", "v": [token, index]}
        found = read_frame(await answer(both)).ticks
        assert [(t.mode, t.is_index) for t in found] == [
            (TickMode.QUOTE, False),
            (TickMode.QUOTE, True),
        ]
        full = read_frame(await answer({"a": "mode", "v": ["full", [token, index]]})).ticks
        assert [t.mode for t in full] == [TickMode.FULL] * 2
        assert len(full[0].bids) == len(full[0].asks) == 5
        assert full[0].bids[0].price < full[0].last_price < full[0].asks[0].price
        assert all(t.exchange_at is not None for t in full) and full[0].traded_at is not None
        last = await answer({"a": "mode", "v": ["ltp", [token]]})
        assert last[:8] == struct.pack(">HHI", 1, 8, token)
        await socket.send_str("nonsense")
        assert json.loads(await socket.receive_str(timeout=60))["type"] == "error"


async def test_times_are_those_of_the_market(sandbox: Sandbox) -> None:
    """A tick's trade is of its own second, and no later than the packet's own time."""
    async with hearing(sandbox, SBIN) as heard:
        sandbox.ask("POST", "/clock", {"by": 60})
        await heard.has_reached(SBIN, ist("10:01:00"))
        times = [t.moment for t in heard.ticks]
        assert times == sorted(times)
        assert all(later - one <= timedelta(seconds=1) for one, later in pairwise(times))


async def test_silent_connection_is_given_up_within_five_seconds() -> None:
    """No frame at all, the heartbeat neither: the next connection asks for everything again."""
    clock, told = ManualClock(), list[Sequence[PriceTick]]()
    login = Credentials("zerodha_aaaaaaaaaa", "apikey", "secret", "CANARYtokenCANARY")
    async with serving_stream() as server:
        stream = KitePriceStream(clock, server.url, login, MASTER[ZERODHA])
        stream.want(frozenset({SBIN}))
        task = asyncio.create_task(stream.run(told.append))
        try:
            await until(lambda: stream.status.is_live and len(server.heard) == 2)
            began = clock.monotonic()
            while stream.status.is_live:
                assert clock.monotonic() - began <= 4.75
                await clock.wait_for_sleepers()
                await clock.advance(0.25)
                await until(lambda: clock.sleepers == 1)
            await clock.advance(1.0)
            await until(lambda: len(server.heard) == 4)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    assert [json.loads(text)["a"] for text in server.heard] == ["subscribe", "mode"] * 2
    assert "CANARY" not in repr((stream.status, stream))
