"""One-minute bars, synthetic or replayed: pure data, the same for every caller.

The synthetic market is a function of (symbol, date) alone, so that history reads the same on every
run and for every day. Each day is a noisy path between two slow curves' values, with waves of half
an hour to ninety minutes that make moving averages cross. SBIN and RELIANCE break the range of
their first fifteen minutes between 09:30 and 09:40 on every day (up or down, by the date), after
having drifted the other way, so that a breakout and a crossover strategy both find a trade in them;
about half of the other stocks do the same on any given day.
"""

from __future__ import annotations

import csv
import hashlib
import math
import random
from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sandbox.clock import IST
from sandbox.instruments import Instrument
from sandbox.listing import find
from sandbox.sessions import is_trading_day, segment_session

__all__ = [
    "LAST_INSTANT",
    "MINUTE",
    "Bar",
    "BarSource",
    "ReplayBars",
    "ReplayError",
    "SyntheticBars",
    "price_seed",
    "print_times",
    "rounded",
]

MINUTE = timedelta(minutes=1)
LAST_INSTANT = timedelta(milliseconds=1)
"""How long before its end a minute prints for the last time."""
_ALWAYS_BREAKS = frozenset({"SBIN", "RELIANCE"})
_RANGE_MINUTES = 15
_PUSH_MINUTES = 8
_PUSH = 0.008
_OFTEN = 0.5
_COLUMNS = ["timestamp", "open", "high", "low", "close", "volume"]


class ReplayError(ValueError):
    """A replay directory that cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class Bar:
    """A one-minute bar; ``start`` is IST aware, the bar ends a minute later."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int


class BarSource(Protocol):
    """Bars by day, oldest first; a day without bars is an empty tuple."""

    replayed: bool

    def day(self, instrument: Instrument, day: date) -> tuple[Bar, ...]:
        """Return the instrument's bars of one day."""
        ...


def print_times(start: datetime, until: datetime) -> list[datetime]:
    """Return when a minute prints, up to a moment in it: each second, and at its last instant."""
    times = [start + timedelta(seconds=n) for n in range(60)] + [start + MINUTE - LAST_INSTANT]
    return [at for at in times if at <= until]


def price_seed(*parts: object) -> int:
    """Return the same seed for the same parts, on every machine."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _phase(symbol: str, name: str) -> float:
    return (price_seed(symbol, name) % 6283) / 1000


def _weekday_number(day: date) -> int:
    """Count weekdays, so that a Monday follows its Friday."""
    return (day.toordinal() - 1) // 7 * 5 + min(day.weekday(), 4)


def _day_level(instrument: Instrument, number: int) -> float:
    """Return the level at which a day opens: two slow waves about the base price."""
    slow = 0.07 * math.sin(2 * math.pi * number / 53 + _phase(instrument.symbol, "slow"))
    fast = 0.015 * math.sin(2 * math.pi * number / 13 + _phase(instrument.symbol, "fast"))
    return instrument.base_price * (1 + slow + fast)


def _push(minute: int, total: int, direction: int) -> float:
    """Return the breakout's share of the log price: counter-drift, push, slow fade."""
    if minute <= _RANGE_MINUTES:
        return -direction * 0.0012 * minute / _RANGE_MINUTES
    after = minute - _RANGE_MINUTES
    climbed = min(1.0, after / _PUSH_MINUTES)
    faded = max(0.0, (after - _PUSH_MINUTES) / (total - _RANGE_MINUTES - _PUSH_MINUTES))
    return direction * (-0.0012 + (_PUSH + 0.0012) * climbed - (_PUSH - 0.002) * faded)


def rounded(price: float, tick: float) -> float:
    """Round a price to a tick."""
    return round(round(price / tick) * tick, 2)


@lru_cache(maxsize=512)
def _synthetic_day(instrument: Instrument, opened: datetime, closed: datetime) -> tuple[Bar, ...]:
    day = opened.date()
    total = int((closed - opened) / MINUTE)
    rng = random.Random(price_seed(instrument.symbol, day))
    path = _path(instrument, day, total, rng)
    tick = instrument.tick_size
    bars = []
    for minute in range(total):
        first, last = path[minute], path[minute + 1]
        reach = instrument.base_price * 0.0002
        high = max(first, last) + abs(rng.gauss(0, reach))
        low = min(first, last) - abs(rng.gauss(0, reach))
        volume = 0 if instrument.is_index else int(2e7 / instrument.base_price * rng.uniform(1, 4))
        start, top, bottom, end = (rounded(value, tick) for value in (first, high, low, last))
        bars.append(Bar(opened + minute * MINUTE, start, top, bottom, end, volume))
    return tuple(bars)


