"""The controller that a bench drives: the wired system over a store, in a process of its own.

``Controlled`` runs it in this process; ``Child`` starts ``python -m tests.bench.controller`` and asks
it over its pipes, so that its CPU is its own and nothing else's. What is measured is seen from
outside: the port calls of store and broker, and commits of the journal. Nothing of the product is
replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from pydantic import SecretStr

from core.adapters.clock import clock_from_setting
from core.adapters.zerodha import ZERODHA
from core.bootstrap import Foundation, System, attach, build, strategy_processes
from core.config import Settings
from core.domain.account import AccountDraft
from core.domain.command import Command
from core.domain.sessions import trading_day
from core.engine.runs.plan import RunRequest, requested_slot
from core.engine.workers.supervisor import Service
from core.errors import SaarthiError
from core.long_lived import collect_less
from core.ports.notifier import Delivered
from core.ports.store import Change
from tests.bench.crew import CREWS_AT, Crew, crews_of
from tests.bench.probe import Probe
from tests.bench.stores import program
from tests.fakes.brokers import roots_at
from tests.fakes.clock import clock_text
from tests.fakes.memory_foundation import memory_foundation
from tests.fakes.memory_store import MemoryDatabase
from tests.fakes.sandbox_process import CLOCK, ROOT
from tests.faults.life import Told
from tests.faults.tether import tethered

__all__ = ["Child", "Controlled", "Spec", "answer", "controlled", "market_clock"]

_log = logging.getLogger(__name__)
_OWNER = 4711
_PATIENCE_S = 120.0
_LEAD_S = 0.7
_SAMPLES = 5
_MOVING = ["INITIALIZED", "HELD", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "UNRESOLVED"]


def market_clock(speed: float = 1.0) -> str:
    """Return a clock setting at which the market is open now."""
    return clock_text(f"{CLOCK}+05:30", speed)


@dataclass(frozen=True)
class Spec:
    """What a controller is built from.

    Attributes:
        store_uri: The store's server; '' is a store in memory.
        strategies: How many there are, each with as many shares of its own as ``instruments``.
        stream: Where order updates are pushed from; '' leaves them to polling.
        telegram: Where the Bot API is; '' has no bot, and a chat that only notes what it is told.
        users: How many users that bot serves (``tests.bench.chat``).
    """

    door: str
    store_uri: str
    data: str
    clock: str
    strategies: int = 1
    instruments: int = 1
    stream: str = ""
    db: str = "bench"
    telegram: str = ""
    users: int = 0

    def streamed(self, stream: str) -> Spec:
        """Return the same with order updates pushed from an address."""
        return replace(self, stream=stream)

    def settings(self) -> Settings:
        """Return its settings."""
        return Settings(
            telegram_token=SecretStr("1:x"),
            owners=(_OWNER,),
            data=Path(self.data),
            db=self.db,
            mongodb_uri=SecretStr(self.store_uri) if self.store_uri else None,
            roots=roots_at(lambda _name: self.door),
            streams={"kite_stream": self.stream or "off"},
            public_url="http://127.0.0.1:8443",
            clock=self.clock,
            accept_embedded_store_for_live=True,
        )


@dataclass
class Controlled:
    """One running controller, and what it is asked by name."""

    system: System
    foundation: Foundation
    crews: Mapping[str, Crew]
    probe: Probe
    heard: Heard
    accounts: list[str] = field(default_factory=list)
    _serial: int = 0

    def command(self) -> Command:
        """Return a new wish of the owner."""
        self._serial += 1
        return Command(f"bench:{os.getpid()}:{self._serial}", _OWNER, _OWNER)

    async def connect(self, keys: Sequence[str]) -> list[str]:
        """Register accounts, log them in and switch them on; return their ids when all have read."""
        control, logins = self.system.control, self.system.logins
        for key in keys:
            draft = AccountDraft(ZERODHA, f"Account {key}", key, "s" * 16)
            account = await control.registration.add(self.command(), draft)
            offer = await control.logins.offer(account.broker_id)
            assert offer.page_url is not None
            address = await logins.start(offer.page_url.rsplit("/", 1)[1])
            echoed = parse_qs(urlsplit(address).query)["redirect_params"][0]
            query = {"status": "success", "request_token": key, **dict(parse_qsl(echoed))}
            await logins.callback(ZERODHA, query)
            await control.switch.enable(self.command(), account.broker_id)
            self.accounts.append(account.broker_id)
        async with asyncio.timeout(_PATIENCE_S):
            while not all(map(self._has_read, self.accounts)):
                await asyncio.sleep(0.1)
        return self.accounts

    def _has_read(self, broker_id: str) -> bool:
        worker = self.system.worker(broker_id)
        return worker is not None and worker.snapshot.funds is not None

    async def run(
        self,
        direction: str,
        expected: int,
        ignored: Sequence[str] = (),
        *,
        patience_s: float = 60.0,
        lead_s: float = _LEAD_S,
    ) -> dict[str, Any]:
        """Run every strategy in one slot, and return when what moved and what it cost.

        Args:
            direction: LONG enters, FLAT leaves.
            expected: How many orders have to be answered.
            ignored: Ids of accounts that nothing is waited for.
            patience_s: How long is waited for the runs, and then for the answers.
            lead_s: From when the connections are asked for to the slot; the scheduler gives a second.
        """
        control, runner = self.system.control, self.system.runner
        for name in self.crews:
            await control.strategy_settings.set_parameter(
                self.command(), name, "direction", direction
            )
            await runner.warm(name)
        await asyncio.sleep(lead_s)
        self.probe.begin(expected, frozenset(ignored))
        self.heard.moments.clear()
        slot = requested_slot(self.foundation.clock.market_now())
        cpu, began = time.process_time(), time.perf_counter()
        requests = [RunRequest(f"{n}|{slot:%Y-%m-%dT%H:%M:%S.%f}", n, slot) for n in self.crews]
        lines = await asyncio.gather(*(_within(patience_s, runner.run(one)) for one in requests))
        answered_all = await self.probe.all_answered(patience_s)
        answered_cpu = time.process_time()
        filled_all = await self.probe.all_filled(patience_s if answered_all else 5.0)
        filled_cpu, filled_at = time.process_time(), time.perf_counter()
        return {
            "began": began,
            "lines": lines,
            "answered_all": answered_all,
            "filled_all": filled_all,
            "filled_at": filled_at,
            "cpu_to_answer": answered_cpu - cpu,
            "cpu_to_fill": filled_cpu - cpu,
            "told": list(self.heard.moments),
            **self.probe.found(),
        }

    async def enable(self, direction: str) -> bool:
        """Let the scheduler run every strategy from now on."""
        settings = self.system.control.strategy_settings
        for name in self.crews:
            await settings.set_parameter(self.command(), name, "direction", direction)
            await settings.set_enabled(self.command(), name, enabled=True)
        return True

    async def rest(self, ignored: Sequence[str] = ()) -> dict[str, int]:
        """Wait until nothing moves: no order on its way, every notice delivered; return states of today.

        Args:
            ignored: Ids of accounts that nothing is waited for.
        """
        store = self.foundation.store
        awaited = [one for one in self.accounts if one not in ignored]
        moving = {"broker_id": {"$in": awaited}, "state": {"$in": _MOVING}}
        undelivered = {"state": {"$in": ["WAITING", "SENDING"]}}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while await store.find("orders", moving) or await store.find("outbox", undelivered):
                    await asyncio.sleep(0.25)
        today = trading_day(self.foundation.clock.market_now())
        rows = await store.find("orders", {"broker_id": {"$in": self.accounts}, "day": today})
        states = Counter(str(row["state"]) for row in rows)
        held = await store.find("ledgers", {"broker_id": {"$in": self.accounts}})
        return {**states, "held": sum(int(row["quantity"]) for row in held)}

    async def idle(self, seconds: float) -> dict[str, float]:
        """Let time pass; return CPU used of it, and what memory there is."""
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        passed = time.perf_counter() - began
        return {"cpu_share": (time.process_time() - cpu) / passed, "seconds": passed}

    async def resume(self, ids: Sequence[str]) -> list[str]:
        """Wait until the accounts of a former controller have been read again."""
        self.accounts = list(ids)
        async with asyncio.timeout(_PATIENCE_S):
            while not all(map(self._has_read, self.accounts)):
                await asyncio.sleep(0.02)
        return self.accounts

    async def told_at(self) -> list[float]:
        """Return when notices were delivered since the last slot began."""
        return self.heard.moments

    async def views(self, past: str = "") -> dict[str, float]:
        """Return how many milliseconds each screen's data takes, for the first account.

        Args:
            past: The id of an order of long ago, to be looked at as well.
        """
        views, health = self.system.control.views, self.system.control.health
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "dashboard": lambda: views.dashboard(self.accounts[0]),
            "orders": lambda: views.orders(self.accounts[0]),
            "orders_of_all": lambda: views.orders(None),
            "positions_of_all": lambda: views.positions(None),
            "last_run": lambda: views.last_run(next(iter(self.crews))),
            "health": health.read,
        }
        if past:
            asked["past_order"] = lambda: views.order(past)
        found = {}
        for name, ask in asked.items():
            took = []
            for _ in range(_SAMPLES):
                began = time.perf_counter()
                await ask()
                took.append((time.perf_counter() - began) * 1e3)
            found[name] = median(took)
        return found


async def _within(seconds: float, run: Coroutine[Any, Any, str]) -> str:
    """Return what a run says, or how it failed; the scheduler goes on after either."""
    try:
        async with asyncio.timeout(seconds):
            return await run
    except TimeoutError:
        return f"given up after {seconds:.0f} s"
    except SaarthiError as error:
        return f"failed: {type(error).__name__}: {error}"


class Heard(Told):
    """A chat that notes when each notice came."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    async def deliver(self, *given: Any, **named: Any) -> Delivered:
        """Take a notice."""
        self.moments.append(time.perf_counter())
        return await super().deliver(*given, **named)


