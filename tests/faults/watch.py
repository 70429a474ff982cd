"""Counting decorators for the ports of a running system, and the places where a test ends it.

A ``Watch`` sees every call of every broker client, every commit of the store and every decision of a
strategy, before and after.
A ``Rule`` names one of these places; what happens there is the test's: a kill -9 of the process,
a wait, a look. Product code has no hooks: the decorators are wired through ``core.bootstrap.build``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from core.domain.broker_profile import BrokerProfile
from core.domain.outcome import WriteOutcome
from core.ports.broker import Broker, BrokerClient
from core.ports.decisions import Decisions
from core.ports.store import ServedStore

__all__ = [
    "Call",
    "Rule",
    "Watch",
    "watched_base",
    "watched_brokers",
    "watched_decisions",
    "watched_store",
]

PORT_CALLS = frozenset(
    {"place", "modify", "cancel", "orders", "trades", "positions", "holdings", "funds", "profile"}
)
_COMMIT = "commit"
_GROUP = "group"


@dataclass(frozen=True)
class Call:
    """One moment of one port call.

    Attributes:
        name: A method of a broker client, ``commit``, ``group`` (commits that are made as one) or
            ``decide``.
        side: ``before`` or ``after``.
        what: The nonce of a commit or group; the client order id of a ``place``; the strategy of a
            ``decide``; empty otherwise.
        api_key: Whose client; empty for the store.
        n: The how many-th call of this name and account it is.
    """

    name: str
    side: str
    what: str = ""
    api_key: str = ""
    n: int = 0


@dataclass(frozen=True)
class Rule:
    """The k-th moment that looks like this.

    Attributes:
        name: The call; ``*`` means any call, on either side.
        what: How the call's ``what`` begins.
        after_places: How many ``place`` calls must have come back before.
    """

    name: str
    side: str
    k: int = 1
    what: str = ""
    api_key: str = ""
    after_places: int = 0

    def fits(self, call: Call) -> bool:
        """Tell whether a moment is of this kind, its number left aside."""
        return (
            (self.name == "*" or (self.name, self.side) == (call.name, call.side))
            and call.what.startswith(self.what)
            and self.api_key in {"", call.api_key}
        )


async def _nothing() -> None:
    return None


@dataclass
class Watch:
    """Counts moments, and acts at one of them.

    Attributes:
        rule: Where to act; None never acts.
        act: Awaited at that moment; what it raises, the call raises.
        witness: Asked before each ``place`` whether the journal shows the order as SUBMITTED to
            another connection (I3); ids for which it does not are in ``unjournalled``.
        instead: Asked before each write; an outcome that it returns stands for the call, which is
            not made.
        is_dead: From now on no call goes through or comes back: the process counts as killed.
    """

    rule: Rule | None = None
    act: Callable[[], Awaitable[None]] = _nothing
    witness: Callable[[str], Awaitable[bool]] | None = None
    instead: Callable[[str, str], WriteOutcome | None] | None = None
    is_dead: bool = False
    moments: list[Call] = field(default_factory=list)
    unjournalled: list[str] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)
    _fitting: int = 0
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _places_back: int = 0

    async def before(self, name: str, what: str = "", api_key: str = "") -> None:
        """Note that a call is about to be made."""
        self._counts[name, api_key] += 1
        if name == "place" and self.witness is not None and not await self.witness(what):
            self.unjournalled.append(what)
        await self._moment(Call(name, "before", what, api_key, self._counts[name, api_key]))

    async def after(self, name: str, what: str = "", api_key: str = "") -> None:
        """Note that a call has come back."""
        if name == "place":
            self._places_back += 1
        await self._moment(Call(name, "after", what, api_key, self._counts[name, api_key]))

    async def _moment(self, call: Call) -> None:
        if self.is_dead:
            await asyncio.Event().wait()
        self.moments.append(call)
        rule = self.rule
        if rule is None or not rule.fits(call):
            return
        self._fitting += 1
        if self._fitting != rule.k:
            return
        while self._places_back < rule.after_places:
            await asyncio.sleep(0.01)
        self.struck.set()
        await self.act()

    async def die(self) -> None:
        """Be dead from now on, as far as anybody outside can tell."""
        self.is_dead = True
        await asyncio.Event().wait()

    def count(self, name: str, *, api_key: str = "", side: str = "before") -> int:
        """Return how often a call was made."""
        return sum(
            1
            for call in self.moments
            if (call.name, call.side) == (name, side) and api_key in {"", call.api_key}
        )


class _Client:
    def __init__(self, inner: BrokerClient, watch: Watch, api_key: str) -> None:
        self._inner = inner
        self._watch = watch
        self._api_key = api_key

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in PORT_CALLS:
            return method

        async def call(*arguments: Any) -> Any:
            what = arguments[0].client_order_id if name == "place" else ""
            await self._watch.before(name, what, self._api_key)
            made_up = self._watch.instead and self._watch.instead(name, self._api_key)
            result = made_up or await method(*arguments)
            await self._watch.after(name, what, self._api_key)
            return result

        return call


class _Broker:
    def __init__(self, inner: Broker, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect(self, credentials: Any, master: Any) -> BrokerClient:
        client = self._inner.connect(credentials, master)
        return cast("BrokerClient", _Client(client, self._watch, credentials.api_key))


class _Store:
    def __init__(self, inner: ServedStore, watch: Watch, name: str) -> None:
        self._inner = inner
        self._watch = watch
        self._name = name

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if name not in {"get", "find", "insert", "update", "delete"}:
            return member

        async def call(*arguments: Any, **named: Any) -> Any:
            if self._watch.is_dead:
                await asyncio.Event().wait()
            return await member(*arguments, **named)

        return call

    async def transaction(self, body: Callable[[Any], Awaitable[Any]], *, nonce: str) -> Any:
        await self._watch.before(self._name, nonce)
        result = await self._inner.transaction(body, nonce=nonce)
        await self._watch.after(self._name, nonce)
        return result


class _Decisions:
    def __init__(self, inner: Decisions, watch: Watch) -> None:
        self._inner = inner
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def decide(self, strategy: str, *arguments: Any) -> Any:
        await self._watch.before("decide", strategy)
        result = await self._inner.decide(strategy, *arguments)
        await self._watch.after("decide", strategy)
        return result


def watched_decisions(decisions: Decisions, watch: Watch) -> Decisions:
    """Return decisions that report to ``watch``."""
    return cast("Decisions", _Decisions(decisions, watch))


def watched_brokers(
    brokers: Mapping[BrokerProfile, Broker], watch: Watch
) -> Mapping[BrokerProfile, Broker]:
    """Return brokers whose clients report to ``watch``."""
    return {kind: cast("Broker", _Broker(inner, watch)) for kind, inner in brokers.items()}


def watched_store(store: ServedStore, watch: Watch) -> ServedStore:
    """Return a store whose commits report to ``watch``."""
    return cast("ServedStore", _Store(store, watch, _COMMIT))


def watched_base(store: ServedStore, watch: Watch) -> ServedStore:
    """Return what a single writer commits its groups to; it reports each as a ``group``."""
    return cast("ServedStore", _Store(store, watch, _GROUP))
