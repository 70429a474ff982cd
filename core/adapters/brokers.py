"""The brokers that Saarthi knows: a new one is its import and its line in ``_BROKERS``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from core.adapters.fyers import FyersBroker
from core.adapters.paper import PAPER_PROFILE
from core.adapters.zerodha import ZerodhaBroker
from core.domain.broker_profile import BrokerProfile
from core.ports.broker import Broker
from core.ports.clock import Clock

__all__ = ["OFFERED", "PROFILES", "build_brokers"]


class _BrokerClass(Protocol):
    """A class that makes a ``Broker``."""

    profile: BrokerProfile

    def __call__(self, clock: Clock, roots: Mapping[str, str], *, deadline_s: float) -> Broker:
        """Return the broker at its addresses, or at those that ``roots`` names by setting."""
        ...


_BROKERS: tuple[_BrokerClass, ...] = (
    ZerodhaBroker,
    FyersBroker,
)

PROFILES: tuple[BrokerProfile, ...] = tuple(broker.profile for broker in _BROKERS)
"""In the order in which users are offered them."""

OFFERED: tuple[BrokerProfile, ...] = (*PROFILES, PAPER_PROFILE)
"""The same with paper accounts, which no address, login page or postback belongs to."""


def build_brokers(
    clock: Clock, roots: Mapping[str, str], *, deadline_s: float
) -> dict[BrokerProfile, Broker]:
    """Return the real brokers.

    Args:
        clock: Paces requests.
        roots: Addresses other than the brokers' own, by setting.
        deadline_s: Total time of one call, all waits included.
    """
    return {broker.profile: broker(clock, roots, deadline_s=deadline_s) for broker in _BROKERS}
