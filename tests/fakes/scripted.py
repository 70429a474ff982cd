"""A strategy that does at each slot what its script says, and a made-up day to run it on."""

# ruff: noqa: ARG002 - the strategy port passes parameters, and a script has none

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal

from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import IST, Schedule
from core.domain.target import Context, DataNeed, Direction, Parameter, ParameterValue, Target
from tests.fakes.lockstep import Rig, ist

__all__ = ["DAY", "SBIN", "Opened", "Scripted", "at", "kite", "sized"]

SBIN = InstrumentId("NSE", "SBIN")


class Scripted:
    """Wants what the newest entry of ``script`` (``HH:MM`` to a direction) says, from then on.

    Entries stand at slots, which come every five minutes from 09:30; flat by 15:00.
    """

    title = "Scripted"
    description = "Does what its script says."
    parameters: tuple[Parameter, ...] = ()
    product = Product.MIS

    def __init__(
        self,
        name: str,
        script: Mapping[str, Direction],
        *,
        stop: Mapping[Direction, Decimal] | None = None,
        instrument: InstrumentId = SBIN,
    ) -> None:
        self.name = name
        self._script = script
        self._stops = stop or {}
        self._instrument = instrument
        self.decided: list[str] = []

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        return (self._instrument,)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(time(9, 30), time(14, 55), 5)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        return DataNeed(5)

    def decide(self, context: Context) -> Sequence[Target]:
        slot = f"{context.slot_at:%H:%M}"
        self.decided.append(slot)
        begun = [at for at in self._script if at <= slot]
        if not begun:
            return []
        since = max(begun)
        signal_at = datetime.combine(context.session.day, time.fromisoformat(since), IST)
        direction = self._script[since]
        stop = self._stops.get(direction)
        return [Target(self._instrument, direction, signal_at, stop, "as the script says")]


DAY = "2021-05-12"
Opened = Callable[..., contextlib.AbstractAsyncContextManager[Rig]]
"""Opens an engine with scripted strategies at 09:20 of the made-up day (tests/e2e/conftest.py)."""


def at(clock: str) -> datetime:
    """Return a time of the made-up day."""
    return ist(f"{DAY} {clock}")


async def kite(engine: Rig, *, quantity: int = 1) -> Account:
    """Connect a Zerodha account, and enable every strategy with a size."""
    account = await engine.connect(ZERODHA, "Kite", engine.app("kite", 0))
    await sized(engine, account, quantity)
    return account


async def sized(engine: Rig, account: Account, quantity: int) -> None:
    """Enable every strategy with a fixed quantity on an account."""
    for name in engine.registry:
        await engine.system.control.strategy_settings.assign(
            engine.command(), name, account.broker_id, size_value=Decimal(quantity)
        )
        await engine.enable_strategy(name)
