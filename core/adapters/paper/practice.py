"""Made-up prices, for whoever tries a paper account before any broker is connected (row F6).

A price is a function of the instrument's name and the time alone: the same after a restart, and for
every account. It swings in slow and quick waves around a level of its own; it is no market's. As
soon as an account is connected that can give real prices, these are never used.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST, SessionWindow, plausible_kinds, widest
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.paper import PaperPriceSource

__all__ = ["PaperMarket", "PracticePrices"]

_ROOT = re.compile(r"[A-Z&-]+")
_DAY_MINUTES = 1440
_WAVES = (  # seconds of a swing, and how far it goes
    (13 * 86_400, 0.04),
    (31 * 3600, 0.012),
    (6 * 3600, 0.006),
    (97 * 60, 0.004),
    (23 * 60, 0.002),
    (5 * 60, 0.0008),
)
_SAMPLES = 12
_SHORT = timedelta(days=2)
_MOST_DAYS = 400


class PracticePrices:
    """A ``MarketDataSource`` of made-up prices."""

    def __init__(self, clock: Clock, calendar: Calendar) -> None:
        self._clock = clock
        self._calendar = calendar

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return the prices of now; after the session those of its end."""
        now = self._clock.market_now()
        return {one: self._quote(one, now) for one in instruments}

    def _quote(self, name: InstrumentId, now: datetime) -> Quote:
        window = self._window(name, now.date())
        volume = None
        if window is not None and now >= window.open_at:
            minutes = int((min(now, window.close_at) - window.open_at).total_seconds()) // 60
            volume = minutes * _pace(name) or None
        at = now if window is None else min(now, window.close_at)
        return Quote(name, _price(name, at.timestamp()), now, volume=volume)

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return the bars of the sessions in a range."""

        def made() -> list[Candle]:
            found = self._bars(instrument, start.astimezone(IST), end.astimezone(IST), minutes)
            return [bar for bar in found if start <= bar.start < end]

        # Two months of minutes take a second.
        return made() if end - start <= _SHORT else await asyncio.to_thread(made)

    def _bars(
        self, name: InstrumentId, start: datetime, end: datetime, minutes: int
    ) -> Iterator[Candle]:
        day = max(start.date(), end.date() - timedelta(days=_MOST_DAYS))
        last = min(end, self._clock.market_now())
        while day <= last.date():
            window = self._window(name, day)
            if window is not None and minutes >= _DAY_MINUTES:
                yield _bar(
                    name, window.open_at, window.close_at, datetime.combine(day, time(), IST)
                )
            elif window is not None:
                yield from _session(name, window, last, timedelta(minutes=minutes))
            day += timedelta(days=1)

    def _window(self, name: InstrumentId, day: date) -> SessionWindow | None:
        found = []
        for segment, has_derivatives in plausible_kinds(name, None):
            try:
                found.append(self._calendar.session(day, segment, has_derivatives=has_derivatives))
            except LookupError:
                continue
        return widest(found)


def _session(
    name: InstrumentId, window: SessionWindow, last: datetime, step: timedelta
) -> Iterator[Candle]:
    at = window.open_at
    while at < min(window.close_at, last):
        yield _bar(name, at, min(at + step, window.close_at), at)
        at += step


def _bar(name: InstrumentId, begins: datetime, ends: datetime, start: datetime) -> Candle:
    first, length = begins.timestamp(), (ends - begins).total_seconds()
    made = [_made(name, first + length * part / _SAMPLES) for part in range(_SAMPLES + 1)]
    opens, high, low, close = map(_to_tick, (made[0], max(made), min(made), made[-1]))
    return Candle(start, opens, high, low, close, int(length) * _pace(name) // 60)


@lru_cache(maxsize=4096)
def _numbers(root: str) -> tuple[float, ...]:
    """Return numbers from 0 to 1 that belong to a name."""
    digest = hashlib.blake2b(root.encode(), digest_size=32).digest()
    return tuple(int.from_bytes(digest[at : at + 4]) / 2**32 for at in range(0, 32, 4))


def _price(name: InstrumentId, at: float) -> Decimal:
    return _to_tick(_made(name, at))


def _to_tick(price: float) -> Decimal:
    return Decimal(max(1, round(price * 20))) / 20


def _made(name: InstrumentId, at: float) -> float:
    found = _ROOT.match(name.symbol)
    root = found.group() if found else name.symbol
    level, _, *phases = _numbers(root)
    swing = sum(
        far * math.sin(math.tau * (at / seconds + phase))
        for (seconds, far), phase in zip(_WAVES, phases, strict=True)
    )
    price: float = 150 * 20**level * math.exp(swing)
    if name.exchange in {"NFO", "BFO"} and name.symbol.endswith(("CE", "PE")):
        # An option moves with its share, or against it, and a good deal more.
        turn = 1 if name.symbol.endswith("CE") else -1
        price = 150 * 20**level * 0.03 * math.exp(8 * turn * swing)
    return price


def _pace(name: InstrumentId) -> int:
    """Return the units that are traded in a minute."""
    return 2000 + int(18_000 * _numbers(name.symbol)[1])


class PaperMarket:
    """The prices that paper orders are filled at: real ones wherever an account can give them."""

    def __init__(self, clock: Clock, calendar: Calendar, source: PaperPriceSource) -> None:
        self._source = source
        self._practice = PracticePrices(clock, calendar)

    async def is_practice(self) -> bool:
        """Whether prices are made up, because no account is connected that could give any."""
        return not await self._source.has_market()

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices."""
        source = self._practice if await self.is_practice() else self._source
        return await source.quotes(instruments)

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return bars."""
        source = self._practice if await self.is_practice() else self._source
        return await source.candles(instrument, start=start, end=end, minutes=minutes)
