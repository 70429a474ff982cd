"""What notices say, word for word where a word matters."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.notices.render import render
from bot.views.width import fits_line
from core.domain.broker_profile import unknown_broker
from core.domain.notices.accounts import (
    AccountParked,
    OrdersLeftResting,
    PositionShrunk,
)
from core.domain.notices.calendar import CalendarEnds
from core.domain.notices.exits import ExitStuck
from core.domain.notices.limits import (
    DailyLossBlind,
    DailyLossReached,
)
from core.domain.notices.logins import (
    LoginFailed,
    LoginReopened,
    LoginSilent,
    MorningRound,
)
from core.domain.notices.notice import Notice
from core.domain.notices.orders import (
    CancelRefused,
    EntriesDropped,
    EntryMissed,
    ExternalOrder,
    OrderRejected,
    OrderResolved,
    OrderRevived,
    OrderUnresolved,
)
from core.domain.notices.protection import ProtectedAgain, Unprotected
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.notices.runs import (
    SlotMissed,
)
from core.domain.notices.system import (
    ServiceCrashed,
    Started,
)
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.errors import LoginFault
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import ACCOUNT, ORDER, TAGS, an_engine, lookups, text_of
from tests.fakes.views import AT, a_position, an_account, an_order

AN_HOUR_AGO, HALF_AN_HOUR_AGO = AT - timedelta(hours=1), AT - timedelta(minutes=30)
LOGIN_WORDS = {
    LoginFault.DENIED: "refused or broken off at the broker",
    LoginFault.NONCE_EXPIRED: "longer than ten minutes",
    LoginFault.NONCE_USED: "was used already",
    LoginFault.NONCE_UNKNOWN: "I did not start this login",
    LoginFault.ACCOUNT_UNKNOWN: "not connected here any more",
    LoginFault.CODE_USED: "this code was used or is too old",
    LoginFault.WRONG_SECRET: "does not accept the API key and secret",
    LoginFault.KEY_UNKNOWN: "does not know the API key",
    LoginFault.OTHER_USER: "Another user is logged in at the broker in that browser. Log out there",
    LoginFault.NOT_ADMITTED: "does not admit this user",
    LoginFault.BROKER_DOWN: "The broker does not answer now",
    LoginFault.MALFORMED: "could not find a login code",
    LoginFault.SECRET_UNREADABLE: "cannot read the API secret",
    LoginFault.NOT_SAVED: "could not save the login",
}


@pytest.mark.row("B3")
@pytest.mark.parametrize("fault", LoginFault)
async def test_every_login_fault_has_its_own_words(fault: LoginFault):
    """Each failure says what happened and what to do; no two read alike."""
    texts = {one: await text_of(LoginFailed(ACCOUNT.broker_id, one)) for one in LoginFault}
    assert list(texts.values()).count(texts[fault]) == 1
    assert fault.value not in texts[fault].split()
    assert LOGIN_WORDS[fault] in texts[fault]


@pytest.mark.row("B3")
async def test_login_from_which_nothing_came_back_is_asked_about():
    """Whether somebody else is logged in there, with a way on for each answer."""
    engine = await an_engine()
    screen = await render(LoginSilent(ACCOUNT.broker_id), lookups(engine))
    text = html.unescape(TAGS.sub("", screen.text))
    assert text.startswith("⏳ Login not finished\n   Zerodha - Main\n")
    assert "Is somebody else logged in at the broker in that browser? Log out there" in text
    labels = [row[0].text for row in screen.rows]
    assert labels == ["Log in to Zerodha - Main", "Key and secret"]


@pytest.mark.matrix("K04")
@pytest.mark.parametrize(("days_left", "when"), [(30, "in 30 days"), (1, "in 1 day"), (0, "today")])
async def test_end_of_the_calendar_says_what_to_do(days_left: int, when: str):
    """When it ends, what stops and what goes on after that, and the command that helps."""
    text = await text_of(CalendarEnds("2027-12-31", days_left))
    assert text.startswith(f"🗓 My exchange calendar ends {when}, on 31 Dec 2027.\n")
    assert "After that strategies enter nothing" in text
    assert "Exits, stops and square-offs go on" in text
    assert "saarthi calendar import FILE" in text


@pytest.mark.row("E1")
async def test_a_rejection_carries_the_brokers_reason():
    """Account, order, and the broker's own words."""
    engine = BotEngine()
    await engine.connect(ACCOUNT)
    order = an_order(ACCOUNT, state=OrderState.REJECTED, reason="RMS: Margin exceeds")
    await engine.order(order)
    screen = await render(OrderRejected(order.key), lookups(engine))
    assert html.unescape(TAGS.sub("", screen.text)) == (
        "❌ Rejected · Zerodha - Main\n"
        "Buy 10 SBIN MIS · limit ₹812.00\n"
        "The broker says: RMS: Margin exceeds\n"
        "It is not repeated."
    )


