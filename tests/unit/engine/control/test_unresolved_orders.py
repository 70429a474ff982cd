"""A user's answers about an unresolved order: link it, give it up, ask the broker again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerOrder
from core.domain.command import Command
from core.domain.inquiry import InquiryView
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.notices.orders import OrderResolved, OrderUnresolved
from core.domain.order import Order, OrderState, Purpose, Side
from core.domain.sessions import IST, trading_day
from core.engine.control import unresolved_orders
from core.engine.orders.decisions import external_order
from core.engine.users import owner_name
from core.errors import AlreadyDone, BrokerReadError, NotFound, ReadFault, UserError
from core.ports.store import Change, StoreView
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.memory_engine import market_clock
from tests.fakes.orders import order_in, shown
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("R4")

S = OrderState
TAG, OTHER_TAG = "SAAAAAAAAAAAAAAAAAAA", "SBBBBBBBBBBBBBBBBBBB"
ASHA, RAVI = Command("asha", 1, 4711), Command("ravi", 2, 4712)


@pytest.fixture
async def desk() -> Desk:
    made = await a_desk()
    await made.engine.store.update("users", {"_id": "1"}, Change(set={"name": "Asha"}))
    await made.engine.store.insert("users", {"_id": "2", "role": "owner", "name": "Ravi"})
    return made


async def unresolved(desk: Desk, **changes: object) -> Order:
    """Let an entry of 5 be of unknown fate, sent now."""
    now = desk.clock.now()
    given = {
        "broker_id": desk.broker_id,
        "strategy": STRATEGY,
        "quantity": 5,
        "day": trading_day(desk.clock.market_now()),
        "created_at": now,
        "submitted_at": now,
        **changes,
    }
    order = order_in(S.UNRESOLVED, **given)
    await desk.engine.wiring.journal.add(desk.engine.store, [order])
    return order


def alike(desk: Desk, number: str, after_s: float = 1.0) -> BrokerOrder:
    """Let the broker show an order like it without our tag."""
    at = desk.clock.market_now().astimezone(IST) + timedelta(seconds=after_s)
    seen = shown(number, tag=None, quantity=5, placed_at=at)
    desk.at.order_list[number] = seen
    return seen


async def view(desk: Desk, key: str = TAG) -> InquiryView:
    return await desk.engine.control.unresolved.view(key)


async def order(desk: Desk, key: str = TAG) -> Order:
    return await desk.engine.wiring.journal.get(key)


async def test_any_of_several_is_linked(desk: Desk) -> None:
    """The second of two: its fills are the strategy's, the other one is somebody else's."""
    await unresolved(desk)
    alike(desk, "b7", 1)
    alike(desk, "b8", 9)
    await desk.turns(2)
    assert [one.broker_order_id for one in (await view(desk)).inquiry.candidates] == ["b7", "b8"]
    after = await desk.engine.control.unresolved.link(ASHA, TAG, "b8")
    assert (after.state, after.broker_order_id) == (S.ACCEPTED, "b8")
    desk.at.fill("b8")
    await desk.turns(3)
    assert await desk.units() == 5
    rows = {one.broker_order_id: one.purpose for one in await desk.engine.orders()}
    assert rows["b7"] is Purpose.EXTERNAL
    assert (await view(desk)).inquiry.settled_by == "Asha"
    assert await desk.engine.notices(OrderResolved) == [], "who settled it sees the answer"


async def test_candidate_that_was_adopted_meanwhile_is_linked_and_counts_once(desk: Desk) -> None:
    """Trades may show it as somebody else's before the answer: that row goes, and its card."""
    made = await unresolved(desk)
    seen = alike(desk, "b8")
    await desk.turns(1)
    adopted = external_order(desk.broker_id, made.day, seen, at=desk.clock.now())
    await desk.engine.wiring.journal.add(desk.engine.store, [adopted])
    await desk.engine.control.unresolved.link(ASHA, TAG, "b8")
    desk.at.fill("b8")
    await desk.turns(3)
    found = [(one.client_order_id, one.filled_quantity) for one in await desk.engine.orders()]
    assert (found, await desk.units()) == ([(TAG, 5)], 5)
    rows = await desk.engine.store.find("outbox", {"key": f"external:{adopted.client_order_id}"})
    assert [row["delivery"] for row in rows] == ["remove"]