@asynccontextmanager
async def controlled(
    spec: Spec, talking: Callable[[Controlled], Mapping[str, Service]] | None = None
) -> AsyncIterator[Controlled]:
    """Run a controller in this process until the block ends.

    Args:
        spec: What it is built from.
        talking: Makes the services of a real chat, in place of one that only notes.
    """
    settings = spec.settings()
    clock = clock_from_setting(settings.clock)
    async with contextlib.AsyncExitStack() as stack:
        if spec.store_uri:
            foundation = await stack.enter_async_context(attach(settings, spec.store_uri, clock))
        else:
            foundation = memory_foundation(settings, clock, MemoryDatabase())
        probe = stack.enter_context(Probe().installed(type(foundation.store)))
        crews = {one.name: one for one in crews_of(spec.strategies, spec.instruments)}
        system = build(foundation, crews, decisions=strategy_processes(CREWS_AT))
        heard = Heard()
        await system.begin()
        one = Controlled(system, foundation, crews, probe, heard)
        if talking is None:
            owner = {"user_id": _OWNER, "chat_id": _OWNER, "role": "owner"}
            where = {"_id": str(_OWNER)}
            await foundation.store.update("users", where, Change(set=owner), upsert=True)
            chat: Mapping[str, Service] = {"outbox": system.sender(heard)}
        else:
            chat = talking(one)
        task = asyncio.create_task(system.supervisor.run({**system.services, **chat}))
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await system.end()


