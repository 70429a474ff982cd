"""A whole engine against the sandbox's process, with market time in the test's hand.

The sandbox's clock all but stands (``*0.001``) and the engine's stands; ``step`` moves both to the same
minute, and ``settle`` waits until each account's journal says what the broker's own snapshot says and
its worker has nothing left to do. So a day runs as fast as its orders do, with the same result each
time. Real time stays real: rates, deadlines and leases are those of the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from pydantic import SecretStr

from core.adapters.clock import MARKET_ZONE, SystemClock
from core.bootstrap import Foundation, System, attach, build
from core.config import Settings
from core.domain.account import Account, AccountDraft
from core.domain.broker import BrokerTrade
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.order import CLOSED_STATES, Order, OrderState, Purpose
from core.domain.target import Strategy
from core.engine.orders.documents import order_of
from core.engine.orders.goals import goal_of
from core.engine.orders.ledgers import ledger_of
from core.engine.workers.account_worker import AccountWorker
from core.ports.clock import Clock
from tests.fakes.brokers import roots_at
from tests.fakes.clock import clock_text
from tests.fakes.deciding import InProcess
from tests.fakes.memory_foundation import memory_foundation
from tests.fakes.memory_store import MemoryDatabase
from tests.fakes.sandbox_process import Sandbox

__all__ = ["OWNER", "LockstepClock", "Rig", "ist", "rig", "standing"]

OWNER = 1001
_PATIENCE_S = 150.0
_LOOK_S = 0.02
_HINT_S = 0.3
_AT_REST = {"OPEN", "TRIGGER PENDING"}
_ENDED = {"COMPLETE", "CANCELLED", "REJECTED"}


def ist(text: str) -> datetime:
    """Return a market time from ``YYYY-MM-DD HH:MM``."""
    return datetime.fromisoformat(text).replace(tzinfo=MARKET_ZONE)


class LockstepClock(SystemClock):
    """Real time is the machine's; market time stands where the test has put it."""

    def __init__(self, market: datetime) -> None:
        self._lead = self._ahead = 0.0
        self._steps = [(self.now(), market)]
        self.waits_for_bars = True

    def step(self, market: datetime) -> None:
        """Put market time."""
        self._steps.append((self.now(), market))

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead + self._lead

    def elapse(self, seconds: float) -> None:
        """Let real time pass for the engine alone, while nothing is on its way."""
        self._ahead += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait; while ``waits_for_bars`` is off, a wait for bars that never come is cut short."""
        if self.waits_for_bars or seconds != BAR_LOOK_S:
            await super().sleep(seconds)
            return
        # As long as the brokers' windows for candles, which go by real time.
        await super().sleep(2 * BAR_LOOK_S)
        self._lead += BAR_WAIT_S

    def compare(
        self, peer: str, date: datetime, *, sent_at: datetime, answered_at: datetime
    ) -> None:
        """Note nothing: ``Rig.step`` puts the sandbox's clock first, then this one.

        An answer that is on its way between the two would tell of minutes, on a slow machine.
        """

    def market_now(self) -> datetime:
        return self._steps[-1][1]

    def market_at(self, real: datetime) -> datetime:
        """Return what market time was at a real time."""
        at = bisect_right(self._steps, real.astimezone(UTC), key=lambda step: step[0])
        return self._steps[max(0, at - 1)][1]

    def real_at(self, market: datetime) -> datetime:
        """Return when market time became ``market``; of a time to come, as if it went on by itself."""
        for real, stood in self._steps:
            if stood >= market:
                return real
        return self.now() + (market - self.market_now())


BAR_LOOK_S, BAR_WAIT_S = 0.5, 5.0
"""How often and how long a run looks for a bar that is not there yet (core.engine.runs.bars)."""


@dataclass
class Rig:
    """The engine, the sandbox and the hand on the clock."""

    sandbox: Sandbox
    clock: LockstepClock
    foundation: Foundation
    registry: Mapping[str, Strategy]
    system: System
    traders: list[Account] = field(default_factory=list)
    sources: list[Account] = field(default_factory=list)
    _numbers: Any = field(default_factory=itertools.count)
    _running: asyncio.Task[None] | None = None

    # The life of the engine

    async def start(self) -> None:
        """Take the lease and run everything but the alarm clock, which the test is."""
        await self.system.begin()
        chosen = ("lease", "accounts", "runs")
        services = {name: self.system.services[name] for name in chosen}
        self._running = asyncio.create_task(self.system.supervisor.run(services))

    async def stop(self) -> None:
        """End the engine; the store and the sandbox go on."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self.system.end()

    async def restart(self) -> None:
        """End the engine and start another one on the same store."""
        await self.stop()
        self.system = build(self.foundation, self.registry, decisions=InProcess(self.registry))
        await self.start()
        self.traders = [await self.system.accounts.get(a.broker_id) for a in self.traders]

    # A user

    def command(self) -> Command:
        """Return a wish of the owner."""
        return Command(f"t:{next(self._numbers)}", OWNER, OWNER)

    async def connect(
        self,
        broker: BrokerProfile,
        name: str,
        app: Mapping[str, Any],
        *,
        enable: bool = True,
        reads: bool = True,
    ) -> Account:
        """Add an account, log it in through the broker's page, and wait for its first read."""
        draft = AccountDraft(broker, name, app["api_key"], app["api_secret"])
        account = await self.system.control.registration.add(self.command(), draft)
        await self.log_in(account, app)
        if reads:
            await self.until(lambda: self._has_read(account), f"a first read of {account.label}")
        if enable:
            await self.system.control.switch.enable(self.command(), account.broker_id)
        account = await self.system.accounts.get(account.broker_id)
        (self.traders if enable else self.sources).append(account)
        return account

    async def log_in(self, account: Account, app: Mapping[str, Any]) -> None:
        """Log in as a user does."""
        offer = await self.system.control.logins.offer(account.broker_id)
        assert offer.page_url is not None
        address = await self.system.logins.start(offer.page_url.rsplit("/", 1)[1])
        form = {"user_id": app["user_id"], "action": "allow"}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as person:
            answer = await person.post(address, data=form)
        query = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        await self.system.logins.callback(account.broker, query)

    def _has_read(self, account: Account) -> bool:
        worker = self.system.worker(account.broker_id)
        return worker is not None and worker.snapshot.funds is not None

    def app(self, broker: str, number: int) -> dict[str, Any]:
        """Return one of the apps that the sandbox has from the start."""
        apps = [app for app in self.sandbox.ask("GET", "/accounts") if app["broker"] == broker]
        return dict(apps[number])

    async def enable_strategy(self, name: str, **parameters: str) -> None:
        """Enable a strategy with these parameters."""
        for parameter, text in parameters.items():
            await self.system.control.strategy_settings.set_parameter(
                self.command(), name, parameter, text
            )
        await self.system.control.strategy_settings.set_enabled(self.command(), name, enabled=True)

    # Time

    def step(self, market: datetime) -> None:
        """Move both clocks; the sandbox lets happen what happens on the way."""
        self.sandbox.ask("POST", "/clock", {"to": market.isoformat()})
        self.clock.step(market)

    async def minute(self, market: datetime) -> None:
        """Live through one moment: prices first, then what was due, then its orders."""
        if market > self.clock.market_now():
            self.step(market)
        await self.settle()
        await self.system.scheduler.tick()
        await self.settle()

    async def through(self, first: datetime, last: datetime, minutes: int = 1) -> None:
        """Live through a stretch of the day, both ends included."""
        now = first
        while now <= last:
            await self.minute(now)
            now += timedelta(minutes=minutes)

    async def until(
        self, condition: Callable[[], bool], what: str, within_s: float = _PATIENCE_S
    ) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(_LOOK_S)
        assert condition(), what

    async def settle(self, within_s: float = _PATIENCE_S) -> None:
        """Wait until every trader's journal is the broker's truth and nothing is left to do."""
        deadline = self.clock.monotonic() + within_s
        for account in self.traders:
            hinted = 0.0
            while why := await self._unsettled(account):
                now = self.clock.monotonic()
                assert now < deadline, f"{account.label}: {why}"
                if now >= hinted + _HINT_S:
                    # A read costs a place of the broker's rate, so this asks no more than a postback.
                    self.system.hint(account.broker_id)
                    hinted = now
                await asyncio.sleep(_LOOK_S)

    async def _unsettled(self, account: Account) -> str:
        orders = await self.orders(account)
        known = {order.broker_order_id: order for order in orders if order.broker_order_id}
        book = self.book(account)
        for theirs in book["orders"]:
            ours = known.get(theirs["order_id"])
            if ours is None:
                return f"order {theirs['order_id']} is unknown"
            if difference := _difference(ours, theirs):
                return f"{ours.client_order_id}: {difference}"
        for order in orders:
            if order.state not in CLOSED_STATES | {OrderState.ACCEPTED}:
                return f"{order.client_order_id} is {order.state}"
        fills = await self.foundation.store.find("fills", {"broker_id": account.broker_id})
        if len(fills) != len(book["trades"]):
            return f"{len(book['trades'])} trades, {len(fills)} are known"
        return await self._off_goal(account, orders)

    async def _off_goal(self, account: Account, orders: list[Order]) -> str:
        store = self.foundation.store
        stops = [o for o in orders if o.purpose is Purpose.STOP and o.state is OrderState.ACCEPTED]
        for row in await store.find("goals", {"broker_id": account.broker_id}):
            goal, ledger = goal_of(row), await store.get("ledgers", row["_id"])
            held = ledger["quantity"] if ledger else 0
            mine = [
                o
                for o in stops
                if (o.strategy, o.request.instrument) == (goal.strategy, goal.instrument)
            ]
            protected = sum(o.leaves_quantity for o in mine)
            wanted = abs(held) if goal.stop_price is not None and goal.quantity else 0
            if held not in {0, goal.quantity} or (goal.can_rest and protected != wanted):
                return f"{goal.key}: {held} held, {goal.quantity} wanted, {protected} protected"
        return ""

    # What came of it

    def worker(self, account: Account) -> AccountWorker:
        """Return an account's worker."""
        worker = self.system.worker(account.broker_id)
        assert worker is not None
        return worker

    async def orders(self, account: Account) -> list[Order]:
        """Return an account's journal, oldest first."""
        rows = await self.foundation.store.find("orders", {"broker_id": account.broker_id})
        return sorted((order_of(row) for row in rows), key=lambda order: order.created_at)

    async def held(self, account: Account) -> dict[str, int]:
        """Return what the strategies hold, by ``strategy symbol``."""
        rows = await self.foundation.store.find("ledgers", {"broker_id": account.broker_id})
        ledgers = [ledger_of(row) for row in rows]
        return {f"{x.strategy} {x.instrument.symbol}": x.quantity for x in ledgers if x.quantity}

    async def fills(self, account: Account) -> list[BrokerTrade]:
        """Return the trades that the engine knows of, oldest first."""
        trades = await self.system.control.views.trades(account.broker_id)
        return [view.trade for view in reversed(trades)]

    async def runs(self, strategy: str) -> list[str]:
        """Return the slots that ran, as ``HH:MM``, in order."""
        rows = await self.foundation.store.find("runs", {"strategy": strategy})
        slots = sorted(
            row["slot_at"].astimezone(MARKET_ZONE) for row in rows if not row.get("kind")
        )
        return [f"{slot:%H:%M}" for slot in slots]

    async def notices(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of the notices of a kind, in the order in which they were posted."""
        rows = await self.foundation.store.find("outbox", {"kind": kind}, sort=[("_id", 1)])
        return [row["data"] for row in rows]

    async def story(self, account: Account) -> str:
        """Tell what became of an account's orders, for a test that finds others than it expects."""
        orders = [
            f"{o.created_at:%H:%M:%S} {o.purpose} {o.request.instrument} {o.state}: {o.reason}"
            for o in await self.orders(account)
        ]
        runs = await self.foundation.store.find("runs", {}, sort=[("_id", 1)])
        notes = [f"{row['_id']}: {row['notes']}" for row in runs if row.get("notes")]
        posted = await self.foundation.store.find("outbox", {}, sort=[("_id", 1)])
        return "\n".join([*orders, *notes, *(f"{row['kind']} {row['data']}" for row in posted)])

    def book(self, account: Account) -> dict[str, Any]:
        """Return the truth of an account at its broker."""
        where = {"broker": account.broker.api_name, "api_key": account.api_key}
        return dict(self.sandbox.ask("GET", "/book", **where))

    def bill(self, account: Account) -> dict[str, Any]:
        """Return what the broker charges an account for the day."""
        where = {"broker": account.broker.api_name, "api_key": account.api_key}
        return dict(self.sandbox.ask("GET", "/charges", **where))

    def writes(self, account: Account) -> list[dict[str, Any]]:
        """Return the order writes that the broker received, oldest first."""
        where = {"broker": account.broker.api_name, "api_key": account.api_key}
        return list(self.sandbox.ask("GET", "/ledger", **where))


def _difference(ours: Order, theirs: Mapping[str, Any]) -> str:
    """Tell in which way the journal is behind the broker, or ''."""
    status = theirs["status"]
    if ours.filled_quantity != theirs["filled_quantity"]:
        return f"{theirs['filled_quantity']} filled, the journal says {ours.filled_quantity}"
    if (ours.state in CLOSED_STATES) != (status in _ENDED) or status not in _ENDED | _AT_REST:
        return f"{status}, the journal says {ours.state}"
    return ""


@contextlib.asynccontextmanager
async def _foundation(
    settings: Settings, uri: str | None, clock: Clock
) -> AsyncIterator[Foundation]:
    if uri is None:
        yield memory_foundation(settings, clock, MemoryDatabase())
        return
    async with attach(settings, uri, clock) as foundation:
        yield foundation


def standing(start: datetime, *options: str) -> Sandbox:
    """Start a sandbox whose market time all but stands."""
    return Sandbox(*options, clock=clock_text(start.isoformat(), 0.001))


@contextlib.asynccontextmanager
async def rig(
    tmp_path: Path,
    uri: str | None,
    registry: Mapping[str, Strategy],
    start: datetime,
    sandbox: Sandbox,
) -> AsyncIterator[Rig]:
    """Start an engine at a market time, before a sandbox that stands there; end the engine.

    Its store is at ``uri``, or in memory: a day reads a store some ten thousand times.
    """
    clock = LockstepClock(start)
    settings = Settings(
        data=tmp_path,
        db=f"test_{uuid.uuid4().hex[:12]}",
        secret_key=SecretStr("dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0="),
        roots=roots_at(sandbox.url),
        public_url="http://127.0.0.1:8443",
        accept_embedded_store_for_live=True,
    )
    async with _foundation(settings, uri, clock) as foundation:
        owner = {"_id": str(OWNER), "user_id": OWNER, "chat_id": OWNER, "role": "owner"}
        await foundation.store.insert("users", owner)
        system = build(foundation, registry, decisions=InProcess(registry))
        made = Rig(sandbox, clock, foundation, registry, system)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()