def _path(instrument: Instrument, day: date, total: int, rng: random.Random) -> list[float]:
    start = math.log(_day_level(instrument, _weekday_number(day)))
    end = math.log(_day_level(instrument, _weekday_number(day) + 1))
    breaks = instrument.symbol in _ALWAYS_BREAKS or rng.random() < _OFTEN
    direction = rng.choice((-1, 1)) if breaks and not instrument.is_index else 0
    amplitude, period = rng.uniform(0.0015, 0.003), rng.uniform(30, 90)
    phase = rng.uniform(0, 2 * math.pi)
    noise = [0.0]
    for minute in range(total):
        sigma = 0.0001 if minute < _RANGE_MINUTES else 0.00035
        noise.append(noise[-1] + rng.gauss(0, sigma))
    path = []
    for minute in range(total + 1):
        share = minute / total
        settled = min(1.0, max(0, minute - 2 * _RANGE_MINUTES) / 30)
        wave = amplitude * settled * math.sin(2 * math.pi * minute / period + phase)
        walk = noise[minute] - share * noise[total]
        level = start + (end - start) * max(0.0, minute - 2 * _RANGE_MINUTES) / total
        path.append(math.exp(level + wave + walk + _push(minute, total, direction)))
    return path


class SyntheticBars:
    """The synthetic market."""

    replayed = False

    def day(self, instrument: Instrument, day: date) -> tuple[Bar, ...]:
        """Return the instrument's bars of one day, none on a day without trading."""
        if not is_trading_day(day):
            return ()
        return _synthetic_day(instrument, *segment_session(instrument.hours, day))


def _read_bar(row: list[str]) -> Bar:
    if len(row) != len(_COLUMNS):
        raise ReplayError(f"{len(row)} columns instead of {len(_COLUMNS)}")
    start = datetime.fromisoformat(row[0])
    start = (start if start.tzinfo else start.replace(tzinfo=IST)).astimezone(IST)
    opened, high, low, close = (float(text) for text in row[1:5])
    if not (0 < low <= min(opened, close) and max(opened, close) <= high < math.inf):
        raise ReplayError("open, high, low and close do not fit together")
    return Bar(start.replace(second=0), opened, high, low, close, int(float(row[5])))


def _read_file(path: Path) -> list[Bar]:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        if next(rows, None) != _COLUMNS:
            raise ReplayError(f"{path.name}: the first line must be {','.join(_COLUMNS)}")
        bars: list[Bar] = []
        for row in rows:
            try:
                bar = _read_bar(row)
                if bars and bar.start <= bars[-1].start:
                    raise ReplayError("not later than the line before")
            except ValueError as error:
                raise ReplayError(f"{path.name} line {rows.line_num}: {error}") from error
            bars.append(bar)
    return bars


class ReplayBars:
    """Recorded bars from a directory of ``SYMBOL.csv`` files (underscore for a space).

    Args:
        directory: Holds files of ``timestamp,open,high,low,close,volume``.

    Raises:
        ReplayError: The directory or a file cannot be used; says which line and why.
    """

    replayed = True

    def __init__(self, directory: Path) -> None:
        try:
            files = sorted(directory.glob("*.csv"))
            self._bars: dict[str, list[Bar]] = {}
            for path in files:
                symbol = path.stem.replace("_", " ")
                if find(symbol) is None:
                    raise ReplayError(f"{path.name}: no instrument {symbol!r} on this exchange")
                self._bars[symbol] = _read_file(path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ReplayError(f"cannot read the replay: {error}") from error
        if not self._bars:
            raise ReplayError(f"no csv file in {directory}")
        self._starts = {key: [bar.start for bar in bars] for key, bars in self._bars.items()}

    def day(self, instrument: Instrument, day: date) -> tuple[Bar, ...]:
        """Return the recorded bars of one day; gaps stay gaps."""
        starts = self._starts.get(instrument.symbol, [])
        first = datetime.combine(day, datetime.min.time(), IST)
        left = bisect_left(starts, first)
        right = bisect_left(starts, first + timedelta(days=1))
        return tuple(self._bars.get(instrument.symbol, [])[left:right])
