"""A system that runs against the sandbox, for as long as a test lets it live.

``World`` is what outlives a controller: the simulators, the store's server, the data directory.
``living`` runs one controller over it in this process; ``tests/faults/controller.py`` runs one in a
process of its own, to be killed. Any number of lives may follow one another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import SecretStr

from core.adapters.brokers import build_brokers
from core.adapters.clock import clock_from_setting
from core.adapters.fyers import FYERS as FYERS_PROFILE
from core.adapters.mongo.server import RunningStore
from core.adapters.mongo.store import MongoStore, StoreOptions
from core.adapters.zerodha import ZERODHA
from core.bootstrap import Foundation, System, attach, build
from core.config import Settings
from core.domain.account import AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.notices.post import Delivery, Post
from core.domain.order import OrderState
from core.errors import StoreUnavailable
from core.ports.broker import Broker, BrokerClient, Credentials
from core.ports.clock import Clock
from core.ports.decisions import Decisions
from core.ports.notifier import Delivered
from core.ports.store import Change, Document, ServedStore
from tests.fakes.brokers import roots_at, streams_at
from tests.fakes.deciding import InProcess
from tests.fakes.memory_foundation import memory_foundation
from tests.fakes.memory_store import MemoryDatabase, MemoryStore
from tests.fakes.sandbox_process import Sandbox
from tests.faults.pulse import PULSE, REGISTRY
from tests.faults.reads import refreshed
from tests.faults.watch import Watch, watched_brokers, watched_decisions, watched_store

__all__ = [
    "FYERS",
    "KITE",
    "THIRD",
    "Life",
    "Simulated",
    "Told",
    "World",
    "another",
    "answer_of",
    "brokers_of",
    "by_hand",
    "living",
    "until",
    "wired",
]

OWNER = 4711
_WITNESS = StoreOptions(sessions=1, connections=2, server_selection_s=20.0, operation_s=60.0)
_serial = count(1)
T = TypeVar("T")


@dataclass(frozen=True)
class Simulated:
    """One of the sandbox's built-in accounts."""

    broker: BrokerProfile
    target: str
    api_key: str
    api_secret: str
    user_id: str


KITE = Simulated(ZERODHA, "kite", "kitesimkey000001", "k1" * 16, "AB1234")
FYERS = Simulated(FYERS_PROFILE, "fyers", "FYSIMAPP01-100", "FYSECRET01", "XA00001")
THIRD = Simulated(ZERODHA, "kite", "kitesimkey000002", "k2" * 16, "CD5678")


def another(world: World, target: str, number: int) -> Simulated:
    """Register one more account at a simulator."""
    if target == "kite":
        who = Simulated(ZERODHA, target, f"kitemore{number:08d}", "m1" * 16, f"M{number}")
    else:
        who = Simulated(FYERS_PROFILE, target, f"FYMORE{number:02d}-100", "FYMORE01", f"F{number}")
    fields = {"broker": target, "api_key": who.api_key, "api_secret": who.api_secret}
    world.sandbox.ask(
        "POST", "/accounts", {**fields, "user_id": who.user_id, "cash": 500_000, **_redirect(who)}
    )
    return who


def _redirect(who: Simulated) -> dict[str, str]:
    return {"redirect_url": f"http://127.0.0.1:8443{who.broker.callback_path}"}


async def until(ask: Callable[[], Awaitable[T]], *, within_s: float = 150.0, what: str = "it") -> T:
    """Ask until the answer is true and return it; fail when it does not become true in time."""
    deadline = time.monotonic() + within_s
    while True:
        seen: object
        try:
            seen = answer = await ask()
        except StoreUnavailable as error:
            # A test that kills the store asks on until its server is back, or the time is up.
            seen = error
        else:
            if answer:
                return answer
        assert time.monotonic() < deadline, f"{what}: still {seen!r} after {within_s} s"
        await asyncio.sleep(0.05)


@dataclass
class Told:
    """A notifier that remembers what it delivered, over any number of lives."""

    delivered: list[tuple[int, str, bool, Post]] = field(default_factory=list)

    async def deliver(
        self,
        chat_id: int,
        post: Post,
        *,
        notice_id: str,
        message_id: int | None,
        is_repeat: bool,
    ) -> Delivered:
        self.delivered.append((chat_id, notice_id, is_repeat, post))
        if post.delivery is Delivery.REMOVE:
            return Delivered(None)
        is_edit = post.delivery is Delivery.EDIT and message_id is not None
        return Delivered(message_id if is_edit else len(self.delivered))

    def deliveries(self, kind: str) -> list[Delivery]:
        """Return how the notices of a kind were delivered, in order."""
        return [post.delivery for _, _, _, post in self.delivered if post.notice.kind == kind]

    def kinds(self) -> list[str]:
        """Return the kinds of what was delivered, in order."""
        return [post.notice.kind for _, _, _, post in self.delivered]


