"""What the strategies share: parameters, the stance, stops, and the end of the day.

A strategy holds no state. At each slot it replays today's closed bars from the open and arrives at
its present stance, so a restart, a late start or a second call gives the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.domain.bars import bar_close
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST, Schedule, SessionWindow
from core.domain.stop_rule import StopRule
from core.domain.target import Context, Direction, Parameter, ParameterValue, Target
from core.errors import UserError

__all__ = [
    "BAR_MINUTES",
    "INSTRUMENTS",
    "MARKET_OPEN",
    "SIDE",
    "SQUARE_OFF",
    "STOP_TO_COST",
    "TRAIL",
    "Stance",
    "clock_time",
    "clock_times",
    "decimal_of",
    "flat",
    "flat_at",
    "instrument_list",
    "integer_of",
    "intraday_schedule",
    "may_take",
    "percent_stop",
    "stop_is_hit",
    "stop_rule",
    "text_of",
    "todays_bars",
]

MARKET_OPEN = time(9, 15)
_INSTRUMENT_LIMIT = 20
_CLOSING_MARGIN = timedelta(minutes=15)
_PAISA = Decimal("0.01")
_DAY = datetime(2021, 1, 1, tzinfo=IST)


def clock_times(first: str, last: str, every_minutes: int = 15) -> tuple[str, ...]:
    """Return the choices of a time parameter, ``HH:MM``, from ``first`` to ``last``."""
    moment = datetime.combine(_DAY, time.fromisoformat(first))
    end = datetime.combine(_DAY, time.fromisoformat(last))
    found = []
    while moment <= end:
        found.append(f"{moment:%H:%M}")
        moment += timedelta(minutes=every_minutes)
    return tuple(found)


INSTRUMENTS = Parameter("instruments", "Instruments", "NSE:SBIN,NSE:RELIANCE")
# Each of these divides a quarter of an hour, so that bars close at every choice of a time.
BAR_MINUTES = Parameter("bar_minutes", "Candle, minutes", "1", choices=("1", "3", "5", "15"))
SIDE = Parameter("side", "Side", "both", choices=("both", "long", "short"))
SQUARE_OFF = Parameter(
    "square_off", "Square off at", "15:00", choices=clock_times("10:00", "15:15")
)

STOP_TO_COST = Parameter("stop_to_cost", "Stop to cost at profit, % (0: no)", Decimal(0), 0, 20)
TRAIL = Parameter("trail", "Stop follows price by, % (0: no)", Decimal(0), 0, 20)


@dataclass(frozen=True, slots=True)
class Stance:
    """The position that a strategy wants now: direction, since when, stop, and reason."""

    direction: Direction
    since: datetime
    reason: str
    stop: Decimal | None = None

    def target(self, instrument: InstrumentId, rule: StopRule | None = None) -> Target:
        """Return the stance as the target of one instrument; its stop follows by ``rule``."""
        return Target(instrument, self.direction, self.since, self.stop, self.reason, rule)


def flat(since: datetime, reason: str) -> Stance:
    """Return the stance of holding nothing."""
    return Stance(Direction.FLAT, since, reason)


def instrument_list(parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
    """Read the comma list of the parameter ``instruments``.

    Raises:
        UserError: It is empty, too long, malformed or names one twice.
    """
    texts = [part for part in text_of(parameters, "instruments").split(",") if part.strip()]
    found = tuple(InstrumentId.parse(text) for text in texts)
    if not 1 <= len(found) <= _INSTRUMENT_LIMIT:
        raise UserError(
            f"Instruments: found {len(found)}; expected 1 to {_INSTRUMENT_LIMIT}, "
            "separated by commas."
        )
    for instrument in found:
        if found.count(instrument) > 1:
            raise UserError(f"Instruments: found {instrument} twice; expected each once.")
    return found


def stop_rule(parameters: Mapping[str, ParameterValue]) -> StopRule | None:
    """Return how stops follow their positions, None where they stay."""
    to_cost, trail = decimal_of(parameters, "stop_to_cost"), decimal_of(parameters, "trail")
    return StopRule(to_cost or None, trail or None) if to_cost or trail else None


def text_of(parameters: Mapping[str, ParameterValue], name: str) -> str:
    """Return a text parameter."""
    return str(parameters[name])


def integer_of(parameters: Mapping[str, ParameterValue], name: str) -> int:
    """Return a whole number; a parameter with choices holds it as text."""
    return int(parameters[name])


def decimal_of(parameters: Mapping[str, ParameterValue], name: str) -> Decimal:
    """Return a decimal parameter."""
    return Decimal(parameters[name])


def clock_time(parameters: Mapping[str, ParameterValue], name: str) -> time:
    """Return a time parameter."""
    return time.fromisoformat(text_of(parameters, name))


def intraday_schedule(
    parameters: Mapping[str, ParameterValue], *, minutes_after_open: int = 0
) -> Schedule:
    """Return a slot at each bar's close, from the first bar after a while until the square-off."""
    minutes = integer_of(parameters, "bar_minutes")
    square_off = clock_time(parameters, "square_off")
    first = datetime.combine(_DAY, MARKET_OPEN) + timedelta(
        minutes=max(minutes, minutes_after_open)
    )
    last = datetime.combine(_DAY, square_off) - timedelta(minutes=minutes)
    until = clock_time(parameters, "entry_until") if "entry_until" in parameters else None
    return Schedule(first.time(), last.time(), minutes, square_off, entry_until=until)


def flat_at(session: SessionWindow, square_off: time) -> datetime:
    """Return when to be flat: the chosen time, or a quarter of an hour before an earlier close."""
    chosen = datetime.combine(session.day, square_off, IST)
    return min(chosen, session.close_at - _CLOSING_MARGIN)


def todays_bars(context: Context, instrument: InstrumentId, minutes: int) -> Sequence[Candle]:
    """Return today's bars that had closed at the slot, whatever else the context holds."""
    return [
        bar
        for bar in context.bars.get(instrument, ())
        if bar.start >= context.session.open_at and bar_close(bar, minutes) <= context.slot_at
    ]


def may_take(side: str, direction: Direction) -> bool:
    """Return whether the parameter ``side`` allows a direction."""
    return side == "both" or side == direction.name.lower()


def percent_stop(price: Decimal, direction: Direction, percent: Decimal) -> Decimal:
    """Return a stop that far from a price, in whole paise, rounded away from the price."""
    stop = price * (1 - direction * percent / 100)
    rounding = ROUND_FLOOR if direction is Direction.LONG else ROUND_CEILING
    return stop.quantize(_PAISA, rounding)


def stop_is_hit(bar: Candle, direction: Direction, stop: Decimal) -> bool:
    """Return whether a bar touched the stop of a position held through it."""
    return bar.low <= stop if direction is Direction.LONG else bar.high >= stop
