"""Everything about Zerodha, built once a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from core.adapters.order_stream import OrderStream
from core.adapters.throttle import ORDERS, Bucket, Limit
from core.adapters.transports import Transports
from core.adapters.zerodha.client import ZerodhaClient
from core.adapters.zerodha.instruments import ZerodhaInstruments
from core.adapters.zerodha.price_stream import KitePriceStream
from core.adapters.zerodha.profile import ZERODHA
from core.adapters.zerodha.sdk import kite_sdk
from core.adapters.zerodha.session import ZerodhaLogin
from core.adapters.zerodha.updates import KiteDialect
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

__all__ = ["KITE_LIMITS", "ZerodhaBroker"]

KITE_LIMITS = (
    # Kite allows 10/s, 400/min, 5000/day and counts by calendar second on its own clock
    # (facts/kite.md 10): the head-room absorbs the jitter of the way.
    Limit(ORDERS, 8, 1.0),
    Limit(ORDERS, 300, 60.0),
    Limit(ORDERS, 4_500, 86_400.0),
    Limit(frozenset({Bucket.QUOTES}), 1, 1.05),
    Limit(frozenset({Bucket.HISTORICAL}), 3, 1.05),
    Limit(frozenset({Bucket.OTHER}), 8, 1.0),
)


class ZerodhaBroker:
    """A ``Broker``.

    Args:
        clock: Paces requests.
        roots: Addresses other than Kite's own, by setting.
        deadline_s: Total time of one call.
    """

    profile: ClassVar[BrokerProfile] = ZERODHA

    def __init__(self, clock: Clock, roots: Mapping[str, str], *, deadline_s: float = 7.0) -> None:
        self._clock = clock
        self._api_root, login_root = self.profile.addresses(roots)
        self._stream_root = self.profile.stream_address(roots)
        self._transports = Transports(clock, KITE_LIMITS, deadline_s=deadline_s)
        self.login: LoginPort = ZerodhaLogin(
            api_root=self._api_root, login_root=login_root, transport=self._transports.of
        )
        self.instruments: InstrumentSource = ZerodhaInstruments(
            api_root=self._api_root, transport=self._transports.public
        )
        self.exchange_facts: FactsSource | None = None  # Kite's master has no freeze quantities

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        return ZerodhaClient(
            self._transports.of(credentials),
            kite_sdk(self._api_root, credentials.api_key, credentials.access_token),
            master,
            self._updates(credentials),
            self._prices(credentials, master),
        )

    def _prices(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> KitePriceStream | None:
        if self._stream_root is None:
            return None
        return KitePriceStream(self._clock, self._stream_root, credentials, master)

    def _updates(self, credentials: Credentials) -> OrderStream | None:
        if self._stream_root is None:
            return None
        return OrderStream(
            self._clock,
            KiteDialect(self._stream_root, credentials),
            account=credentials.broker_id,
            route=credentials.route,
        )
