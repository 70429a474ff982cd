"""Which sentence a user gets of an account that a panic cannot close (row R2)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId, Product
from core.domain.order import MANUAL, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Ambiguous, Refusal, Refused
from core.domain.panic import Hindrance
from core.engine.accounts.connections import Connections
from core.engine.orders.documents import order_row
from core.engine.orders.goals import UserClose
from core.errors import BrokerReadError, Denied, ReadFault, StoreUnavailable, VaultError
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.orders import order_in
from tests.fakes.pursuing import Pursuing, pursuing
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("R2")

H = Hindrance


async def holding(units: int = 10, clock: ManualClock | None = None) -> Pursuing:
    """Return an account on which a strategy holds units without a stop, and a panic on it."""
    one = await pursuing(clock)
    await one.desk.holds(units)
    await one.begins()
    return one


async def fails(one: Pursuing, fault: ReadFault, words: str) -> None:
    """Let the next turn fail like this, and look."""
    one.at.trouble = BrokerReadError(fault, words)
    one.at.answer = lambda _order: Ambiguous("no answer")
    one.desk.worker.hinted()  # reads before it sends
    await one.desk.worker.turn()
    await one.pursuit.step()


@pytest.mark.parametrize(
    ("fault", "hindrance"),
    [
        (ReadFault.PERMISSION, H.PERMISSION),
        (ReadFault.THROTTLED, H.THROTTLED),
        (ReadFault.UNREACHABLE, H.SILENT),
        (ReadFault.TIMEOUT, H.SILENT),
        (ReadFault.MALFORMED, H.SILENT),
    ],
)
async def test_a_read_that_fails_is_named_with_its_words(
    fault: ReadFault, hindrance: Hindrance
) -> None:
    """Of each kind; what is to be closed is still counted."""
    one = await holding()
    await fails(one, fault, "so it says")
    assert one.standing == (hindrance, "so it says")
    assert one.pursuit.line.positions == 1


async def test_an_expired_login_is_named_and_a_new_one_goes_on() -> None:
    """Nothing is asked of the broker meanwhile; after the login it is closed, once."""
    one = await holding()
    one.at.own(Side.BUY, 3)
    one.at.is_logged_out = True
    await one.desk.turns(2)
    asked = list(one.at.asked)
    line = await one.looks(3)
    assert (line.hindrance, line.positions) == (H.LOGIN, 1)
    assert one.at.asked == asked
    account = await one.desk.engine.wiring.accounts.get(one.desk.broker_id)
    await one.desk.engine.log_in(account)
    await one.looks(5)
    assert one.at.asked.count("SELL 10") == 1
    assert await one.desk.units() == 0


async def test_what_was_not_read_since_the_start_is_named_as_that() -> None:
    """The controller has just begun, and has no worker for the account yet."""
    one = await holding()
    one.desk.engine.wiring.pool._workers.clear()
    await one.pursuit.step()
    assert one.standing == (H.NOT_READ, "it was not read since I started")


@pytest.mark.parametrize("before", [None, ReadFault.THROTTLED])
async def test_a_secret_that_cannot_be_read_is_no_fault_of_the_broker(
    monkeypatch: pytest.MonkeyPatch, before: ReadFault | None
) -> None:
    """The user is told what to put back, whatever the broker had said before."""
    one = await holding()
    if before is not None:
        await fails(one, before, "slow down")

    async def sealed(*_: Any) -> None:
        raise VaultError("no key opens it")

    monkeypatch.setattr(Connections, "client", sealed)
    await one.desk.worker.turn()
    await one.pursuit.step()
    words = "its saved secret cannot be read: put the key file back, or send it again"
    assert one.standing == (H.EXIT, words)
    await one.desk.worker.read_failed(BrokerReadError(ReadFault.TIMEOUT, "no answer"))
    await one.desk.worker.refresh()
    await one.pursuit.step()
    assert one.standing == (H.EXIT, words)


async def test_a_store_that_was_away_is_no_fault_of_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said that it is the store."""
    one = await holding()
    await fails(one, ReadFault.THROTTLED, "slow down")

    async def away(*_: Any) -> None:
        raise StoreUnavailable("is away")

    with monkeypatch.context() as patched:
        patched.setattr(Connections, "client", away)
        await one.desk.worker.turn()
    await one.pursuit.step()
    assert one.standing == (H.EXIT, "the store: is away")


async def test_what_the_broker_does_not_let_this_app_do_is_named_and_tried_on() -> None:
    """Parked for an address: a person's orders are still asked to go."""
    one = await holding()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    await one.desk.engine.wiring.accounts.park(one.desk.broker_id, "IP not registered")
    await one.pursuit.step()
    assert one.standing == (H.PERMISSION, "IP not registered")
    assert one.at.asked[-1] == "cancel"


async def test_an_order_of_unknown_fate_comes_before_all_other_words() -> None:
    """Whether the broker has it decides what may be closed at all."""
    one = await holding()
    one.at.answer = lambda _order: Ambiguous("no answer")
    await one.looks(2)
    assert one.standing == (H.UNSETTLED, "Sell 10 NSE:SBIN")


async def test_what_the_market_does_not_trade_now_waits_until_a_time() -> None:
    """The position is counted, no goal waits at the executor, and the day of the open is named."""
    one = await holding(clock=ManualClock(TEN.replace(hour=15, minute=14), TEN.replace(hour=15)))
    await one.desk.clock.advance(3600)
    await one.desk.turns()
    await one.pursuit.step()
    assert one.standing == (H.CLOSED, "NSE:SBIN MIS until Wed 25 Nov 09:15")
    goal = await one.goal("orb")
    assert goal is not None and goal.quantity == 10


