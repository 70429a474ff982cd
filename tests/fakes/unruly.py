"""Strategies that do what they are told and should not do, for processes to import (``REGISTRY_AT``)."""

# ruff: noqa: ARG002 - the strategy port passes a context that most of these need not

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import IST, Schedule, SessionWindow
from core.domain.stop_rule import StopRule
from core.domain.target import (
    Context,
    DataNeed,
    Direction,
    Parameter,
    ParameterValue,
    Strategy,
    Target,
)
from tests.fakes.brokers import SBIN
from tests.fakes.deciding import hang, perish

__all__ = ["REGISTRY", "REGISTRY_AT", "context_of", "digest", "told"]

REGISTRY_AT = f"{__name__}:REGISTRY"
_DAY = datetime(2026, 11, 23, tzinfo=IST)


class Unruly:
    """Does at each decision what the parameter ``act`` says."""

    title = "Unruly"
    description = "Does what it should not."
    product = Product.MIS
    parameters: tuple[Parameter, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        return (SBIN,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(time(9, 30), time(14, 55), 5)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        return DataNeed(5)

    def decide(self, context: Context) -> Sequence[Target]:
        found: Sequence[Target] = _ACTS[str(context.parameters["act"])](context)
        return found


def told(context: Context, reason: str) -> list[Target]:
    """Return a decision that tells something."""
    return [Target(SBIN, Direction.FLAT, context.slot_at, reason=reason)]


def context_of(
    act: str, closes: Sequence[str] = ("815.05", "816"), **parameters: ParameterValue
) -> Context:
    """Return a context of ten o'clock with bars of a minute that close so."""
    bars = [
        Candle(_DAY.replace(hour=9, minute=15 + n), price, price, price, price, 100 + n)
        for n, price in enumerate(map(Decimal, closes))
    ]
    session = SessionWindow(
        _DAY.date(), _DAY.replace(hour=9, minute=15), _DAY.replace(hour=15, minute=30)
    )
    return Context(_DAY.replace(hour=10), session, {SBIN: tuple(bars)}, {"act": act, **parameters})


def digest(context: Context) -> str:
    """Return a short word for all that a context holds."""
    return hashlib.sha256(repr(context).encode()).hexdigest()


def _whole(context: Context) -> list[Target]:
    last = context.bars[SBIN][-1]
    return [
        Target(
            SBIN,
            Direction.LONG,
            last.start,
            last.close * Decimal("0.99"),
            digest(context),
            StopRule(Decimal("0.5"), None),
        )
    ]


def _raise(error: BaseException) -> Callable[[Context], Any]:
    def act(_context: Context) -> Any:
        raise error

    return act


_COUNT: list[int] = []


def _counting(context: Context) -> list[Target]:
    """Tell how often this process has decided: what a module keeps lasts as long as its process."""
    _COUNT.append(1)
    return told(context, str(len(_COUNT)))


def _surroundings(context: Context) -> list[Target]:
    """Tell what of the controller can be seen from here."""
    names = sorted(name for name in os.environ if name not in {"HOME", "PATH"})
    descriptors = list(Path("/proc/self/fd").iterdir())
    return told(context, f"{' '.join(names)}|{len(descriptors)}|{os.getpid()}")


def _hungry(context: Context) -> list[Target]:
    return told(context, str(len(bytearray(16 << 30))))


def _lying(_context: Context) -> None:
    """Answer past the program that asks: an answer, but with what is no number in it."""
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if one.is_socket():
                os.write(int(one.name), (7).to_bytes(4) + b'{"a":1}')


def _chatty(context: Context) -> list[Target]:
    for n in range(10_000):
        print("line", n)  # noqa: T201 - that is what it is for
    print("x" * 100_000, file=sys.stderr)  # noqa: T201 - see above
    return []


_ACTS: Mapping[str, Callable[[Context], Any]] = {
    "whole": _whole,
    "well": lambda context: told(context, "well"),
    "raises": _raise(ValueError("odd")),
    "stops": _raise(StopIteration(3)),
    "exits": _raise(SystemExit(1)),
    "interrupts": _raise(KeyboardInterrupt()),
    "times out": _raise(TimeoutError("own")),
    "nothing": lambda _context: None,
    "words": lambda _context: ["LONG"],
    "hangs": lambda _context: hang(),
    "perishes": lambda _context: perish(),
    "counts": _counting,
    "looks": _surroundings,
    "eats": _hungry,
    "talks": _chatty,
    "lies": _lying,
}

REGISTRY: Mapping[str, Strategy] = {name: Unruly(name) for name in ("one", "other")}
