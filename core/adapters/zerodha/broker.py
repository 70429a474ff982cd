"""Everything about Zerodha, built once a process."""

from __future__ import annotations

from collections.abc import Mapping

from core.adapters.broker_http import BrokerTransport
from core.adapters.throttle import KITE_LIMITS, Throttle
from core.adapters.zerodha.client import ZerodhaClient
from core.adapters.zerodha.instruments import ZerodhaInstruments
from core.adapters.zerodha.sdk import kite_sdk
from core.adapters.zerodha.session import ZerodhaLogin
from core.domain.account import BrokerType
from core.domain.instrument import Instrument, InstrumentId
from core.ports.broker import BrokerClient, Credentials, InstrumentSource, LoginPort
from core.ports.clock import Clock

__all__ = ["ZerodhaBroker"]


class ZerodhaBroker:
    """A ``Broker``; keeps the rates of each app, which outlive a login.

    Args:
        clock: Paces requests.
        api_root: Root of Kite Connect, without a path.
        login_root: Root of Kite's login page.
        deadline_s: Total time of one call.
    """

    broker_type: BrokerType = BrokerType.ZERODHA

    def __init__(
        self,
        clock: Clock,
        *,
        api_root: str = "https://api.kite.trade",
        login_root: str = "https://kite.zerodha.com",
        deadline_s: float = 7.0,
    ) -> None:
        self._clock = clock
        self._api_root = api_root
        self._deadline_s = deadline_s
        self._throttles: dict[str, Throttle] = {}
        self.login: LoginPort = ZerodhaLogin(
            api_root=api_root, login_root=login_root, transport=self._transport
        )
        self.instruments: InstrumentSource = ZerodhaInstruments(
            api_root=api_root, transport=self._public_transport
        )

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        return ZerodhaClient(
            self._transport(credentials),
            kite_sdk(self._api_root, credentials.api_key, credentials.access_token),
            master,
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
            self._throttles[api_key] = Throttle(self._clock, KITE_LIMITS)
        return self._throttles[api_key]