@pytest.mark.row("E1", "R3")
async def test_a_refused_exit_says_what_follows():
    """That its position is open is told with the refusal (s2)."""
    engine = BotEngine()
    await engine.connect(ACCOUNT)
    order = an_order(ACCOUNT, state=OrderState.REJECTED, purpose=Purpose.EXIT, reason="RMS")
    await engine.order(order)
    screen = await render(OrderRejected(order.key), lookups(engine))
    assert html.unescape(screen.text).endswith(
        "The broker says: RMS\nThe position is still open; I try again."
    )


@pytest.mark.row("B9")
async def test_the_morning_card_ticks_and_ends_with_readiness():
    """Waiting accounts have a button each; when all are in, a readiness line each."""
    engine = BotEngine()
    third = replace(ACCOUNT, broker_id="zerodha_cccccccccc", display_name="C", api_key="another")
    third = replace(third, is_default=False)
    await engine.connect(
        ACCOUNT, an_account("zerodha_bbbbbbbbbb", display_name="B", is_default=False), third
    )
    screen = await render(MorningRound(), lookups(engine))
    assert fits_line(screen.text.split("\n")[0])
    assert "⬜ Zerodha - Main\n✅ Zerodha - B\n⬜ Zerodha - C" in screen.text
    labels = [row[0].text for row in screen.rows]
    assert labels == ["Log in to Zerodha - Main", "Log in to Zerodha - C"]
    for account in (ACCOUNT, third):
        await engine.log_in(account)
    async with engine.at_work():
        done = await render(MorningRound(), lookups(engine))
    assert "Ready for the day" in done.text and "₹2,50,000 · data ok" in done.text


@pytest.mark.row("B9")
async def test_a_morning_card_is_about_everybody():
    """Every account that can be logged in; one of a broker that is not known cannot."""
    engine = BotEngine()
    gone = unknown_broker("gone")
    await engine.connect(ACCOUNT, an_account("gone_pppppp", gone, "Play", is_default=False))
    screen = await render(MorningRound(), lookups(engine))
    assert "Zerodha - Main" in screen.text and "Play" not in screen.text


async def test_an_order_of_somebody_elses_is_a_card_too():
    """An order that was seen at the broker is shown with its state."""
    screen = await render(ExternalOrder("x", ORDER.key), lookups(await an_engine()))
    assert screen.text.startswith("<b>Not placed by me · Zerodha - Main</b>")


@pytest.mark.row("R8")
async def test_order_by_hand_beside_a_stop_is_a_warning():
    """A user's own target or stop beside ours: both filled they would turn the position."""
    engine = await an_engine()
    theirs = replace(
        ORDER, key="byhand", side=Side.SELL, purpose=Purpose.EXTERNAL, state=OrderState.ACCEPTED
    )
    await engine.order(theirs, "")
    alone = await render(ExternalOrder("x", "byhand"), lookups(engine))
    assert "stop" not in alone.text
    stop = replace(theirs, key="ours", purpose=Purpose.STOP, order_type=OrderType.SL_M)
    await engine.order(stop, "run")
    text = (await render(ExternalOrder("x", "byhand"), lookups(engine))).text
    assert "My own stop would sell 10 too." in text and "a new position is open" in text


