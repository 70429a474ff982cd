"""The login dance of Kite Connect (facts/kite.md 1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

from core.adapters.broker_http import BrokerTransport, NoReply, Raw
from core.adapters.fields import Row
from core.adapters.login_page import is_refused_page
from core.adapters.throttle import Bucket
from core.adapters.zerodha import mapping
from core.adapters.zerodha.client import send_to_kite
from core.adapters.zerodha.profile import NOT_ADMITTED
from core.adapters.zerodha.sdk import kite_sdk
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import Credentials, LoginGrant

__all__ = ["ZerodhaLogin"]

_WRONG_SECRET = re.compile(r"checksum|api_?key|api_?secret", re.IGNORECASE)
_UNKNOWN_KEY = re.compile(r"invalid\W+api_?key", re.IGNORECASE)
_LOGIN_PATH = "/connect/login"


class ZerodhaLogin:
    """A ``LoginPort``: the nonce travels in ``redirect_params`` and comes back as ``nonce``."""

    def __init__(
        self, *, api_root: str, login_root: str, transport: Callable[[Credentials], BrokerTransport]
    ) -> None:
        self._api_root = api_root
        self._login_address = login_root.rstrip("/").removesuffix(_LOGIN_PATH) + _LOGIN_PATH
        self._transport = transport

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        """Return Kite's login address; where it redirects to is registered at the broker."""
        del redirect_url
        echoed = urlencode({"nonce": nonce})
        query = urlencode({"v": "3", "api_key": credentials.api_key, "redirect_params": echoed})
        return f"{self._login_address}?{query}"

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        """Ask for the login page; for an unknown key it is an error that names the key."""
        address = self.login_url(credentials, nonce="", redirect_url=redirect_url)
        async with self._transport(credentials) as transport:
            return not await is_refused_page(transport, address, _UNKNOWN_KEY)

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        """Spend the request token, then ask the broker who it belongs to."""
        del redirect_url
        async with self._transport(credentials) as transport:
            kite = kite_sdk(self._api_root, credentials.api_key)
            raw = await send_to_kite(
                transport,
                lambda: kite.generate_session(code, credentials.api_secret),
                Bucket.OTHER,
            )
            access_token = _access_token(raw)
            kite = kite_sdk(self._api_root, credentials.api_key, access_token)
            try:
                payload = mapping.payload_of(
                    await send_to_kite(transport, kite.profile, Bucket.OTHER)
                )
                profile = mapping.profile(Row(payload))
            except BrokerReadError as error:
                raise LoginRefused(_fault(error), str(error)) from error
        return LoginGrant(access_token, profile.user_id, profile.user_name)


def _access_token(raw: Raw) -> str:
    try:
        return Row(mapping.payload_of(raw)).text("access_token")
    except BrokerReadError as error:
        raise LoginRefused(_fault(error), "" if isinstance(raw, NoReply) else str(error)) from error


def _fault(error: BrokerReadError) -> LoginFault:
    """Return why a login failed; Kite shows most reasons by text alone (facts/kite.md 1)."""
    message = str(error)
    if error.fault in {ReadFault.UNREACHABLE, ReadFault.TIMEOUT, ReadFault.THROTTLED}:
        return LoginFault.BROKER_DOWN
    if error.fault is ReadFault.PERMISSION or NOT_ADMITTED.search(message):
        return LoginFault.NOT_ADMITTED
    if _WRONG_SECRET.search(message):
        return LoginFault.WRONG_SECRET
    if error.fault is ReadFault.AUTH_REQUIRED:
        return LoginFault.CODE_USED
    return LoginFault.MALFORMED