async def test_what_is_no_candidate_is_not_linked(desk: Desk) -> None:
    """A button of an older card: the broker shows it as that order no more."""
    await unresolved(desk)
    await desk.turns(1)
    with pytest.raises(UserError, match="does not show that order"):
        await desk.engine.control.unresolved.link(ASHA, TAG, "b8")
    assert (await order(desk)).state is S.UNRESOLVED


async def test_one_candidate_is_linked_to_one_order(desk: Desk) -> None:
    """Two orders of unknown fate, one like both: it becomes one of them, and only once."""
    await unresolved(desk)
    await unresolved(desk, client_order_id=OTHER_TAG)
    alike(desk, "b8")
    await desk.turns(1)
    control = desk.engine.control.unresolved
    await control.link(ASHA, TAG, "b8")
    with pytest.raises(UserError, match="another one of Saarthi's already"):
        await control.link(RAVI, OTHER_TAG, "b8")
    assert (await order(desk, OTHER_TAG)).state is S.UNRESOLVED
    await desk.turns(1)
    assert (await view(desk, OTHER_TAG)).inquiry.candidates == ()


async def test_not_placed_is_believed_after_a_look(desk: Desk) -> None:
    """Given up at once, long before the horizon; the card says by whom."""
    await unresolved(desk)
    await desk.turns(1)
    after = await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert after.state is S.NOT_PLACED
    assert (await view(desk)).inquiry.settled_by == "Asha"
    assert isinstance((await desk.engine.notices(OrderUnresolved))[-1], OrderUnresolved)


async def test_not_placed_yields_to_what_the_look_finds(desk: Desk) -> None:
    """The user has looked too early: the broker lists it by now."""
    made = await unresolved(desk)
    desk.at.show(made.request)
    after = await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert after.state is S.ACCEPTED
    assert (await view(desk)).inquiry.settled_by == ""


async def test_not_placed_is_not_believed_while_the_broker_cannot_be_read(desk: Desk) -> None:
    """Nothing is changed, and the user is told so."""
    await unresolved(desk)
    desk.at.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no route")
    with pytest.raises(UserError, match="nothing was changed: no route"):
        await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert (await order(desk)).state is S.UNRESOLVED


async def test_not_placed_is_not_believed_before_the_account_is_looked_at(desk: Desk) -> None:
    """Just after a start nobody reads it yet: that an order was not seen says nothing."""
    await unresolved(desk)
    desk.engine.wiring.pool._workers.clear()
    with pytest.raises(UserError, match="nothing was changed: not started yet"):
        await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert (await order(desk)).state is S.UNRESOLVED
    assert (await view(desk)).inquiry.trouble == "not started yet"