@pytest.mark.row("R8")
async def test_result_names_an_order_by_hand_that_is_left_over():
    """The stop has closed the position: the user's target would open another one, and can go."""
    engine = await an_engine()
    theirs = replace(
        ORDER, key="byhand", side=Side.SELL, purpose=Purpose.EXTERNAL, state=OrderState.ACCEPTED
    )
    await engine.order(theirs, "")
    account, cost = ACCOUNT.broker_id, Decimal("361.15")
    closed = PositionClosed(
        account, ClosedBy.STOP, "orb", "NSE:SBIN", "MIS", Side.SELL, 10, cost, None, None
    )
    screen = await render(closed, lookups(engine))
    assert "Still working, not mine:" in screen.text and "it would open a new one" in screen.text
    assert [row[0].text for row in screen.rows] == ["Cancel selling SBIN", "Positions"]
    bought = replace(closed, side=Side.BUY)
    assert "Still working" not in (await render(bought, lookups(engine))).text


@pytest.mark.parametrize("kind", [OrderUnresolved, OrderResolved, OrderRevived])
@pytest.mark.parametrize(
    ("state", "words"),
    [
        (OrderState.ACCEPTED, "The broker has it."),
        (OrderState.CANCELED, "➖ Cancelled."),
        (OrderState.REJECTED, "❌ Rejected by the broker: no funds."),
    ],
)
async def test_what_became_known_stays_true(
    kind: type[OrderUnresolved | OrderResolved | OrderRevived], state: OrderState, words: str
):
    """These messages are not followed: they say nothing that the order's next step makes wrong."""
    engine = BotEngine()
    await engine.connect(ACCOUNT)
    reason = "no funds" if state is OrderState.REJECTED else ""
    order = an_order(ACCOUNT, state=state, reason=reason)
    await engine.order(order)
    screen = await render(kind(order.key), lookups(engine))
    found = "" if kind is OrderRevived else "\nI found it among the broker's orders."
    assert screen.text.endswith(f"Buy 10 SBIN MIS · limit ₹812.00\n{words}{found}")
    assert not screen.rows


@pytest.mark.parametrize(
    ("closed_by", "strategy", "result", "text"),
    [
        (
            ClosedBy.STOP,
            "opening_range_breakout",
            Decimal(-19),
            (
                "🛑 Stop hit · Zerodha - Main\nSold 10 SBIN · ₹361.15\n"
                "Before charges -₹19.00\nAfter them about -₹22.98\n"
                "opening range breakout"
            ),
        ),
        (
            ClosedBy.USER,
            "manual",
            Decimal("1234.5"),
            (
                "✅ Your order: closed\n   Zerodha - Main\nSold 10 SBIN · ₹361.15\n"
                "Before charges +₹1,234.50\nAfter them about +₹1,230.52"
            ),
        ),
        (
            ClosedBy.USER,
            "manual",
            None,
            (
                "✅ Your order: closed\n   Zerodha - Main\nSold 10 SBIN · ₹361.15\n"
                "Result not known here: the broker's app shows it."
            ),
        ),
    ],
)
async def test_the_result_of_a_position_fits_a_phone(
    closed_by: ClosedBy, strategy: str, result: Decimal | None, text: str
):
    """Short lines: what closed it, at which price, the result, whose it was."""
    account = ACCOUNT.broker_id
    price, charges = Decimal("361.15"), Decimal("3.98")
    notice = PositionClosed(
        account, closed_by, strategy, "NSE:SBIN", "MIS", Side.SELL, 10, price, result, charges
    )
    assert await text_of(notice) == text
    unknown = await text_of(replace(notice, charges=None))
    assert ("charges unknown" in unknown) is (result is not None)


@pytest.mark.row("E1")
async def test_what_one_account_missed_says_which_and_why():
    """Account, order and reason, and that the signal was entered elsewhere."""
    engine, order = (
        await an_engine(),
        replace(ORDER, key="late", reason="could not be sent in time"),
    )
    await engine.order(order, "run")
    text = (await render(EntryMissed("late"), lookups(engine))).text
    assert ACCOUNT.label in text and "Buy 10 SBIN MIS" in text
    assert "Could not be sent in time. Other accounts have entered on this signal." in text


