"""The login dance of Fyers (facts/fyers.md 1).

The SDK's ``generate_token`` is a bare ``requests.post`` without a timeout, so the exchange of the
code is a request of our own over the account's transport.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from urllib.parse import urlencode

import requests

from core.adapters.broker_http import BrokerTransport, NoReply, Raw
from core.adapters.fyers import mapping
from core.adapters.fyers.client import send_to_fyers
from core.adapters.fyers.profile import NOT_ADMITTED
from core.adapters.fyers.sdk import FyersSdk
from core.adapters.login_page import is_refused_page
from core.adapters.throttle import Bucket
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import Credentials, LoginGrant

__all__ = ["FyersLogin"]

_WRONG_SECRET = re.compile(r"app ?id ?hash|secret|client_?id", re.IGNORECASE)
_UNKNOWN_KEY = re.compile(r"\b(in)?valid\W+(client_?id|app ?id)\b(?!\W*hash)", re.IGNORECASE)
_BAD_HASH = {-371}
_BAD_CODE = {-374, -437}


class FyersLogin:
    """A ``LoginPort``: the nonce travels in ``state``."""

    def __init__(
        self, *, api_root: str, transport: Callable[[Credentials], BrokerTransport]
    ) -> None:
        self._api_root = api_root
        self._api = f"{api_root.rstrip('/')}/api/v3"
        self._transport = transport

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        """Return Fyers' login address."""
        query = {
            "client_id": credentials.api_key,
            "redirect_uri": redirect_url,
            "response_type": "code",
            "state": nonce,
        }
        return f"{self._api}/generate-authcode?{urlencode(query)}"

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        """Ask for the login page; for an unknown App ID it is an error that names it."""
        address = self.login_url(credentials, nonce="check", redirect_url=redirect_url)
        async with self._transport(credentials) as transport:
            return not await is_refused_page(transport, address, _UNKNOWN_KEY)

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        """Spend the auth code, then ask the broker who it belongs to."""
        del redirect_url
        identity = f"{credentials.api_key}:{credentials.api_secret}"
        request = requests.Request(
            "POST",
            f"{self._api}/validate-authcode",
            json={
                "grant_type": "authorization_code",
                "appIdHash": hashlib.sha256(identity.encode()).hexdigest(),
                "code": code,
            },
        ).prepare()
        async with self._transport(credentials) as transport:
            access_token = _access_token(await transport.send(request, Bucket.OTHER))
            sdk = FyersSdk(self._api_root, credentials.api_key, access_token)
            try:
                raw = await send_to_fyers(transport, sdk.get_profile, Bucket.OTHER)
                profile = mapping.profile(mapping.payload_of(raw))
            except BrokerReadError as error:
                raise LoginRefused(_fault(error, None), str(error)) from error
        return LoginGrant(access_token, profile.user_id, profile.user_name)


def _access_token(raw: Raw) -> str:
    try:
        return mapping.payload_of(raw).text("access_token")
    except BrokerReadError as error:
        if isinstance(raw, NoReply):
            raise LoginRefused(LoginFault.BROKER_DOWN, str(error)) from error
        code = mapping.fault_code(raw.mapping())
        raise LoginRefused(_fault(error, code), str(error)) from error


def _fault(error: BrokerReadError, code: int | None) -> LoginFault:
    message = str(error)
    if error.fault in {ReadFault.UNREACHABLE, ReadFault.TIMEOUT, ReadFault.THROTTLED}:
        return LoginFault.BROKER_DOWN
    if code in _BAD_CODE:
        return LoginFault.CODE_USED
    if error.fault is ReadFault.PERMISSION or NOT_ADMITTED.search(message):
        return LoginFault.NOT_ADMITTED
    if code in _BAD_HASH or _WRONG_SECRET.search(message):
        return LoginFault.WRONG_SECRET
    if error.fault is ReadFault.AUTH_REQUIRED:
        return LoginFault.CODE_USED
    return LoginFault.MALFORMED