@pytest.mark.parametrize("answer", ["link", "give up"])
async def test_what_waited_for_the_answer_goes_on_at_once(
    desk: Desk, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account does not wait for its next look: an exit may have been held up."""
    await unresolved(desk)
    alike(desk, "b8")
    await desk.turns(1)
    woken: list[str] = []
    monkeypatch.setattr(desk.worker, "wake", lambda: woken.append(answer))
    control = desk.engine.control.unresolved
    if answer == "link":
        await control.link(ASHA, TAG, "b8")
    else:
        await control.not_placed(ASHA, TAG)
    assert woken == [answer]


@pytest.mark.invariant("I9")
@pytest.mark.matrix("O01", "O02")
@pytest.mark.parametrize("first", ["link", "give up"])
async def test_of_two_answers_at_once_one_counts(
    desk: Desk, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users contradict one another in the same moment: the second learns what the first said."""
    both, is_said = asyncio.Barrier(2), asyncio.Event()
    faster = {"link": ASHA, "give up": RAVI}[first]

    async def named(view: StoreView, user_id: int) -> str:
        # Past all that is asked before an answer is written: each believes to be the only one.
        await both.wait()
        if user_id != faster.user_id:
            await is_said.wait()
        return await owner_name(view, user_id)

    async def said(by: Command, answer: Coroutine[Any, Any, Order]) -> Order:
        try:
            return await answer
        finally:
            if by is faster:
                is_said.set()

    monkeypatch.setattr(unresolved_orders, "owner_name", named)
    await unresolved(desk)
    alike(desk, "b8")
    await desk.turns(1)
    control = desk.engine.control.unresolved
    answers = [said(ASHA, control.link(ASHA, TAG, "b8")), said(RAVI, control.not_placed(RAVI, TAG))]
    ends = await asyncio.gather(*answers, return_exceptions=True)
    after = await order(desk)
    assert after.state is {"link": S.ACCEPTED, "give up": S.NOT_PLACED}[first]
    (won,) = [one for one in ends if isinstance(one, Order)]
    lost = [one for one in ends if isinstance(one, AlreadyDone)]
    assert won.state is after.state
    assert len(lost) == 1
    name = {S.ACCEPTED: "Asha", S.NOT_PLACED: "Ravi"}[after.state]
    assert (await view(desk)).inquiry.settled_by == name
    for one in lost:
        assert f"({name} settled it)" in str(one)


async def test_answer_about_a_settled_order_says_what_became_of_it(desk: Desk) -> None:
    """Each of the three buttons, tapped too late."""
    made = await unresolved(desk)
    alike(desk, "b8")
    await desk.turns(1)
    desk.at.fill(desk.at.show(made.request).broker_order_id)
    await desk.turns(1)
    control = desk.engine.control.unresolved
    for late in (
        control.link(ASHA, TAG, "b8"),
        control.not_placed(ASHA, TAG),
        control.ask_again(TAG),
    ):
        with pytest.raises(AlreadyDone, match="Already known: Buy 5 NSE:SBIN is filled"):
            await late
    assert (await order(desk)).broker_order_id != "b8"


async def test_asking_again_reads_all_and_edits_the_card_at_once(desk: Desk) -> None:
    """Orders, trades and positions; a second tap in the same second reads nothing more."""
    await unresolved(desk)
    await desk.turns(1, apart_s=2)
    told, reads = len(await desk.engine.notices(OrderUnresolved)), desk.at.reads
    await desk.engine.control.unresolved.ask_again(TAG)
    known = (await view(desk)).inquiry
    assert (known.traded, known.gap) == (0, 0)
    assert desk.at.reads == reads + 1
    assert len(await desk.engine.notices(OrderUnresolved)) == told + 1
    await desk.engine.control.unresolved.ask_again(TAG)
    assert desk.at.reads == reads + 1


async def test_asking_again_says_that_the_broker_does_not_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that hangs keeps nobody waiting, and the card says so."""
    await unresolved(desk)
    await desk.turns(1, apart_s=2)
    monkeypatch.setattr(unresolved_orders, "_ANSWER_S", 0.01)

    async def never() -> list[BrokerOrder]:
        await asyncio.Event().wait()
        return []

    desk.at.orders = never  # type: ignore[method-assign]
    await desk.engine.control.unresolved.ask_again(TAG)
    assert (await view(desk)).inquiry.trouble == "the broker did not answer in time"


async def test_asking_again_that_finds_it_says_so(desk: Desk) -> None:
    """The read settles it: the card is at its end, and the tap is answered with it."""
    made = await unresolved(desk)
    await desk.turns(1, apart_s=2)
    desk.at.show(made.request)
    with pytest.raises(AlreadyDone, match="working at the broker"):
        await desk.engine.control.unresolved.ask_again(TAG)


async def test_what_is_held_there_is_said_with_its_protection(desk: Desk) -> None:
    """Of the same instrument; its stop rests, and its exit waits."""
    await desk.holds(5, Decimal(800))
    await unresolved(desk)
    known = await view(desk)
    assert known.held == ("+5 SBIN: a stop rests at the broker at ₹800.00",)
    assert 119 <= known.left_s <= 120
    assert known.gives_up_at - known.order.at == timedelta(seconds=120)


async def test_what_is_held_of_another_instrument_does_not_wait(desk: Desk) -> None:
    """The card names what its order holds up, and nothing else of the account."""
    await desk.engine.hold(
        Ledger(STRATEGY, desk.broker_id, InstrumentId("NSE", "TCS"), Product.MIS, 7, Decimal(3100))
    )
    await unresolved(desk)
    assert (await view(desk)).held == ()
    await desk.engine.hold(Ledger(STRATEGY, desk.broker_id, SBIN, Product.MIS, 5, Decimal(810)))
    (held,) = (await view(desk)).held
    assert held.startswith("+5 SBIN: ")


async def test_times_of_a_card_are_the_markets() -> None:
    """When it was asked, since when it cannot be read, and when it ends (market time, not ours)."""
    eleven = TEN + timedelta(hours=1)
    desk = await a_desk(market_clock(eleven))
    assert desk.clock.now() != eleven
    await unresolved(desk, created_at=desk.clock.now() - timedelta(seconds=60))
    await desk.turns(1, apart_s=5)
    known = await view(desk)
    assert (known.asked_at, known.trouble_at) == (eleven, None)
    assert known.gives_up_at == eleven + timedelta(seconds=120)
    desk.at.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no route")
    await desk.turns(1)
    assert (await view(desk)).trouble_at == eleven + timedelta(seconds=5)


async def test_card_of_an_account_that_waits_for_its_login_says_so(desk: Desk) -> None:
    """Nothing can be asked before, so no time is promised."""
    await unresolved(desk)
    assert not (await view(desk)).needs_login
    desk.at.is_logged_out = True
    await desk.turns(1)
    assert (await view(desk)).needs_login


async def test_a_look_that_failed_just_now_is_no_answer_to_a_tap(desk: Desk) -> None:
    """The broker is asked again at once, although it was read within the second before."""
    await unresolved(desk)
    await desk.turns(1)
    desk.at.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no route")
    assert await desk.worker.refresh()
    assert (await view(desk)).inquiry.trouble == "no route"
    desk.at.trouble = None
    await desk.engine.control.unresolved.ask_again(TAG)
    assert (await view(desk)).inquiry.trouble == ""


async def test_disconnecting_ends_the_card(desk: Desk) -> None:
    """Nobody asks for it any more."""
    await unresolved(desk)
    await desk.engine.control.registration.disconnect(desk.engine.command(), desk.broker_id)
    assert await desk.engine.notices(OrderUnresolved) == [OrderUnresolved(TAG)]
    known = await view(desk)
    assert (known.order.is_followed, known.order.state) == (False, S.UNRESOLVED)


async def test_order_that_is_not_there_is_said_to_be_so(desk: Desk) -> None:
    """Its row was cleaned away."""
    with pytest.raises(NotFound):
        await view(desk, "gone")


@pytest.mark.invariant("I6")
@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.STOP])
async def test_an_exit_that_may_only_be_late_is_not_given_up(desk: Desk, purpose: Purpose) -> None:
    """Half a minute after it was sent a word is taken; before, another exit could sell twice."""
    await unresolved(desk, purpose=purpose, side=Side.SELL)
    await desk.clock.advance(5)
    said = f"another {purpose.value} beside it would close .* Say it again in 25 s"
    with pytest.raises(UserError, match=said):
        await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert (await order(desk)).state is S.UNRESOLVED
    await desk.clock.advance(25)
    after = await desk.engine.control.unresolved.not_placed(ASHA, TAG)
    assert after.state is S.NOT_PLACED


async def test_an_exit_is_given_up_by_word_once_its_horizon_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where that is shorter than half a minute: Saarthi itself would give it up then."""
    control = desk.engine.control.unresolved
    monkeypatch.setattr(control, "_horizon", timedelta(seconds=10))
    await unresolved(desk, purpose=Purpose.EXIT, side=Side.SELL)
    await desk.clock.advance(9)
    with pytest.raises(UserError, match="Say it again in 1 s"):
        await control.not_placed(ASHA, TAG)
    await desk.clock.advance(1)
    assert (await control.not_placed(ASHA, TAG)).state is S.NOT_PLACED
