"""The simulators that are here: every package of the sandbox with a ``build_app``.

Such a package has ``build_app(world) -> web.Application``, called first, and may have
``control_routes(world) -> list[web.RouteDef]`` for the control port. A broker's has a module
``apps`` besides: ``CALLBACK_PATH``, where logins lead back to, and ``KEYS``, the (API key, secret,
user id) of the apps that are there from the start. It may say there, too, in which form the broker
numbers orders (``order_id(now, number)``), when it squares intraday positions off (``CUTOFFS``) and
what it charges for itself (``TARIFF``, nothing when it does not say).
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from types import ModuleType

import sandbox
from sandbox.charge_rates import FREE, Tariff
from sandbox.sessions import AUCTION_SINCE, Cutoffs

__all__ = ["SimulatedBroker", "simulated_brokers", "simulators"]


_CUTOFFS = (
    Cutoffs(date.min, time(15, 20), time(15, 20), time(15, 25)),
    Cutoffs(AUCTION_SINCE, time(15, 12), time(15, 20), time(15, 25)),
)


def _order_id(now: datetime, number: int) -> str:
    return f"{now:%y%m%d}{number:09d}"


@dataclass(frozen=True)
class SimulatedBroker:
    """What a broker's simulator begins with.

    Attributes:
        keys: (API key, secret, user id) of the apps that are there from the start.
        order_id: Writes the number of an order, counted from 1, at a market time.
        cutoffs: When intraday positions are squared off, the oldest rule first.
        tariff: The broker's own fees; taxes and exchanges' fees come on top.
    """

    callback_path: str
    keys: tuple[tuple[str, str, str], ...]
    order_id: Callable[[datetime, int], str]
    cutoffs: tuple[Cutoffs, ...]
    tariff: Tariff


@cache
def simulators() -> Mapping[str, ModuleType]:
    """Return the packages by name."""
    names = [found.name for found in pkgutil.iter_modules(sandbox.__path__) if found.ispkg]
    modules = {name: importlib.import_module(f"sandbox.{name}") for name in sorted(names)}
    return {name: module for name, module in modules.items() if hasattr(module, "build_app")}


@cache
def simulated_brokers() -> Mapping[str, SimulatedBroker]:
    """Return the simulators of brokers by name."""
    found = {}
    for name in simulators():
        if importlib.util.find_spec(f"sandbox.{name}.apps") is not None:
            apps = importlib.import_module(f"sandbox.{name}.apps")
            found[name] = SimulatedBroker(
                apps.CALLBACK_PATH,
                apps.KEYS,
                getattr(apps, "order_id", _order_id),
                getattr(apps, "CUTOFFS", _CUTOFFS),
                getattr(apps, "TARIFF", FREE),
            )
    return found
