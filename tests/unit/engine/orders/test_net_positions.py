"""One truth of what is held, over reads that come one after another."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.broker import BrokerTrade
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.accounts import PositionShrunk
from core.domain.notices.positions import (
    ClosedByHand,
    IntradayLedgerVoid,
    PositionConverted,
    PositionDisputed,
    UnownedPosition,
)
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.sessions import IST
from core.domain.truth import Net
from core.errors import BrokerReadError, ReadFault, StoreUnavailable, UserError
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in
from tests.fakes.turns import Turns

pytestmark = pytest.mark.row("R8")
PRICE = Decimal(970)
NIGHT = datetime(2021, 5, 14, 5, 30, tzinfo=IST)
MORNING = datetime(2021, 5, 14, 9, 20, tzinfo=IST)


@pytest.fixture
async def turns() -> Turns:
    return await Turns().begin()


async def net(turns: Turns, product: Product = Product.MIS) -> Net:
    return await turns.engine.wiring.nets.net(ACCOUNT, SBIN, product)


async def told(turns: Turns) -> list[object]:
    kinds = (ClosedByHand, IntradayLedgerVoid, PositionConverted, PositionDisputed)
    return list(await turns.engine.notices(*kinds))


async def resting(turns: Turns, purpose: Purpose) -> str:
    """Let a strategy's order that sells five units rest; return the broker's id of it."""
    order = order_in(
        OrderState.ACCEPTED,
        client_order_id=f"S{purpose:B<19}".upper(),
        side=Side.SELL,
        quantity=5,
        purpose=purpose,
        order_type=OrderType.SL_M if purpose is Purpose.STOP else OrderType.LIMIT,
        day=turns.day,
    )
    shown = turns.broker.show(order.request)
    known = replace(order, broker_order_id=shown.broker_order_id)
    await turns.engine.wiring.journal.add(turns.engine.store, [known])
    return shown.broker_order_id


async def test_positions_that_show_nothing_do_not_empty_a_ledger(turns: Turns) -> None:
    """Empty lists for minutes while the fills stand: unknown, said once, over when they agree."""
    await turns.enter(5)
    turns.shows(0)
    await turns.read(times=12)
    assert await turns.ledgers() == {"orb MIS": 5}
    assert (await net(turns)).quantity is None
    assert await told(turns) == [PositionDisputed(ACCOUNT, "NSE:SBIN", "MIS", 5, 0)]
    turns.shows(5)
    await turns.read(times=3)
    assert (await net(turns)) == Net(5, 5, 5)
    over = PositionDisputed(ACCOUNT, "NSE:SBIN", "MIS", 5, 5, is_over=True)
    assert (await told(turns))[1:] == [over]


async def test_dispute_is_said_once_over_a_restart(turns: Turns) -> None:
    """What the chat was told is stored; the memory of the looks need not be."""
    await turns.enter(5)
    turns.shows(0)
    await turns.read(times=3)
    later = Turns(turns.engine.store, turns.broker, SENT_AT + timedelta(minutes=5))
    await later.read(times=6)
    assert len(await told(later)) == 1
    turns.shows(5)
    await later.read(times=2)
    assert len(await told(later)) == 2


async def test_hand_sale_reduces_the_ledger_in_the_same_read(turns: Turns) -> None:
    """The fill alone proves it: no look at the positions is waited for.

    Charges: brokerage 0.03 % of 4,850 twice is 2.91; STT 1.21, so 1; exchange 0.00345 % of 9,700 is
    0.33465; SEBI 0.0097; GST 18 % of 3.25 is 0.585; stamp 0.1455, cut. In all 4.98.
    """
    await turns.enter(5)
    turns.by_hand(-5)
    turns.shows(5)
    assert await turns.reader.read_orders(turns.broker, turns.day)
    assert await turns.ledgers() == {}
    figures = (5, Decimal(970), 0, Decimal(0), Decimal("4.98"))
    closed = ClosedByHand(ACCOUNT, "NSE:SBIN", "MIS", ("orb",), *figures)
    assert await told(turns) == [closed]
    await turns.read(times=4)
    assert [type(one) for one in await told(turns)] == [ClosedByHand, PositionDisputed]


async def test_hand_sale_is_not_forgotten_when_the_read_ends_half_way(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is adopted, then the store is away: the next read takes the units off."""
    await turns.enter(5)
    turns.by_hand(-5)
    turns.shows(0)

    async def fails(*_arguments: object, **_more: object) -> bool:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(turns.engine.wiring.nets, "orders_read", fails)
        with pytest.raises(StoreUnavailable):
            await turns.reader.read_orders(turns.broker, turns.day)
    assert await turns.ledgers() == {"orb MIS": 5}
    await turns.reader.read_orders(turns.broker, turns.day)
    assert await turns.ledgers() == {}


