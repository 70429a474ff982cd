"""Order postbacks of the brokers: hints, never facts (reliability.md W01 to W06).

A postback only wakes the worker of the account that it names; the order's state is read from the
broker. No content of a body is applied, so duplicated, replayed, lost and reordered postbacks have
no effect.

How a broker's postbacks are read, and whether it signs them, is in its profile. A signed one that
no account's secret signed is refused; signatures are compared in constant time. An unsigned one is
always answered 200, since nothing can prove it wrong, and may wake an account only now and then: a
few times at once, then six times a minute.

A signed one that was captured can be sent again, with other words in the fields that its signature
leaves free. So what was signed more than a day ago wakes nobody, a body wakes an account once a
day, and so do at most a few bodies of one signature.

Under a flood the store is not read for each one: the accounts are cached for a few seconds. When
they cannot be read in time the postback is ignored, and the answer is 200 all the same. What is no
postback costs its sender: an address that sends too many of these is not listened to for a while.
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
from webhooks.guard import CLIENT_FAULTS, SlidingWindow
from webhooks.peers import Peers
from webhooks.rated_log import RatedLog
from webhooks.seen_postbacks import SeenPostbacks

__all__ = ["AccountKeys", "FaultyPeers", "Postbacks"]

_BODY_S: Final = 2.0
_STORE_S: Final = 1.0
_REMEMBER_S: Final = 5.0
_SIGNED_PAUSE_S: Final = 0.25
_UNSIGNED_PAUSE_S: Final = 2.0
_UNSIGNED_AT_ONCE: Final = 6.0
_UNSIGNED_EVERY_S: Final = 10.0
# Brokers promise a raw JSON body and not all name its type.
_TYPES: Final = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)
_REFUSED: Final = (web.HTTPRequestEntityTooLarge, web.HTTPUnsupportedMediaType)


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


class FaultyPeers:
    """Counts what each address sends that is no postback."""

    def __init__(self, peers: Peers, window: SlidingWindow) -> None:
        self._peers = peers
        self._window = window

    def count(self, request: web.Request) -> None:
        """Count a fault."""
        self._window.admits(self._peers.client_of(request))

    def are_too_many(self, request: web.Request) -> bool:
        """Return whether the sender has no more to say for now."""
        return not self._window.has_room(self._peers.client_of(request))


class Postbacks:
    """The handlers of the postbacks; ``counts`` has their number by broker and verdict."""

    def __init__(
        self,
        accounts: AccountKeys,
        brokers: Sequence[BrokerProfile],
        hint: Callable[[str], None],
        clock: Clock,
        faults: FaultyPeers,
        log: RatedLog,
    ) -> None:
        self._accounts = accounts
        self._brokers = brokers
        self._hint = hint
        self._clock = clock
        self._faults = faults
        self._log = log
        self._seen = SeenPostbacks(clock)
        self._known: tuple[_Sender, ...] | None = None
        self._known_at = 0.0
        self._lock = asyncio.Lock()
        self._hinted_at: dict[str, float] = {}
        self._hints_left: dict[str, tuple[float, float]] = {}
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
        if self._faults.are_too_many(request):
            self._count(broker, "unheard")
            if form.is_signed:
                raise web.HTTPTooManyRequests
            return _ok()
        try:
            postback, body = await self._read(form, request)
        except (_Unreadable, *_REFUSED) as error:
            self._count(broker, "unreadable")
            self._faults.count(request)
            return _unread(form, error)
        senders = await self._senders()
        if senders is None:
            self._count(broker, "unverified")
            return _ok()
        mine = [sender for sender in senders if sender.broker == broker]
        if form.is_signed:
            mine = [sender for sender in mine if postback.is_signed_with(sender.secret)]
            if not mine:
                self._count(broker, "forged")
                self._faults.count(request)
                raise web.HTTPForbidden
        if not self._seen.is_news(postback, body):
            self._count(broker, "repeated")
            return _ok()
        named = [sender for sender in mine if postback.user_id in {None, sender.user_id}]
        self._count(broker, "hinted" if named else "foreign")
        for sender in named:
            self._wake(sender.broker_id, is_signed=form.is_signed)
        return _ok()

    @staticmethod
    async def _read(form: PostbackForm, request: web.Request) -> tuple[Postback, bytes]:
        """Read a postback and its bytes.

        Raises:
            _Unreadable: It is none.
            web.HTTPUnsupportedMediaType: A signed one has a wrong type.
            web.HTTPRequestEntityTooLarge: It is too long.
        """
        if form.is_signed and request.content_type not in _TYPES:
            raise web.HTTPUnsupportedMediaType
        raw = await _raw(request)
        body = _object(raw)
        postback = form.read(body) if body is not None else None
        if postback is None:
            raise _Unreadable
        return postback, raw

    def _count(self, broker: BrokerProfile, verdict: str) -> None:
        self.counts[f"{broker}_{verdict}"] += 1

    def _wake(self, broker_id: str, *, is_signed: bool) -> None:
        """Wake an account, but no faster than its floor: anybody can send unsigned postbacks."""
        now = self._clock.monotonic()
        last = self._hinted_at.get(broker_id)
        pause_s = _SIGNED_PAUSE_S if is_signed else _UNSIGNED_PAUSE_S
        if last is not None and now - last < pause_s:
            return
        if not is_signed and not self._may_spend(broker_id, now):
            return
        self._hinted_at[broker_id] = now
        try:
            self._hint(broker_id)
        except Exception as error:  # noqa: BLE001 - supervised: logged whole, the answer stays 200
            # Polling finds the order anyway; the broker must not see a failed wake-up.
            self._log.say(
                logging.ERROR,
                "not woken by a postback",
                "account %s could not be woken by a postback",
                broker_id,
                error=error,
            )

    def _may_spend(self, broker_id: str, now: float) -> bool:
        """Spend one of the hints that unsigned postbacks have: a few at once, then few a minute."""
        left, since = self._hints_left.get(broker_id, (_UNSIGNED_AT_ONCE, now))
        left = min(_UNSIGNED_AT_ONCE, left + (now - since) / _UNSIGNED_EVERY_S)
        may = left >= 1.0
        self._hints_left[broker_id] = (left - 1.0 if may else left, now)
        return may

    async def _senders(self) -> tuple[_Sender, ...] | None:
        """Return the accounts, at most a few seconds old if the store answers, or None."""
        try:
            async with asyncio.timeout(_STORE_S), self._lock:
                now = self._clock.monotonic()
                if self._known is None or now - self._known_at >= _REMEMBER_S:
                    self._known = await self._read_senders()
                    self._known_at = now
        except StoreError as error:
            self._say("a postback came while the store cannot be reached: %s", error)
        except TimeoutError:
            self._say("a postback came while the store is too slow")
        return self._known

    async def _read_senders(self) -> tuple[_Sender, ...]:
        found = []
        for account in await self._accounts.all():
            try:
                secret = (await self._accounts.credentials(account.broker_id)).api_secret
            except (NotFound, VaultError) as error:
                self._say("account %s: postbacks are not read: %s", account.broker_id, error)
                continue
            if secret:
                found.append(
                    _Sender(account.broker_id, account.broker, account.user_id, secret.encode())
                )
        return tuple(found)

    def _say(self, message: str, *values: object) -> None:
        self._log.say(logging.WARNING, message, message, *values)


def _unread(form: PostbackForm, error: Exception) -> web.Response:
    """Answer what is no postback: a refusal, but for a body that nothing could prove wrong."""
    if isinstance(error, _REFUSED):
        raise error
    if form.is_signed:
        raise web.HTTPBadRequest from error
    return _ok()


def _ok() -> web.Response:
    return web.Response(text="ok")


async def _raw(request: web.Request) -> bytes:
    """Return the bytes of a body, none when it is not what its headers say or comes too slowly.

    Raises:
        web.HTTPRequestEntityTooLarge: There are too many of them.
    """
    try:
        async with asyncio.timeout(_BODY_S):
            return await request.read()
    except (*CLIENT_FAULTS, TimeoutError):
        return b""


def _object(raw: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object of a body, or None."""
    try:
        body = json.loads(raw)
        # Half of a surrogate pair is no text: it can be neither hashed nor looked up.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
