"""Bars of instruments that follow another one: futures, and shares at a second exchange.

A future is the underlying times the cost of carry to its expiry; a share at BSE costs what it costs
at NSE. In the synthetic market futures go on after their underlying has stopped, about its last
price; a recording is taken as it is.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

from sandbox.instruments import Instrument
from sandbox.listing import find
from sandbox.prices import Bar, BarSource, price_seed, rounded
from sandbox.sessions import segment_session

__all__ = ["FollowedBars", "follow_factor"]

CARRY_A_YEAR = 0.06
_DAYS_A_YEAR = 365
_REACH = 0.0002
_KEPT_DAYS = 512
_MINUTE = timedelta(minutes=1)


def follow_factor(instrument: Instrument, day: date) -> float:
    """Return the price of an instrument as a multiple of the one it follows."""
    if instrument.expiry is None:
        return 1.0
    return 1 + CARRY_A_YEAR * max(0, (instrument.expiry - day).days) / _DAYS_A_YEAR


class FollowedBars:
    """A source of bars that also knows instruments which follow others.

    Args:
        source: Bars of the instruments that follow nobody.
    """

    def __init__(self, source: BarSource) -> None:
        self._source = source
        self.replayed = source.replayed
        self._kept: dict[tuple[Instrument, date], tuple[tuple[Bar, ...], tuple[Bar, ...]]] = {}

    def day(self, instrument: Instrument, day: date) -> tuple[Bar, ...]:
        """Return the instrument's bars of one day."""
        followed = find(instrument.follows) if instrument.follows else None
        if followed is None:
            return self._source.day(instrument, day)
        bars = self._source.day(followed, day)
        kept = self._kept.get((instrument, day))
        if kept is not None and kept[0] is bars:
            return kept[1]
        if len(self._kept) >= _KEPT_DAYS:
            self._kept.clear()
        made = self._made(instrument, day, bars)
        self._kept[instrument, day] = (bars, made)
        return made

    def _made(self, instrument: Instrument, day: date, bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
        if not bars:
            return ()
        factor, tick = follow_factor(instrument, day), instrument.tick_size
        made = [
            replace(
                bar,
                open=rounded(bar.open * factor, tick),
                high=rounded(bar.high * factor, tick),
                low=rounded(bar.low * factor, tick),
                close=rounded(bar.close * factor, tick),
                volume=bar.volume or 1,
            )
            for bar in bars
        ]
        if not self.replayed:
            self._go_on(made, instrument, day)
        return tuple(made)

    @staticmethod
    def _go_on(made: list[Bar], instrument: Instrument, day: date) -> None:
        """Add the minutes in which the followed instrument no longer trades."""
        closed = segment_session(instrument.hours, day)[1]
        rng = random.Random(price_seed(instrument.key, day))
        while made[-1].start + _MINUTE < closed:
            last, tick = made[-1].close, instrument.tick_size
            close = rounded(last * (1 + rng.gauss(0, _REACH)), tick)
            high, low = max(last, close), min(last, close)
            start = made[-1].start + _MINUTE
            made.append(Bar(start, last, high, low, close, made[-1].volume))
