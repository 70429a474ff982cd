"""Every kind of notice has words, with whatever it names gone or strange."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.conversation.login_buttons import LoginButtons
from bot.notices.render import Lookups, render
from bot.parameters import BotParameters
from bot.views.callbacks import LIMIT_BYTES
from core.domain.account import BrokerType, TokenStatus
from core.domain.notice import Notice, NoticeKind
from core.domain.order import OrderState
from core.errors import LoginFault
from tests.fakes.control import FakeControl
from tests.fakes.views import AT, a_run, a_strategy, an_account, an_order

TAGS = re.compile(r"</?(b|i|code)>")
ACCOUNT = an_account(token_status=TokenStatus.EXPIRED)
ORDER = an_order(ACCOUNT, state=OrderState.UNRESOLVED, broker_order_id=None)
PARAMETERS = BotParameters("123:abc", public_url="https://saarthi.example")


def notices(word: str) -> dict[NoticeKind, dict[str, Any]]:
    """Return data for each kind, with ``word`` wherever a text comes from outside."""
    order = {"client_order_id": ORDER.key}
    about = {"broker_id": ACCOUNT.broker_id}
    return {
        NoticeKind.RUN_CARD: {"run_id": "run"},
        NoticeKind.ORDER_REJECTED: order,
        NoticeKind.ORDER_UNRESOLVED: order,
        NoticeKind.ORDER_RESOLVED: order,
        NoticeKind.ORDER_REVIVED: order,
        NoticeKind.ORDER_UPDATE: order,
        NoticeKind.EXTERNAL_ORDER: {**about, "text": word},
        NoticeKind.LOGIN_DONE: {**about, "user_name": word},
        NoticeKind.LOGIN_FAILED: {**about, "fault": "denied", "detail": word},
        NoticeKind.LOGIN_SILENT: about,
        NoticeKind.MORNING_ROUND: {"broker_ids": [ACCOUNT.broker_id, "gone_account"]},
        NoticeKind.TOKEN_WARNING: {"broker_ids": [ACCOUNT.broker_id]},
        NoticeKind.ACCOUNT_PARKED: {**about, "reason": word, "waiting_exits": [ORDER.key, word]},
        NoticeKind.ENTRIES_DROPPED: {**about, "orders": [ORDER.key, word]},
        NoticeKind.SLOT_MISSED: {"strategy": word, "slot_at": AT, "late_s": 61.2},
        NoticeKind.NO_DATA: {"strategy": word, "detail": word},
        NoticeKind.RUN_FAILED: {"strategy": word, "detail": word},
        NoticeKind.SQUARE_OFF_ALARM: {**about, "positions": [word]},
        NoticeKind.SOFTWARE_STOP: {**about, "instrument": word, "reason": word},
        NoticeKind.ANOMALY: {**about, "text": word},
        NoticeKind.POLLER_TROUBLE: {"text": word},
        NoticeKind.STARTED: {"text": word},
        NoticeKind.TEXT: {"text": word},
    }


def lookups(control: FakeControl | None = None) -> Lookups:
    if control is None:
        control = FakeControl()
        control.put(ACCOUNT)
        control.orders_.append(ORDER)
        control.runs["run"] = a_run(ORDER)
        strategy = a_strategy()
        control.strategies_[strategy.name] = strategy
    return Lookups(control, LoginButtons(control, PARAMETERS))


async def text_of(kind: NoticeKind, data: dict[str, Any]) -> str:
    screen = await render(Notice(kind, data), lookups())
    return html.unescape(TAGS.sub("", screen.text))


@pytest.mark.parametrize("kind", NoticeKind)
@given(word=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip))
async def test_every_kind_is_rendered_well_formed(kind: NoticeKind, word: str):
    """No outside text breaks the HTML; every button's data fits."""
    screen = await render(Notice(kind, notices(word)[kind]), lookups())
    rest = TAGS.sub("", screen.text)
    assert rest.strip() and "<" not in rest and ">" not in rest
    for row in screen.rows:
        for one in row:
            data = one.callback_data
            assert data is None or len(str(data).encode()) <= LIMIT_BYTES