@dataclass
class World:
    """What outlives a controller.

    Attributes:
        store_uri: The store's server; without one the store is in ``memory``.
        order_deadline_s: Longest wait for an answer of a broker. It must not strike on a slow machine
            where no answer is held back, so only a test of that makes it shorter.
        has_streams: Whether the brokers push order updates.
        told: The chat.
        accounts: The connected accounts by broker_id.
        unjournalled: What ``Watch.witness`` found.
    """

    sandbox: Sandbox
    store_uri: str | None
    db: str
    data: Path
    horizon_s: float = 2.0
    order_deadline_s: float = 5.0
    has_streams: bool = False
    told: Told = field(default_factory=Told)
    accounts: dict[str, Simulated] = field(default_factory=dict)
    unjournalled: list[str] = field(default_factory=list)
    memory: MemoryDatabase = field(default_factory=MemoryDatabase)

    def settings(self) -> Settings:
        """Return the settings of every controller of this world."""
        return Settings(
            telegram_token=SecretStr("1:x"),
            owners=(OWNER,),
            data=self.data,
            db=self.db,
            mongodb_uri=SecretStr(self.store_uri) if self.store_uri else None,
            roots=roots_at(self.sandbox.url),
            streams=streams_at(self.sandbox.url) if self.has_streams else {},
            public_url="http://127.0.0.1:8443",
            clock=self.sandbox.ask("GET", "/clock")["clock"],
            horizon_s=self.horizon_s,
            order_deadline_s=self.order_deadline_s,
            accept_embedded_store_for_live=True,
        )

    def ledger(self, who: Simulated | None = None) -> list[dict[str, Any]]:
        """Return the order writes that the simulators received."""
        query = {} if who is None else {"api_key": who.api_key}
        return list(self.sandbox.ask("GET", "/ledger", **query))

    def placed(self, who: Simulated | None = None) -> list[dict[str, Any]]:
        """Return the placements that the simulators received."""
        return [entry for entry in self.ledger(who) if entry["action"] == "place"]

    def book(self, who: Simulated) -> dict[str, Any]:
        """Return the truth about an account."""
        found = self.sandbox.ask("GET", "/book", broker=who.target, api_key=who.api_key)
        return dict(found)

    def net(self, who: Simulated) -> int:
        """Return the net MIS position in SBIN."""
        return sum(int(p["quantity"]) for p in self.book(who)["positions"] if p["symbol"] == "SBIN")

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[ServedStore]:
        """Open the store beside whatever controller runs."""
        if self.store_uri is None:
            yield MemoryStore(self.memory)
            return
        async with await MongoStore.connect(self.store_uri, self.db, _WITNESS) as store:
            yield store

    @contextlib.asynccontextmanager
    async def foundation(self) -> AsyncIterator[Foundation]:
        """Open what a controller of this world stands on."""
        settings = self.settings()
        clock = clock_from_setting(settings.clock)
        if self.store_uri is None:
            yield memory_foundation(settings, clock, self.memory)
            return
        async with attach(settings, self.store_uri, clock) as foundation:
            yield foundation

    async def bury(self) -> None:
        """Take the lease from a controller that this test has killed, instead of waiting it out."""
        async with self.store() as store:
            lease = await store.get("lease", "controller")
            # Its last commit may be open still, and every commit writes the lease.
            await store.kill_sessions(lease["session_ids"] if lease else [])
            await store.update("lease", {"_id": "controller"}, Change(set={"holder": ""}))


