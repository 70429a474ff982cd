"""Whatever is done, and whatever fails, the single writer remembers what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.adapters.single_writer import SingleWriterStore
from core.errors import AlreadyDone, StoreError
from core.ports.store import Change, StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryDatabase, MemoryStore

T = TypeVar("T")
LEASE = {"_id": "controller", "fence": 1}
KEYS = st.sampled_from([f"o{n}" for n in range(6)])
DAYS = st.sampled_from([f"2026-11-{day}" for day in range(20, 27)])
STATES = st.sampled_from(["ACCEPTED", "FILLED", "SUBMITTED", "CANCELED"])
ACCOUNTS = st.sampled_from(["zerodha_a", "zerodha_b"])
NUMBERS = st.sampled_from([None, "1", "2", "3"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "state": STATES,
        "day": DAYS,
        "broker_id": ACCOUNTS,
        "run_id": st.sampled_from(["r1", "r2"]),
        "broker_order_id": NUMBERS,
    },
)
WHERE = st.one_of(
    FIELDS,
    st.builds(lambda states: {"state": {"$in": states}}, st.lists(STATES, min_size=1, max_size=3)),
    st.builds(lambda keys: {"_id": {"$in": keys}}, st.lists(KEYS, min_size=1, max_size=3)),
    st.builds(lambda day, other: {"day": {"$gte": day}, **other}, DAYS, FIELDS),
)


class Writer(RuleBasedStateMachine):
    """Orders, whose collection is held in parts, under the store's faults and restarts."""

    @initialize()
    def start(self) -> None:
        """Take the lease over an empty store."""
        self.loop = asyncio.new_event_loop()
        self.database = MemoryDatabase()
        self.base = MemoryStore(self.database)
        self.numbers = iter(range(10**6))
        self.do(self.base.insert("lease", dict(LEASE)))
        self.do(self.open())

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""
        return self.loop.run_until_complete(call)

    async def open(self) -> None:
        """Be a controller that has just started."""
        self.writer = SingleWriterStore(self.base, ManualClock(datetime.fromtimestamp(0, UTC)))
        await self.writer.hold("lease", LEASE)

    @rule()
    def restart(self) -> None:
        """Nothing is remembered from before."""
        self.do(self.open())

    @rule(rows=st.lists(st.tuples(KEYS, FIELDS), min_size=1, max_size=4), loses=st.booleans())
    def write_side_by_side(self, rows: list[tuple[str, dict[str, Any]]], loses: bool) -> None:
        """Insert or change orders in transactions of their own, all at once."""
        self.database.lost_answers = int(loses)

        async def one(key: str, fields: dict[str, Any]) -> None:
            async def body(view: StoreView) -> None:
                if await view.get("orders", key) is None:
                    row = {"state": "ACCEPTED", "day": "2026-11-23", "broker_id": "zerodha_a"}
                    row |= {"side": "BUY", "purpose": "entry"}
                    await view.insert("orders", {"_id": key, "quantity": 1, **row, **fields})
                elif fields:
                    await view.update("orders", {"_id": key}, Change(set=fields))

            with suppress(StoreError, AlreadyDone):
                await self.writer.transaction(body, nonce=f"n{next(self.numbers)}")

        async def together() -> None:
            await asyncio.gather(*(one(*row) for row in rows))

        self.do(together())
        self.database.lost_answers = 0

    @rule(where=WHERE, fields=FIELDS.filter(bool), many=st.booleans(), away=st.booleans())
    def change(self, where: dict[str, Any], fields: dict[str, Any], many: bool, away: bool) -> None:
        """Change what a filter finds, with the store away or not."""
        fields.pop("broker_order_id", None)
        if not fields:
            return
        self.database.is_away = away
        with suppress(StoreError):
            self.do(self.writer.update("orders", where, Change(set=fields), many=many))
        self.database.is_away = False

    @rule(where=WHERE)
    def remove(self, where: dict[str, Any]) -> None:
        """Remove what a filter finds."""
        self.do(self.writer.delete("orders", where))

    @rule(where=WHERE, limit=st.sampled_from([0, 2]))
    def ask(self, where: dict[str, Any], limit: int) -> None:
        """Memory answers as the store does."""
        order = [("day", 1), ("_id", -1)]
        stored = self.do(self.base.find("orders", where, sort=order, limit=limit))
        assert self.do(self.writer.find("orders", where, sort=order, limit=limit)) == stored

        async def body(view: StoreView) -> list[Any]:
            return await view.find("orders", where, sort=order, limit=limit)

        assert self.do(self.writer.transaction(body, nonce=f"n{next(self.numbers)}")) == stored

    @invariant()
    def memory_is_what_is_stored(self) -> None:
        """After every step."""
        if hasattr(self, "writer"):
            assert self.do(self.writer.differences()) == []


Writer.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestWriter = Writer.TestCase
