"""What is asked about an unresolved order: counted, told at a bounded rate, kept over a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.inquiry import Inquiry, candidate_of
from core.domain.notices.orders import OrderResolved, OrderUnresolved
from core.domain.notices.positions import ExitUnproved
from core.domain.odd_rows import OddRow
from core.domain.order import Order, OrderState, OrderType
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from tests.fakes.orders import ACCOUNT, TAG, order_in, shown
from tests.fakes.turns import Turns

pytestmark = pytest.mark.row("R4")

S = OrderState
SECOND_TAG = "SBBBBBBBBBBBBBBBBBBB"


@pytest.fixture
async def turns() -> Turns:
    return await Turns().begin()


async def unresolved(turns: Turns, **changes: object) -> Order:
    """Let an entry be of unknown fate, sent now."""
    order = order_in(
        S.UNRESOLVED, day=turns.day, **{"submitted_at": turns.engine.clock.now(), **changes}
    )
    await turns.engine.wiring.journal.add(turns.engine.store, [order])
    return order


async def looks(turns: Turns, count: int, *, apart_s: float = 1.0) -> None:
    """Let so many reads of the day's orders pass."""
    for _ in range(count):
        await turns.engine.clock.advance(apart_s)
        await turns.reader.read_orders(turns.broker, turns.day)


async def inquiry(turns: Turns, key: str = TAG) -> Inquiry:
    return await turns.engine.wiring.inquiries.of(key)


async def edits(turns: Turns) -> int:
    return len(await turns.engine.notices(OrderUnresolved))


def alike(turns: Turns, number: str, after_s: float) -> None:
    """Let the broker show an order like it without our tag, placed so long after it was sent."""
    at = turns.engine.clock.market_at(turns.engine.clock.now()).astimezone(IST)
    turns.broker.order_list[number] = shown(
        number, tag=None, placed_at=at + timedelta(seconds=after_s)
    )


async def test_looks_are_counted_and_told_more_and_more_seldom(turns: Turns) -> None:
    """A hundred looks a second apart: each counts, and few are written and told."""
    await unresolved(turns)
    writes, update = 0, turns.engine.store.update

    async def counted(collection: str, *args: object, **named: object) -> int:
        nonlocal writes
        writes += collection == "alerts"
        return await update(collection, *args, **named)  # type: ignore[arg-type]

    turns.engine.store.update = counted  # type: ignore[method-assign]
    await looks(turns, 5)
    assert await edits(turns) == 0, "the card itself is five seconds old"
    await looks(turns, 95)
    assert (await inquiry(turns)).asked == 100
    told = await edits(turns)
    assert 8 <= told <= 14
    assert writes == told


async def test_what_the_first_look_shows_is_told_at_once(turns: Turns) -> None:
    """Every order that could be it, the nearest in time first; another one is told within 5 s."""
    await unresolved(turns)
    alike(turns, "b8", 9)
    await looks(turns, 1)
    assert [one.broker_order_id for one in (await inquiry(turns)).candidates] == ["b8"]
    assert await edits(turns) == 1
    alike(turns, "b7", 0)
    await looks(turns, 4)
    assert await edits(turns) == 1
    await looks(turns, 1)
    assert [one.broker_order_id for one in (await inquiry(turns)).candidates] == ["b7", "b8"]
    assert await edits(turns) == 2
    turns.broker.fill("b7", Decimal(800))
    await looks(turns, 5)
    found = (await inquiry(turns)).candidate("b7")
    assert found is not None and found.status is BrokerStatus.COMPLETE
    assert (found.filled_quantity, found.average_price) == (1, Decimal(800))
    assert await edits(turns) == 3


async def test_a_restart_goes_on_with_the_card(turns: Turns) -> None:
    """The figures that it showed last stay, and the next look counts on from there."""
    await unresolved(turns)
    alike(turns, "b8", 9)
    await looks(turns, 12)
    before = await inquiry(turns)
    later = Turns(turns.engine.store, turns.broker, at=turns.engine.clock.now())
    stored = await inquiry(later)
    assert 5 < stored.asked <= before.asked
    assert stored.candidates == before.candidates
    await looks(later, 1)
    assert (await inquiry(later)).asked == stored.asked + 1


