"""The ways to one broker: a transport for each account, with the rates of each app kept."""

from __future__ import annotations

from collections.abc import Sequence

from core.adapters.broker_connections import Lifetime
from core.adapters.broker_http import BrokerTransport
from core.adapters.host_names import HostNames
from core.adapters.redaction import Redaction
from core.adapters.throttle import Limit, Throttle
from core.ports.broker import Credentials
from core.ports.clock import Clock

__all__ = ["Transports"]


class Transports:
    """Makes transports to one broker; keeps the rates of each app, which outlive a login.

    Args:
        clock: Paces requests.
        limits: The broker's rates for one app.
        deadline_s: Total time of one call.
    """

    def __init__(self, clock: Clock, limits: Sequence[Limit], *, deadline_s: float) -> None:
        self._clock = clock
        self._limits = limits
        self._deadline_s = deadline_s
        self._throttles: dict[str, Throttle] = {}
        self._lifetime = Lifetime()
        self._names = HostNames(clock)

    def of(self, credentials: Credentials) -> BrokerTransport:
        """Return a transport for an account; opens nothing until its first call."""
        return BrokerTransport(
            self._clock,
            self._throttle(credentials.api_key),
            deadline_s=self._deadline_s,
            route=credentials.route,
            lifetime=self._lifetime,
            names=self._names,
            redaction=Redaction((credentials.api_secret, credentials.access_token)),
        )

    def public(self) -> BrokerTransport:
        """Return a transport for what needs no account."""
        return BrokerTransport(
            self._clock, self._throttle(""), deadline_s=self._deadline_s, names=self._names
        )

    def _throttle(self, api_key: str) -> Throttle:
        if api_key not in self._throttles:
            self._throttles[api_key] = Throttle(self._clock, self._limits)
        return self._throttles[api_key]
