"""Beginning, widening and ending a panic, and what its question and its messages know (row R2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.broker import Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.order import EXTERNAL, OrderState, Purpose, Side
from core.domain.panic import CANCELLED_FOR, Hindrance, Line, Panic, PanicEnd
from core.engine.orders.documents import order_row
from core.engine.safeguards.panic import Panics
from core.engine.safeguards.panics import (
    end_panic,
    hold_running,
    is_panicking,
    newest_panic,
    panic_at,
    put_lines,
    running_panic,
)
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    NotFound,
    StoreUnavailable,
    TransactionConflict,
    UserError,
)
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import CHAT, MemoryEngine
from tests.fakes.orders import order_in

pytestmark = pytest.mark.row("R2")


async def two() -> tuple[MemoryEngine, Account, Account]:
    """Return an engine with an account at each broker."""
    engine = await MemoryEngine(ManualClock()).owned()
    return engine, await engine.connect("One"), await engine.connect("Two", FYERS)


async def start(engine: MemoryEngine, *accounts: Account, holdings: bool = False) -> Panic:
    return await engine.control.panic.start(
        engine.command(), [one.broker_id for one in accounts], with_holdings=holdings
    )


async def newest(engine: MemoryEngine) -> Panic:
    found = await newest_panic(engine.store)
    assert found is not None
    return found


async def modes(engine: MemoryEngine) -> list[str]:
    """Return the own mode of each account, and the global one."""
    own = [one.trading_mode.value for one in await engine.control.accounts.all()]
    return [*own, (await engine.control.modes.global_mode()).value]


async def test_the_modes_are_set_with_the_panic_and_not_before_or_after() -> None:
    """One transaction: where it fails, no mode has changed and no message goes out."""
    engine, one, other = await two()
    assert await modes(engine) == ["NORMAL"] * 3
    with pytest.raises(UserError, match="None of these accounts is connected"):
        await start(engine, replace(one, broker_id="zerodha_gone"))
    assert await modes(engine) == ["NORMAL"] * 3 and await engine.notices(PanicCard) == []
    begun = await start(engine, one)
    assert await modes(engine) == ["EXIT_ONLY", "NORMAL", "NORMAL"]
    assert (begun.is_global, begun.by, begun.holdings) == (False, "1", ())
    assert await engine.notices(PanicCard) == [PanicCard("000001")]
    wider = await start(engine, other)
    assert (wider.panic_id, wider.is_global) == ("000001", True)
    assert await modes(engine) == ["EXIT_ONLY"] * 3


async def test_a_second_tap_is_one_wish() -> None:
    """The same command begins nothing twice."""
    engine, one, _ = await two()
    command = engine.command()
    await engine.control.panic.start(command, [one.broker_id], with_holdings=False)
    with pytest.raises(AlreadyDone):
        await engine.control.panic.start(command, [one.broker_id], with_holdings=True)
    assert (await newest(engine)).holdings == ()


async def test_more_is_added_to_the_panic_that_runs() -> None:
    """Lines of before stay, but that of an account whose holdings are asked for is open again."""
    engine, one, other = await two()
    await start(engine, one)
    flat = Line(one.broker_id, is_flat=True, flat_after_s=2.0)
    assert await put_lines(engine.store, "000001", [flat])
    await start(engine, one, other)
    panic = await newest(engine)
    assert panic.lines == (flat, Line(other.broker_id))
    assert panic.holdings == ()
    await start(engine, one, holdings=True)
    panic = await newest(engine)
    assert panic.lines == (Line(one.broker_id), Line(other.broker_id))
    assert panic.holdings == (one.broker_id,)
    await put_lines(engine.store, "000001", [flat])
    await start(engine, one, holdings=True)
    assert (await newest(engine)).lines[0] == flat, "asked for before: nothing is new"
    assert (await newest(engine)).is_global


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("collision", [TransactionConflict("again"), DuplicateKey("000001")])
async def test_a_beginning_that_collides_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, times: int, collision: Exception
) -> None:
    """With another user's, or with submissions that write the gates."""
    engine, one, _ = await two()
    transaction, left = type(engine.writer).transaction, [times]

    async def collides(self: Any, body: Any, *, nonce: str) -> Any:
        if left[0]:
            left[0] -= 1
            raise collision
        return await transaction(self, body, nonce=nonce)

    monkeypatch.setattr(type(engine.writer), "transaction", collides)
    assert (await start(engine, one)).panic_id == "000001"