@pytest.mark.parametrize("kind", NoticeKind)
async def test_what_a_notice_names_may_be_gone(kind: NoticeKind):
    """The account, order or run was cleaned away: the notice still has words."""
    screen = await render(Notice(kind, notices("x")[kind]), lookups(FakeControl()))
    assert screen.text.strip()


@pytest.mark.row("B3")
@pytest.mark.parametrize("fault", LoginFault)
async def test_every_login_fault_has_its_own_words(fault: LoginFault):
    """Each failure says what happened and what to do; no two read alike."""
    texts = {
        one: await text_of(
            NoticeKind.LOGIN_FAILED, {"broker_id": ACCOUNT.broker_id, "fault": one.value}
        )
        for one in LoginFault
    }
    assert list(texts.values()).count(texts[fault]) == 1
    assert fault.value not in texts[fault].split()


@pytest.mark.row("E1")
async def test_a_rejection_carries_the_brokers_reason():
    """Account, order, and the broker's own words."""
    control = FakeControl()
    control.put(ACCOUNT)
    order = an_order(ACCOUNT, state=OrderState.REJECTED, reason="RMS: Margin exceeds")
    control.orders_.append(order)
    notice = Notice(NoticeKind.ORDER_REJECTED, {"client_order_id": order.key})
    screen = await render(notice, lookups(control))
    assert html.unescape(TAGS.sub("", screen.text)) == (
        "❌ Rejected · Zerodha - Main\n"
        "BUY 10 NSE:SBIN MIS limit ₹812.00\n"
        "The broker says: RMS: Margin exceeds"
    )


@pytest.mark.row("B9")
async def test_the_morning_card_ticks_and_ends_with_readiness():
    """Waiting accounts have a button each; when all are in, a readiness line each."""
    control = FakeControl()
    control.put(ACCOUNT, an_account("fyers_b", display_name="B", is_default=False))
    notice = Notice(NoticeKind.MORNING_ROUND, {"broker_ids": [ACCOUNT.broker_id, "fyers_b"]})
    screen = await render(notice, lookups(control))
    assert "⬜ Zerodha - Main\n✅ Zerodha - B" in screen.text
    assert [row[0].text for row in screen.rows] == ["Log in to Zerodha - Main"]
    control.put(an_account())
    done = await render(notice, lookups(control))
    assert "Ready for the day" in done.text and "₹2,50,000 · data ok" in done.text


@pytest.mark.row("B9")
async def test_a_morning_card_that_names_nobody_is_about_everybody():
    """Every account that needs logins at all; paper accounts need none."""
    control = FakeControl()
    control.put(ACCOUNT, an_account("paper_p", BrokerType.PAPER, "Play", is_default=False))
    screen = await render(Notice(NoticeKind.MORNING_ROUND, {}), lookups(control))
    assert "Zerodha - Main" in screen.text and "Play" not in screen.text


async def test_an_order_of_somebody_elses_is_a_card_too():
    """An order that was seen at the broker is shown with its state."""
    notice = Notice(NoticeKind.EXTERNAL_ORDER, {"broker_id": "x", "client_order_id": ORDER.key})
    screen = await render(notice, lookups())
    assert screen.text.startswith("<b>Not placed by me · Zerodha - Main</b>")


@pytest.mark.row("B10")
async def test_dropped_entries_are_listed():
    """What was parked and is too old now is named."""
    data = {"broker_id": ACCOUNT.broker_id, "orders": [ORDER.key]}
    text = await text_of(NoticeKind.ENTRIES_DROPPED, data)
    assert "BUY 10 NSE:SBIN MIS limit ₹812.00" in text


@pytest.mark.row("B8")
async def test_a_parked_account_shows_its_waiting_exits_and_its_login():
    """One prompt with the reason, the exits that wait and the login button."""
    data = {"broker_id": ACCOUNT.broker_id, "reason": "expired", "waiting_exits": [ORDER.key]}
    screen = await render(Notice(NoticeKind.ACCOUNT_PARKED, data), lookups())
    assert "Exits that wait:" in screen.text
    assert screen.rows[0][0].url == "https://saarthi.example/login/zerodha_aaaaaaaaaa-link"
