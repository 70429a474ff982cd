"""A strategy whose decision is a parameter, so that a test gets an order whenever it wants one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path

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

__all__ = ["PULSE", "REGISTRY", "REGISTRY_AT", "SBIN", "Pulse"]

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
        Parameter("waits_for", "Waits for a file", ""),
    )

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        assert parameters
        return (SBIN,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        assert parameters
        return Schedule(clock_time(9, 16), clock_time(15, 0), 1)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        assert parameters
        return DataNeed(1)

    def decide(self, context: Context) -> Sequence[Target]:
        if waits_for := str(context.parameters["waits_for"]):
            wait_for(Path(waits_for))
        direction = Direction[str(context.parameters["direction"])]
        percent = Decimal(context.parameters["stop_percent"])
        stop = None
        if percent and direction:
            close = context.bars[SBIN][-1].close
            stop = (close * (1 - direction * percent / 100)).quantize(Decimal("0.01"))
        return [Target(SBIN, direction, context.slot_at, stop, "told so")]


def wait_for(file: Path) -> None:
    """Say that it waits, and by whom, in a file beside it; then wait until it is there."""
    while not file.exists():
        begun = file.with_suffix(".waits")
        if not begun.exists():
            begun.with_suffix(".new").write_text(str(os.getpid()))
            begun.with_suffix(".new").rename(begun)
        time.sleep(0.01)


REGISTRY: Mapping[str, Strategy] = {PULSE: Pulse()}
REGISTRY_AT = f"{__name__}:REGISTRY"