async def test_a_beginning_that_always_collides_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user taps once more; nothing is pursued meanwhile."""
    engine, one, _ = await two()

    async def collides(*_: Any, **__: Any) -> Any:
        raise TransactionConflict("again")

    monkeypatch.setattr(type(engine.writer), "transaction", collides)
    with pytest.raises(UserError, match="Tap once more"):
        await start(engine, one)
    assert await newest_panic(engine.store) is None


async def test_a_panic_ends_once() -> None:
    """By a user, who is named; a second wish finds it over, and one of another changes nothing."""
    engine, one, other = await two()
    begun = await start(engine, one)
    control = engine.control.panic
    with pytest.raises(NotFound):
        await control.stop(engine.command(), "000009")
    assert await is_panicking(engine.store, one.broker_id)
    assert await is_panicking(engine.store, None)
    assert not await is_panicking(engine.store, other.broker_id)
    await engine.clock.advance(3)
    ended = await control.stop(engine.command(), begun.panic_id)
    assert (ended.end, ended.ended_by) == (PanicEnd.STOPPED, "1")
    assert ended.ended_at == begun.began_at + timedelta(seconds=3)
    with pytest.raises(AlreadyDone, match="over already"):
        await control.stop(engine.command(), begun.panic_id)
    assert await engine.notices(PanicOver) == [PanicOver("000001")]
    assert await modes(engine) == ["EXIT_ONLY", "NORMAL", "NORMAL"], "modes stay as they are"
    assert await running_panic(engine.store) is None
    assert not await is_panicking(engine.store, None)
    assert not await end_panic(engine.store, "000001", PanicEnd.FLAT, at=engine.clock.now())
    assert not await put_lines(engine.store, "000001", [])
    assert not await put_lines(engine.store, "000009", [])
    assert not await hold_running(engine.store, "000001", one.broker_id)
    assert (await start(engine, one)).panic_id == "000002"
    assert await hold_running(engine.store, "000002", one.broker_id)


async def test_a_close_of_a_pursuit_collides_with_the_users_end() -> None:
    """Both write the account's gate: one of them is told to look again."""
    engine, one, other = await two()
    await start(engine, one)

    async def seqs() -> list[int]:
        found = [await engine.store.get("account_gates", a.broker_id) for a in (one, other)]
        return [row["seq"] for row in found if row]

    before = await seqs()
    await hold_running(engine.store, "000001", one.broker_id)
    assert await seqs() == [before[0] + 1, before[1]]
    await engine.control.panic.stop(engine.command(), "000001")
    assert await seqs() == [before[0] + 2, before[1]]


async def test_stored_lines_come_back_as_they_were() -> None:
    """What a restart goes on from; accounts that were added meanwhile keep theirs."""
    engine, one, other = await two()
    await start(engine, one, other)
    line = Line(one.broker_id, 2, 3, Hindrance.CLOSED, "NSE:SBIN MIS until Wed", False, None)
    assert await put_lines(engine.store, "000001", [line])
    found = await panic_at(engine.store, "000001")
    assert found is not None and found.lines == (line, Line(other.broker_id))


# The pursuit


async def pursued(
    engine: MemoryEngine, until: Callable[[], Awaitable[bool]], *, seconds: int = 40
) -> None:
    """Let the panic's service run beside the workers until something is so."""
    for account in await engine.control.accounts.all():
        worker = engine.wiring.new_worker(account.broker_id)
        engine.wiring.pool._workers[account.broker_id] = worker
    service = asyncio.create_task(engine.wiring.panics.run())
    try:
        for _ in range(seconds):
            for worker in list(engine.wiring.pool._workers.values()):
                await worker.turn()
                ended, worker._turn_ended = worker._turn_ended, asyncio.Event()
                ended.set()
            engine.wiring.panics._changed.set()
            await engine.clock.advance(1)
            assert not service.done()
            if await until():
                return
        raise AssertionError("it never came")
    finally:
        service.cancel()


async def is_over(engine: MemoryEngine) -> bool:
    return not (await newest(engine)).is_running


def bought(engine: MemoryEngine, account: Account, units: int) -> None:
    """Let a position be there that no order explains: the account's own."""
    key = (SBIN, Product.NRML)
    engine.at_broker(account).position_list[key] = Position(*key, units, Decimal(810), Decimal(815))