async def test_what_saarthi_never_trades_is_named() -> None:
    """Commodities are ordered in lots: a quantity would mean another size."""
    one = await pursuing()
    gold = InstrumentId("MCX", "GOLD26DECFUT")
    one.at.bought(1, gold)
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    assert one.standing == (H.NOT_HANDLED, "MCX:GOLD26DECFUT MIS")


async def test_positions_that_contradict_fills_are_named() -> None:
    """Nothing is sold of what nobody knows to be there."""
    one = await holding()
    one.at.shows(4)
    await one.desk.turns(4, apart_s=11)
    await one.pursuit.step()
    assert one.standing == (H.DISPUTED, "NSE:SBIN MIS")


async def test_an_exit_that_is_refused_is_named_after_a_moment() -> None:
    """With the broker's words; what was sent a moment ago is no news."""
    one = await holding()
    one.at.answer = lambda _order: Refused(Refusal.REJECTED, "RMS: blocked for square-off")
    await one.looks(2, apart_s=0.2)
    assert one.standing == (H.NONE, "")
    await one.desk.clock.advance(4)
    await one.pursuit.step()
    assert one.standing == (H.EXIT, "NSE:SBIN: RMS: blocked for square-off")


async def test_an_exit_at_the_circuit_limit_is_named_as_that() -> None:
    """Asked for when it has rested for seconds: in the broker's app it would rest as well."""
    one = await holding()
    one.at.rests = True
    asked: list[str] = []

    async def at_limit(names: Any) -> dict[InstrumentId, Quote]:
        asked.append("quotes")
        return {n: Quote(n, Decimal(815), lower_circuit=Decimal(815)) for n in names}

    one.at.quotes = at_limit  # type: ignore[method-assign, assignment]
    await one.looks(3)
    assert (one.standing, asked) == ((H.NONE, ""), [])
    await one.looks(4)
    assert (one.standing[0], asked) == (H.CIRCUIT, ["quotes"])
    assert one.standing[1].startswith("NSE:SBIN: the price stands at its circuit limit")
    assert one.at.asked.count("SELL 10") == 1, "it keeps its place"


async def test_an_exit_that_the_user_had_asked_for_is_named_too() -> None:
    """Confirmed twice in PAUSED before the panic: its goal is flat already, and stays theirs."""
    one = await pursuing()
    await one.desk.holds(10)
    await one.desk.wants(0, run_id="manual|1", close=UserClose(despite_pause=True))
    one.at.answer = lambda _order: Refused(Refusal.REJECTED, "RMS: blocked for square-off")
    await one.desk.turns(2)
    await one.begins()
    await one.desk.clock.advance(4)
    await one.pursuit.step()
    goal = await one.goal("orb")
    assert goal is not None and goal.run_id == "manual|1"
    assert one.standing == (H.EXIT, "NSE:SBIN: RMS: blocked for square-off")


async def test_a_denied_exit_is_named_until_one_is_sent() -> None:
    """The gate has said why; once an exit of that decision is at the broker it is another story."""
    one = await holding()
    one.desk.worker.executor.are_orders_unread = True
    await one.pursuit.step()
    goal = await one.goal("orb")
    assert goal is not None
    denials = one.desk.worker.executor.denials
    denials[goal.run_id] = Denied("POSITION_MOVING", "in a moment")
    await one.pursuit.step()
    assert one.standing == (H.NONE, "")
    denials[goal.run_id] = Denied("NO_ORDERS", "its orders could not be read")
    await one.pursuit.step()
    assert one.standing == (H.EXIT, "NSE:SBIN: its orders could not be read")
    sent = order_in(
        OrderState.CANCELED,
        broker_id=one.desk.broker_id,
        run_id=goal.run_id,
        purpose=Purpose.EXIT,
        side=Side.SELL,
        day=goal.day,
        created_at=one.desk.clock.now(),
    )
    await one.desk.engine.store.insert("orders", order_row(sent))
    await one.pursuit.step()
    assert one.standing == (H.NONE, "")


async def test_a_cancel_that_is_not_confirmed_is_named_after_some_seconds() -> None:
    """Asked for in vain it holds nothing up; until then it is no news."""
    one = await pursuing()
    one.at.own(Side.BUY, 3)
    await one.desk.turns(2)
    one.at.cancels = [Refused(Refusal.REJECTED, "not now")] * 9
    await one.begins()
    await one.looks(6)
    assert one.standing == (H.NONE, "")
    await one.looks(2)
    assert one.standing == (H.CANCEL, "Buy 3 NSE:SBIN")


async def test_what_is_bought_on_margin_is_nothing_that_saarthi_closes() -> None:
    """A share carried on margin (MTF): an order of another product would open a position."""
    one = await pursuing()
    order = OrderRequest("", SBIN, Side.BUY, 5, OrderType.MARKET, Product.NRML)
    one.at.fill(one.at.show(order).broker_order_id)
    await one.desk.turns(2)
    await one.begins()
    await one.pursuit.step()
    assert one.standing == (H.NOT_HANDLED, "NSE:SBIN NRML")
    assert await one.goal(MANUAL, Product.NRML) is None
