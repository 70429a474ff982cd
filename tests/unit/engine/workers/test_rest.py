"""A turn of an account at rest looks at nothing, until anything is written, read or heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import Product
from core.domain.order import MANUAL, Side
from core.domain.sessions import IST, trading_day
from core.engine.orders.goals import UserClose, put_goal
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import market_clock
from tests.fakes.scripted_stream import ScriptedStream

MORNING = datetime(2026, 11, 23, 10, 0, tzinfo=IST)


class Looked:
    """A desk of the lease's holder, whose broker pushes updates, and its worker's looks."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stream = ScriptedStream()
        desk.at.stream = self.stream
        self.looks = 0
        advance = desk.worker.executor.advance

        async def counted(*arguments: Any, **named: Any) -> bool:
            self.looks += 1
            return await advance(*arguments, **named)

        desk.worker.executor.advance = counted  # type: ignore[method-assign]

    async def looks_in(self, turns: int, *, apart_s: float = 5.0) -> int:
        """Return in how many turns it looked."""
        found = 0
        for _ in range(turns):
            self.looks = 0
            await self.desk.turns(1, apart_s=apart_s)
            found += self.looks > 0
        return found

    async def write(self, collection: str, **fields: object) -> None:
        """Write a document, as a command does that wakes nobody."""
        change = Change(set={"broker_id": "another", **fields})
        await self.desk.engine.writer.update(collection, {"_id": "another"}, change, upsert=True)


@pytest.fixture
async def it() -> Looked:
    """An account with nothing to do, read a moment ago."""
    desk = await a_desk(market_clock(MORNING))
    await desk.engine.wiring.lease.take()
    desk.engine.store = desk.engine.writer  # type: ignore[assignment]
    found = Looked(desk)
    await desk.turns(8, apart_s=5)
    while found.desk.clock.monotonic() - desk.worker._read_at > 1:
        await desk.turns(1, apart_s=1)
    await desk.turns(1)
    return found


async def test_turn_of_an_account_at_rest_looks_at_nothing(it: Looked) -> None:
    """But with each check of the broker, once a minute, and after it."""
    assert await it.looks_in(9) == 0
    assert 10 <= await it.looks_in(120) <= 20


@pytest.mark.parametrize("name", ["goals", "ledgers", "orders", "alarms", "strategies"])
async def test_turn_after_a_write_looks(it: Looked, name: str) -> None:
    """Of whatever account, whoever wrote it: an account that is at rest again rests again."""
    row = {"state": "FILLED", "side": "BUY", "purpose": "entry", "day": "2026-11-20"}
    await it.write(name, quantity=1, **row)
    assert await it.looks_in(2) == 1


async def test_lease_and_messages_end_no_rest(it: Looked) -> None:
    """Or no account would ever rest."""
    await it.desk.engine.wiring.lease._renew()
    await it.write("cards", text="one")
    assert await it.looks_in(2) == 0


async def _wake(it: Looked) -> None:
    it.desk.worker.wake()


async def _hint(it: Looked) -> None:
    it.desk.worker.hinted()


async def _fall(it: Looked) -> None:
    it.stream.fall()


@pytest.mark.parametrize("tell", [_wake, _hint, _fall])
async def test_turn_after_news_looks(it: Looked, tell: Callable[[Looked], Awaitable[None]]) -> None:
    """A user, an update, or none that would come."""
    await tell(it)
    assert await it.looks_in(1) == 1


@pytest.mark.row("R6")
async def test_account_that_holds_anything_never_rests(it: Looked) -> None:
    """Time alone may give it something to do, with a stop or without."""
    await it.desk.holds(5, stop=Decimal(800))
    await it.desk.turns(8, apart_s=5)
    assert await it.looks_in(20, apart_s=1) == 20


async def test_stop_follows_what_is_held_without_a_word(it: Looked) -> None:
    """The turn after it is protected, as if the account had never rested."""
    assert await it.looks_in(2) == 0
    await it.desk.holds(5, stop=Decimal(800))
    assert [one.trigger_price for one in it.desk.at.resting()] == [Decimal(800)]


async def test_close_that_waits_for_the_market_never_rests(it: Looked) -> None:
    """Of what no strategy owns: nothing is written when the market opens."""
    await it.desk.clock.advance_to(MORNING.replace(hour=20))
    it.desk.at.by_hand(Side.BUY, 5)
    await it.desk.turns(8, apart_s=5)
    await put_goal(
        it.desk.engine.writer,
        strategy=MANUAL,
        broker_id=it.desk.broker_id,
        instrument=SBIN,
        product=Product.MIS,
        quantity=0,
        stop_price=None,
        run_id="close|1",
        day=trading_day(it.desk.clock.market_now()),
        at=it.desk.clock.now(),
        close=UserClose(despite_pause=False, outside=5),
    )
    assert await it.looks_in(30) == 30


async def test_nothing_rests_while_it_is_not_known_what_was_written(it: Looked) -> None:
    """Nor where another process may write, as before the lease is held."""
    it.desk.engine.writer._is_stale = True
    assert it.desk.engine.writer.changes(()) is None
    assert await it.looks_in(1) == 1
