"""What every bench of the whole controller stands on: a store's server, the door, a controller.

Each is a process of its own; this process only asks, looks at clocks and plays the peers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from core.adapters.mongo.server import RunningStore
from tests.bench.controller import Child, Spec, market_clock
from tests.bench.stores import cpu_of, door_process, memory_mb, store_server

__all__ = ["Bed", "Slot", "at", "bed", "middle"]


@dataclass(frozen=True)
class Slot:
    """One slot of all strategies: what the controller noted, what the door saw, what it cost.

    Attributes:
        times: What ``Controlled.run`` returned.
        seen: When an order's last byte came to the door and its answer left, by client order id;
            orders of accounts that were to be ignored left out.
        store_cpu_s: CPU of the store's process.
    """

    times: dict[str, Any]
    seen: dict[str, tuple[float, float]]
    expected: int
    store_cpu_s: float

    @property
    def placed(self) -> list[float]:
        """When each answer of the door was back in the controller."""
        orders = self.times["orders"]
        return [orders[one]["placed"] for one in self.seen if "placed" in orders.get(one, ())]

    @property
    def is_whole(self) -> bool:
        """Whether every order was answered."""
        return bool(self.times["answered_all"]) and len(self.placed) >= self.expected

    @property
    def committed(self) -> float:
        """When the last run was committed; without a commit, when the slot began."""
        return float(max((end for _, end in self.times["commits"]), default=self.times["began"]))

    @property
    def last_answer_ms(self) -> float:
        """From the slot's begin to the last answer; nan when one is missing."""
        if not self.is_whole:
            return float("nan")
        return (max(self.placed) - float(self.times["began"])) * 1e3

    @property
    def doors_ms(self) -> float:
        """From the commit to the last byte at the door; nan when an answer is missing."""
        arrived = [self.seen[one][0] for one in self.times["orders"] if one in self.seen]
        return (max(arrived) - self.committed) * 1e3 if self.is_whole else float("nan")

    @property
    def fill_ms(self) -> float:
        """From the slot's begin until the last fill was in the journal."""
        return (float(self.times["filled_at"]) - float(self.times["began"])) * 1e3


