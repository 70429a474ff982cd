"""What a strategy decides, and what it decides from (product.md D1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Protocol

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Product
from core.domain.plain_text import plain_line
from core.domain.sessions import Schedule, SessionWindow
from core.domain.stop_rule import StopRule
from core.domain.typed_number import plain_digits, read_number
from core.domain.typed_time import read_time
from core.errors import UserError

__all__ = [
    "Context",
    "DataNeed",
    "Direction",
    "Parameter",
    "ParameterValue",
    "Strategy",
    "Target",
    "checked_parameters",
    "declares_short",
]

ParameterValue = int | Decimal | str


class Direction(IntEnum):
    """The side that a strategy wants in an instrument; multiplied with an account's size."""

    SHORT = -1
    FLAT = 0
    LONG = 1


@dataclass(frozen=True, slots=True)
class Target:
    """One instrument's goal, the same for every account.

    Attributes:
        signal_at: The instant (IST) at which this goal came into being: the close of the bar that
            caused it. An account enters only on the run of that very slot ("fresh"): one that joins
            late, or whose entry was abandoned, waits for the next signal (D3).
        stop_price: Where a protective stop belongs, rupees; None without one.
        stop_rule: How that stop follows the position; None where it stays until the next slot.
        reason: A short sentence for the chat.
    """

    instrument: InstrumentId
    direction: Direction
    signal_at: datetime
    stop_price: Decimal | None = None
    reason: str = ""
    stop_rule: StopRule | None = None


@dataclass(frozen=True, slots=True)
class DataNeed:
    """Bars that ``decide`` wants: today's, and ``lookback_bars`` before today."""

    bar_minutes: int
    lookback_bars: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """All that a strategy sees. No clock, no account, no broker.

    Attributes:
        slot_at: The slot that runs, IST; every bar closed at or before it.
        session: Today's session.
        bars: Closed bars, oldest first, lookback included; gaps of the data stay gaps.
        parameters: Checked values, one for each declared parameter.
    """

    slot_at: datetime
    session: SessionWindow
    bars: Mapping[InstrumentId, Sequence[Candle]]
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its type is that of ``default``; bounds are inclusive.

    Attributes:
        choices: Allowed texts, for a text parameter; empty means any instrument-list text.
    """

    name: str
    label: str
    default: ParameterValue
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None
    choices: tuple[str, ...] = ()

    def check(self, text: str) -> ParameterValue:
        """Read what a user typed, or raise ``UserError`` with what is expected."""
        if isinstance(self.default, str):
            return self._check_text(plain_line(text))
        value, is_whole = read_number(text), isinstance(self.default, int)
        if value is None or (is_whole and value != value.to_integral_value()):
            kind = "a whole number" if is_whole else "a number"
            raise UserError(f"{self.label}: found {text[:30]!r}; expected {kind}.")
        return self._check_number(int(value) if is_whole else value)

    def _check_text(self, value: str) -> str:
        if not self.choices:
            return value
        spelled = {one.casefold(): one for one in self.choices}
        said = plain_digits(value).casefold().removesuffix(" only")
        known = spelled.get(said) or spelled.get(read_time(value) or "")
        if known is None:
            raise UserError(
                f"{self.label}: found {value[:30]!r}; expected one of {', '.join(self.choices)}."
            )
        return known

    def _check_number(self, value: int | Decimal) -> int | Decimal:
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise UserError(f"{self.label}: found {value}; expected {low} to {high}.")
        return value


class Strategy(Protocol):
    """A pure decision; one instance serves every account and every run."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    product: Product

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        """Return what it trades; raises ``UserError`` for a malformed list."""
        ...

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        """Return when it runs."""
        ...

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        """Return the bars it needs."""
        ...

    def decide(self, context: Context) -> Sequence[Target]:
        """Return a target for each instrument that it has an opinion on.

        An instrument left out keeps its last goal. Must be a function of ``context`` alone.
        """
        ...


def checked_parameters(
    strategy: Strategy, given: Mapping[str, ParameterValue | str]
) -> dict[str, ParameterValue]:
    """Return every declared parameter with its checked or default value.

    Raises:
        UserError: An unknown name, or a value out of bounds.
    """
    known = {parameter.name: parameter for parameter in strategy.parameters}
    for name in given:
        if name not in known:
            raise UserError(f"Found the parameter {name!r}; expected one of {', '.join(known)}.")
    return {
        name: parameter.check(str(given[name])) if name in given else parameter.default
        for name, parameter in known.items()
    }


def declares_short(parameters: Mapping[str, ParameterValue]) -> bool:
    """Whether the parameter ``side`` lets a strategy sell short; False without that parameter."""
    return parameters.get("side", "long") != "long"
