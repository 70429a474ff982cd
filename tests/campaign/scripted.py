"""Strategies of the campaign: they want what the day's script says, each minute anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import Schedule
from core.domain.stop_rule import StopRule
from core.domain.target import (
    Context,
    DataNeed,
    Direction,
    Parameter,
    ParameterValue,
    Target,
)

__all__ = ["Wish", "WishingStrategy"]


@dataclass(frozen=True)
class Wish:
    """What a strategy wants from a moment on.

    Attributes:
        stop_percent: How far its stop stands from the price at that moment; 0 for none.
    """

    since: datetime
    direction: Direction
    stop_percent: Decimal


@dataclass
class WishingStrategy:
    """A strategy whose decisions were made before the day began."""

    name: str
    instrument: InstrumentId
    wishes: list[Wish] = field(default_factory=list)
    product: Product = Product.MIS
    title: str = "Wishing"
    description: str = "Wants what the day's script says."
    parameters: tuple[Parameter, ...] = ()
    stop_rule: StopRule | None = None
    _stops: dict[datetime, Decimal] = field(default_factory=dict)

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        assert not parameters
        return (self.instrument,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        assert not parameters
        return Schedule(time(9, 16), time(14, 58), 1)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        assert not parameters
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        begun = [wish for wish in self.wishes if wish.since <= context.slot_at]
        if not begun:
            return []
        wish = begun[-1]
        bars = [bar for bar in context.bars[self.instrument] if bar.start < wish.since]
        signal_at = wish.since.replace(second=0, microsecond=0)
        stop = self._stops.get(wish.since)
        if stop is None and wish.direction and wish.stop_percent and bars:
            away = wish.direction * wish.stop_percent / 100
            stop = (bars[-1].close * (1 - away)).quantize(Decimal("0.1"))
            self._stops[wish.since] = stop  # a stop stays where its signal put it
        why, rule = "as the script says", self.stop_rule
        return [Target(self.instrument, wish.direction, signal_at, stop, why, rule)]
