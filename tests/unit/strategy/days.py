"""Days of bars for the strategies' tests: made by hand, or read from recorded candles."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST, SessionWindow
from core.domain.target import (
    Context,
    Direction,
    ParameterValue,
    Strategy,
    Target,
    checked_parameters,
)

DAY = date(2021, 5, 12)
SBIN = InstrumentId("NSE", "SBIN")
RELIANCE = InstrumentId("NSE", "RELIANCE")
Given = Mapping[str, ParameterValue | str]


def at(clock: str, day: date = DAY) -> datetime:
    """Return ``HH:MM`` of a day, IST."""
    return datetime.combine(day, time.fromisoformat(clock), IST)


def window(day: date = DAY, opens: str = "09:15", closes: str = "15:30") -> SessionWindow:
    """Return a session."""
    return SessionWindow(day, at(opens, day), at(closes, day))


def bar(clock: str, *prices: float | str, day: date = DAY) -> Candle:
    """Return a bar of (open, high, low, close), or of one price."""
    known = [Decimal(str(price)) for price in prices]
    opened, high, low, close = known if len(known) == 4 else known * 4
    return Candle(at(clock, day), opened, high, low, close, 100)


def bars(first: str, closes: Sequence[float | str], minutes: int = 1) -> list[Candle]:
    """Return bars that have one price each, one after another."""
    start = at(first)
    return [
        bar(f"{start + timedelta(minutes=index * minutes):%H:%M}", close)
        for index, close in enumerate(closes)
    ]


def decide(
    strategy: Strategy,
    slot: str | datetime,
    today: Sequence[Candle],
    given: Given | None = None,
    session: SessionWindow | None = None,
) -> Target:
    """Return what a strategy decides on NSE:SBIN at a slot."""
    slot_at = at(slot) if isinstance(slot, str) else slot
    parameters = checked_parameters(strategy, {"instruments": "NSE:SBIN", **(given or {})})
    context = Context(slot_at, session or window(), {SBIN: today}, parameters)
    (target,) = strategy.decide(context)
    return target


def read_candles(path: Path, day: date) -> list[Candle]:
    """Read one day of a file of recorded minute candles."""
    with path.open(encoding="utf-8") as file:
        return [
            Candle(
                datetime.fromisoformat(row["timestamp"]).astimezone(IST),
                Decimal(row["open"]),
                Decimal(row["high"]),
                Decimal(row["low"]),
                Decimal(row["close"]),
                int(row["volume"]),
            )
            for row in csv.DictReader(file)
            if row["timestamp"].startswith(day.isoformat())
        ]


@dataclass(frozen=True)
class Fill:
    """A market order of a replay: the position it leads to, at the open of a bar."""

    at: str
    price: Decimal
    position: Direction


def replay(
    strategy: Strategy, instrument: InstrumentId, candles: Sequence[Candle], given: Given
) -> list[Fill]:
    """Run a day slot by slot; an order fills at the open of the next bar there is."""
    parameters = checked_parameters(strategy, {"instruments": str(instrument), **given})
    session = window(candles[0].start.date())
    schedule = strategy.schedule(parameters)
    fills: list[Fill] = []
    position = Direction.FLAT
    slot = datetime.combine(session.day, schedule.first, IST)
    assert schedule.square_off is not None
    while slot <= datetime.combine(session.day, schedule.square_off, IST):
        seen = [candle for candle in candles if candle.start < slot]
        for target in strategy.decide(Context(slot, session, {instrument: seen}, parameters)):
            fresh = target.direction is Direction.FLAT or target.signal_at == slot
            if target.direction is not position and fresh:
                position = target.direction
                following = next(candle for candle in candles if candle.start >= slot)
                fills.append(Fill(f"{following.start:%H:%M}", following.open, position))
        slot += timedelta(minutes=schedule.every_minutes)
    return fills
