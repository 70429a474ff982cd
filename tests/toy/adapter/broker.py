"""Everything about Toy, built once a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core.adapters.throttle import EVERYTHING, Limit
from core.adapters.transports import Transports
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId
from core.ports.broker import (
    BrokerClient,
    Credentials,
    FactsSource,
    InstrumentSource,
    LoginPort,
)
from core.ports.clock import Clock
from tests.toy.adapter.client import ToyClient
from tests.toy.adapter.instruments import ToyInstruments
from tests.toy.adapter.login import ToyLogin
from tests.toy.adapter.profile import TOY

__all__ = ["ToyBroker"]

_LIMITS = (Limit(EVERYTHING, 20, 1.0),)


class ToyBroker:
    """A ``Broker``."""

    profile: ClassVar[BrokerProfile] = TOY

    def __init__(self, clock: Clock, roots: Mapping[str, str], *, deadline_s: float = 7.0) -> None:
        (self._root,) = self.profile.addresses(roots)
        self._transports = Transports(clock, _LIMITS, deadline_s=deadline_s)
        self.login: LoginPort = ToyLogin(self._root, self._transports.of)
        self.instruments: InstrumentSource = ToyInstruments(self._root, self._transports.public)
        self.exchange_facts: FactsSource | None = None

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        del master  # Toy names instruments as Saarthi does
        return ToyClient(self._root, credentials.access_token, self._transports.of(credentials))
