"""Opening range breakout: long above the range of the first minutes, short below it.

The range is the high and low of the first minutes of the session, and is used only when every
bar of it is present. A position is opened when a bar closes beyond the range while the bar before
it had not, and it ends at its stop, at its target or at the square-off, whichever comes first;
where one bar touches both stop and target, the stop is assumed to have come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.bars import bar_close
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Product
from core.domain.money import rupees
from core.domain.sessions import IST, Schedule, SessionWindow
from core.domain.target import Context, DataNeed, Direction, Parameter, ParameterValue, Target
from strategy.base import (
    BAR_MINUTES,
    INSTRUMENTS,
    SIDE,
    SQUARE_OFF,
    STOP_TO_COST,
    TRAIL,
    Stance,
    clock_time,
    clock_times,
    decimal_of,
    flat,
    flat_at,
    instrument_list,
    integer_of,
    intraday_schedule,
    may_take,
    percent_stop,
    stop_is_hit,
    stop_rule,
    text_of,
    todays_bars,
)

__all__ = ["OpeningRangeBreakout"]

_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class _BreakoutRules:
    """The parameters, read once a decision, with this day's instants."""

    bar_minutes: int
    range_bars: int
    side: str
    buffer_bps: Decimal
    stop: str
    stop_percent: Decimal
    target_multiple: Decimal
    max_entries: int
    range_end: datetime
    entry_until: datetime
    flat_at: datetime


@dataclass(frozen=True, slots=True)
class _Range:
    high: Decimal
    low: Decimal

    def breakout(self, price: Decimal, buffer_bps: Decimal) -> Direction:
        """Return the side of the range on which a price lies, buffer included; FLAT inside."""
        if price > self.high * (1 + buffer_bps / _BASIS_POINTS):
            return Direction.LONG
        if price < self.low * (1 - buffer_bps / _BASIS_POINTS):
            return Direction.SHORT
        return Direction.FLAT

    def __str__(self) -> str:
        return f"{rupees(self.low)} to {rupees(self.high)}"


class OpeningRangeBreakout:
    """Trades the first close outside the opening range, with a stop, until the square-off."""

    name = "opening_range_breakout"
    title = "Opening range breakout"
    description = (
        "Enters when a bar closes beyond the range of the first minutes; leaves at the stop, "
        "at the target if one is set, or at the square-off time."
    )
    product = Product.MIS
    parameters: tuple[Parameter, ...] = (
        INSTRUMENTS,
        BAR_MINUTES,
        Parameter("range_minutes", "Opening range, minutes", 15, 1, 120),
        Parameter("buffer_bps", "Buffer at the range, basis points", Decimal(0), 0, 100),
        SIDE,
        Parameter("stop", "Stop", "range", choices=("range", "percent")),
        Parameter(
            "stop_percent",
            "Stop distance, % (stop: percent)",
            Decimal(1),
            Decimal("0.1"),
            10,
        ),
        STOP_TO_COST,
        TRAIL,
        Parameter("target_multiple", "Target, times the risk (0: no)", Decimal(0), 0, 20),
        Parameter("max_entries", "Entries a day, each way", 1, 1, 5),
        Parameter(
            "entry_until", "No entries after", "14:00", choices=clock_times("09:30", "15:00")
        ),
        SQUARE_OFF,
    )

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        """Return the comma list, read."""
        return instrument_list(parameters)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        """Return a slot at each bar's close once the range is complete."""
        minutes = _range_bars(parameters) * integer_of(parameters, "bar_minutes")
        return intraday_schedule(parameters, minutes_after_open=minutes)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        """Return the bars of today alone."""
        return DataNeed(integer_of(parameters, "bar_minutes"))

    def decide(self, context: Context) -> Sequence[Target]:
        """Return the target of each instrument after its closed bars of today.

        An instrument without any bar of today is left out before the square-off: missing market
        data must not close a position.
        """
        rules, follows = _rules(context), stop_rule(context.parameters)
        targets = []
        for instrument in instrument_list(context.parameters):
            bars = todays_bars(context, instrument, rules.bar_minutes)
            if bars or context.slot_at >= rules.flat_at:
                targets.append(_goal(context, rules, bars).target(instrument, follows))
        return targets


