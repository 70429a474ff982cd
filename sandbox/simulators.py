"""The simulators that are here: every package of the sandbox with a ``build_app``.

Such a package has ``build_app(world) -> web.Application``, called first, and may have
``control_routes(world) -> list[web.RouteDef]`` for the control port. A broker's has a module
``apps`` besides: ``CALLBACK_PATH``, where logins lead back to, and ``KEYS``, the (API key, secret,
user id) of the apps that are there from the start.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import sandbox

__all__ = ["SimulatedBroker", "simulated_brokers", "simulators"]


@dataclass(frozen=True)
class SimulatedBroker:
    """What a broker's simulator begins with; ``keys`` are (API key, secret, user id)."""

    callback_path: str
    keys: tuple[tuple[str, str, str], ...]


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
            found[name] = SimulatedBroker(apps.CALLBACK_PATH, apps.KEYS)
    return found
