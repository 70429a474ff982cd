"""A strategy that wants one direction in each of its shares, so that a bench enters when it likes."""

# ruff: noqa: ARG002 - the port passes what this strategy needs not look at

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import Schedule
from core.domain.target import Context, DataNeed, Direction, Parameter, ParameterValue, Target
from tests.bench.door import share

__all__ = ["CREWS", "CREWS_AT", "Crew", "crews_of"]

CREWS_AT = f"{__name__}:CREWS"


@dataclass
class Crew:
    """Wants what its parameter says, in every share; by turns, it is long in even minutes.

    Attributes:
        first: The number of its first share.
        count: How many it trades.
    """

    name: str
    first: int
    count: int
    title: str = "Crew"
    description: str = "Does as it is told."
    product: Product = Product.MIS
    parameters: tuple[Parameter, ...] = (
        Parameter("direction", "Direction", "FLAT", choices=("LONG", "FLAT", "BY TURNS")),
    )

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        """Return its shares."""
        numbers = range(self.first, self.first + self.count)
        return tuple(InstrumentId("NSE", share(number)) for number in numbers)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        """Return a slot a minute; most benches leave it disabled and run it themselves."""
        return Schedule(time(9, 16), time(15, 0), 1)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        """Return the bars it looks at: as few as can be."""
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        """Return one target a share."""
        wanted = str(context.parameters["direction"])
        if wanted == "BY TURNS":
            wanted = ("LONG", "FLAT")[context.slot_at.minute % 2]
        direction = Direction[wanted]
        shares = self.instruments(context.parameters)
        return [Target(one, direction, context.slot_at, reason="told so") for one in shares]


def crews_of(strategies: int, instruments: int) -> list[Crew]:
    """Return strategies that share no share; the name tells the rest."""
    return [CREWS[f"crew{number}x{instruments}"] for number in range(strategies)]


class _Crews:
    """Every crew there can be, by its name: what their processes import."""

    def __getitem__(self, name: str) -> Crew:
        number, count = map(int, name.removeprefix("crew").split("x"))
        return Crew(name, number * count, count)


CREWS = _Crews()
