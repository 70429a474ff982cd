"""What is read out of a collection is read again when that was written, and not before."""

from __future__ import annotations

from collections.abc import Container

from core.engine.remembered import Unchanged
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.run_bench import TEN


class Numbered(MemoryStore):
    """A store that says how often each collection was written; None where it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, int] | None = {"accounts": 0, "orders": 0}

    def changes(self, others: Container[str]) -> int | None:
        if self.written is None:
            return None
        return sum(n for name, n in self.written.items() if name not in others)


class Read:
    """Counts how often it is read, and returns that; ``during`` is written while it reads."""

    def __init__(self) -> None:
        self.store, self.times, self.during = Numbered(), 0, ""
        self.found = Unchanged(self.store, "accounts", self.read)

    async def read(self) -> int:
        self.times += 1
        if self.during:
            self.write(self.during)
        return self.times

    def write(self, collection: str) -> None:
        assert self.store.written is not None
        self.store.written[collection] += 1


async def test_it_is_read_again_after_a_write_of_its_own_collection_alone() -> None:
    """A day writes thousands of orders, and hardly an account."""
    it = Read()
    assert [await it.found(), await it.found()] == [1, 1]
    it.write("orders")
    assert await it.found() == 1
    it.write("accounts")
    assert [await it.found(), await it.found()] == [2, 2]


async def test_what_is_written_during_a_read_is_read_by_the_next() -> None:
    """The read may have seen what was before."""
    it = Read()
    it.during = "accounts"
    await it.found()
    it.during = ""
    assert [await it.found(), await it.found()] == [2, 2]


async def test_where_it_is_not_known_what_was_written_each_look_reads() -> None:
    """A process that does not hold the lease, or a commit of unknown outcome."""
    it = Read()
    it.store.written = None
    assert [await it.found(), await it.found()] == [1, 2]
    it.store.written = {"accounts": 0, "orders": 0}
    assert [await it.found(), await it.found()] == [3, 3]


async def test_accounts_are_listed_anew_when_one_has_changed() -> None:
    """Looks several times a second take the very list of before; a new name is in the next one."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    await engine.connect("Second")
    first = await engine.connect("First")
    await engine.become_writer()
    accounts = engine.wiring.accounts
    before = await accounts.all()
    await engine.writer.insert("chats", {"_id": "1"})
    assert await accounts.all() is before
    await accounts.rename(engine.command(), first.broker_id, "Last")
    assert [one.display_name for one in await accounts.all()] == ["Second", "Last"]
    await engine.connect("New")
    assert [one.display_name for one in await accounts.all()] == ["Second", "Last", "New"]
