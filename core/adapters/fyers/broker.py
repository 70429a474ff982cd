"""Everything about Fyers, built once a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core.adapters.fyers.client import FyersClient
from core.adapters.fyers.exchange_facts import FyersExchangeFacts
from core.adapters.fyers.instruments import FyersInstruments, SymbolBook
from core.adapters.fyers.profile import FYERS
from core.adapters.fyers.sdk import FyersSdk
from core.adapters.fyers.session import FyersLogin
from core.adapters.fyers.updates import FyersDialect
from core.adapters.order_stream import OrderStream
from core.adapters.throttle import EVERYTHING, READS, Limit
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

__all__ = ["FYERS_LIMITS", "FyersBroker"]

FYERS_LIMITS = (
    # Fyers counts all endpoints of an app together: 10/s, 200/min, 100,000/day, and blocks it for
    # the day after three breaches of the minute (facts/fyers.md 10). Reads leave orders a share.
    Limit(EVERYTHING, 9, 1.0),
    Limit(EVERYTHING, 190, 60.0),
    Limit(EVERYTHING, 95_000, 86_400.0),
    Limit(READS, 6, 1.0),
    Limit(READS, 120, 60.0),
)


class FyersBroker:
    """A ``Broker``.

    Args:
        clock: Paces requests; its market time dates the masters.
        roots: Addresses other than Fyers' own, by setting.
        deadline_s: Total time of one call.
    """

    profile: ClassVar[BrokerProfile] = FYERS

    def __init__(self, clock: Clock, roots: Mapping[str, str], *, deadline_s: float = 7.0) -> None:
        self._clock = clock
        self._api_root, masters_root = self.profile.addresses(roots)
        self._stream_root = self.profile.stream_address(roots)
        self._transports = Transports(clock, FYERS_LIMITS, deadline_s=deadline_s)
        self._book = SymbolBook({})
        self.login: LoginPort = FyersLogin(api_root=self._api_root, transport=self._transports.of)
        self.instruments: InstrumentSource = FyersInstruments(
            clock, masters_root=masters_root, transport=self._transports.public
        )
        self.exchange_facts: FactsSource | None = FyersExchangeFacts(
            masters_root=masters_root, transport=self._transports.public
        )

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        if self._book.master is not master:  # one index for all accounts of a master
            self._book = SymbolBook(master)
        return FyersClient(
            self._transports.of(credentials),
            FyersSdk(self._api_root, credentials.api_key, credentials.access_token),
            self._book,
            self._updates(credentials),
        )

    def _updates(self, credentials: Credentials) -> OrderStream | None:
        if self._stream_root is None:
            return None
        return OrderStream(
            self._clock,
            FyersDialect(self._stream_root, credentials),
            account=credentials.broker_id,
            route=credentials.route,
        )
