"""Order postbacks of the brokers: hints, never facts (reliability.md W01 to W06).

A postback only wakes the worker of the account that it names; what became of the order is read from
the broker. So nothing of a body is ever applied, and duplicates, replays, lost and reordered
postbacks change nothing.

* Kite signs: ``checksum = sha256(order_id + order_timestamp + api_secret)``, compared in constant
  time with every Zerodha account's. A wrong or missing one is refused. The signature covers two
  fields only, which is enough for a hint.
* Fyers signs nothing and bars an address for half an hour after answers other than 200, so its
  every postback is answered 200 and may wake an account only now and then.

Under a flood the store is not asked again for each one: what the accounts are is remembered for a
few seconds. When it cannot be learned in time the hint is lost and the answer is 200 all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web

from core.domain.account import Account, BrokerType
from core.errors import NotFound, StoreError, VaultError
from core.ports.broker import Credentials
from core.ports.clock import Clock

__all__ = ["AccountKeys", "Postbacks"]

_log = logging.getLogger(__name__)
_BODY_S: Final = 2.0
_STORE_S: Final = 1.0
_REMEMBER_S: Final = 5.0
_SIGNED_PAUSE_S: Final = 0.25
_UNSIGNED_PAUSE_S: Final = 2.0
# Kite's documentation promises a raw JSON body and names no type.
_TYPES: Final = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)
_FYERS_USER: Final = ("clientId", "client_id", "fy_id", "fyId")


class AccountKeys(Protocol):
    """What is needed of the book of accounts (``core.engine.accounts.accounts.Accounts``)."""

    async def all(self) -> tuple[Account, ...]:
        """Return the connected accounts."""
        ...

    async def credentials(self, broker_id: str) -> Credentials:
        """Open an account's secrets."""
        ...


@dataclass(frozen=True, slots=True)
class _Sender:
    """An account as its postbacks show it."""

    broker_id: str
    broker_type: BrokerType
    user_id: str | None
    secret: bytes

    def __repr__(self) -> str:
        """Leave the secret out of tracebacks and logs."""
        return f"_Sender({self.broker_id!r})"

    def signed(self, order: Mapping[str, str]) -> bool:
        text = (order["order_id"] + order["order_timestamp"]).encode() + self.secret
        expected = hashlib.sha256(text).hexdigest()
        return hmac.compare_digest(expected.encode(), order["checksum"].lower().encode())


class _Unreadable(Exception):
    """A body that is no postback."""


class Postbacks:
    """The handlers of the postbacks; ``counts`` tells what came, by verdict."""

    def __init__(self, accounts: AccountKeys, hint: Callable[[str], None], clock: Clock) -> None:
        self._accounts = accounts
        self._hint = hint
        self._clock = clock
        self._known: tuple[_Sender, ...] | None = None
        self._known_at = 0.0
        self._lock = asyncio.Lock()
        self._hinted_at: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.post("/postback/zerodha", self.zerodha),
            web.post("/postback/fyers", self.fyers),
        ]

    async def zerodha(self, request: web.Request) -> web.Response:
        """Wake the account that Kite names, when the checksum is right."""
        if request.content_type not in _TYPES:
            self.counts["zerodha_unreadable"] += 1
            raise web.HTTPUnsupportedMediaType
        try:
            order = _kite_order(await _body(request))
        except _Unreadable as error:
            self.counts["zerodha_unreadable"] += 1
            raise web.HTTPBadRequest from error
        senders = await self._senders()
        if senders is None:
            self.counts["zerodha_unverified"] += 1
            return _ok()
        signed = [s for s in senders if s.broker_type is BrokerType.ZERODHA and s.signed(order)]
        if not signed:
            self.counts["zerodha_forged"] += 1
            raise web.HTTPForbidden
        named = [sender for sender in signed if sender.user_id == order["user_id"]]
        self.counts["zerodha_hinted" if named else "zerodha_foreign"] += 1
        for sender in named:
            self._wake(sender.broker_id, _SIGNED_PAUSE_S)
        return _ok()

    async def fyers(self, request: web.Request) -> web.Response:
        """Wake the account that Fyers names, or each of its accounts when it names none."""
        try:
            body = await _body(request)
        except _Unreadable:
            self.counts["fyers_unreadable"] += 1
            return _ok()
        user_id = next((str(body[name]) for name in _FYERS_USER if body.get(name)), None)
        named = [
            sender
            for sender in await self._senders() or ()
            if sender.broker_type is BrokerType.FYERS and user_id in {None, sender.user_id}
        ]
        self.counts["fyers_hinted" if named else "fyers_foreign"] += 1
        for sender in named:
            self._wake(sender.broker_id, _UNSIGNED_PAUSE_S)
        return _ok()

    def _wake(self, broker_id: str, pause_s: float) -> None:
        """Hint, but not so often that strangers or a flood decide how fast a broker is read."""
        now = self._clock.monotonic()
        last = self._hinted_at.get(broker_id)
        if last is not None and now - last < pause_s:
            return
        self._hinted_at[broker_id] = now
        try:
            self._hint(broker_id)
        except Exception:  # noqa: BLE001 - supervised: logged whole, the answer stays 200
            # Whatever is wrong with a hint, the broker must get its 200: polling is the truth.
            _log.exception("account %s could not be woken by a postback", broker_id)

    async def _senders(self) -> tuple[_Sender, ...] | None:
        """Return the accounts, as they were a few seconds ago at most; None when nobody knows."""
        try:
            async with asyncio.timeout(_STORE_S), self._lock:
                now = self._clock.monotonic()
                if self._known is None or now - self._known_at >= _REMEMBER_S:
                    self._known = await self._read_senders()
                    self._known_at = now
        except StoreError as error:
            _log.warning("a postback finds the store away: %s", error)
        except TimeoutError:
            _log.warning("a postback finds the store too slow")
        return self._known

    async def _read_senders(self) -> tuple[_Sender, ...]:
        found = []
        for account in await self._accounts.all():
            try:
                secret = (await self._accounts.credentials(account.broker_id)).api_secret
            except (NotFound, VaultError) as error:
                _log.warning("account %s: postbacks are not read: %s", account.broker_id, error)
                continue
            if secret:
                found.append(
                    _Sender(
                        account.broker_id, account.broker_type, account.user_id, secret.encode()
                    )
                )
        return tuple(found)


def _ok() -> web.Response:
    return web.Response(text="ok")


async def _body(request: web.Request) -> Mapping[str, Any]:
    """Read a JSON object; raises ``_Unreadable``, or aiohttp's refusal of a large one."""
    try:
        async with asyncio.timeout(_BODY_S):
            body = json.loads(await request.read())
    except (ValueError, RecursionError, TimeoutError) as error:
        raise _Unreadable from error
    if not isinstance(body, dict):
        raise _Unreadable
    return body


def _kite_order(body: Mapping[str, Any]) -> dict[str, str]:
    names = ("order_id", "order_timestamp", "checksum", "user_id")
    order = {name: body.get(name) for name in names}
    texts = {name: value for name, value in order.items() if isinstance(value, str) and value}
    if len(texts) != len(names):
        raise _Unreadable
    return texts
