"""What of a signal's orders is pushed besides its card, whose edits make no sound (E1)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.notice import Notice
from core.domain.notices.orders import EntryMissed, OrderRejected, OrderUnresolved
from core.domain.notices.post import Delivery, run_card
from core.domain.notices.runs import RunCard
from core.domain.order import Order, OrderState
from core.domain.outcome import Ambiguous, Refusal, Refused
from core.domain.target import Direction
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.row("E1")


async def entered(bench: RunBench) -> Order:
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns(3)
    (order,) = await bench.engine.orders()
    return order


async def pushed(bench: RunBench) -> list[Notice]:
    """Return what was posted of the orders, but for their card and a result."""
    kinds = (OrderRejected, OrderUnresolved, EntryMissed)
    return await bench.engine.notices(*kinds)


async def test_the_card_follows_an_order_and_nothing_else_does() -> None:
    """From the decision to the fill each step edits it, and no other message comes."""
    bench = await RunBench().opened()
    order = await entered(bench)
    assert order.state is OrderState.FILLED
    rows = await bench.engine.store.find("outbox", {"kind": RunCard.kind}, sort=[("seq", 1)])
    assert {row["key"] for row in rows} == {run_card(order.run_id).key} and len(rows) >= 3
    assert {row["delivery"] for row in rows[1:]} == {Delivery.EDIT.value}
    assert await pushed(bench) == []


async def test_a_rejection_and_an_unknown_fate_are_pushed() -> None:
    """Each once, with the card beside it."""
    for answer, state, kind in (
        (Refused(Refusal.REJECTED, "no margin"), OrderState.REJECTED, OrderRejected),
        (Ambiguous("no answer"), OrderState.UNRESOLVED, OrderUnresolved),
    ):
        bench = await RunBench().opened()
        bench.broker.answers = [answer]
        order = await entered(bench)
        assert order.state is state
        assert await pushed(bench) == [kind(order.client_order_id)]


async def missed(*, other_enters: bool = True, mode: TradingMode | None = None) -> list[Notice]:
    """Let one of two accounts be too late for a signal; return what is pushed of that."""
    bench = await RunBench().opened()
    engine = bench.engine
    second = await engine.connect("Second")
    await engine.control.strategy_settings.assign(
        engine.command(), bench.strategy.name, second.broker_id, size_value=Decimal(10)
    )
    bench.strategy.want(Direction.LONG)
    await bench.run()
    if other_enters:
        await bench.turns(3)
    if mode is not None:
        await engine.control.modes.set(engine.command(), mode, second.broker_id)
    else:
        await engine.clock.advance(timedelta(seconds=61).total_seconds())
    late = engine.wiring.new_worker(second.broker_id)
    for _ in range(3):
        await late.turn()
    states = {one.broker_id: one.state for one in await engine.orders()}
    assert states[second.broker_id] is OrderState.DENIED
    return await pushed(bench)


async def test_what_one_account_alone_misses_is_pushed() -> None:
    """Once, when its signal was entered elsewhere."""
    (notice,) = await missed()
    assert isinstance(notice, EntryMissed)


async def test_what_nobody_has_entered_and_what_the_user_has_forbidden_is_not() -> None:
    """The card says so, and whoever paused the account knows."""
    assert await missed(other_enters=False) == []
    assert await missed(mode=TradingMode.EXIT_ONLY) == []