async def test_what_the_user_bought_is_outside_and_his_to_sell(turns: Turns) -> None:
    """Units beyond the ledgers are nobody's business; beyond them a sale is the strategies'."""
    await turns.enter(5)
    turns.by_hand(10)
    await turns.read(times=2)
    assert (await net(turns)).outside == 10
    turns.by_hand(-10)
    await turns.read(times=2)
    assert await turns.ledgers() == {"orb MIS": 5}
    turns.by_hand(-2)
    await turns.read()
    assert await turns.ledgers() == {"orb MIS": 3}
    assert [type(one) for one in await told(turns)] == [ClosedByHand]


async def test_own_shares_that_nobody_had_traded_are_outside(turns: Turns) -> None:
    """Ten of the user's own, then a strategy buys five: a sale of ten is of theirs (row C3)."""
    turns.owns(10)
    await turns.read(times=2)
    await turns.enter(5, product=Product.CNC)
    turns.shows(5, Product.CNC)
    await turns.read(times=5)
    seen = await net(turns, Product.CNC)
    assert (seen.quantity, seen.outside) == (15, 10)
    turns.by_hand(-10, product=Product.CNC)
    turns.shows(-5, Product.CNC)
    turns.owns(0, used=10)
    await turns.read(times=2)
    assert await turns.ledgers() == {"orb CNC": 5}
    turns.by_hand(-2, product=Product.CNC)
    await turns.read()
    assert await turns.ledgers() == {"orb CNC": 3}


@pytest.mark.parametrize("gap", [1, 2])
async def test_lag_of_a_fill_is_no_dispute(turns: Turns, gap: int) -> None:
    """Positions that follow within two looks are not worth a word."""
    await turns.enter(5)
    turns.shows(0)
    await turns.read(times=gap)
    turns.shows(5)
    await turns.read(times=5)
    assert await told(turns) == []


async def test_conversion_by_hand_makes_the_units_the_users_own(turns: Turns) -> None:
    """MIS to NRML: positions move without fills; the ledger ends, and nothing stays unknown."""
    await turns.enter(5)
    await turns.read()
    turns.shows(0)
    turns.shows(5, Product.NRML)
    await turns.read(times=4)
    assert await turns.ledgers() == {}
    converted = PositionConverted(ACCOUNT, "NSE:SBIN", "MIS", "NRML", 5, ("orb",))
    assert await told(turns) == [converted]
    assert ((await net(turns)).quantity, (await net(turns, Product.NRML)).outside) == (0, 5)
    # What they had brought is settled at the last price: the strategy's result moves no more.
    (ledger,) = await turns.engine.ledgers()
    assert (ledger.moved_units, ledger.moved_value) == (-5, Decimal(-5 * 970))