@pytest.mark.row("B10")
async def test_dropped_entries_are_listed():
    """What was parked and is too old now is named."""
    text = await text_of(EntriesDropped(ACCOUNT.broker_id, (ORDER.key,)))
    assert "Buy 10 SBIN MIS · limit ₹812.00" in text


@pytest.mark.row("B8")
async def test_a_parked_account_shows_its_waiting_exits_and_its_login():
    """One prompt with the reason, the exits that wait and the login button."""
    engine, parked = await an_engine(), AccountParked(ACCOUNT.broker_id, "expired", (ORDER.key,))
    screen = await render(parked, lookups(engine))
    assert "Exits that wait:" in screen.text
    link = str(screen.rows[0][0].url).removeprefix("https://saarthi.example/login/")
    assert (await engine.control.logins.linked_account(link)).broker_id == ACCOUNT.broker_id


@pytest.mark.matrix("B05")
async def test_order_that_cannot_be_cancelled_is_named():
    """Which order it is, and where to look; the account goes on, and is not said to stop."""
    assert await text_of(CancelRefused(ORDER.key)) == (
        "🚨 Order in the way · Zerodha - Main\n"
        "Buy 10 SBIN MIS · limit ₹812.00\n"
        "The broker does not cancel it. Please look at it in the broker's app."
    )


@pytest.mark.row("R1")
@pytest.mark.parametrize("is_all", [False, True])
async def test_the_daily_loss_says_the_numbers_and_what_follows(is_all: bool):
    """What was lost, the limit, what goes on, and from when on a user may set Normal."""
    account = "" if is_all else ACCOUNT.broker_id
    notice = DailyLossReached(account, Decimal("-1240.5"), Decimal(1000), AT, (ACCOUNT.broker_id,))
    whose = "all accounts" if is_all else "Zerodha - Main"
    assert await text_of(notice) == (
        f"🛑 Daily loss reached{' · ' if is_all else chr(10) + '   '}{whose}\n"
        "Today -₹1,240.50 after charges, the limit is ₹1,000.\n"
        + ("Set to exit only: Zerodha - Main.\n" if is_all else "")
        + "Nothing is sent there now, no stop and no exit: Zerodha - Main (needs a login).\n"
        "You can set Normal from 10:15 on, if the loss is within the limit then or you have raised "
        "the limit."
    )
    already = DailyLossReached(ACCOUNT.broker_id, Decimal(-1000), Decimal(1000), AT)
    assert "the mode stays as it is" in await text_of(already)


