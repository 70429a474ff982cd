"""No alarm stands in the chat when its cause is gone: each is closed by a word of its own (R6)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.account import DisablePolicy
from core.domain.bare_lines import BareLine
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.notices.accounts import (
    AccountParked,
    Anomaly,
    OrdersLeftResting,
    SquareOffAlarm,
)
from core.domain.notices.notice import Notice
from core.domain.notices.orders import CancelRefused
from core.domain.notices.positions import PositionConverted, UnownedPosition
from core.domain.notices.post import Delivery, run_card
from core.domain.notices.protection import (
    AlarmOver,
    ExitDenied,
    ProtectedAgain,
    StopCancelled,
    Unprotected,
)
from core.domain.notices.stored import from_document, to_document
from core.domain.order import Side
from core.engine.bare_cards import keep_bare
from core.engine.cards import card_id
from core.engine.orders.alarms import (
    HANDED_OVER,
    NOT_HELD,
    AlarmCause,
    Until,
    raise_alarm,
)
from core.engine.orders.gate import freeze_entries
from core.ports.store import Change, StoreView
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.memory_engine import CHAT

pytestmark = pytest.mark.row("R6")
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    return await a_desk()


async def show_all(desk: Desk) -> None:
    """Let the chat show all that was posted, as its sender would."""
    store = desk.engine.store
    for number, row in enumerate(await store.find("outbox", {"state": "WAITING"}), 100):
        await store.update("outbox", {"_id": row["_id"]}, Change(set={"state": "SENT"}))
        if row["key"]:
            card = Change(set={"message_id": number, "at": row["created_at"], "on": None})
            await store.update("cards", {"_id": card_id(CHAT, row["key"])}, card, upsert=True)


async def over(desk: Desk) -> list[tuple[Notice, str, bool]]:
    """Return what was said of ends: the notice, how it is delivered, whether its card is there."""
    store = desk.engine.store
    found = []
    for row in await store.find("outbox", {"kind": AlarmOver.kind}, sort=[("seq", 1)]):
        is_shown = await store.get("cards", card_id(CHAT, row["key"] or "")) is not None
        found.append((from_document(row), row["delivery"], is_shown))
    return found


async def alarmed(desk: Desk) -> None:
    """Let the chat show that a position without a stop is unprotected."""
    await desk.holds(10)
    await desk.turns(10, apart_s=3)
    (told,) = await desk.engine.notices(Unprotected)
    assert isinstance(told, Unprotected)
    await show_all(desk)


async def test_a_position_that_closes_unprotected_closes_its_alarm(desk: Desk) -> None:
    """It was never protected again: its card says that it is closed, where it stands."""
    await alarmed(desk)
    desk.at.by_hand(Side.SELL, 10)
    await desk.turns(6, apart_s=3)
    ((told, delivery, is_shown),) = await over(desk)
    assert isinstance(told, AlarmOver)
    assert (told.alarm, told.subject, told.how) == (Unprotected.kind, "NSE:SBIN", NOT_HELD)
    assert told.since is not None
    assert (delivery, is_shown) == (Delivery.EDIT.value, True)
    assert await desk.engine.notices(ProtectedAgain) == []


async def test_what_was_never_told_has_no_end(desk: Desk) -> None:
    """A gap of a moment is no news, nor is its end."""
    await desk.holds(10)
    desk.at.by_hand(Side.SELL, 10)
    await desk.turns(6, apart_s=3)
    assert await over(desk) == []


async def test_a_position_that_is_handed_over_closes_its_alarm(desk: Desk) -> None:
    """Nobody looks after it here any more, and the card must not say that it waits for a stop."""
    await alarmed(desk)
    control = desk.engine.control
    command = desk.engine.command()
    await control.switch.disable(command, desk.broker_id, DisablePolicy.MANUAL)
    await desk.turns(3, apart_s=3)
    ((told, delivery, _),) = await over(desk)
    assert isinstance(told, AlarmOver) and told.how == HANDED_OVER
    assert delivery == Delivery.EDIT.value


async def stop_gone(desk: Desk) -> None:
    """Let somebody cancel the stop at the broker, and the chat ask about it."""
    await desk.holds(10, STOP)
    (stop,) = desk.at.resting()
    desk.at.put(stop.broker_order_id, status=BrokerStatus.CANCELED)
    await desk.turns(4, apart_s=3)
    (told,) = await desk.engine.notices(StopCancelled)
    assert isinstance(told, StopCancelled)
    await show_all(desk)


@pytest.mark.row("R7")
async def test_the_question_about_a_stop_ends_when_it_rests_again(desk: Desk) -> None:
    """The user had it put back: the card with that button says so, once."""
    await stop_gone(desk)
    await desk.engine.control.stops.put_back(desk.engine.command(), desk.broker_id, "NSE:SBIN|MIS")
    await desk.turns(6, apart_s=3)
    found = [told for told, _, _ in await over(desk) if isinstance(told, AlarmOver)]
    assert [one.alarm for one in found] == [StopCancelled.kind]
    assert found[0].how == "a stop rests at the broker at ₹800.00"


@pytest.mark.row("R7")
async def test_the_question_about_a_stop_ends_with_its_position(desk: Desk) -> None:
    """Closed by hand, it needs no stop."""
    await stop_gone(desk)
    desk.at.by_hand(Side.SELL, 10)
    await desk.turns(6, apart_s=3)
    found = [told for told, _, _ in await over(desk) if isinstance(told, AlarmOver)]
    assert (StopCancelled.kind, NOT_HELD) in [(one.alarm, one.how) for one in found]


async def test_an_exit_that_could_not_go_is_over_when_it_went(desk: Desk) -> None:
    """In Exit only it waits for a broker that shows its positions; then it goes, and is no alarm."""
    await desk.holds(10, STOP)
    await desk.engine.control.modes.set(
        desk.engine.command(), TradingMode.EXIT_ONLY, desk.broker_id
    )
    shown = dict(desk.at.position_list)
    desk.at.position_list.clear()
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(12, apart_s=2)
    (denied,) = await desk.engine.notices(ExitDenied)
    assert isinstance(denied, ExitDenied)
    await show_all(desk)
    desk.at.position_list.update(shown)
    await desk.turns(12, apart_s=2)
    found = [told for told, _, _ in await over(desk) if isinstance(told, AlarmOver)]
    assert [(one.alarm, one.how) for one in found] == [(ExitDenied.kind, NOT_HELD)]
    assert await desk.engine.store.find("alarms", {}) == []


async def test_an_alarm_that_was_one_of_several_in_a_message_ends_with_a_message(
    desk: Desk,
) -> None:
    """No card shows it, so that no edit could close it."""
    await alarmed(desk)
    await desk.engine.store.delete("cards", {"on": None})
    desk.at.by_hand(Side.SELL, 10)
    await desk.turns(6, apart_s=3)
    ((_, delivery, _),) = await over(desk)
    assert delivery == Delivery.SEND.value


ENDS = [
    (Anomaly("", "odd"), AlarmCause(Until.THAWED), "you have set Normal since"),
    (AccountParked("", "refused"), AlarmCause(Until.TAKEN), "I send its orders again"),
    (OrdersLeftResting("", 2, "no"), AlarmCause(Until.NO_ORDERS), "none of them works any more"),
    (CancelRefused("x"), AlarmCause(Until.ORDER, "NSE:SBIN", ("x",)), "another one"),
    (
        UnownedPosition("", "NSE:SBIN", "MIS", 5),
        AlarmCause(Until.OUTSIDE, "NSE:SBIN", ("NSE:SBIN|MIS",)),
        "nothing of it is open by hand",
    ),
    (
        SquareOffAlarm("", "orb", ("NSE:SBIN +10",)),
        AlarmCause(Until.FLAT, "NSE:SBIN", ("orb|gone",)),
        NOT_HELD,
    ),
]


@pytest.mark.parametrize(("notice", "cause", "how"), ENDS, ids=lambda one: getattr(one, "kind", ""))
async def test_each_alarm_ends_with_its_cause(
    desk: Desk, notice: Notice, cause: AlarmCause, how: str
) -> None:
    """What is not so any more is said in its place, in the next turn, once."""
    engine = desk.engine
    outbox = engine.wiring.outbox

    async def body(view: StoreView) -> None:
        await raise_alarm(view, outbox, desk.broker_id, notice, cause)

    await engine.writer.transaction(body, nonce="raised")
    await show_all(desk)
    await desk.turns(2)
    ((told, delivery, is_shown),) = await over(desk)
    assert isinstance(told, AlarmOver) and how in told.how
    assert (told.alarm, delivery, is_shown) == (notice.kind, Delivery.EDIT.value, True)


async def test_an_alarm_stands_while_its_cause_does(desk: Desk) -> None:
    """An account whose entries are frozen: the alarm goes with Normal, and not before."""
    engine = desk.engine

    async def body(view: StoreView) -> None:
        await freeze_entries(view, desk.broker_id)
        notice = Anomaly(desk.broker_id, "odd")
        cause = AlarmCause(Until.THAWED)
        await raise_alarm(view, engine.wiring.outbox, desk.broker_id, notice, cause)

    await engine.writer.transaction(body, nonce="frozen")
    await show_all(desk)
    await desk.turns(3)
    assert await over(desk) == []
    for mode in (TradingMode.EXIT_ONLY, TradingMode.NORMAL):
        await engine.control.modes.set(engine.command(), mode, desk.broker_id)
    await desk.turns(2)
    ((told, _, _),) = await over(desk)
    assert isinstance(told, AlarmOver) and told.how == "you have set Normal since"


async def test_a_disconnected_account_leaves_no_alarm(desk: Desk) -> None:
    """No turn of it will ever look again: they end as it goes."""
    await alarmed(desk)
    await desk.engine.control.registration.disconnect(desk.engine.command(), desk.broker_id)
    ((told, delivery, _),) = await over(desk)
    assert isinstance(told, AlarmOver) and told.how == "the account is disconnected"
    assert delivery == Delivery.EDIT.value


async def test_a_disconnected_account_has_its_cards_put_right(desk: Desk) -> None:
    """No turn of it will ever look again; the account's commit has the post of the edit."""
    store = desk.engine.store
    card, key = run_card("orb|run"), f"orb|{desk.broker_id}|NSE:SBIN|MIS"
    row = {"chat_id": CHAT, "key": card.key, "delivery": card.delivery.value}
    await keep_bare(
        store, row | to_document(card.notice), [BareLine("orb|run", desk.broker_id, key)]
    )
    await desk.engine.control.registration.disconnect(desk.engine.command(), desk.broker_id)
    (post,) = await store.find("outbox", {"delivery": Delivery.AMEND.value})
    assert (post["key"], post["chat_id"]) == ("run:orb|run", CHAT)


