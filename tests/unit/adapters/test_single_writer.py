"""The single writer's store: groups that commit as one, memory that is what the store holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from core.adapters.single_writer import SingleWriterStore
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    LeaseLost,
    StoreError,
    StoreUnavailable,
    UserError,
)
from core.ports.store import OUTSIDE, Change, Document, StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.held_writer import LEASE, THEN, Held


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    """A writer; at the end it remembers what is stored."""
    made = await Held().opened()
    yield made
    assert await made.writer.differences() == []


def order(key: str, **fields: Any) -> Document:
    """A row that the journal's validator accepts."""
    row = {"broker_id": "zerodha_abc123", "state": "ACCEPTED", "side": "BUY", "purpose": "entry"}
    return {"_id": key, "quantity": 1, "day": "2026-11-23", **row, **fields}


# --- groups --------------------------------------------------------------------------------------


async def test_what_is_ready_at_once_is_one_commit(held: Held) -> None:
    """Fifty accounts cost the store what two do."""
    await asyncio.gather(*(held.add(f"chat {n}") for n in range(50)))
    assert held.base.commands["commit"] <= 2
    assert [await held.count(f"chat {n}") for n in range(50)] == [1] * 50


@pytest.mark.row("R2")
async def test_the_inbox_waits_for_no_commit(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who taps, or panics, is heard while the commit of fifty accounts is under way."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    commit = held.base.transaction

    async def slowly(*given: Any, **named: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await commit(*given, **named)

    monkeypatch.setattr(held.base, "transaction", slowly)
    adding = asyncio.ensure_future(held.add("chat"))
    await begun.wait()
    await held.writer.insert("inbox", {"_id": "7:1", "state": "new", "bot_id": 7})
    done = Change(set={"state": "done"})
    assert await held.writer.update("inbox", {"_id": {"$in": ["7:1"]}}, done, many=True) == 1
    assert await held.writer.find("inbox", {"state": "new", "bot_id": 7}) == []
    assert not adding.done()
    go_on.set()
    assert await adding == 1


async def test_members_of_a_group_see_one_another(held: Held) -> None:
    """Transactions that write the same document do not run again for it."""
    seen = await asyncio.gather(*(held.add("one", nonce=f"n{n}") for n in range(20)))
    assert sorted(seen) == list(range(1, 21))
    assert held.base.commands["commit"] <= 2


@pytest.mark.row("E5")
async def test_edits_of_a_card_that_commit_together_are_one_row(held: Held) -> None:
    """Fifty accounts' steps edit the card of their run; it is shown once and shows them all."""

    def row(key: str, card: str | None, **more: Any) -> Document:
        shown = {"chat_id": 1, "key": card, "delivery": "edit", "state": "WAITING", "seq": key}
        return {"_id": key, **shown, **more}

    async def post(number: int) -> None:
        async def body(view: StoreView) -> None:
            await view.insert("outbox", row(f"{number:02}", "run:a"))
            if number % 10 == 0:
                await view.insert("outbox", row(f"m{number}", None, delivery="send"))
                await view.insert("outbox", row(f"r{number}", "run:a", delivery="replace"))
                await view.insert("outbox", row(f"o{number}", "run:a", chat_id=2))
                await view.insert("outbox", row(f"x{number}", "run:a", delivery="amend"))

        await held.writer.transaction(body, nonce=f"post {number}")

    await held.writer.insert("outbox", row("before", "run:a"))
    await asyncio.gather(*(post(number) for number in range(30)))
    kept = [one["_id"] for one in await held.base.find("outbox", {}, sort=[("seq", 1)])]
    anew = [f"{kind}{number}" for kind in "mr" for number in (0, 10, 20)]
    assert kept == ["29", "before", "m0", "m10", "m20", "o20", *anew[3:], "x20"]
    assert held.base.commands["commit"] <= 3


async def test_trouble_of_one_is_not_the_others(held: Held) -> None:
    """A group that is refused ends for each alone, and only one of them hears of it."""
    await held.base.insert("order_events", {"_id": "taken"})

    async def clashes(view: StoreView) -> None:
        await view.insert("order_events", {"_id": "taken"})

    await held.base.insert("commits", {"_id": "old", "by": "somebody"})
    ended = await asyncio.gather(
        held.add("one"),
        held.writer.transaction(clashes, nonce="clash"),
        held.add("two", nonce="old"),
        held.writer.insert("orders", order("three", quantity=0)),
        held.add("four"),
        return_exceptions=True,
    )
    assert ended[0] == ended[4] == 1
    assert isinstance(ended[1], DuplicateKey)
    assert isinstance(ended[2], AlreadyDone)
    assert isinstance(ended[3], StoreError)
    assert [await held.count(one) for one in ("one", "two", "four")] == [1, 0, 1]


async def test_what_was_worked_out_upon_a_failed_commit_runs_again(held: Held) -> None:
    """An answer given on what did not come to pass would be a guess."""
    await held.base.insert("order_events", {"_id": "taken"})
    ran: list[int] = []

    async def fails(view: StoreView) -> None:
        await view.update("chats", {"_id": "one"}, Change(set={"n": 5}), upsert=True)
        await view.insert("order_events", {"_id": "taken"})

    async def judges(view: StoreView) -> str:
        row = await view.get("chats", "one")
        ran.append(row["n"] if row else 0)
        if row is not None:
            raise AlreadyDone("five")
        return "none"

    failed = asyncio.create_task(held.writer.transaction(fails, nonce="fails"))
    await asyncio.sleep(0)
    assert await held.writer.transaction(judges, nonce="judges") == "none"
    assert ran == [5, 0]
    with pytest.raises(DuplicateKey):
        await failed


async def test_body_that_waited_runs_again_when_what_it_read_has_changed(held: Held) -> None:
    """So no limit, gate or ledger is overlooked that moved meanwhile."""
    go, ran = asyncio.Event(), 0

    async def slow(view: StoreView) -> None:
        nonlocal ran
        ran += 1
        row = await view.get("chats", "one")
        await go.wait()
        await view.update(
            "chats", {"_id": "two"}, Change(set={"n": row["n"] if row else 0}), upsert=True
        )

    waiting = asyncio.create_task(held.writer.transaction(slow, nonce="slow"))
    await asyncio.sleep(0)
    await held.add("one", 4)
    go.set()
    await waiting
    assert (ran, await held.count("two")) == (2, 4)


async def test_body_that_found_nothing_runs_again_when_there_is_something(held: Held) -> None:
    """A search that would find more by now is as out of date as a document that changed."""
    go, found = asyncio.Event(), []

    async def slow(view: StoreView) -> None:
        found.append(len(await view.find("orders", {"day": "2026-11-23"})))
        await go.wait()
        await view.insert("chats", {"_id": "one", "n": found[-1]})

    waiting = asyncio.create_task(held.writer.transaction(slow, nonce="slow"))
    while not found:
        await asyncio.sleep(0)
    await held.writer.insert("orders", order("new"))
    go.set()
    await waiting
    assert found == [0, 1]


async def test_unique_values_are_exchanged_in_one_group(held: Held) -> None:
    """A server checks each write by itself: whoever gives a value up goes first."""
    rows = [order(f"o{n}", broker_order_id=f"{n}") for n in range(3)]
    await held.writer.insert("orders", *rows)

    async def body(view: StoreView) -> None:
        for n in range(3):
            await view.update("orders", {"_id": f"o{n}"}, Change(set={"broker_order_id": None}))
        for n in range(3):
            new = Change(set={"broker_order_id": f"{(n + 1) % 3}"})
            await view.update("orders", {"_id": f"o{n}"}, new)

    await held.writer.transaction(body, nonce="turn")
    stored = {row["_id"]: row["broker_order_id"] for row in await held.base.find("orders", {})}
    assert stored == {"o0": "1", "o1": "2", "o2": "0"}


async def test_caller_that_is_cancelled_leaves_its_commit_whole(held: Held) -> None:
    """What is on its way goes on; the others of the group do not notice."""
    leaving = asyncio.create_task(held.add("one"))
    staying = asyncio.create_task(held.add("two"))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert [await held.count("one"), await held.count("two")] == [1, 1]


async def test_readings_beside_one_another_each_learn_what_was_written(held: Held) -> None:
    """What a commit brings while the store is being read is newer than the answer."""
    await held.base.insert("orders", order("old", run_id="r1"), order("older", run_id="r2"))
    find, slow = held.base.find, asyncio.Event()

    async def held_up(collection: str, where: Any, **options: Any) -> list[Document]:
        rows = await find(collection, where, **options)
        if where == {"run_id": "r2"}:
            await slow.wait()
        return rows

    held.base.find = held_up  # type: ignore[method-assign]
    reading = asyncio.create_task(held.writer.find("orders", {"run_id": "r2"}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert await held.writer.differences("chats") == []  # one that begins later and ends before
    await held.writer.update("orders", {"_id": "older"}, Change(set={"state": "FILLED"}))
    slow.set()
    await reading
    (row,) = await held.writer.find("orders", {"run_id": "r2"})
    assert row["state"] == "FILLED"


async def test_one_nonce_asked_again_and_again_takes_effect_once(held: Held) -> None:
    """Also when it is asked at the very moment at which it lands."""
    asking = []
    for _ in range(60):
        asking.append(asyncio.create_task(held.add("one", nonce="once")))
        await asyncio.sleep(0)
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(one == 1 for one in ended) == 1
    assert sum(isinstance(one, AlreadyDone) for one in ended) == 59
    assert await held.count("one") == 1


async def test_one_that_is_refused_is_found_by_halves(held: Held) -> None:
    """Sixty-four members do not become sixty-four commits."""
    await held.base.insert("order_events", {"_id": "taken"})
    held.base.commands.clear()
    clash = held.writer.insert("order_events", {"_id": "taken"})
    good = [held.add(f"chat {n}") for n in range(63)]
    ended = await asyncio.gather(*good[:40], clash, *good[40:], return_exceptions=True)
    assert sum(isinstance(one, DuplicateKey) for one in ended) == 1
    assert sum(one == 1 for one in ended) == 63
    assert held.base.commands["commit"] <= 2 * 7 + 2


async def test_what_is_removed_and_put_back_keeps_nothing_of_before(held: Held) -> None:
    """Two transactions of one group: the document is new."""
    await held.writer.insert("chats", {"_id": "one", "n": 1, "old": True})
    await asyncio.gather(
        held.writer.delete("chats", {"_id": "one"}),
        held.writer.insert("chats", {"_id": "one", "n": 2}),
    )
    assert await held.base.get("chats", "one") == {"_id": "one", "n": 2}


async def test_search_after_an_own_write_is_proved_too(held: Held) -> None:
    """A count that another order has changed meanwhile is out of date."""
    go = asyncio.Event()
    counts: list[int] = []

    async def counting(view: StoreView) -> None:
        await view.insert("orders", order(f"mine {len(counts)}"))
        counts.append(len(await view.find("orders", {"day": "2026-11-23"})))
        await go.wait()

    waiting = asyncio.create_task(held.writer.transaction(counting, nonce="counting"))
    while not counts:
        await asyncio.sleep(0)
    await held.writer.insert("orders", order("another"))
    go.set()
    await waiting
    assert counts == [1, 2]


async def test_body_that_waits_while_memory_is_read_anew_runs_again(held: Held) -> None:
    """What it has read before was of another memory."""
    go, seen = asyncio.Event(), []
    await held.add("one")

    async def slow(view: StoreView) -> None:
        seen.append((await view.get("chats", "one") or {}).get("n"))
        await go.wait()
        await view.insert("chats", {"_id": "two", "n": seen[-1]})

    waiting = asyncio.create_task(held.writer.transaction(slow, nonce="slow"))
    while not seen:
        await asyncio.sleep(0)
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 40}))
    assert await held.writer.differences("chats") == ["chats/one: n"]
    go.set()
    await waiting
    assert (seen, await held.count("two")) == ([1, 40], 40)


async def test_cancelled_commits_end_as_unknown() -> None:
    """A loop that ends leaves nobody waiting for ever."""
    held = await Held().opened()
    waiting = asyncio.create_task(held.add("one"))
    await asyncio.sleep(0)
    worker = held.writer._worker
    assert worker is not None
    worker.cancel()
    with pytest.raises(StoreUnavailable):
        await waiting
    assert await held.writer.differences() == []


# --- what is not known ---------------------------------------------------------------------------


async def test_commit_that_took_effect_unheard_is_read_back(held: Held) -> None:
    """Its caller hears that it is not known; from then on memory is what came of it."""
    held.base.database.lost_answers = 1
    with pytest.raises(StoreUnavailable):
        await held.add("one", nonce="once")
    assert (await held.writer.get("chats", "one") or {})["n"] == 1
    with pytest.raises(AlreadyDone):
        await held.add("one", nonce="once")


async def test_what_an_earlier_controller_did_is_done_whatever_its_body_says_now(
    held: Held,
) -> None:
    """A wish that is delivered again finds what it has changed itself: that is no other's change."""
    await held.add("one", nonce="wish")
    await held.writer.release()
    again = SingleWriterStore(held.base, ManualClock(THEN))
    await again.hold("lease", LEASE)

    async def refuses(_view: StoreView) -> None:
        raise UserError("It has changed since you looked.")

    with pytest.raises(AlreadyDone):
        await again.transaction(refuses, nonce="wish")
    with pytest.raises(UserError, match="since you looked"):
        await again.transaction(refuses, nonce="another")


async def test_nothing_is_believed_while_a_commit_is_unknown(held: Held) -> None:
    """A read would be a guess; it raises, and is right once the store answers."""
    held.base.database.is_away = True
    with pytest.raises(StoreUnavailable):
        await held.add("one")
    for ask in (held.writer.get("chats", "one"), held.writer.find("chats", {}), held.add("two")):
        with pytest.raises(StoreUnavailable):
            await ask
    held.base.database.is_away = False
    assert await held.writer.get("chats", "one") is None
    assert await held.add("one") == 1


async def test_take_over_ends_every_write() -> None:
    """Whatever is written, not only what passes a gate (I10)."""
    held = await Held().opened()
    await held.base.update("lease", {"_id": "controller"}, Change(set={"fence": 8}))
    for write in (held.add("one"), held.writer.insert("chats", {"_id": "two"}), held.add("three")):
        with pytest.raises(LeaseLost):
            await write
    assert await held.base.find("chats", {}) == []


async def test_what_is_written_beside_the_holder_is_seen_once_it_is_said(held: Held) -> None:
    """``saarthi rotate-key`` seals secrets anew while the controller runs."""
    await held.add("one")
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 40}))
    await held.base.update("lease", {"_id": "controller"}, Change(inc={OUTSIDE: 1}))
    assert await held.writer.differences() == []  # it was said: no mistake of anybody's
    assert await held.add("one", 2) == 42
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 50}))
    await held.base.update("lease", {"_id": "controller"}, Change(inc={OUTSIDE: 1}))
    assert await held.add("one") == 51


async def test_difference_is_named_without_its_values_and_mended() -> None:
    """The values may be secrets."""
    held = await Held().opened()
    await held.add("one")
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 40, "by": "a secret"}))
    assert await held.writer.differences("chats") == ["chats/one: by, n"]
    assert await held.writer.differences() == []
    assert (await held.writer.get("chats", "one") or {})["n"] == 40


async def test_what_expires_in_the_store_is_no_difference() -> None:
    """A server removes old logins by an index; that must not stop a controller's entries."""
    held = await Held().opened()
    for days in (9, 7):
        row = {"_id": f"{days} days", "created_at": THEN - timedelta(days=days)}
        await held.writer.insert("logins", row)
        await held.base.delete("logins", {"_id": row["_id"]})
    assert await held.writer.differences() == ["logins/7 days: is not in the store"]


async def test_before_and_after_the_lease_every_call_goes_through() -> None:
    """A process that does not hold the lease keeps nothing in memory."""
    held = Held()
    await held.writer.insert("chats", {"_id": "one", "n": 1})
    await held.opened()
    await held.add("one")
    await held.writer.release()
    await held.base.update("chats", {"_id": "one"}, Change(set={"n": 9}))
    assert (await held.writer.get("chats", "one") or {})["n"] == 9