@dataclass
class Bed:
    """The running processes.

    Attributes:
        rested: After the last slot: how many orders are in each state, and how many units are held.
        cpu_to_ready: CPU seconds of controller and store from their last start until it was ready.
    """

    door: str
    child: Child
    session: aiohttp.ClientSession
    spec: Spec
    store: RunningStore | None
    keys: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    rested: dict[str, int] = field(default_factory=dict)
    cpu_to_ready: tuple[float, float] = (0.0, 0.0)

    @property
    def store_pid(self) -> int | None:
        """The store's process."""
        return self.store.server.pid if self.store else None

    async def ask(self, what: str, **given: Any) -> Any:
        """Call a method of ``Controlled``."""
        return await asyncio.to_thread(self.child.ask, what, **given)

    async def connect(self, count: int) -> None:
        """Connect accounts until there are so many."""
        keys = [f"bench{number:08d}" for number in range(len(self.keys), count)]
        self.keys += keys
        self.ids = await self.ask("connect", keys=keys)
        await asyncio.sleep(2.0)  # their first reads

    async def _get(self, path: str, **query: Any) -> Any:
        async with self.session.get(f"{self.door}/_door/{path}", params=query) as answer:
            return await answer.json()

    async def seen(self, ignored: Sequence[str] = ()) -> dict[str, tuple[float, float]]:
        """Return arrivals and answers at the door since the last look, by tag.

        Args:
            ignored: API keys of accounts that are left out.
        """
        rows = await self._get("seen")
        return {tag: (came, went) for key, tag, came, went in rows if key not in ignored}

    async def requests(self) -> int:
        """Return how many requests came to the door since the last look."""
        return int(await self._get("requests"))

    async def filled(self) -> dict[str, float]:
        """Return when orders filled at the door since the last look, by tag."""
        return dict(await self._get("filled"))

    async def behave(self, key: str, how: str) -> None:
        """Let an account be answered in another way: ``hung``, ``throttled``, ``expired``, ''."""
        await self._get("behave", api_key=key, how=how)

    async def slot(
        self,
        direction: str,
        expected: int,
        *,
        ignored: Sequence[str] = (),
        patience_s: float = 60,
        lead_s: float = 0.7,
    ) -> Slot:
        """Run all strategies in one slot, and wait until nothing moves any more.

        Args:
            direction: LONG enters, FLAT leaves.
            expected: How many orders have to be answered.
            ignored: API keys of accounts whose orders are not waited for.
            patience_s: How long is waited for answers.
            lead_s: From when connections are asked for to the slot.
        """
        await self.seen()
        before = cpu_of(self.store_pid)
        ids = [self.id_of(key) for key in ignored]
        times = await self.ask(
            "run",
            direction=direction,
            expected=expected,
            ignored=ids,
            patience_s=patience_s,
            lead_s=lead_s,
        )
        used = cpu_of(self.store_pid) - before
        found = Slot(times, await self.seen(ignored), expected, used)
        self.rested = await self.ask("rest", ignored=ids)
        return found

    def id_of(self, key: str) -> str:
        """Return the account that is connected with an API key."""
        return self.ids[self.keys.index(key)]

    async def restart(self) -> tuple[float, float, float]:
        """End controller and store, and start both.

        Returns:
            Seconds until the store was up, the controller ready, every account read.
        """
        await asyncio.to_thread(self.child.end)
        if self.store is not None and self.store_pid is not None:
            os.kill(self.store_pid, signal.SIGTERM)  # its end is no part of the next start
            await self.store.wait_dead()
        began = time.perf_counter()
        if self.store is not None:
            await self.store.restart()
        up = time.perf_counter() - began
        self.child = await asyncio.to_thread(Child, self.spec)
        ready = time.perf_counter() - began
        self.cpu_to_ready = self.cpu_s()
        self.ids = await self.ask("resume", ids=self.ids)
        return up, ready, time.perf_counter() - began

    def memory_mb(self) -> tuple[float, float]:
        """Return the resident memory of controller and store."""
        return memory_mb(self.child.pid), memory_mb(self.store_pid)

    def cpu_s(self) -> tuple[float, float]:
        """Return the CPU seconds of controller and store."""
        return cpu_of(self.child.pid), cpu_of(self.store_pid)


@asynccontextmanager
async def bed(
    directory: Path,
    store: str,
    *,
    strategies: int = 1,
    instruments: int = 1,
    delay_ms: float = 30.0,
    fill_ms: float = 0.0,
    has_stream: bool = True,
    speed: float = 1.0,
    telegram: str = "",
    users: int = 0,
) -> AsyncIterator[Bed]:
    """Run all of it until the block ends.

    Args:
        directory: Where the store's data goes.
        store: ``mongod``, ``embedded`` or ``memory``.
        strategies: How many, each with ``instruments`` shares of its own.
        instruments: See there.
        delay_ms: After which the door answers an order.
        fill_ms: After which an order fills that was answered.
        has_stream: Whether the door pushes order updates and ticks.
        speed: How many times as fast as real time the market's goes.
        telegram: The root of a Bot API, for a controller with the real bot.
        users: How many users that bot serves.
    """
    clock = market_clock(speed)
    async with store_server(store, directory / "store") as running:
        with ExitStack() as stack:
            door, stream = stack.enter_context(door_process(clock, delay_ms, fill_ms))
            uri = running.server.uri if running else ""
            spec = Spec(door, uri, str(directory), clock, strategies, instruments)
            spec = replace(spec, telegram=telegram, users=users)
            spec = spec.streamed(stream) if has_stream else spec
            child = Child(spec)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                over = Bed(door, child, session, spec, running)
                try:
                    yield over
                finally:
                    over.child.end()


def middle(values: Sequence[float]) -> float:
    """Return the median; nan of nothing."""
    return median(values) if values else float("nan")


def at(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies; nan of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
