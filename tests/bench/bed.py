"""What every bench of the whole controller stands on: a store's server, the door, a controller.

Each is a process of its own; this process only asks, looks at clocks and plays the peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from tests.bench.controller import Child, Spec, market_clock
from tests.bench.stores import cpu_of, door_process, memory_mb, store_server

__all__ = ["Bed", "Slot", "at", "bed", "middle"]


@dataclass(frozen=True)
class Slot:
    """One slot of all strategies: what the controller noted, what the door saw, what it cost.

    Attributes:
        times: What ``Controlled.run`` returned.
        seen: When an order's last byte came to the door and its answer left, by client order id.
        store_cpu_s: CPU of the store's process.
    """

    times: dict[str, Any]
    seen: dict[str, tuple[float, float]]
    expected: int
    store_cpu_s: float

    @property
    def placed(self) -> list[float]:
        """When each answer was back in the controller."""
        return [one["placed"] for one in self.times["orders"].values() if "placed" in one]

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
    """The running processes."""

    door: str
    child: Child
    session: aiohttp.ClientSession
    store_pid: int | None
    keys: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

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

    async def seen(self) -> dict[str, tuple[float, float]]:
        """Return the arrivals and answers at the door since the last look, by tag."""
        return {tag: (came, went) for _, tag, came, went in await self._get("seen")}

    async def filled(self) -> dict[str, float]:
        """Return when orders filled at the door since the last look, by tag."""
        return dict(await self._get("filled"))

    async def behave(self, key: str, how: str) -> None:
        """Let an account be answered in another way: ``hung``, ``throttled``, ``expired``, ''."""
        await self._get("behave", api_key=key, how=how)

    async def slot(
        self, direction: str, expected: int, *, ignored: Sequence[str] = (), patience_s: float = 60
    ) -> Slot:
        """Run all strategies in one slot, and wait until nothing moves any more.

        Args:
            direction: LONG enters, FLAT leaves.
            expected: How many orders have to be answered.
            ignored: Ids of accounts whose orders are not waited for.
            patience_s: How long is waited for answers.
        """
        await self.seen()
        before = cpu_of(self.store_pid)
        times = await self.ask(
            "run",
            direction=direction,
            expected=expected,
            hung=list(ignored),
            patience_s=patience_s,
        )
        used = cpu_of(self.store_pid) - before
        found = Slot(times, await self.seen(), expected, used)
        await self.ask("rest", ignored=list(ignored))
        return found

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
) -> AsyncIterator[Bed]:
    """Run all of it until the block ends.

    Args:
        directory: Where the store's data goes.
        store: ``mongod``, ``embedded`` or ``memory``.
        strategies: How many, each with ``instruments`` shares of its own.
        instruments: See there.
        delay_ms: After which the door answers an order.
        fill_ms: After which an order fills that was answered.
        has_stream: Whether the door pushes order updates.
    """
    clock = market_clock()
    async with store_server(store, directory / "store") as server:
        with ExitStack() as stack:
            door, stream = stack.enter_context(door_process(clock, delay_ms, fill_ms))
            uri = server.uri if server else ""
            spec = Spec(door, uri, str(directory), clock, strategies, instruments)
            child = Child(spec if not has_stream else spec.streamed(stream))
            stack.callback(child.end)
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                yield Bed(door, child, session, server.pid if server else None)


def middle(values: Sequence[float]) -> float:
    """Return the median; nan of nothing."""
    return median(values) if values else float("nan")


def at(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of the values lies; nan of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")
