"""How often an account is read: each turn without order updates, as a check while they are pushed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerStatus
from core.domain.order import OrderState, Purpose, Side
from core.domain.outcome import Ambiguous, Refusal, Refused
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import market_clock
from tests.fakes.scripted_stream import ScriptedStream

MORNING = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
READS = ("orders", "trades", "positions", "holdings", "funds", "quotes", "candles", "profile")


class Pushed:
    """A desk whose broker pushes updates, and counts of what it was asked for."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stream = ScriptedStream()
        self.asked: Counter[str] = Counter()
        desk.at.stream = self.stream
        for name in READS:
            setattr(desk.at, name, self._counting(name, getattr(desk.at, name)))

    def _counting(
        self, name: str, read: Callable[..., Awaitable[Any]]
    ) -> Callable[..., Awaitable[Any]]:
        async def counted(*arguments: Any, **named: Any) -> Any:
            self.asked[name] += 1
            return await read(*arguments, **named)

        return counted

    async def passes(self, seconds: float, *, apart_s: float = 5.0) -> Counter[str]:
        """Let time pass with a turn now and then; return what was asked for in it."""
        self.asked.clear()
        await self.desk.turns(round(seconds / apart_s), apart_s=apart_s)
        return Counter(self.asked)


async def pushed(*, is_live: bool = True) -> Pushed:
    """Return a desk at rest, with everything read."""
    desk = await a_desk(market_clock(MORNING))
    found = Pushed(desk)
    if not is_live:
        found.stream.fall()
    await desk.turns(8, apart_s=5)
    return found


async def test_idle_account_costs_less_than_a_request_in_ten_seconds() -> None:
    """While updates are pushed an idle account is checked each minute; polled it costs five fold."""
    quiet = await pushed()
    asked = await quiet.passes(600)
    assert 9 <= asked["orders"] <= 10
    assert asked.total() / 600 < 0.1, asked
    polled = await (await pushed(is_live=False)).passes(600)
    assert polled["orders"] == 120 and polled.total() / 600 > 0.3, polled


async def test_fall_of_the_stream_brings_polling_back_at_once() -> None:
    """The turn after it reads, and each one after that; when it lives again, the checks are back."""
    desk = await pushed()
    assert (await desk.passes(30))["orders"] <= 1
    live = desk.stream.status
    desk.stream.fall()
    assert (await desk.passes(30))["orders"] == 6
    desk.stream.status = live
    assert (await desk.passes(30))["orders"] <= 1


async def test_working_order_is_checked_each_five_seconds() -> None:
    """A frame may be lost: a fill that nobody pushes is in the journal within the check."""
    it = await pushed()
    await it.desk.holds(5, stop=Decimal(800))
    await it.desk.turns(20, apart_s=1)
    (stop,) = await it.desk.orders(Purpose.STOP)
    assert stop.state is OrderState.ACCEPTED
    asked = await it.passes(60, apart_s=1)
    assert 10 <= asked["orders"] <= 13, asked
    (shown,) = it.desk.at.resting()
    it.desk.at.fill(shown.broker_order_id, Decimal(800))
    await it.passes(6, apart_s=1)
    assert await it.desk.states(Purpose.STOP) == ["FILLED"]


@pytest.mark.invariant("I4")
async def test_position_is_checked_more_often_than_an_empty_account() -> None:
    """While something is held, a trade in the broker's app that nobody pushed is found soon."""
    it = await pushed()
    await it.desk.holds(5)
    await it.desk.turns(8, apart_s=5)
    asked = await it.passes(60)
    assert 4 <= asked["orders"] == asked["positions"] <= 5, asked
    it.desk.at.by_hand(Side.SELL, 2)
    await it.passes(20)
    assert await it.desk.units() == 3


@pytest.mark.row("R5")
async def test_reads_are_known_for_as_long_as_they_are_meant_to_live() -> None:
    """An idle account's day is known all the time, though its positions are a minute old."""
    it = await pushed()
    for _ in range(30):
        await it.passes(5)
        account = await it.desk.engine.wiring.accounts.get(it.desk.broker_id)
        assert (await it.desk.engine.wiring.day_results.of(account)).why == ""
    it.stream.fall()
    await it.desk.clock.advance(31)
    account = await it.desk.engine.wiring.accounts.get(it.desk.broker_id)
    assert (await it.desk.engine.wiring.day_results.of(account)).why.startswith("its positions")


async def test_order_of_unknown_fate_is_asked_for_in_each_turn() -> None:
    """What nobody answered is looked for as if nothing were pushed."""
    it = await pushed()
    it.desk.at.answer = lambda _order: Ambiguous("no answer in time")
    await it.desk.holds(5, stop=Decimal(800))
    assert "UNRESOLVED" in await it.desk.states(Purpose.STOP)
    asked = await it.passes(20, apart_s=1)
    assert asked["orders"] >= 20, asked


async def test_hint_is_one_read_in_the_next_turn() -> None:
    """A wake reads the orders; a fill that it shows moves the ledgers, and positions are read."""
    it = await pushed()
    await it.desk.holds(5)
    await it.desk.turns(6, apart_s=5)
    it.desk.worker.wake()
    asked = await it.passes(5)
    assert asked == {"orders": 1}
    it.desk.at.by_hand(Side.SELL, 2)
    it.desk.worker.wake()
    asked = await it.passes(5)
    assert asked["orders"] == asked["positions"] == asked["trades"] == 1
    assert await it.desk.units() == 3


