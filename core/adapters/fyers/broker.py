"""Everything about Fyers, built once a process."""

from __future__ import annotations

from collections.abc import Mapping

from core.adapters.broker_http import BrokerTransport
from core.adapters.fyers.client import FyersClient
from core.adapters.fyers.instruments import FyersInstruments, SymbolBook
from core.adapters.fyers.sdk import FyersSdk
from core.adapters.fyers.session import FyersLogin
from core.adapters.throttle import FYERS_LIMITS, Throttle
from core.domain.account import BrokerType
from core.domain.instrument import Instrument, InstrumentId
from core.ports.broker import BrokerClient, Credentials, InstrumentSource, LoginPort
from core.ports.clock import Clock

__all__ = ["FyersBroker"]


class FyersBroker:
    """A ``Broker``; keeps the rates of each app, which outlive a login.

    Args:
        clock: Paces requests; its market time dates the masters.
        api_root: Root of the API, without a path.
        masters_root: Root of the public symbol masters.
        deadline_s: Total time of one call.
    """

    broker_type: BrokerType = BrokerType.FYERS

    def __init__(
        self,
        clock: Clock,
        *,
        api_root: str = "https://api-t1.fyers.in",
        masters_root: str = "https://public.fyers.in",
        deadline_s: float = 7.0,
    ) -> None:
        self._clock = clock
        self._api_root = api_root
        self._deadline_s = deadline_s
        self._throttles: dict[str, Throttle] = {}
        self._book = SymbolBook({})
        self.login: LoginPort = FyersLogin(api_root=api_root, transport=self._transport)
        self.instruments: InstrumentSource = FyersInstruments(
            clock, masters_root=masters_root, transport=self._public_transport
        )

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        if self._book.master is not master:  # one index for all accounts of a master
            self._book = SymbolBook(master)
        return FyersClient(
            self._transport(credentials),
            FyersSdk(self._api_root, credentials.api_key, credentials.access_token),
            self._book,
        )

    def _transport(self, credentials: Credentials) -> BrokerTransport:
        return BrokerTransport(
            self._clock,
            self._throttle(credentials.api_key),
            deadline_s=self._deadline_s,
            source_address=credentials.source_address,
        )

    def _public_transport(self) -> BrokerTransport:
        return BrokerTransport(self._clock, self._throttle(""), deadline_s=self._deadline_s)

    def _throttle(self, api_key: str) -> Throttle:
        if api_key not in self._throttles:
            self._throttles[api_key] = Throttle(self._clock, FYERS_LIMITS)
        return self._throttles[api_key]