async def test_it_ends_when_every_account_is_flat() -> None:
    """Accounts without positions too: one message at the end, and a line for each."""
    engine, one, other = await two()
    await start(engine, one, other)
    await pursued(engine, lambda: is_over(engine))
    panic = await newest(engine)
    assert (panic.end, panic.ended_by) == (PanicEnd.FLAT, "")
    assert [(line.is_flat, line.flat_after_s is not None) for line in panic.lines] == [
        (True, True)
    ] * 2
    assert await engine.notices(PanicOver) == [PanicOver("000001")]


async def test_what_cannot_be_closed_keeps_it_running_and_is_named() -> None:
    """A share on margin, which Saarthi sends no order of; the other account is flat."""
    engine, one, other = await two()
    bought(engine, one, 5)
    await start(engine, one, other)

    async def is_named() -> bool:
        lines = (await newest(engine)).lines
        return lines[1].is_flat and lines[0].hindrance is Hindrance.NOT_HANDLED

    await pursued(engine, is_named)
    assert (await newest(engine)).is_running
    assert await engine.notices(PanicOver) == []


async def test_it_does_not_end_over_what_was_added_at_that_moment() -> None:
    """All were flat; meanwhile a user has asked for holdings: it goes on."""
    engine, one, other = await two()
    await start(engine, one, other)
    end = Panics._end
    widened: list[Panic] = []

    async def late(self: Panics, *given: Any) -> None:
        if not widened:
            widened.append(await start(engine, one, holdings=True))
        await end(self, *given)
        if len(widened) == 1:
            widened.append(await newest(engine))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Panics, "_end", late)
        await pursued(engine, lambda: is_over(engine))
    assert widened[1].is_running
    assert (await newest(engine)).end is PanicEnd.FLAT


async def test_a_store_that_is_away_ends_no_pursuit() -> None:
    """Its looks are tried again; the accounts' tasks go on meanwhile."""
    engine, one, _ = await two()
    await start(engine, one)
    look, failures = Panics._look, [StoreUnavailable("away")] * 2

    async def fails(self: Panics, *given: Any) -> bool:
        if failures:
            raise failures.pop()
        return await look(self, *given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Panics, "_look", fails)
        await pursued(engine, lambda: is_over(engine))
    assert failures == []


async def test_the_pursuit_begins_with_the_confirmation_and_ends_with_the_users_word() -> None:
    """Neither waits for the next look; the workers cancel at once what is not wanted any more."""
    engine, one, _ = await two()
    worker = engine.wiring.new_worker(one.broker_id)
    engine.wiring.pool._workers[one.broker_id] = worker
    await worker.turn()
    service = asyncio.create_task(engine.wiring.panics.run())
    await engine.clock.advance(0)

    async def pursuits() -> int:
        for _ in range(5):
            await engine.clock.advance(0)
        return sum(task.get_name() == f"panic {one.broker_id}" for task in asyncio.all_tasks())

    assert await pursuits() == 0
    begun = await start(engine, one)
    assert await pursuits() == 1
    assert await engine.notices(PanicCard) == [PanicCard("000001")] * 2, "its first look is shown"
    worker._wake.clear()
    await engine.control.panic.stop(engine.command(), begun.panic_id)
    assert worker._wake.is_set()
    assert await pursuits() == 0
    service.cancel()


# What a user asks and sees


async def test_the_question_counts_what_each_account_would_lose() -> None:
    """By the last reads: delivery apart, each share once, in positions or holdings."""
    engine, one, other = await two()
    for account in (one, other):
        worker = engine.wiring.new_worker(account.broker_id)
        engine.wiring.pool._workers[account.broker_id] = worker
    tcs = InstrumentId("NSE", "TCS")
    at = engine.at_broker(one)
    at.position_list[SBIN, Product.CNC] = Position(
        SBIN, Product.CNC, 3, Decimal(810), Decimal(815), day_buy_quantity=3
    )
    at.holding_list = [
        Holding(SBIN, 5, 0, Decimal(800), Decimal(815), names=frozenset({SBIN})),
        Holding(tcs, 2, 0, Decimal(800), Decimal(815), names=frozenset({tcs})),
        Holding(InstrumentId("NSE", "INFY"), 0, 0, Decimal(1), Decimal(1)),
    ]
    bought(engine, one, 5)
    await engine.wiring.pool._workers[one.broker_id].turn()
    await engine.control.modes.set(engine.command(), TradingMode.PAUSED, other.broker_id)
    question = await engine.control.panic.question()
    first, second = question.accounts
    assert (first.positions, first.orders, first.delivery) == (1, 0, 2)
    assert (first.is_read, first.is_paused) == (True, False)
    assert (second.positions, second.delivery) == (0, 0)
    assert (second.is_read, second.is_paused) == (False, True)
    assert question.running is None
    await start(engine, one)
    assert (await engine.control.panic.question()).running == await newest(engine)