@pytest.mark.row("R8")
async def test_what_is_open_by_hand_is_not_over_because_nobody_knows(desk: Desk) -> None:
    """A new day begins before its first look: what was carried over night is there still."""
    engine = desk.engine
    desk.at.has_positions = False
    cause = AlarmCause(Until.OUTSIDE, "NFO:SBIN26NOVFUT", ("NFO:SBIN26NOVFUT|NRML",))

    async def body(view: StoreView) -> None:
        notice = UnownedPosition(desk.broker_id, "NFO:SBIN26NOVFUT", "NRML", 750)
        await raise_alarm(view, engine.wiring.outbox, desk.broker_id, notice, cause)

    await engine.writer.transaction(body, nonce="raised")
    await show_all(desk)
    net = await engine.wiring.nets.net(
        desk.broker_id, InstrumentId("NFO", "SBIN26NOVFUT"), Product.NRML
    )
    assert net.outside is None
    await desk.turns(2)
    assert await over(desk) == []
    desk.at.has_positions = True
    await desk.turns(6, apart_s=3)
    assert len(await over(desk)) == 1


async def test_an_alarm_that_is_being_sent_ends_on_its_card(desk: Desk) -> None:
    """What ends it comes while Telegram is slow: the message that alarms must not stand on."""
    await desk.holds(10)
    await desk.turns(10, apart_s=3)
    (row,) = await desk.engine.store.find("outbox", {"kind": Unprotected.kind})
    await desk.engine.writer.update("outbox", {"_id": row["_id"]}, Change(set={"state": "SENDING"}))
    desk.at.by_hand(Side.SELL, 10)
    await desk.turns(6, apart_s=3)
    ((_, delivery, _),) = await over(desk)
    assert delivery == Delivery.EDIT.value


@pytest.mark.row("R8")
async def test_what_is_converted_is_not_said_to_be_closed(desk: Desk) -> None:
    """The user holds it on, in another product and without a stop: only the strategy does not."""
    await alarmed(desk)
    intraday, delivery = (SBIN, Product.MIS), (SBIN, Product.CNC)
    was = desk.at.position_list[intraday]
    desk.at.position_list[intraday] = replace(was, quantity=0, day_buy_quantity=0)
    desk.at.position_list[delivery] = replace(was, product=Product.CNC)
    await desk.turns(12, apart_s=3)
    assert len(await desk.engine.notices(PositionConverted)) == 1
    ((told, _, _),) = await over(desk)
    assert isinstance(told, AlarmOver) and told.how == "no strategy holds it any more"
