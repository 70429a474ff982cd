"""The login dance of Toy: the nonce travels as ``memo``."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from core.adapters.broker_http import BrokerTransport
from core.adapters.fields import Row
from core.adapters.throttle import Bucket
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import Credentials, LoginGrant
from tests.toy.adapter.wire import payload_of, request

__all__ = ["ToyLogin"]

_DOWN = {ReadFault.UNREACHABLE, ReadFault.TIMEOUT, ReadFault.THROTTLED}


class ToyLogin:
    """A ``LoginPort``."""

    def __init__(self, root: str, transport: Callable[[Credentials], BrokerTransport]) -> None:
        self._root = root
        self._transport = transport

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        """Return Toy's login address."""
        query = {"app": credentials.api_key, "memo": nonce, "back": redirect_url}
        return f"{self._root}/login?{urlencode(query)}"

    async def knows_key(self, _credentials: Credentials, *, redirect_url: str) -> bool:
        """Toy says so only when the ticket is spent."""
        del redirect_url
        return True

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        """Spend the ticket; the answer names the user."""
        del redirect_url
        body = {"app": credentials.api_key, "word": credentials.api_secret, "ticket": code}
        async with self._transport(credentials) as transport:
            raw = await transport.send(
                request("POST", f"{self._root}/token", body=body), Bucket.OTHER
            )
        try:
            row = Row(payload_of(raw))
            return LoginGrant(row.text("token"), row.text("user"), row.text("name"))
        except BrokerReadError as error:
            raise LoginRefused(_fault(error), str(error)) from error


def _fault(error: BrokerReadError) -> LoginFault:
    if error.fault in _DOWN:
        return LoginFault.BROKER_DOWN
    return {
        ReadFault.AUTH_REQUIRED: LoginFault.CODE_USED,
        ReadFault.PERMISSION: LoginFault.WRONG_SECRET,
    }.get(error.fault, LoginFault.MALFORMED)
