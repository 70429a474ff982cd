"""Prices as a broker shows them: last price, ticks, candles and quotes at a market time.

The synthetic market moves inside a minute: from the open to one extreme at 15 s, to the other at
45 s (a rising bar visits its low first) and to the close. A replayed market is known only by closed
bars: the last price is the last closed bar's close, candles end with the last closed bar, and the
ticks of a bar are its open at its start and its range at its end, the latter only for orders that
were there when the bar began. A gap in a recording has no ticks.

``move`` pins a price from now on; with None it lets the market go on from the pinned level.
``halt`` stops one symbol or all of them: prices freeze and no order fills until ``resume``.
``limit_liquidity`` lets prices move while no more than a given quantity of a symbol trades.
``lock`` pins a price at one of the day's circuit limits, where nobody takes the other side.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sandbox.circuits import CIRCUITS, CircuitLocks, circuit_limits
from sandbox.clock import IST, MarketClock
from sandbox.following import follow_factor
from sandbox.instruments import NSE, Instrument, instruments
from sandbox.listing import find
from sandbox.prices import Bar, BarSource, print_times, rounded
from sandbox.sessions import is_trading_day, previous_trading_day, segment_session, within_segment
from sandbox.state import State

__all__ = ["Market", "MarketError", "Quote", "Tick"]

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_DAYS_BACK = 30


class MarketError(ValueError):
    """A price command that cannot be followed."""


@dataclass(frozen=True)
class Tick:
    """A price at a market time.

    ``since``: only orders that arrived by then see it. ``is_print``: a price at which anything may
    trade (an open or the live price); otherwise a mere touch, at which resting orders trade at
    their own price.
    """

    at: datetime
    price: float
    since: datetime
    is_print: bool = True


@dataclass(frozen=True)
class Quote:
    """What the market knows of an instrument at ``at``; ``close`` is the previous day's.

    ``stuck_side``: orders of this side find nobody, at a circuit limit; empty when there is none.
    """

    instrument: Instrument
    at: datetime
    last_trade_at: datetime | None
    last_price: float
    open: float
    high: float
    low: float
    close: float
    volume: int
    average_price: float
    lower_circuit: float
    upper_circuit: float
    stuck_side: str = ""


@dataclass(frozen=True)
class _Segment:
    """From ``at`` on the price is pinned to a value, or the base price times a scale."""

    at: datetime
    pin: float | None
    scale: float


class Market:
    """The prices of every instrument.

    Args:
        clock: Market time.
        source: Synthetic or replayed bars.
        state: Keeps moves and halts.

    Attributes:
        moves: Counts the commands that changed a price.
    """

    def __init__(self, clock: MarketClock, source: BarSource, state: State) -> None:
        self._clock = clock
        self._source = source
        self._state = state
        self._segments: dict[str, list[_Segment]] = {}
        self._halts: dict[str, str] = {}
        self._liquidity: dict[str, int] = {}
        self._locks = CircuitLocks(state)
        self.moves = 0
        self.load()

    @property
    def is_replay(self) -> bool:
        """Whether prices come from recorded bars."""
        return self._source.replayed

    def load(self) -> None:
        """Read moves and halts from the state."""
        self._halts = self._state.group("halt")
        self._liquidity = self._state.group("liquidity")
        self._locks.load()
        self._segments = {
            symbol: [_Segment(datetime.fromisoformat(at), pin, scale) for at, pin, scale in rows]
            for symbol, rows in self._state.group("segments").items()
        }

    def find(self, symbol: str) -> Instrument | None:
        """Return an instrument by key, with or without the ``NSE:`` prefix and ``-EQ``."""
        return find(symbol.removeprefix(f"{NSE}:").removesuffix("-EQ").removesuffix("-INDEX"))

    def is_open(self, instrument: Instrument, at: datetime | None = None) -> bool:
        """Return whether the instrument trades continuously now, ignoring halts."""
        return within_segment(instrument.hours, at or self._clock.now())

    def is_halted(self, instrument: Instrument) -> bool:
        """Return whether a halt applies to the instrument."""
        return instrument.key in self._halts or "*" in self._halts

    # Commands

    def move(self, symbol: str, last_price: object) -> float:
        """Pin a price from now on, or with None let it go on from there; return the price.

        Whichever it is, it lifts a lock at the circuit.

        Raises:
            MarketError: Unknown symbol or a price that is none.
        """
        instrument = self._known(symbol)
        now = self._clock.now()
        if last_price is None:
            base = self._base_price(instrument, now)
            current = self.last_price(instrument, now)
            segment = _Segment(now, None, current / base if base else 1.0)
        elif isinstance(last_price, int | float) and 0 < last_price < math.inf:
            segment = _Segment(now, round(float(last_price), 2), 1.0)
        else:
            raise MarketError("last_price must be a positive number")
        self.moves += 1
        self._locks.put(instrument.key, None)
        rows = [*self._segments.get(instrument.key, []), segment]
        self._segments[instrument.key] = rows
        self._state.put(
            "segments", instrument.key, [[r.at.isoformat(), r.pin, r.scale] for r in rows]
        )
        return self.last_price(instrument, now)

    def halt(self, symbol: str | None = None) -> None:
        """Stop one symbol, or the whole market."""
        key = self._known(symbol).key if symbol else "*"
        self._halts.setdefault(key, self._clock.now().isoformat())
        self._state.put("halt", key, self._halts[key])

    def resume(self, symbol: str | None = None) -> None:
        """Lift the halt of one symbol, or every halt."""
        self.moves += 1
        for key in [self._known(symbol).key] if symbol else list(self._halts):
            self._halts.pop(key, None)
            self._state.put("halt", key, None)

    def limit_liquidity(self, symbol: str, quantity: object) -> int | None:
        """Let no more than a quantity of a symbol trade from now on, 0 for none; None lifts it.

        Raises:
            MarketError: Unknown symbol or a quantity that is none.
        """
        key = self._known(symbol).key
        if quantity is not None and (not isinstance(quantity, int) or quantity < 0):
            raise MarketError("quantity must be a whole number of units, or null")
        self.moves += 1
        if quantity is None:
            self._liquidity.pop(key, None)
        else:
            self._liquidity[key] = quantity
        self._state.put("liquidity", key, quantity)
        return quantity

    def lock(self, symbol: str, circuit: object) -> float:
        """Pin a price at the day's lower or upper circuit; with None let it go on from there.

        Raises:
            MarketError: Unknown symbol or circuit.
        """
        instrument = self._known(symbol)
        if circuit is None:
            return self.move(symbol, None)
        if circuit not in CIRCUITS:
            raise MarketError("circuit must be lower, upper or null")
        number = CIRCUITS.index(str(circuit))
        price = self.move(symbol, self.circuits(instrument)[number])
        self._locks.put(instrument.key, CIRCUITS[number])
        return price

    def stuck_side(self, instrument: Instrument) -> str:
        """Return the side whose orders find nobody at the circuit, empty when both trade."""
        if instrument.key not in self._locks.all():
            return ""
        last, limits = self.last_price(instrument), self.circuits(instrument)
        return self._locks.stuck_side(instrument.key, last, limits)

    def liquidity(self, symbol: str) -> int | None:
        """Return how many units of a symbol may still trade, None when there is no limit."""
        return self._liquidity.get(symbol)

    def _known(self, symbol: str | None) -> Instrument:
        instrument = self.find(symbol or "")
        if instrument is None:
            raise MarketError(
                f"no instrument {symbol!r}; there are {[i.key for i in instruments()]}"
            )
        return instrument

    # Prices

    def last_price(self, instrument: Instrument, at: datetime | None = None) -> float:
        """Return the last traded price at a market time (now by default); 0 if there is none."""
        at = self._seen(instrument, at or self._clock.now())
        segment = self._segment(instrument, at)
        if segment and segment.pin is not None:
            return segment.pin
        return self._scaled(instrument, self._base_price(instrument, at), segment)

    def _seen(self, instrument: Instrument, at: datetime) -> datetime:
        since = [self._halts[key] for key in (instrument.key, "*") if key in self._halts]
        return min([at, *(datetime.fromisoformat(text) for text in since)])

    def _segment(self, instrument: Instrument, at: datetime) -> _Segment | None:
        found = None
        for segment in self._segments_of(instrument):
            if segment.at <= at:
                found = segment
        return found

    def _segments_of(self, instrument: Instrument) -> list[_Segment]:
        """Return the commands for an instrument: its own, or those for the one it follows."""
        own = self._segments.get(instrument.key)
        if own is not None or not instrument.follows:
            return own or []
        return [
            replace(segment, pin=self._followed(instrument, segment))
            for segment in self._segments.get(instrument.follows, [])
        ]

    @staticmethod
    def _followed(instrument: Instrument, segment: _Segment) -> float | None:
        if segment.pin is None:
            return None
        factor = follow_factor(instrument, segment.at.astimezone(IST).date())
        return rounded(segment.pin * factor, instrument.tick_size)

    @staticmethod
    def _scaled(instrument: Instrument, price: float, segment: _Segment | None) -> float:
        if segment is None or segment.scale == 1.0:
            return price
        tick = instrument.tick_size
        return round(round(price * segment.scale / tick) * tick, 2)

    def _base_price(self, instrument: Instrument, at: datetime) -> float:
        bars = self._source.day(instrument, at.astimezone(IST).date())
        position = bisect_right(bars, at, key=lambda bar: bar.start)
        if position:
            bar = bars[position - 1]
            if bar.start + _MINUTE <= at:
                return bar.close
            if not self.is_replay:
                return _inside(bar, at, instrument.tick_size)
        if position > 1:
            return bars[position - 2].close
        before = self._last_bar_before(instrument, at.astimezone(IST).date())
        return before.close if before else 0.0

    def _last_bar_before(self, instrument: Instrument, day: date) -> Bar | None:
        for _ in range(_DAYS_BACK):
            day = previous_trading_day(day)
            bars = self._source.day(instrument, day)
            if bars:
                return bars[-1]
        return None

    def ticks(
        self,
        instrument: Instrument,
        after: datetime,
        upto: datetime,
        matters: Callable[[float, float], bool] = lambda _low, _high: True,
    ) -> Iterator[Tick]:
        """Yield the prices in (after, upto] at which orders may trade, in order of time.

        Args:
            instrument: What trades.
            after: Where the last walk ended.
            upto: Where this one ends.
            matters: Asked with the range of each whole minute of the synthetic market; a minute
                that does not matter is left out.
        """
        if instrument.is_index or self.is_halted(instrument):
            return
        day = after.astimezone(IST).date()
        while day <= upto.astimezone(IST).date():
            if is_trading_day(day):
                opened, closed = segment_session(instrument.hours, day)
                first = max(after, opened - _SECOND / 1000)
                yield from self._day_ticks(instrument, first, min(upto, closed), matters)
            day += timedelta(days=1)

    def _day_ticks(
        self,
        instrument: Instrument,
        after: datetime,
        upto: datetime,
        matters: Callable[[float, float], bool],
    ) -> Iterator[Tick]:
        if upto <= after:
            return
        segments = self._segments_of(instrument)
        if not self.is_replay:
            yield from self._second_ticks(instrument, after, upto, None if segments else matters)
        elif any(segment.pin is not None for segment in segments):
            yield from self._pinned_replay_ticks(instrument, after, upto)
        else:
            yield from self._bar_ticks(instrument, after, upto)

    def _second_ticks(
        self,
        instrument: Instrument,
        after: datetime,
        upto: datetime,
        matters: Callable[[float, float], bool] | None = None,
    ) -> Iterator[Tick]:
        at = after.replace(microsecond=0) + _SECOND
        while at < upto:
            if matters and at.second == 0 and at + _MINUTE < upto:
                bar = self.bar(instrument, at)
                if bar is not None and not matters(bar.low, bar.high):
                    at += _MINUTE
                    continue
            yield Tick(at, self.last_price(instrument, at), at)
            at += _SECOND
        closing = not self.is_open(instrument, upto)
        at = upto - _SECOND / 1000 if closing else upto
        if at > after:
            yield Tick(at, self.last_price(instrument, at), at)

    def bar(self, instrument: Instrument, at: datetime) -> Bar | None:
        """Return the bar that runs at a market time, as the source has it."""
        bars = self._source.day(instrument, at.astimezone(IST).date())
        position = bisect_right(bars, at, key=lambda bar: bar.start)
        bar = bars[position - 1] if position else None
        return bar if bar and at < bar.start + _MINUTE else None

    def _pinned_replay_ticks(
        self, instrument: Instrument, after: datetime, upto: datetime
    ) -> Iterator[Tick]:
        for tick in self._second_ticks(instrument, after, upto):
            segment = self._segment(instrument, tick.at)
            if segment and segment.pin is not None:
                yield tick

    def _bar_ticks(self, instrument: Instrument, after: datetime, upto: datetime) -> Iterator[Tick]:
        for bar in self._source.day(instrument, upto.astimezone(IST).date()):
            if after < bar.start <= upto:
                yield Tick(bar.start, bar.open, bar.start)
            end = bar.start + _MINUTE - _SECOND / 1000
            if after < end <= upto:
                path = [bar.low, bar.high] if bar.close >= bar.open else [bar.high, bar.low]
                for price in [*path, bar.close]:
                    yield Tick(end, price, bar.start, is_print=False)

    def bars(
        self, instrument: Instrument, first: datetime, last: datetime, *, closed_only: bool = False
    ) -> list[Bar]:
        """Return the one-minute bars that start in [first, last] and are known by now.

        The running bar is included, as far as it has come, unless ``closed_only`` or in a replay.
        """
        now = self._clock.now()
        known: list[Bar] = []
        day = first.astimezone(IST).date()
        while day <= min(last, now).astimezone(IST).date():
            for bar in self._source.day(instrument, day):
                if not first <= bar.start <= last or bar.start > now:
                    continue
                running = bar.start + _MINUTE > now
                if running and (closed_only or self.is_replay):
                    continue
                known.append(self._shown(instrument, bar, now if running else None))
            day += timedelta(days=1)
        return known

    def _shown(self, instrument: Instrument, bar: Bar, now: datetime | None) -> Bar:
        segments = self._segments_of(instrument)
        end = min(now, bar.start + _MINUTE) if now else bar.start + _MINUTE
        if now is None and not any(segment.at < end for segment in segments):
            return bar
        if not self.is_sampled(instrument, end):
            return bar
        steps = int((end - bar.start).total_seconds())
        prices = [self.last_price(instrument, at) for at in print_times(bar.start, end)]
        volume = int(bar.volume * max(1, steps) / _MINUTE.seconds)
        return Bar(bar.start, prices[0], max(prices), min(prices), prices[-1], volume)

    def is_sampled(self, instrument: Instrument, end: datetime) -> bool:
        """Return whether the minute that ends then is made of prices by the second.

        A replayed one is made of its bar, unless a price was set by hand.
        """
        pinned = (s for s in self._segments_of(instrument) if s.pin is not None and s.at < end)
        return not self.is_replay or any(pinned)

    def previous_close(self, instrument: Instrument, at: datetime) -> float:
        """Return the close of the trading day before a market time's day; 0 if unknown."""
        bar = self._last_bar_before(instrument, at.astimezone(IST).date())
        if bar is None:
            return 0.0
        segment = self._segment(instrument, bar.start + _MINUTE - _SECOND)
        if segment is not None and segment.pin is not None:
            return segment.pin
        return self._scaled(instrument, bar.close, segment)

    def circuits(self, instrument: Instrument) -> tuple[float, float]:
        """Return the lowest and the highest price of today.

        Where a recording lacks the day before, today's first price stands for its close.
        """
        now = self._clock.now()
        bar = self._last_bar_before(instrument, day := now.astimezone(IST).date())
        if bar and bar.start.astimezone(IST).date() == previous_trading_day(day):
            return circuit_limits(instrument, self.previous_close(instrument, now))
        bars = self.bars(instrument, datetime.combine(day, datetime.min.time(), IST), now)
        first = bars[0].open if bars else self.last_price(instrument, now)
        return circuit_limits(instrument, first)

    def quote(self, instrument: Instrument) -> Quote:
        """Return the full quote of now."""
        now = self._clock.now()
        day = now.astimezone(IST).date()
        opened = datetime.combine(day, datetime.min.time(), IST)
        bars = self.bars(instrument, opened, now)
        last = self.last_price(instrument, now)
        close = self.previous_close(instrument, now) or last
        volume = sum(bar.volume for bar in bars)
        value = sum(bar.volume * (bar.high + bar.low + bar.close) / 3 for bar in bars)
        return Quote(
            instrument=instrument,
            at=now,
            last_trade_at=min(now, bars[-1].start + _MINUTE) if bars else None,
            last_price=last,
            open=bars[0].open if bars else 0.0,
            high=max([bar.high for bar in bars] + [last]) if bars else 0.0,
            low=min([bar.low for bar in bars] + [last]) if bars else 0.0,
            close=close,
            volume=volume,
            average_price=round(value / volume, 2) if volume else 0.0,
            lower_circuit=self.circuits(instrument)[0],
            upper_circuit=self.circuits(instrument)[1],
            stuck_side=self.stuck_side(instrument),
        )

    def settings(self) -> dict[str, Any]:
        """Return what commands have changed, as JSON."""
        return {
            "halted": sorted(self._halts),
            "moved": sorted(self._segments),
            "liquidity": dict(self._liquidity),
            "circuit": self._locks.all(),
        }


def _inside(bar: Bar, at: datetime, tick: float) -> float:
    """Return the synthetic price inside a bar."""
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    corners = [(0.0, bar.open), (15.0, first), (45.0, second), (60.0, bar.close)]
    elapsed = (at - bar.start).total_seconds()
    for (left, start), (right, end) in pairwise(corners):
        if elapsed <= right:
            price = start + (end - start) * (elapsed - left) / (right - left)
            return round(round(price / tick) * tick, 2)
    return bar.close