@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (
            DailyLossBlind(ACCOUNT.broker_id, "it needs a login", Decimal(-40)),
            (
                "⚠️ Daily loss cannot be judged\n   Zerodha - Main\n"
                "The day's result is not known: it needs a login.\n"
                "The last result of today, -₹40.00, counts until then. A loss since then stops "
                "nothing; look in the broker's app."
            ),
        ),
        (
            OrdersLeftResting(ACCOUNT.broker_id, 2, "the broker did not confirm"),
            (
                "⚠️ Zerodha - Main is yours now, but 2 orders of the strategies may still rest "
                "there (the broker did not confirm) and could trade. Cancel what is left in /orders."
            ),
        ),
        (
            LoginReopened(ACCOUNT.broker_id),
            "Zerodha - Main: a login that was used already was opened again; nothing was changed.",
        ),
        (
            ServiceCrashed("runs", "my database did not answer"),
            (
                "⚠️ A part of me stopped and is being restarted: runs (my database did not "
                "answer). The others go on. "
                "Once is harmless; if it comes again, look at /health and the log."
            ),
        ),
        (
            PositionShrunk(ACCOUNT.broker_id, "NSE:SBIN", "MIS", 3),
            (
                "Fewer units held · Zerodha - Main\nThe broker holds 3 of SBIN MIS, fewer than "
                "the strategies' records: the rest was closed by hand or by the broker. I corrected "
                "the records."
            ),
        ),
        (Started(), "🟢 I am running."),
        (
            Started(2),
            (
                "🟢 I am running again.\n2 orders were on the way when I stopped; the "
                "brokers are being asked what became of them."
            ),
        ),
        (
            Started(watched=("NSE:INFY",)),
            (
                "🟢 I am running again.\nThe stop of INFY rests at no broker: nobody watched it "
                "while I was stopped; I watch it again."
            ),
        ),
        (
            Started(1, ("NSE:A", "NSE:B", "NSE:C", "NSE:D", "NSE:E", "NSE:F")),
            (
                "🟢 I am running again.\n1 order was on the way when I stopped; the brokers are "
                "being asked what became of it.\nThe stops of A, B, C, D, E, 1 more rest at no "
                "broker: nobody watched them while I was stopped; I watch them again."
            ),
        ),
        (
            SlotMissed(
                "gone",
                AT,
                200,
                missed=3,
                first_at=AN_HOUR_AGO,
                last_at=HALF_AN_HOUR_AGO,
            ),
            (
                "⏰ gone: the run of 10:15 came 3 min late, so it only exits: its entries are "
                "dropped. Before, it did not run from 09:15 to 09:45, and nothing was entered then "
                "either."
            ),
        ),
        (
            SlotMissed("gone", AT, 61),
            (
                "⏰ gone: the run of 10:15 came 61 s late, so it only exits: its entries are "
                "dropped."
            ),
        ),
        (
            SlotMissed(
                "gone",
                AT,
                7,
                1,
                may_enter=True,
                first_at=AN_HOUR_AGO,
                last_at=AN_HOUR_AGO,
            ),
            (
                "⏰ gone: it did not run at 09:15, so nothing was entered then. The run of 10:15 is "
                "in time and enters as usual."
            ),
        ),
        (
            SlotMissed(
                "gone", AT, 7, missed=4, may_enter=True, kept_out="exit only: nothing is entered"
            ),
            (
                "⏰ gone: it missed 4 runs, so nothing was entered then. The run of 10:15 is in "
                "time, but exit only: nothing is entered."
            ),
        ),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
async def test_what_was_a_plain_sentence_reads_as_before(notice: Notice, text: str):
    """The words come from the typed fields now."""
    assert await text_of(notice) == text


@pytest.mark.row("R6", "E6")
@pytest.mark.parametrize(
    ("notice", "text"),
    [
        (
            Unprotected(
                ACCOUNT.broker_id, "orb", "NSE:SBIN", "MIS", 10, "no stop", can_put_back=False
            ),
            (
                "⚠️ Unprotected · Zerodha - Main\nSBIN +10 (orb): no stop. Open +₹27.50 now.\n"
                "Close it in Positions, or set a stop in the broker's app."
            ),
        ),
        (
            ProtectedAgain(
                ACCOUNT.broker_id, "orb", "NSE:SBIN", 10, "its stop rests", AT, "no stop"
            ),
            (
                "✅ Protected again · Zerodha - Main\nSBIN +10 (orb): its stop rests.\n"
                "It was unprotected from 10:15: no stop."
            ),
        ),
        (
            ExitStuck(ACCOUNT.broker_id, "Sell 10 NSE:SBIN MIS", "it does not fill", "orb"),
            (
                "🚨 Exit not through · Zerodha - Main\nSell 10 SBIN MIS (orb): it does not fill. "
                "Open +₹27.50 now.\nI go on trying, and tell you when it is through. If it is "
                "urgent, close it in the broker's app."
            ),
        ),
    ],
    ids=["unprotected", "protected again", "stuck"],
)
async def test_what_is_at_risk_is_named_in_rupees(notice: Notice, text: str):
    """Who reads it decides at once: what is held, why, what it stands at, what to do."""
    engine = await an_engine()
    await engine.log_in(ACCOUNT)
    async with engine.at_work():
        await engine.hold(a_position(ACCOUNT))
        await engine.refresh(ACCOUNT)
        screen = await render(notice, lookups(engine))
    assert html.unescape(TAGS.sub("", screen.text)) == text