def _range_bars(parameters: Mapping[str, ParameterValue]) -> int:
    """Return the bars that the range spans, rounded up to whole bars."""
    return -(-integer_of(parameters, "range_minutes") // integer_of(parameters, "bar_minutes"))


def _rules(context: Context) -> _BreakoutRules:
    given, session = context.parameters, context.session
    bar_minutes, range_bars = integer_of(given, "bar_minutes"), _range_bars(given)
    return _BreakoutRules(
        bar_minutes=bar_minutes,
        range_bars=range_bars,
        side=text_of(given, "side"),
        buffer_bps=decimal_of(given, "buffer_bps"),
        stop=text_of(given, "stop"),
        stop_percent=decimal_of(given, "stop_percent"),
        target_multiple=decimal_of(given, "target_multiple"),
        max_entries=integer_of(given, "max_entries"),
        range_end=session.open_at + timedelta(minutes=bar_minutes * range_bars),
        entry_until=datetime.combine(session.day, clock_time(given, "entry_until"), IST),
        flat_at=flat_at(session, clock_time(given, "square_off")),
    )


def _goal(context: Context, rules: _BreakoutRules, bars: Sequence[Candle]) -> Stance:
    goal = _path(context.session, rules, bars, context.slot_at)
    if context.slot_at < rules.flat_at or goal.direction is Direction.FLAT:
        return goal
    return flat(rules.flat_at, f"Square-off at {rules.flat_at:%H:%M}.")


def _path(
    session: SessionWindow, rules: _BreakoutRules, bars: Sequence[Candle], slot_at: datetime
) -> Stance:
    opening = [bar for bar in bars if bar.start < rules.range_end]
    if slot_at < rules.range_end:
        return flat(session.open_at, f"The opening range ends at {rules.range_end:%H:%M}.")
    if len(opening) < rules.range_bars:
        return flat(
            session.open_at,
            f"No opening range, no trade: {len(opening)} of {rules.range_bars} bars until "
            f"{rules.range_end:%H:%M} are there.",
        )
    opening_range = _Range(max(bar.high for bar in opening), min(bar.low for bar in opening))
    replay = _Replay(rules, opening_range, session.open_at, opening[-1].close)
    for bar in bars[len(opening) :]:
        replay.step(bar)
    return replay.goal


class _Replay:
    """Replays one day's bars after the range; used within one decision."""

    def __init__(
        self, rules: _BreakoutRules, opening_range: _Range, since: datetime, last_close: Decimal
    ) -> None:
        self.goal = flat(since, f"No breakout of {opening_range} yet.")
        self._rules = rules
        self._range = opening_range
        self._last_close = last_close
        self._entries = {Direction.LONG: 0, Direction.SHORT: 0}
        self._target: Decimal | None = None

    def step(self, bar: Candle) -> None:
        """Process one closed bar."""
        closed_at = bar_close(bar, self._rules.bar_minutes)
        if closed_at <= self._rules.flat_at:
            if self.goal.direction is Direction.FLAT:
                self._enter(bar, closed_at)
            else:
                self._leave(bar, closed_at)
        self._last_close = bar.close

    def _enter(self, bar: Candle, closed_at: datetime) -> None:
        rules = self._rules
        direction = self._range.breakout(bar.close, rules.buffer_bps)
        if (
            direction is Direction.FLAT
            # Only the bar that leaves the range enters; a price that stays outside does not.
            or direction is self._range.breakout(self._last_close, rules.buffer_bps)
            or closed_at > rules.entry_until
            or closed_at >= rules.flat_at
            or not may_take(rules.side, direction)
            or self._entries[direction] >= rules.max_entries
        ):
            return
        self._entries[direction] += 1
        stop = self._stop(bar.close, direction)
        if rules.target_multiple:
            self._target = bar.close + (bar.close - stop) * rules.target_multiple
        where = "above" if direction is Direction.LONG else "below"
        edge = self._range.high if direction is Direction.LONG else self._range.low
        reason = f"Close {rupees(bar.close)} {where} {rupees(edge)}."
        self.goal = Stance(direction, closed_at, reason, stop)

    def _stop(self, price: Decimal, direction: Direction) -> Decimal:
        if self._rules.stop == "percent":
            return percent_stop(price, direction, self._rules.stop_percent)
        return self._range.low if direction is Direction.LONG else self._range.high

    def _leave(self, bar: Candle, closed_at: datetime) -> None:
        direction, stop = self.goal.direction, self.goal.stop
        if stop is not None and stop_is_hit(bar, direction, stop):
            self.goal = flat(closed_at, f"Hit its stop at {rupees(stop)}.")
        elif self._target is not None and _is_reached(bar, direction, self._target):
            self.goal = flat(closed_at, f"Hit its target of {rupees(self._target)}.")


def _is_reached(bar: Candle, direction: Direction, price: Decimal) -> bool:
    return bar.high >= price if direction is Direction.LONG else bar.low <= price