@pytest.mark.parametrize("is_hint", [True, False], ids=["hint", "wake"])
async def test_hint_reads_before_it_sends(is_hint: bool) -> None:
    """An update is there to be read; what a run or a user wants leaves before any read."""
    it = await pushed()
    await it.desk.holds(5)
    await it.desk.turns(6, apart_s=5)
    order: list[str] = []
    for name in ("orders", "place"):
        _noting(it, name, order)
    await it.desk.wants(0)
    it.desk.worker.hinted()
    if not is_hint:
        it.desk.worker.wake()
    await it.desk.worker.turn()
    assert order[:2] == (["orders", "place"] if is_hint else ["place", "orders"])
    await it.desk.turns(6, apart_s=1)
    assert (await it.desk.units(), await it.desk.states(Purpose.EXIT)) == (0, ["FILLED"])


async def _sent_exit(it: Pushed) -> list[str]:
    """Let an exit go out in a turn; return what was asked and sent in it."""
    await it.desk.holds(5)
    await it.desk.turns(6, apart_s=5)
    it.desk.at.rests = True
    order: list[str] = []
    for name in ("orders", "place"):
        _noting(it, name, order)
    await it.desk.wants(0)
    it.desk.worker.wake()
    await it.desk.worker.turn()
    return order


async def test_what_was_acknowledged_is_read_when_it_is_pushed() -> None:
    """The turn that has sent it asks nothing; the one after its update reads."""
    it = await pushed()
    order = await _sent_exit(it)
    assert order == ["place"]
    it.desk.worker.hinted()
    await it.desk.worker.turn()
    assert order == ["place", "orders"]


async def test_what_was_acknowledged_and_not_pushed_is_read_within_half_a_second() -> None:
    """A frame may be lost: what is not pushed is asked for, once its time is over."""
    it = await pushed()
    order = await _sent_exit(it)
    pause = await it.desk.worker.turn()
    assert order == ["place"] and 0 < pause < 0.5
    await it.desk.clock.advance(pause + 0.01)
    await it.desk.worker.turn()
    assert order == ["place", "orders"]


@pytest.mark.parametrize("fate", ["refused", "unknown", "not pushed"])
async def test_what_no_push_will_tell_is_read_at_once(fate: str) -> None:
    """A refusal, silence and a stream that is down: the turn that has sent reads, as ever."""
    it = await pushed()
    if fate == "not pushed":
        it.stream.fall()
    outcome = Refused(Refusal.REJECTED, "no") if fate == "refused" else Ambiguous("silence")
    if fate != "not pushed":
        it.desk.at.answer = lambda _order: outcome
    assert (await _sent_exit(it))[:2] == ["place", "orders"]


def _noting(it: Pushed, name: str, order: list[str]) -> None:
    call = getattr(it.desk.at, name)

    async def noted(*arguments: Any) -> Any:
        order.append(name)
        return await call(*arguments)

    setattr(it.desk.at, name, noted)


async def test_positions_after_a_fill_are_judged_soon() -> None:
    """They lag behind orders, so that a fill is followed by reads until both were compared."""
    it = await pushed()
    it.desk.at.by_hand(Side.SELL, 2)
    it.desk.worker.wake()
    asked = await it.passes(20)
    assert asked["orders"] >= 3 and asked["positions"] >= 2, asked
    await it.passes(60)
    assert (await it.passes(60))["orders"] <= 5


async def test_hint_while_a_read_is_on_its_way_is_read_after_it() -> None:
    """What a read shows is as old as its beginning."""
    it = await pushed()
    read = it.desk.at.orders

    async def hinted() -> Any:
        it.desk.at.orders = read  # type: ignore[method-assign]
        found = await read()
        it.desk.worker.wake()
        return found

    it.desk.at.orders = hinted  # type: ignore[method-assign]
    it.desk.worker.wake()
    assert (await it.passes(10))["orders"] == 2


async def test_failed_read_is_tried_again() -> None:
    """A hint whose read fails is not forgotten."""
    it = await pushed()
    it.desk.at.trouble = BrokerReadError(ReadFault.UNREACHABLE, "503")
    it.desk.worker.wake()
    assert (await it.passes(15))["orders"] >= 2


async def test_health_says_how_updates_come() -> None:
    """Live while they are pushed; since when and why not, when they are not."""
    it = await pushed()
    (one,) = (await it.desk.engine.control.health.read()).accounts
    assert (one.is_live, one.polled_since, one.polled_why) == (True, None, "")
    it.stream.fall("nothing was heard for 11 s")
    (one,) = (await it.desk.engine.control.health.read()).accounts
    assert not one.is_live and one.polled_since is not None
    assert one.polled_why == "nothing was heard for 11 s"
    it.desk.at.stream = None
    it.desk.worker.updates.follow(None)
    (one,) = (await it.desk.engine.control.health.read()).accounts
    assert (one.is_live, one.polled_since, one.polled_why) == (False, None, "")


async def test_order_seen_by_nobody_is_not_believed_closed() -> None:
    """Rows that contradict one another keep the account on the short check."""
    it = await pushed()
    await it.desk.holds(5, stop=Decimal(800))
    await it.desk.turns(20, apart_s=1)
    (shown,) = it.desk.at.resting()
    del it.desk.at.order_list[shown.broker_order_id]
    asked = await it.passes(30, apart_s=1)
    assert asked["orders"] >= 5, asked
    it.desk.at.order_list[shown.broker_order_id] = replace(shown, status=BrokerStatus.WORKING)