async def test_a_restart_keeps_all_that_the_card_shows(turns: Turns) -> None:
    """Each figure and each term of a candidate: a card must not lose what it said."""
    order = await unresolved(turns)
    at = turns.engine.clock.market_now()
    filled = shown("b8", tag=None, placed_at=at)
    found = Inquiry(
        candidates=(
            replace(
                candidate_of(filled),
                order_type=OrderType.SL,
                status=BrokerStatus.COMPLETE,
                filled_quantity=1,
                average_price=Decimal("812.35"),
                limit_price=Decimal("812.50"),
                trigger_price=Decimal("812.10"),
            ),
        ),
        traded=1,
        gap=-1,
        is_overdue=True,
        trouble="a row of its list is not readable",
        trouble_at=turns.engine.clock.now(),
    )
    await turns.engine.wiring.inquiries.looked(ACCOUNT, [order], {TAG: found})
    before = await inquiry(turns)
    assert before == replace(found, asked=1, asked_at=turns.engine.clock.now())
    later = Turns(turns.engine.store, turns.broker, at=turns.engine.clock.now())
    assert await inquiry(later) == before


async def test_a_broker_that_cannot_be_read_is_said_and_so_is_its_return(turns: Turns) -> None:
    """With the time of the first failure; a failed read is no look."""
    await unresolved(turns)
    await looks(turns, 6)
    began = turns.engine.clock.now() + timedelta(seconds=1)
    for _ in range(6):
        turns.broker.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no route")
        with pytest.raises(BrokerReadError):
            await looks(turns, 1)
    known = await inquiry(turns)
    assert (known.asked, known.trouble, known.trouble_at) == (6, "no route", began)
    told = await edits(turns)
    await looks(turns, 5)
    assert (await inquiry(turns)).trouble == ""
    assert await edits(turns) == told + 1


async def test_failed_read_after_a_restart_is_said_too() -> None:
    """Nothing was read yet by this controller, and the store knows which orders are open."""
    turns = await Turns().begin()
    await unresolved(turns)
    turns.broker.trouble = BrokerReadError(ReadFault.TIMEOUT, "no answer")
    with pytest.raises(BrokerReadError):
        await looks(turns, 1)
    assert (await inquiry(turns)).trouble == "no answer"
    assert await edits(turns) == 1


@pytest.mark.matrix("B07")
async def test_horizon_passes_beside_a_candidate(turns: Turns) -> None:
    """It is not given up; a user is asked once by a message of its own, and the card says why."""
    await unresolved(turns)
    alike(turns, "b8", 2)
    await looks(turns, 13, apart_s=10)
    (order,) = await turns.engine.orders()
    assert order.state is S.UNRESOLVED
    assert (await inquiry(turns)).is_overdue
    assert await turns.engine.notices(ExitUnproved) == [ExitUnproved(ACCOUNT, TAG)]
    turns.broker.order_list.clear()
    await looks(turns, 20)
    (order,) = await turns.engine.orders()
    assert order.state is S.NOT_PLACED, "nothing there could be it any more"
    assert await turns.engine.notices(OrderResolved) == [OrderResolved(TAG)]


async def test_one_read_that_leaves_a_candidate_out_gives_no_order_up(turns: Turns) -> None:
    """Past the horizon the order stays a question; it ends when the candidate stays away."""
    order = await unresolved(turns)
    alike(turns, "b8", 9)
    await looks(turns, 3, apart_s=60)
    kept = turns.broker.order_list.pop("b8")
    await looks(turns, 1)
    turns.broker.order_list["b8"] = kept
    await looks(turns, 20)
    journal = turns.engine.wiring.journal
    assert (await journal.get(order.client_order_id)).state is S.UNRESOLVED
    del turns.broker.order_list["b8"]
    await looks(turns, 1)
    state = (await journal.get(order.client_order_id)).state
    assert state is S.UNRESOLVED, "it is missing since now, not since the first time"
    await looks(turns, 20)
    assert (await journal.get(order.client_order_id)).state is S.NOT_PLACED


@pytest.mark.parametrize("is_new", [True, False], ids=["restart", "nothing was read for an hour"])
async def test_a_candidate_is_not_forgotten_while_nobody_reads(
    turns: Turns, *, is_new: bool
) -> None:
    """The first read after it leaves the candidate out: the order stays a question.

    Given up, its units would belong to nobody.
    """
    order = await unresolved(turns)
    alike(turns, "b8", 9)
    await looks(turns, 20, apart_s=10)
    await turns.engine.clock.advance(3600)
    if is_new:
        turns = Turns(turns.engine.store, turns.broker, at=turns.engine.clock.now())
    kept = turns.broker.order_list.pop("b8")
    await looks(turns, 3)
    turns.broker.order_list["b8"] = kept
    await looks(turns, 2)
    journal = turns.engine.wiring.journal
    assert (await journal.get(order.client_order_id)).state is S.UNRESOLVED
    del turns.broker.order_list["b8"]
    await looks(turns, 20)
    assert (await journal.get(order.client_order_id)).state is S.NOT_PLACED