@dataclass
class Life:
    """One running controller."""

    world: World
    system: System
    foundation: Foundation
    watch: Watch

    def command(self) -> Command:
        """Return a new wish of the owner."""
        return Command(f"test:{os.getpid()}:{next(_serial)}", OWNER, OWNER)

    async def connect(self, who: Simulated, *, quantity: int = 1, enabled: bool = True) -> str:
        """Connect an account, log it in, and wait until its worker has read its broker."""
        control = self.system.control
        draft = AccountDraft(who.broker, f"Main {who.api_key}", who.api_key, who.api_secret)
        account = await control.registration.add(self.command(), draft)
        self.world.accounts[account.broker_id] = who
        await self.login(account.broker_id)
        if quantity != 1:
            await control.strategy_settings.assign(
                self.command(), PULSE, account.broker_id, size_value=Decimal(quantity)
            )
        if enabled:
            await control.switch.enable(self.command(), account.broker_id)
        await self.ready(account.broker_id)
        return account.broker_id

    async def login(self, broker_id: str) -> None:
        """Log in as the user would: the broker's form, then the callback."""
        who = self.world.accounts[broker_id]
        offer = await self.system.control.logins.offer(broker_id)
        assert offer.page_url is not None
        address = await self.system.logins.start(offer.page_url.rsplit("/", 1)[1])
        query = await answer_of(address, who)
        await self.system.logins.callback(who.broker, query)

    async def ready(self, broker_id: str) -> None:
        """Wait until an account's worker has read the day's orders and its positions."""

        async def has_read() -> bool:
            worker = self.system.worker(broker_id)
            return worker is not None and worker.snapshot.funds is not None

        await until(has_read, what=f"first read of {broker_id}")

    async def run(self, direction: str, *, stop_percent: str = "0") -> str:
        """Run the strategy now, wanting ``direction``, and return the run's id."""
        control = self.system.control
        await control.strategy_settings.set_parameter(self.command(), PULSE, "direction", direction)
        await control.strategy_settings.set_parameter(
            self.command(), PULSE, "stop_percent", stop_percent
        )
        run_id = await control.runs.file(self.command(), PULSE)
        await until(lambda: self.system.run_requests.result(run_id), what=run_id)
        return run_id

    async def rows(self, **where: Any) -> list[Document]:
        """Return rows of the journal, oldest first."""
        rows = await self.foundation.store.find("orders", where)
        return sorted(rows, key=lambda row: (row["created_at"], row["attempt"]))

    async def row(self, **where: Any) -> Document:
        """Return the only row that is like this."""
        (row,) = await self.rows(**where)
        return row

    async def becomes(
        self, state: OrderState, *, within_s: float = 150.0, **where: Any
    ) -> Document:
        """Wait until a row like this is in ``state``, and return it."""

        async def found() -> list[Document]:
            return await self.rows(state=state.value, **where)

        try:
            return (await until(found, within_s=within_s, what=f"{state} {where}"))[0]
        except AssertionError as error:
            rows = [(r["_id"], r["state"], r["purpose"], r["reason"]) for r in await self.rows()]
            raise AssertionError(f"{error}; the journal has {rows}") from None

    async def held(self, broker_id: str) -> int:
        """Return what the strategies' books say is held."""
        rows = await self.foundation.store.find("ledgers", {"broker_id": broker_id})
        return sum(int(row["quantity"]) for row in rows)

    async def holds(self, broker_id: str, quantity: int, *, within_s: float = 150.0) -> None:
        """Wait until books and broker both say that so much is held."""
        who = self.world.accounts[broker_id]

        async def agrees() -> bool:
            return (await self.held(broker_id), self.world.net(who)) == (quantity, quantity)

        try:
            await until(agrees, within_s=within_s)
        except AssertionError:
            rows = [(r["_id"], r["state"], r["purpose"], r["reason"]) for r in await self.rows()]
            held = await self.held(broker_id)
            raise AssertionError(
                f"wanted {quantity}, books {held}, broker {self.world.net(who)}: {rows}"
            ) from None

    async def enter(self, direction: str = "LONG", *, stop_percent: str = "0") -> None:
        """Enter on every account and wait until it is done."""
        await self.run(direction, stop_percent=stop_percent)
        sign = 1 if direction == "LONG" else -1
        for broker_id in self.world.accounts:
            row = await self.becomes(OrderState.FILLED, broker_id=broker_id, purpose="entry")
            await self.holds(broker_id, sign * row["quantity"])

    async def settled(self, *, within_s: float = 150.0) -> None:
        """Wait until nothing is on its way: no order unknown, every notice delivered."""
        store = self.foundation.store
        moving = ["INITIALIZED", "HELD", "SUBMITTED", "UNRESOLVED"]
        # A change without an answer is given up some seconds later.
        moving += ["PENDING_CANCEL", "PENDING_UPDATE"]

        async def nothing_moves() -> bool:
            orders = await store.find("orders", {"state": {"$in": moving}})
            notices = await store.find("outbox", {"state": {"$in": ["WAITING", "SENDING"]}})
            runs = await store.find("run_requests", {"state": "filed"})
            return not (orders or notices or runs)

        await until(nothing_moves, within_s=within_s, what="rest")

    async def turned(self, times: int = 1) -> None:
        """Wait until every worker has taken so many whole turns."""
        # One more: the first to end may have been under way already.
        for broker_id in [*self.world.accounts] * (times + 1):
            worker = self.system.worker(broker_id)
            if worker is not None:
                async with asyncio.timeout(150):
                    await worker.next_turn()

    async def outlived(self, row: Document, seconds: float) -> None:
        """Wait until an order is this old, and every worker has taken a turn since."""

        async def is_old() -> bool:
            age = self.foundation.clock.now() - row["created_at"]
            return bool(age.total_seconds() > seconds)

        await until(is_old, within_s=seconds + 60)
        await self.turned()

    async def refresh(self) -> None:
        """Read every broker once more, each within its rate and beside the others."""
        workers = [self.system.worker(broker_id) for broker_id in self.world.accounts]
        await asyncio.gather(*(refreshed(worker) for worker in workers if worker is not None))


