"""A broker that refuses the app's orders is read all the same, and not asked in every turn (N17).

Brokers check the registered address at the endpoints of orders only: reads work from anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

import pytest

from core.domain.broker import BrokerOrder
from core.domain.notices.accounts import AccountParked
from core.domain.notices.protection import AlarmOver
from core.domain.order import Purpose, Side
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.engine.orders.gateway import WriteRefused
from core.engine.orders.pauses import Pauses
from core.errors import BrokerReadError, ReadFault
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, a_desk

pytestmark = [pytest.mark.matrix("N17"), pytest.mark.row("A12")]
STOP = Decimal("800.00")
NOT_PERMITTED = Refused(Refusal.PERMISSION, "this address is not registered")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    return desk


def refusing(desk: Desk, name: str) -> list[float]:
    """Refuse one kind of request; return when each came."""
    came: list[float] = []

    async def refuse(*_terms: object) -> WriteOutcome:
        came.append(desk.clock.monotonic())
        return NOT_PERMITTED

    setattr(desk.at, name, refuse)
    return came


@pytest.mark.parametrize("name", ["cancel", "modify"])
async def test_account_that_may_not_order_sees_what_fills(desk: Desk, name: str) -> None:
    """Its stop is hit while an exit waits for it, or while it should be smaller: that is seen."""
    came = refusing(desk, name)
    if name == "cancel":
        await desk.wants(0, run_id="orb|flat")
    else:
        desk.at.by_hand(Side.SELL, 4)
    await desk.turns(100, apart_s=3)
    assert 5 <= len(came) <= 12
    assert len(await desk.engine.notices(AccountParked)) == 1
    assert await desk.states(Purpose.STOP) == ["ACCEPTED"]
    (stop,) = desk.at.resting()
    desk.at.fill(stop.broker_order_id)
    await desk.turns(3, apart_s=3)
    assert await desk.states(Purpose.STOP) == ["FILLED"]


async def test_reads_come_before_what_is_to_be_refused_again(desk: Desk) -> None:
    """With many instruments something is due in each turn, and would keep every read away."""
    orders, asked = desk.at.orders, refusing(desk, "cancel")
    asked_before: list[int] = []

    async def read() -> Sequence[BrokerOrder]:
        asked_before.append(len(asked))
        return await orders()

    await desk.wants(0, run_id="orb|flat")
    await desk.worker.turn()
    assert len(asked) == 1
    desk.at.orders = read  # type: ignore[method-assign]
    await desk.clock.advance(3)
    await desk.worker.turn()
    assert (asked_before, len(asked)) == ([1], 2)


async def test_order_goes_when_the_address_is_registered(desk: Desk) -> None:
    """Within a minute: nobody has to tell Saarthi."""
    cancel = desk.at.cancel
    refusing(desk, "cancel")
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(40, apart_s=3)
    desk.at.cancel = cancel  # type: ignore[method-assign]
    await desk.turns(25, apart_s=3)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    assert account.parked_reason == ""


@pytest.mark.row("R6")
@pytest.mark.parametrize("name", ["cancel", "orders"])
async def test_the_alarm_of_a_refusal_stands_until_an_order_is_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The turn that is refused must not say that orders are taken: nobody would look further."""
    if name == "cancel":
        taken = desk.at.cancel
        refusing(desk, name)
    else:

        async def refuse() -> Sequence[BrokerOrder]:
            raise BrokerReadError(ReadFault.PERMISSION, "this address is not registered")

        monkeypatch.setattr(desk.at, name, refuse)
        desk.worker.hinted()
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3, apart_s=3)
    assert len(await desk.engine.notices(AccountParked)) == 1
    assert await desk.engine.notices(AlarmOver) == []
    if name == "cancel":
        desk.at.cancel = taken  # type: ignore[method-assign]
    else:
        monkeypatch.undo()
    await desk.turns(25, apart_s=3)
    ends = await desk.engine.notices(AlarmOver)
    alarms = [one.alarm for one in ends if isinstance(one, AlarmOver)]
    assert alarms.count(AccountParked.kind) == 1


def refused_for_s(pauses: Pauses) -> float:
    """Return for how long one key is left alone after one more refusal."""
    with suppress(WriteRefused):
        pauses.hold_back("exit", NOT_PERMITTED)
    until = pauses.until("exit")
    assert until is not None
    return (until - ManualClock().now()).total_seconds()


def test_the_pause_of_an_exit_begins_anew_once_its_broker_has_taken_it() -> None:
    """What was refused for an hour last week must not wait a minute at its next refusal."""
    pauses = Pauses(ManualClock())
    assert [refused_for_s(pauses) for _ in range(6)] == [2, 4, 8, 16, 32, 60]
    assert not pauses.hold_back("exit", Acked("1"))
    assert refused_for_s(pauses) == 2


async def test_a_login_says_nothing_of_what_the_broker_takes(desk: Desk) -> None:
    """Whether the address is registered now shows at the next order alone."""
    refusing(desk, "cancel")
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(3, apart_s=3)
    await desk.wants(10, STOP, run_id="orb|kept")
    engine = desk.engine
    account = await engine.wiring.accounts.get(desk.broker_id)
    await engine.wiring.tokens.mark_expired(
        desk.broker_id, "it is six", generated_at=account.token_generated_at
    )
    await desk.turns(2)
    await desk.clock.advance(1)
    await engine.log_in(account)
    await desk.turns(1)
    (over,) = await engine.notices(AlarmOver)
    assert isinstance(over, AlarmOver)
    assert (over.alarm, over.how) == (AccountParked.kind, "I send its orders again")