async def test_trades_and_positions_are_compared_once_they_are_read(turns: Turns) -> None:
    """Not asked, none and unchanged, then what no order of ours explains."""
    await unresolved(turns, quantity=5)
    await looks(turns, 1)
    known = await inquiry(turns)
    assert (known.traded, known.gap) == (None, None)
    await turns.read()
    await looks(turns, 1)
    known = await inquiry(turns)
    assert (known.traded, known.gap) == (0, 0)
    turns.by_hand(5)
    await turns.read()
    await looks(turns, 1)
    known = await inquiry(turns)
    assert (known.traded, known.gap) == (5, 5)


async def test_what_was_read_before_the_send_proves_nothing(turns: Turns) -> None:
    """Trades and positions of a minute ago do not count for an order that went since."""
    await turns.read()
    await turns.engine.clock.advance(1)
    await unresolved(turns)
    await looks(turns, 1)
    known = await inquiry(turns)
    assert (known.traded, known.gap) == (None, None)


async def test_row_that_cannot_be_read_is_no_answer(turns: Turns) -> None:
    """It may be this order's: the card says so, and nothing is concluded from it."""
    await unresolved(turns)
    turns.broker.odd["orders"] = [OddRow("an unknown product", "b9", TAG)]
    since = turns.engine.clock.now() + timedelta(seconds=1)
    await looks(turns, 130)
    (order,) = await turns.engine.orders()
    assert order.state is S.UNRESOLVED
    known = await inquiry(turns)
    assert "not readable" in known.trouble
    assert known.trouble_at == since


async def test_cards_of_many_orders_are_edited_one_a_second(turns: Turns) -> None:
    """Twenty orders of unknown fate leave room for what is urgent."""
    now = turns.engine.clock.now()
    rows = [
        order_in(S.UNRESOLVED, client_order_id=f"S{at:019d}", day=turns.day, submitted_at=now)
        for at in range(20)
    ]
    await turns.engine.wiring.journal.add(turns.engine.store, rows)
    alike(turns, "b8", 1)
    for second in range(1, 10):
        await looks(turns, 1)
        assert await edits(turns) <= second
    assert len({one.client_order_id for one in await turns.engine.notices(OrderUnresolved)}) == 9  # type: ignore[union-attr]


async def test_cards_of_many_accounts_share_the_second(turns: Turns) -> None:
    """Three accounts look in the same moment: one card is edited, the others are next."""
    inquiries = turns.engine.wiring.inquiries
    news = Inquiry(candidates=(candidate_of(shown("b8", tag=None)),))
    orders = {
        name: order_in(S.UNRESOLVED, client_order_id=f"S{name}", broker_id=name)
        for name in ("first", "second", "third")
    }
    for second in range(1, 4):
        for name, order in orders.items():
            await inquiries.looked(name, [order], {order.client_order_id: news})
        assert await edits(turns) == second
        await turns.engine.clock.advance(1)
    told = await turns.engine.notices(OrderUnresolved)
    assert {one.client_order_id for one in told} == {"Sfirst", "Ssecond", "Sthird"}  # type: ignore[union-attr]
    counts = [(await inquiries.of(one.client_order_id)).asked for one in orders.values()]
    assert counts == [3, 3, 3], "a look at one account is none at another"
    assert [inquiries.are_open(name) for name in (*orders, "fourth")] == [True, True, True, False]


async def test_found_order_is_edited_to_its_end_and_asked_for_no_more(turns: Turns) -> None:
    """By its tag, some looks later: the last edit is the end's, whatever is read afterwards."""
    order = await unresolved(turns)
    await looks(turns, 20)
    turns.broker.fill(turns.broker.show(order.request).broker_order_id)
    await looks(turns, 1)
    told = await edits(turns)
    assert not turns.engine.wiring.inquiries.are_open(ACCOUNT)
    await looks(turns, 30)
    assert await edits(turns) == told
    assert await turns.engine.notices(OrderResolved) == [OrderResolved(TAG)]


async def test_order_found_seconds_after_it_was_sent_rings_once(turns: Turns) -> None:
    """Its card has just come, and is edited: a second message would say the same."""
    order = await unresolved(turns)
    turns.broker.show(order.request)
    await looks(turns, 1)
    assert await edits(turns) == 1
    assert await turns.engine.notices(OrderResolved) == []