async def test_delivery_conversion_is_seen_between_two_reads_of_the_funds(turns: Turns) -> None:
    """Holdings are read once a minute, and at once where positions contradict the fills."""
    await turns.enter(5)
    await turns.read(times=2, everything=False)
    turns.shows(0)
    turns.shows(5, Product.CNC)
    await turns.read(times=6, everything=False)
    assert await turns.ledgers() == {}
    assert await told(turns) == [PositionConverted(ACCOUNT, "NSE:SBIN", "MIS", "CNC", 5, ("orb",))]


async def test_intraday_positions_are_judged_while_holdings_cannot_be_read(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of one list hides no contradiction of another, and is still an error."""
    await turns.enter(5)

    async def fails() -> None:
        raise BrokerReadError(ReadFault.UNREACHABLE, "no answer")

    monkeypatch.setattr(turns.broker, "holdings", fails)
    turns.shows(0)
    for _ in range(5):
        with contextlib.suppress(BrokerReadError):
            await turns.read()
    assert await told(turns) == [PositionDisputed(ACCOUNT, "NSE:SBIN", "MIS", 5, 0)]
    with pytest.raises(BrokerReadError):
        await turns.read()


async def test_intraday_ledger_of_yesterday_ends_at_the_first_read(turns: Turns) -> None:
    """Before anything is sent, and without a look at the positions."""
    await turns.engine.hold(Ledger("orb", ACCOUNT, SBIN, Product.MIS, 5, day="2021-05-12"))
    await turns.engine.hold(Ledger("mac", ACCOUNT, SBIN, Product.NRML, 75, day="2021-05-12"))
    morning = Turns(turns.engine.store, turns.broker, MORNING)
    await morning.reader.read_orders(turns.broker, morning.day)
    assert await morning.ledgers() == {"mac NRML": 75}
    ended = IntradayLedgerVoid(ACCOUNT, ("orb: +5 NSE:SBIN (MIS)",))
    assert await told(morning) == [ended]


async def test_carried_position_that_is_purged_at_night_is_no_dispute(turns: Turns) -> None:
    """Outside the session positions prove nothing; in the morning they are there again."""
    await turns.engine.hold(Ledger("mac", ACCOUNT, SBIN, Product.NRML, 75))
    night = Turns(turns.engine.store, turns.broker, NIGHT)
    await night.read(times=6)
    assert await night.ledgers() == {"mac NRML": 75}
    assert (await net(night, Product.NRML)).quantity is None
    turns.shows(75, Product.NRML)
    morning = Turns(turns.engine.store, turns.broker, MORNING)
    await morning.read(times=3)
    assert await net(morning, Product.NRML) == Net(75, 75, 75)
    assert await told(morning) == []


async def test_carried_position_that_is_missing_in_the_morning_is_asked_about(
    turns: Turns,
) -> None:
    """The first look of the day is no reason to forget it either."""
    await turns.engine.hold(Ledger("mac", ACCOUNT, SBIN, Product.NRML, 75))
    morning = Turns(turns.engine.store, turns.broker, MORNING)
    await morning.read(times=6)
    assert await morning.ledgers() == {"mac NRML": 75}
    assert await told(morning) == [PositionDisputed(ACCOUNT, "NSE:SBIN", "NRML", 75, 0)]


@pytest.mark.invariant("I6")
@pytest.mark.parametrize(("sold", "left"), [(75, 0), (50, 25), (100, 0)])
async def test_carried_position_that_was_sold_by_hand_before_the_first_look_is_closed(
    turns: Turns, sold: int, left: int
) -> None:
    """The morning's login comes after the user's sale: an exit of the ledger would go short."""
    await turns.engine.hold(Ledger("mac", ACCOUNT, SBIN, Product.NRML, 75))
    morning = Turns(turns.engine.store, turns.broker, MORNING)
    turns.by_hand(-sold, product=Product.NRML)
    turns.shows(75 - sold, Product.NRML)
    await morning.read(times=6)
    assert await morning.ledgers() == ({"mac NRML": left} if left else {})
    assert (await net(morning, Product.NRML)).quantity == 75 - sold
    (closed,) = await told(morning)
    assert isinstance(closed, ClosedByHand) and closed.units == 75 - left


@pytest.mark.invariant("I6")
async def test_exit_of_what_the_first_look_did_not_show_sells_no_more_than_it_shows(
    turns: Turns,
) -> None:
    """It may have been sold while Saarthi was away: the ledger alone opens no short (R8)."""
    key = (SBIN, Product.NRML)
    await turns.engine.hold(Ledger("mac", ACCOUNT, SBIN, Product.NRML, 75))
    turns.shows(25, Product.NRML)
    morning = Turns(turns.engine.store, turns.broker, MORNING)
    for times in (1, 6, 1):
        await morning.read(times=times)
        look = await morning.engine.wiring.nets.held(
            ACCOUNT, key, morning.day, by_positions=25, at=morning.engine.clock.now()
        )
        assert look.quantity == 25
    assert await morning.ledgers() == {"mac NRML": 75}
    # It was only late: from then on a list that shows nothing is one witness against two again.
    turns.shows(75, Product.NRML)
    await morning.read(times=3)
    turns.shows(0, Product.NRML)
    await morning.read(times=6)
    look = await morning.engine.wiring.nets.held(
        ACCOUNT, key, morning.day, by_positions=0, at=morning.engine.clock.now()
    )
    assert look.quantity is None and look.is_disputed


async def test_what_was_carried_survives_a_restart(turns: Turns) -> None:
    """The first look of the day is stored: a later one that shows nothing does not replace it."""
    turns.shows(75, Product.NRML)
    await turns.read()
    turns.shows(0, Product.NRML)
    later = Turns(turns.engine.store, turns.broker, SENT_AT + timedelta(minutes=5))
    assert (await net(later, Product.NRML)).quantity == 75


async def test_user_who_believes_the_positions_settles_the_dispute(turns: Turns) -> None:
    """The ledger follows them, once, and is not asked about again; without a dispute nothing is."""
    nets, key = turns.engine.wiring.nets, (SBIN, Product.MIS)
    await turns.enter(5)
    with pytest.raises(UserError, match="agree"):
        await nets.believe(ACCOUNT, key, price=PRICE, nonce="tap")
    turns.shows(2)
    await turns.read(times=4)
    assert await nets.believe(ACCOUNT, key, price=PRICE, nonce="tap") == 2
    assert await turns.ledgers() == {"orb MIS": 2}
    await turns.read(times=5)
    assert await net(turns) == Net(2, 2, 2)
    over = PositionDisputed(ACCOUNT, "NSE:SBIN", "MIS", 2, 2, is_over=True)
    assert (await told(turns))[1:] == [over]
    assert await turns.engine.notices(PositionShrunk) == [
        PositionShrunk(ACCOUNT, "NSE:SBIN", "MIS", 2)
    ]


async def test_user_who_believes_the_positions_fills_the_order_that_is_not_listed(
    turns: Turns,
) -> None:
    """Acknowledged, filled, in no list: its ledger gets the units, so that a stop protects them."""
    entry = order_in(OrderState.ACCEPTED, quantity=5, broker_order_id="b1", day=turns.day)
    await turns.engine.wiring.journal.add(turns.engine.store, [entry])
    turns.shows(5)
    await turns.read(times=5)
    await turns.engine.wiring.nets.believe(ACCOUNT, (SBIN, Product.MIS), price=PRICE, nonce="tap")
    (ledger,) = await turns.engine.ledgers()
    assert (ledger.quantity, ledger.average_price) == (5, PRICE)
    assert await net(turns) == Net(5, 5, 5)


@pytest.mark.parametrize(("stopped", "sold"), [(5, 5), (3, 5), (5, 3), (3, 4)])
async def test_stop_and_hand_sale_that_fill_together_are_an_alarm(
    turns: Turns, stopped: int, sold: int
) -> None:
    """The net that they made is nobody's: said once, with an offer to close it.

    Whichever of them rested before and still works, for it has filled in part.
    """
    await turns.enter(5)
    mine = await resting(turns, Purpose.STOP)
    theirs = turns.by_hand(-5, rests_at=PRICE)
    await turns.read()
    turns.broker.fill(mine, units=stopped)
    turns.broker.fill(theirs, units=sold)
    await turns.read(times=3)
    assert await turns.ledgers() == {}
    alarm = UnownedPosition(ACCOUNT, "NSE:SBIN", "MIS", 5 - stopped - sold)
    assert await turns.engine.notices(UnownedPosition) == [alarm]


async def test_a_stop_and_a_hand_that_met_are_an_alarm_though_the_read_ended_half_way(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both fills are in the journal when the store goes away: no later read shows them as new."""
    await turns.enter(5)
    mine = await resting(turns, Purpose.STOP)
    await turns.read()
    turns.broker.fill(mine)
    turns.by_hand(-5)

    async def fails(*_arguments: object, **_more: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(turns.engine.wiring.nets, "_report_unowned", fails)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await turns.read()
    assert await turns.engine.notices(UnownedPosition) == []
    await turns.read(times=2)
    alarm = UnownedPosition(ACCOUNT, "NSE:SBIN", "MIS", -5)
    assert await turns.engine.notices(UnownedPosition) == [alarm]


async def test_a_sale_that_only_trades_show_has_met_the_stop_of_that_turn(turns: Turns) -> None:
    """The list of orders is late with it: the trades of the same turn count as that read."""
    await turns.enter(5)
    mine = await resting(turns, Purpose.STOP)
    await turns.read()
    turns.broker.fill(mine)
    trade = BrokerTrade("T9", "theirs", SBIN, Side.SELL, Product.MIS, 5, PRICE, SENT_AT)
    turns.broker.trade_list.append(trade)
    await turns.read()
    alarm = UnownedPosition(ACCOUNT, "NSE:SBIN", "MIS", -5)
    assert await turns.engine.notices(UnownedPosition) == [alarm]


async def test_a_sale_after_the_exit_was_seen_is_the_users_own(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the trades of that read could not be had: its orders were followed."""
    await turns.enter(5)
    mine = await resting(turns, Purpose.EXIT)
    await turns.read()
    turns.broker.fill(mine)

    async def fails() -> list[BrokerTrade]:
        raise BrokerReadError(ReadFault.UNREACHABLE, "no trades")

    with monkeypatch.context() as broken:
        broken.setattr(turns.broker, "trades", fails)
        with pytest.raises(BrokerReadError):
            await turns.read()
    turns.by_hand(-3)
    await turns.read(times=2)
    assert (await net(turns)).outside == -3
    assert await turns.engine.notices(UnownedPosition) == []


@pytest.mark.parametrize("own", [8, 2])
async def test_what_is_left_of_the_users_own_is_no_alarm(turns: Turns, own: int) -> None:
    """Units outside Saarthi that are sold beside a strategy's exit close nothing twice."""
    turns.by_hand(own)
    await turns.enter(5)
    mine = await resting(turns, Purpose.EXIT)
    await turns.read()
    turns.broker.fill(mine, units=3)
    turns.by_hand(-2)
    await turns.read(times=2)
    turns.broker.fill(mine, units=2)
    await turns.read(times=2)
    assert (await net(turns)).outside == own - 2
    assert await turns.ledgers() == {}
    assert await turns.engine.notices(UnownedPosition) == []


async def test_user_who_goes_short_by_hand_is_not_alarmed(turns: Turns) -> None:
    """A sale beyond what strategies hold is the user's own wish."""
    await turns.enter(5)
    turns.by_hand(-8)
    await turns.read(times=3)
    assert (await net(turns)).outside == -3
    assert await turns.engine.notices(UnownedPosition) == []