async def test_it_is_shown_again_in_the_chat_that_asks() -> None:
    """As its newest message; one that is over is not."""
    engine, one, _ = await two()
    control = engine.control.panic
    await control.show_again(CHAT)
    assert await engine.notices(PanicCard) == []
    begun = await start(engine, one)
    await control.show_again(99)
    rows = await engine.store.find("outbox", {"chat_id": 99})
    assert [row["kind"] for row in rows] == [PanicCard.kind]
    await control.stop(engine.command(), begun.panic_id)
    await control.show_again(77)
    assert await engine.store.find("outbox", {"chat_id": 77}) == []


async def test_its_end_names_the_users_own_orders_that_it_cancelled() -> None:
    """Confirmed, of this panic, of its days; while it runs nothing is told of that."""
    engine, one, _ = await two()
    begun = await start(engine, one)
    own = {
        "broker_id": one.broker_id,
        "strategy": EXTERNAL,
        "purpose": Purpose.EXTERNAL,
        "cancel_reason": CANCELLED_FOR,
        "day": begun.day,
        "created_at": begun.began_at - timedelta(hours=1),
        "settled_at": begun.began_at + timedelta(seconds=1),
    }
    changes: dict[str, dict[str, Any]] = {
        "mine": {},
        "earlier": {"settled_at": begun.began_at - timedelta(seconds=1)},
        "by me": {"cancel_reason": "cancelled by you"},
        "of a strategy": {"strategy": "orb", "purpose": Purpose.ENTRY},
    }
    for number, (key, change) in enumerate(changes.items()):
        order = order_in(
            OrderState.CANCELED,
            **{**own, **change},
            client_order_id=key,
            broker_order_id=f"b{number}",
        )
        await engine.store.insert("orders", order_row(order))
    filled = order_in(
        OrderState.FILLED, **own, client_order_id="filled", broker_order_id="b9", side=Side.BUY
    )
    await engine.store.insert("orders", order_row(filled))
    view = await engine.control.panic.view("000001")
    assert (view.cancelled, dict(view.parts)) == ((), {})
    await engine.control.panic.stop(engine.command(), "000001")
    view = await engine.control.panic.view("000001")
    assert [order.key for order in view.cancelled] == ["mine"]
    assert list(view.parts) == [one.broker_id]


async def test_what_is_left_is_named_without_delivery_that_was_not_asked_for() -> None:
    """On an account that is not flat; a flat one, and one that is gone, have nothing left here."""
    engine, one, other = await two()
    worker = engine.wiring.new_worker(one.broker_id)
    engine.wiring.pool._workers[one.broker_id] = worker
    bought(engine, one, 5)
    engine.at_broker(one).position_list[SBIN, Product.CNC] = Position(
        SBIN, Product.CNC, 3, Decimal(810), Decimal(815), day_buy_quantity=3
    )
    await worker.turn()
    for holdings, left in ((False, ["NRML"]), (True, ["CNC", "NRML"])):
        panic = await start(engine, one, other, holdings=holdings)
        await engine.control.panic.stop(engine.command(), panic.panic_id)
        part = (await engine.control.panic.view(panic.panic_id)).parts[one.broker_id]
        assert sorted(position.product.value for position in part.left) == left
    panic = await start(engine, one, other)
    await put_lines(engine.store, panic.panic_id, [Line(one.broker_id, is_flat=True)])
    await engine.control.panic.stop(engine.command(), panic.panic_id)
    assert (await engine.control.panic.view(panic.panic_id)).parts[one.broker_id].left == ()
    panic = await start(engine, one, other)
    await engine.store.update(
        "broker_accounts", {"_id": one.broker_id}, Change(set={"live": False})
    )
    await engine.control.panic.stop(engine.command(), panic.panic_id)
    gone = await engine.control.panic.view(panic.panic_id)
    assert gone.parts[one.broker_id].left == ()
    assert (list(gone.accounts), gone.labels) == (
        [other.broker_id],
        {one.broker_id: "Zerodha - One"},
    )
    with pytest.raises(NotFound):
        await engine.control.panic.view("000009")