async def _owner(foundation: Foundation) -> None:
    fields = {"user_id": OWNER, "chat_id": OWNER, "role": "owner"}
    await foundation.store.update("users", {"_id": str(OWNER)}, Change(set=fields), upsert=True)


def wired(foundation: Foundation, watch: Watch, decisions: Decisions | None = None) -> System:
    """Build a system whose ports report to ``watch``."""
    brokers = brokers_of(foundation.settings, foundation.clock)
    observed = replace(foundation, store=watched_store(foundation.store, watch))
    return build(
        observed,
        REGISTRY,
        decisions=watched_decisions(decisions or InProcess(REGISTRY), watch),
        brokers=watched_brokers(brokers, watch),
    )


@contextlib.asynccontextmanager
async def living(
    world: World,
    watch: Watch | None = None,
    *,
    running: RunningStore | None = None,
    decisions: Decisions | None = None,
) -> AsyncIterator[Life]:
    """Run one controller over the world until the block ends.

    Args:
        world: Where it lives.
        watch: What watches its ports.
        running: The store's server when the controller is to look after it.
        decisions: What has strategies decide; by default they decide in this process.
    """
    watch = watch or Watch()
    async with contextlib.AsyncExitStack() as stack:
        witness = await stack.enter_async_context(world.store())
        watch.witness = _witness(witness)
        watch.unjournalled = world.unjournalled
        foundation = await stack.enter_async_context(world.foundation())
        if running is not None:
            kind = running.server.kind
            foundation = replace(foundation, running=running, store_kind=kind)
        system = wired(foundation, watch, decisions)
        await _owner(foundation)
        await system.begin()
        services = {**system.services, "outbox": system.sender(world.told)}
        task = asyncio.create_task(system.supervisor.run(services))
        try:
            yield Life(world, system, foundation, watch)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not watch.is_dead:
                await system.end()
            else:
                await system.connections.aclose()


def _witness(store: ServedStore) -> Callable[[str], Awaitable[bool]]:
    async def sees(client_order_id: str) -> bool:
        row = await store.get("orders", client_order_id)
        return row is not None and row["state"] == OrderState.SUBMITTED.value

    return sees


@contextlib.asynccontextmanager
async def by_hand(world: World, who: Simulated) -> AsyncIterator[BrokerClient]:
    """Log the user in at another app of the broker, as a user with the broker's own app does."""
    app = replace(who, api_key=_OTHER_APP[who.target], api_secret="handhand00000000")
    fields = {"broker": app.target, "api_key": app.api_key, "api_secret": app.api_secret}
    world.sandbox.ask("POST", "/accounts", {**fields, "user_id": who.user_id, **_redirect(app)})
    settings = world.settings()
    broker = brokers_of(settings, clock_from_setting(settings.clock))[who.broker]
    credentials = Credentials("byhand_0000000000", app.api_key, app.api_secret)
    redirect_url = _redirect(app)["redirect_url"]
    address = broker.login.login_url(credentials, nonce="HAND", redirect_url=redirect_url)
    query = await answer_of(address, who)
    code = broker.profile.callback.code_in(query)
    grant = await broker.login.exchange(credentials, code, redirect_url=redirect_url)
    master = {row.id: row for row in await broker.instruments.load()}
    client = broker.connect(replace(credentials, access_token=grant.access_token), master)
    try:
        yield client
    finally:
        await client.aclose()


_OTHER_APP = {"kite": "handkite00000001", "fyers": "HANDFY01-100"}


async def answer_of(address: str, who: Simulated) -> dict[str, str]:
    """Say yes on the broker's page, and return the query of the callback."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as person:
        answer = await person.post(address, data={"user_id": who.user_id, "action": "allow"})
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def brokers_of(settings: Settings, clock: Clock) -> Mapping[BrokerProfile, Broker]:
    return build_brokers(clock, settings.addresses, deadline_s=settings.order_deadline_s)
