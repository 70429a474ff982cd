"""How a panic cancels a person's orders: once, beside one another, under the account's lock (row R2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.domain.order import OrderState, Purpose, Side
from core.domain.outcome import NotSent, Refusal, Refused
from core.domain.panic import Hindrance
from core.engine.accounts.connections import Connections
from core.engine.orders.gateway import Gateway
from core.errors import BrokerReadError, ReadFault, StoreUnavailable
from tests.fakes.pursuing import pursuing

pytestmark = pytest.mark.row("R2")


async def test_a_cancel_that_comes_to_nothing_is_tried_more_and_more_seldom() -> None:
    """One, two, four seconds and so on, no longer than twenty: a broker counts them."""
    one = await pursuing()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    one.at.cancels = [NotSent("no connection")] * 99
    await one.begins()
    asked: list[int] = []
    for second in range(75):
        before = len(one.at.asked)
        await one.pursuit.step()
        if len(one.at.asked) > before:
            asked.append(second)
        await one.desk.clock.advance(1)
    assert asked == [0, 1, 3, 7, 15, 31, 51, 71]


async def test_a_cancel_that_is_taken_is_not_asked_for_again() -> None:
    """It is on its way at the broker until a read says otherwise."""
    one = await pursuing()
    own = one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    await one.desk.clock.advance(1)
    await one.pursuit.step()
    assert one.at.asked == ["cancel"]
    assert one.at.order_list[own].status.value == "canceled"


async def test_a_cancel_that_is_refused_for_the_login_parks_the_account() -> None:
    """The account needs a login, which its line says at the next look."""
    one = await pursuing()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    one.at.cancels = [Refused(Refusal.AUTH_REQUIRED, "the session has ended")]
    await one.begins()
    await one.pursuit.step()
    account = await one.desk.engine.wiring.accounts.get(one.desk.broker_id)
    assert account.needs_login
    await one.pursuit.step()
    assert one.standing[0] is Hindrance.LOGIN
    assert one.at.asked == ["cancel"]


async def test_an_account_whose_connection_cannot_be_had_is_named() -> None:
    """Its list of instruments cannot be loaded: nothing is cancelled, and the next look says why."""
    one = await pursuing()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    await one.begins()

    async def fails(*_: Any) -> Any:
        raise BrokerReadError(ReadFault.UNREACHABLE, "no list of instruments")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Connections, "client", fails)
        await one.pursuit.step()
    await one.pursuit.step()
    assert one.standing == (Hindrance.SILENT, "no list of instruments")
    assert one.at.asked == []


@pytest.mark.invariant("I6")
async def test_a_cancel_waits_for_what_the_worker_is_sending() -> None:
    """Under the account's lock, as all that is sent for it."""
    one = await pursuing()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    await one.begins()
    async with one.desk.worker.lock:
        step = asyncio.create_task(one.pursuit.step())
        await one.desk.clock.advance(1)
        asked = list(one.at.asked)
    await step
    assert (asked, one.at.asked) == ([], ["cancel"])


async def test_a_cancel_that_cannot_be_written_down_is_raised_after_the_others() -> None:
    """The others' answers are kept, and the pursuit tries again when the store is back."""
    one = await pursuing()
    for units in (3, 4):
        one.at.own(Side.BUY, units)
    await one.desk.turns(2)
    await one.begins()
    cancel = Gateway.cancel
    failed: list[Any] = []

    async def first_fails(self: Gateway, *given: Any) -> Any:
        if not failed:
            failed.append(given)
            raise StoreUnavailable("away")
        return await cancel(self, *given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Gateway, "cancel", first_fails)
        with pytest.raises(StoreUnavailable):
            await one.pursuit.step()
    states = await one.desk.states(Purpose.EXTERNAL)
    assert sorted(states) == [OrderState.ACCEPTED.value, OrderState.PENDING_CANCEL.value]
