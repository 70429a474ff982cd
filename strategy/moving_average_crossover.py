"""Moving average crossover: long while the fast average is above the slow one, short while below.

Only a crossing that happens today opens a position; the averages themselves start in the days
before (``lookback_bars``), so the first bar of a day can cross. A position ends at its stop, at
the opposite crossing or at the square-off; after a stop the next crossing is awaited. The
averages are computed by talipp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from talipp.indicators import EMA, SMA

from core.domain.bars import bar_close
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Product
from core.domain.money import rupees
from core.domain.sessions import IST, Schedule
from core.domain.target import Context, DataNeed, Direction, Parameter, ParameterValue, Target
from core.errors import UserError
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

__all__ = ["MovingAverageCrossover"]

# After four times its period an EMA depends on its first value by a three-thousandth only.
_WARM_UP = 4
# Averages of equal prices differ by the rounding of floats, which must not look like a crossing.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class _CrossoverRules:
    """The parameters, read once a decision, with this day's instants."""

    bar_minutes: int
    side: str
    stop_percent: Decimal
    entry_from: datetime
    entry_until: datetime
    flat_at: datetime


class MovingAverageCrossover:
    """Follows the crossings of two moving averages, with a stop, until the square-off."""

    name = "moving_average_crossover"
    title = "Moving average crossover"
    description = (
        "Long when the fast average crosses above the slow one, short when below; leaves at the "
        "stop, at the opposite crossing or at the square-off time."
    )
    product = Product.MIS
    parameters: tuple[Parameter, ...] = (
        INSTRUMENTS,
        Parameter("bar_minutes", "Candle, minutes", "5", choices=BAR_MINUTES.choices),
        Parameter("average", "Average", "EMA", choices=("EMA", "SMA")),
        Parameter("fast", "Fast average, candles", 9, 2, 100),
        Parameter("slow", "Slow average, candles", 21, 3, 200),
        SIDE,
        Parameter("stop_percent", "Stop distance, %", Decimal(1), Decimal("0.1"), 10),
        STOP_TO_COST,
        TRAIL,
        Parameter(
            "entry_from", "No entries before", "09:30", choices=clock_times("09:15", "14:45")
        ),
        Parameter(
            "entry_until", "No entries after", "14:30", choices=clock_times("09:30", "15:00")
        ),
        SQUARE_OFF,
    )

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        """Return the comma list, read; raises ``UserError`` too when fast is not below slow."""
        _periods(parameters)
        return instrument_list(parameters)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        """Return a slot at each bar's close."""
        return intraday_schedule(parameters)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        """Return today's bars and enough before them for the slow average to settle."""
        _, slow = _periods(parameters)
        return DataNeed(integer_of(parameters, "bar_minutes"), lookback_bars=_WARM_UP * slow)

    def decide(self, context: Context) -> Sequence[Target]:
        """Return the target of each instrument after its closed bars of today.

        An instrument without any bar of today is left out before the square-off: missing market
        data must not close a position.
        """
        rules, follows = _rules(context), stop_rule(context.parameters)
        targets = []
        for instrument in instrument_list(context.parameters):
            today = todays_bars(context, instrument, rules.bar_minutes)
            if today or context.slot_at >= rules.flat_at:
                earlier = [
                    bar
                    for bar in context.bars.get(instrument, ())
                    if bar.start < context.session.open_at
                ]
                targets.append(_goal(context, rules, earlier, today).target(instrument, follows))
        return targets


def _periods(parameters: Mapping[str, ParameterValue]) -> tuple[int, int]:
    fast, slow = integer_of(parameters, "fast"), integer_of(parameters, "slow")
    if fast >= slow:
        raise UserError(
            f"Averages: found fast {fast} and slow {slow}; expected fast to have fewer bars."
        )
    return fast, slow


def _rules(context: Context) -> _CrossoverRules:
    given, session = context.parameters, context.session
    return _CrossoverRules(
        bar_minutes=integer_of(given, "bar_minutes"),
        side=text_of(given, "side"),
        stop_percent=decimal_of(given, "stop_percent"),
        entry_from=datetime.combine(session.day, clock_time(given, "entry_from"), IST),
        entry_until=datetime.combine(session.day, clock_time(given, "entry_until"), IST),
        flat_at=flat_at(session, clock_time(given, "square_off")),
    )


def _goal(
    context: Context, rules: _CrossoverRules, earlier: Sequence[Candle], today: Sequence[Candle]
) -> Stance:
    crossings = _crossings(context.parameters, [*earlier, *today])
    goal = flat(context.session.open_at, "No crossing yet today.")
    # The bars of earlier days only warm the averages up; the stance starts with today's first bar.
    for bar, crossing in list(zip([*earlier, *today], crossings, strict=True))[len(earlier) :]:
        closed_at = bar_close(bar, rules.bar_minutes)
        if closed_at <= rules.flat_at:
            goal = _next(goal, bar, crossing, rules)
    if context.slot_at < rules.flat_at or goal.direction is Direction.FLAT:
        return goal
    return flat(rules.flat_at, f"Square-off at {rules.flat_at:%H:%M}.")


def _crossings(
    parameters: Mapping[str, ParameterValue], bars: Sequence[Candle]
) -> Iterator[Direction]:
    """Yield for each bar the direction in which its close made the averages cross, or FLAT."""
    fast_period, slow_period = _periods(parameters)
    kind = EMA if text_of(parameters, "average") == "EMA" else SMA
    closes = [float(bar.close) for bar in bars]
    side = Direction.FLAT
    for fast, slow in zip(kind(fast_period, closes), kind(slow_period, closes), strict=True):
        now = Direction.FLAT if fast is None or slow is None else _side(fast - slow)
        crossed = Direction.FLAT not in {now, side} and now is not side
        yield now if crossed else Direction.FLAT
        # Equal averages are no side: a touch that turns back is not a crossing.
        side = side if now is Direction.FLAT else now


def _side(difference: float) -> Direction:
    if abs(difference) < _TOLERANCE:
        return Direction.FLAT
    return Direction.LONG if difference > 0 else Direction.SHORT


def _next(goal: Stance, bar: Candle, crossing: Direction, rules: _CrossoverRules) -> Stance:
    closed_at = bar_close(bar, rules.bar_minutes)
    if goal.stop is not None and stop_is_hit(bar, goal.direction, goal.stop):
        goal = flat(closed_at, f"Hit its stop at {rupees(goal.stop)}.")
    if crossing is Direction.FLAT:
        return goal
    where = "above" if crossing is Direction.LONG else "below"
    reason = f"Crossed {where} at {rupees(bar.close)}."
    may_enter = rules.entry_from <= closed_at <= rules.entry_until and closed_at < rules.flat_at
    if may_enter and may_take(rules.side, crossing):
        stop = percent_stop(bar.close, crossing, rules.stop_percent)
        return Stance(crossing, closed_at, reason, stop)
    # No entry here (too early, too late, or not this side), but the crossing still ends a position.
    if goal.direction == -crossing:
        return flat(closed_at, reason)
    return goal