class Child:
    """A controller in a process of its own."""

    def __init__(self, spec: Spec) -> None:
        module = "tests.bench.chat" if spec.telegram else "tests.bench.controller"
        command = program(module, json.dumps(asdict(spec)))
        self._process = subprocess.Popen(
            tethered(command), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the controller ended with {self._process.wait()}")
        answered = json.loads(line)
        if "error" in answered:
            raise RuntimeError(answered["error"])
        return answered["found"]

    def say(self, what: str, **given: Any) -> None:
        """Ask for something; ``hear`` waits for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, given]) + "\n")
        self._process.stdin.flush()

    def ask(self, what: str, **given: Any) -> Any:
        """Call a method of ``Controlled`` and return its answer."""
        self.say(what, **given)
        return self._hear()

    def hear(self) -> Any:
        """Return the answer to what was said."""
        return self._hear()

    def end(self) -> None:
        """End it, and wait until it has given its lease back."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


async def answer(one: object) -> None:
    """Call methods of an object as ``Child`` asks for them, until it asks for no more."""
    _say({"found": "ready"})
    while line := await asyncio.to_thread(sys.stdin.readline):
        what, given = json.loads(line)
        try:
            _say({"found": await getattr(one, what)(**given)})
        except Exception as error:  # noqa: BLE001 - whatever it is, the bench has to tell
            _log.exception("%s failed", what)
            _say({"error": f"{what}: {type(error).__name__}: {error}"})


async def _serve(spec: Spec) -> None:
    async with controlled(spec) as one:
        await answer(one)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    collect_less()
    asyncio.run(_serve(Spec(**json.loads(sys.argv[1]))))
