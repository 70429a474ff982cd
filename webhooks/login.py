"""Login pages and the brokers' callbacks (product.md B1 to B3).

Opening a page changes no state, so link previews are harmless: a nonce is created by the POST of
the page's form, and used only by the broker's redirect. A callback answers only GET, because a HEAD
would use up the nonce before the browser of the user arrives. No page shows a word of the query or
of a broker's answer to it: whoever holds the address of a page chooses them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from aiohttp import web

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.engine.accounts.logins import LoginOrigin
from core.errors import LoginFault, LoginRefused, StoreError, VaultError
from webhooks.faults import STATUS, Scene, ended_text, text_of, trouble_text
from webhooks.pages import ConnectedBy, connected_page, fault_page, login_page

__all__ = ["LoginPages", "LoginService"]

_log = logging.getLogger(__name__)
_LINK: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PURPOSES: Final = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_AHEAD: Final = ("prefetch", "prerender", "preview")
_LONGEST_VALUE: Final = 4096


class LoginService(Protocol):
    """The part of ``core.engine.accounts.logins.Logins`` that these pages use."""

    async def linked_account(self, link: str) -> Account:
        """Return the account of a login page; raises ``LoginRefused`` ACCOUNT_UNKNOWN."""
        ...

    async def is_given(self, link: str) -> bool:
        """Return whether a link was given to an account's holder, who has no chat."""
        ...

    async def start(self, link: str) -> str:
        """Create a nonce and return the broker's address."""
        ...

    async def callback(self, broker: BrokerProfile, query: Mapping[str, str]) -> Account:
        """Complete a login; raises ``LoginRefused``."""
        ...

    async def origin(self, broker: BrokerProfile, query: Mapping[str, str]) -> LoginOrigin | None:
        """Return who asked for the login of a callback."""
        ...


class LoginPages:
    """The handlers of login pages and callbacks."""

    def __init__(
        self, logins: LoginService, brokers: Sequence[BrokerProfile], *, chat_url: Callable[[], str]
    ) -> None:
        self._logins = logins
        self._brokers = brokers
        self._chat_url = chat_url

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.get("/login/{link}", self.show),
            web.post("/login/{link}", self.start),
            *(
                web.get(broker.callback_path, partial(self.callback, broker), allow_head=False)
                for broker in self._brokers
            ),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show the account of the link."""
        link = _link(request)
        try:
            account = await self._logins.linked_account(link)
            if not account.needs_login and await self._logins.is_given(link):
                return _html(connected_page(account, by=ConnectedBy.BEFORE, chat_url=None))
            return _html(login_page(account))
        except LoginRefused:
            return _ended()
        except StoreError as error:
            return _trouble(error)

    async def start(self, request: web.Request) -> web.Response:
        """Redirect to the broker's login."""
        link = _link(request)
        try:
            address = await self._logins.start(link)
        except LoginRefused as refused:
            if refused.fault is LoginFault.ACCOUNT_UNKNOWN:
                return _ended()
            account = await self._logins.linked_account(link)
            is_guest = await self._logins.is_given(link)
            return self._refusal(refused.fault, _scene(account, is_guest=is_guest), link)
        except (StoreError, VaultError) as error:
            return _trouble(error)
        return web.Response(status=303, headers={"Location": address})

    async def callback(self, broker: BrokerProfile, request: web.Request) -> web.Response:
        """Complete a login with the query that the broker sends back."""
        if _is_looked_ahead(request):
            raise web.HTTPServiceUnavailable  # the browser requests it again when the user opens it
        query = _plain(request)
        if query is None:
            return self._refusal(LoginFault.MALFORMED, Scene(broker), None)
        try:
            account = await self._logins.callback(broker, query)
        except LoginRefused as refused:
            return await self._refused(broker, query, refused)
        origin = await self._origin(broker, query)
        is_shared = origin is not None and origin.is_shared
        return _html(
            connected_page(account, by=ConnectedBy.NOW, chat_url=self._chat(is_shared=is_shared))
        )

    def _chat(self, *, is_shared: bool) -> str | None:
        """Return the way back into the chat, for those who use it."""
        return None if is_shared else self._chat_url()

    async def _refused(
        self, broker: BrokerProfile, query: Mapping[str, str], refused: LoginRefused
    ) -> web.Response:
        origin = await self._origin(broker, query)
        if origin is None:
            return self._refusal(refused.fault, Scene(broker), None)
        if refused.fault is LoginFault.NONCE_USED and origin.is_done:
            return _html(
                connected_page(
                    origin.account,
                    by=ConnectedBy.REPEATED,
                    chat_url=self._chat(is_shared=origin.is_shared),
                ),
                409,
            )
        # Who logged in is known from the broker's profile; all else comes from whoever opened this.
        who = refused.detail if refused.fault is LoginFault.OTHER_USER else ""
        scene = _scene(origin.account, who, is_guest=origin.is_shared)
        return self._refusal(refused.fault, scene, origin.link)

    async def _origin(self, broker: BrokerProfile, query: Mapping[str, str]) -> LoginOrigin | None:
        try:
            return await self._logins.origin(broker, query)
        except StoreError as error:
            _log.warning("the origin of a failed login cannot be read: %s", error)
            return None

    @staticmethod
    def _refusal(fault: LoginFault, scene: Scene, link: str | None) -> web.Response:
        again = f"/login/{link}" if link else None
        page = fault_page(text_of(fault, scene), try_again=again)
        return _html(page, STATUS[fault])


def _link(request: web.Request) -> str:
    link = request.match_info["link"]
    if not _LINK.fullmatch(link):
        raise web.HTTPNotFound
    return link


def _is_looked_ahead(request: web.Request) -> bool:
    """Whether a browser asks before anybody has opened the page, in any of its ways to say so."""
    said = ",".join(request.headers.get(name, "") for name in _PURPOSES).lower()
    return any(word in said for word in _AHEAD)


def _plain(request: web.Request) -> dict[str, str] | None:
    """Return the query, or None when it cannot be a broker's: ambiguous, oversized or empty."""
    query = request.query
    plain = dict(query)
    if not plain or len(plain) != len(query):
        return None
    if any(len(value) > _LONGEST_VALUE or not value.isprintable() for value in plain.values()):
        return None
    return plain


def _scene(account: Account, who: str = "", *, is_guest: bool) -> Scene:
    return Scene(account.broker, account.label, account.user_id, who, is_guest)


def _ended() -> web.Response:
    return _html(fault_page(ended_text(), try_again=None), 404)


def _trouble(error: Exception) -> web.Response:
    _log.error("a login could not be started: %s", error)
    return _html(fault_page(trouble_text(), try_again=None), 503)


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")
