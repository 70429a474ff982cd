"""A strategy whose decision is a parameter, so that a test gets an order whenever it wants one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import Schedule
from core.domain.target import (
    Context,
    DataNeed,
    Direction,
    Parameter,
    ParameterValue,
    Strategy,
    Target,
)

__all__ = ["PULSE", "REGISTRY", "SBIN", "Pulse"]

SBIN = InstrumentId("NSE", "SBIN")
PULSE = "pulse"


class Pulse:
    """Wants what its parameters say, afresh on every run."""

    name = PULSE
    title = "Pulse"
    description = "Does as it is told."
    product = Product.MIS
    parameters: tuple[Parameter, ...] = (
        Parameter("direction", "Direction", "FLAT", choices=("LONG", "FLAT", "SHORT")),
        Parameter("stop_percent", "Stop", Decimal(0), Decimal(0), Decimal(20)),
    )

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        assert parameters
        return (SBIN,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        assert parameters
        return Schedule(time(9, 16), time(15, 0), 1)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        assert parameters
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        direction = Direction[str(context.parameters["direction"])]
        percent = Decimal(context.parameters["stop_percent"])
        stop = None
        if percent and direction:
            close = context.bars[SBIN][-1].close
            stop = (close * (1 - direction * percent / 100)).quantize(Decimal("0.01"))
        return [Target(SBIN, direction, context.slot_at, stop, "told so")]


REGISTRY: Mapping[str, Strategy] = {PULSE: Pulse()}
