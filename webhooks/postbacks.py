"""Order postbacks of the brokers: hints, never facts (reliability.md W01 to W06).

A postback only wakes the worker of the account that it names; the order's state is read from the
broker. No content of a body is applied, so duplicated, replayed, lost and reordered postbacks have
no effect.

How a broker's postbacks are read, and whether it signs them, is in its profile. A signed one that
no account's secret signed is refused; signatures are compared in constant time. An unsigned one is
always answered 200, since nothing can prove it wrong, and may wake an account only now and then.

Under a flood the store is not read for each one: the accounts are cached for a few seconds. When
they cannot be read in time the postback is ignored, and the answer is 200 all the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from aiohttp import web

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile, Postback, PostbackForm
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
# Brokers promise a raw JSON body and not all name its type.
_TYPES: Final = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)


class AccountKeys(Protocol):
    """The part of ``core.engine.accounts.accounts.Accounts`` that postbacks use."""

    async def all(self) -> tuple[Account, ...]:
        """Return the connected accounts."""
        ...

    async def credentials(self, broker_id: str) -> Credentials:
        """Open an account's secrets."""
        ...


@dataclass(frozen=True, slots=True)
class _Sender:
    """An account, with what is needed to match a postback to it."""

    broker_id: str
    broker: BrokerProfile
    user_id: str | None
    secret: bytes

    def __repr__(self) -> str:
        """Leave the secret out of tracebacks and logs."""
        return f"_Sender({self.broker_id!r})"


class _Unreadable(Exception):
    """A body that is not a postback."""


class Postbacks:
    """The handlers of the postbacks; ``counts`` has their number by broker and verdict."""

    def __init__(
        self,
        accounts: AccountKeys,
        brokers: Sequence[BrokerProfile],
        hint: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._brokers = brokers
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
            web.post(broker.postback_path, partial(self.take, broker, broker.postback))
            for broker in self._brokers
            if broker.postback is not None
        ]

    async def take(
        self, broker: BrokerProfile, form: PostbackForm, request: web.Request
    ) -> web.Response:
        """Wake the account that a postback names, or all of the broker's when it names none."""
        try:
            postback = await self._read(broker, form, request)
        except _Unreadable as error:
            if form.is_signed:
                raise web.HTTPBadRequest from error
            return _ok()
        senders = await self._senders()
        if senders is None:
            self._count(broker, "unverified")
            return _ok()
        mine = [sender for sender in senders if sender.broker == broker]
        if form.is_signed:
            mine = [sender for sender in mine if postback.is_signed_with(sender.secret)]
            if not mine:
                self._count(broker, "forged")
                raise web.HTTPForbidden
        named = [sender for sender in mine if postback.user_id in {None, sender.user_id}]
        self._count(broker, "hinted" if named else "foreign")
        for sender in named:
            self._wake(sender.broker_id, _SIGNED_PAUSE_S if form.is_signed else _UNSIGNED_PAUSE_S)
        return _ok()

    async def _read(
        self, broker: BrokerProfile, form: PostbackForm, request: web.Request
    ) -> Postback:
        """Read a postback; raises ``_Unreadable``, or aiohttp's refusal of a signed one's type."""
        if form.is_signed and request.content_type not in _TYPES:
            self._count(broker, "unreadable")
            raise web.HTTPUnsupportedMediaType
        body = await _body(request)
        postback = form.read(body) if body is not None else None
        if postback is None:
            self._count(broker, "unreadable")
            raise _Unreadable
        return postback

    def _count(self, broker: BrokerProfile, verdict: str) -> None:
        self.counts[f"{broker}_{verdict}"] += 1

    def _wake(self, broker_id: str, pause_s: float) -> None:
        """Wake an account, but no more often than ``pause_s``: anybody can send postbacks."""
        now = self._clock.monotonic()
        last = self._hinted_at.get(broker_id)
        if last is not None and now - last < pause_s:
            return
        self._hinted_at[broker_id] = now
        try:
            self._hint(broker_id)
        except Exception:  # noqa: BLE001 - supervised: logged whole, the answer stays 200
            # Polling finds the order anyway; the broker must not see a failed wake-up.
            _log.exception("account %s could not be woken by a postback", broker_id)

    async def _senders(self) -> tuple[_Sender, ...] | None:
        """Return the accounts, at most a few seconds old if the store answers, or None."""
        try:
            async with asyncio.timeout(_STORE_S), self._lock:
                now = self._clock.monotonic()
                if self._known is None or now - self._known_at >= _REMEMBER_S:
                    self._known = await self._read_senders()
                    self._known_at = now
        except StoreError as error:
            _log.warning("a postback came while the store cannot be reached: %s", error)
        except TimeoutError:
            _log.warning("a postback came while the store is too slow")
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
                    _Sender(account.broker_id, account.broker, account.user_id, secret.encode())
                )
        return tuple(found)


def _ok() -> web.Response:
    return web.Response(text="ok")


async def _body(request: web.Request) -> Mapping[str, Any] | None:
    """Return the JSON object of a body, or None; raises aiohttp's refusal of a large one."""
    try:
        async with asyncio.timeout(_BODY_S):
            body = json.loads(await request.read())
    except (ValueError, RecursionError, TimeoutError):
        return None
    return body if isinstance(body, dict) else None
