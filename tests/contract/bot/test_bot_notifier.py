"""The notifier against the simulated Bot API: every answer of Telegram becomes one of four results."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.account import TokenStatus
from core.domain.notices.logins import LoginDone, TokenWarning
from core.domain.notices.post import (
    Delivery,
    Post,
    run_card,
    token_warning_card,
    token_warning_removal,
    unresolved_card,
)
from core.domain.notices.system import Text
from core.domain.order import OrderRequest, OrderState, OrderType
from core.errors import StoreUnavailable
from core.ports.notifier import Blocked, Delivered, TryLater, Undeliverable
from core.ports.store import Change
from tests.fakes.bot_world import OWNER, World, soon
from tests.fakes.views import a_run, an_account, an_order

pytestmark = pytest.mark.dates

TEXT = Post(Text("Hello <there> & you"))


async def deliver(world: World, post: Post = TEXT, **fields: Any):
    wanted = {"notice_id": "NOTICE000123456", "message_id": None, "is_repeat": False, **fields}
    return await world.bot.notifier.deliver(OWNER, post, **wanted)


@pytest.fixture
async def talking(world: World) -> World:
    """The world with a bot that knows its owner's chat."""
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    return world


@pytest.mark.row("E5")
async def test_a_repeat_says_that_it_is_one(talking: World):
    """A person recognises the second copy; the first carries nothing that nobody understands."""
    first = await deliver(talking)
    assert isinstance(first, Delivered)
    seen = await talking.owner.sees("Hello <there> & you")
    assert seen["id"] == first.message_id and "#" not in seen["text"]
    await deliver(talking, is_repeat=True)
    await talking.owner.sees("Sent again after an interruption")


@pytest.mark.row("E1")
async def test_a_card_is_edited_in_place(talking: World):
    """One message for one signal: it goes from placed to filled without a second message."""
    account = an_account()
    placed = an_order(account)
    run = a_run(placed)
    await talking.connect(account)
    broker_order_id = await talking.order(placed, run.run_id)
    await talking.ran(run)
    await soon(talking.have_read)
    card = run_card(run.run_id)
    sent = await deliver(talking, card)
    await talking.owner.sees("Buying 10 SBIN")
    talking.at_broker(account.broker_id).fill(broker_order_id, Decimal("812.35"))
    await talking.refresh(account)
    again = await deliver(talking, card, message_id=sent.message_id)
    seen = await talking.owner.sees("Bought 10 SBIN")
    assert again == sent and seen["id"] == sent.message_id and seen["edited"]
    assert await deliver(talking, card, message_id=sent.message_id) == sent, "not modified is fine"
    same = await talking.owner.reads(sent.message_id, "Bought 10")
    assert same["entities"] == seen["entities"], "and it is not sent again as plain text"


async def test_a_card_that_is_gone_is_sent_anew(talking: World):
    """The person deleted it: the edit becomes a new message."""
    card = Post(Text("card"), Delivery.EDIT, key="x")
    result = await deliver(talking, card, message_id=987)
    assert isinstance(result, Delivered) and result.message_id != 987
    await talking.owner.sees("card")


@pytest.mark.row("E5")
async def test_what_is_opened_from_a_notice_is_a_message_of_its_own(talking: World):
    """What was reported stays in the chat with its buttons; what is opened changes in its place."""
    account = an_account()
    await talking.connect(account)
    told = await deliver(talking, Post(LoginDone(account.broker_id, "ASHA BHAT")))
    message = await talking.owner.sees("is logged in")
    await talking.owner.tap("Dashboard", message=message)
    board = await talking.owner.sees("Funds")
    assert board["id"] > told.message_id
    await talking.owner.tap("Refresh", message=board)
    await talking.settled()
    shown = await talking.owner.messages(after=told.message_id - 1)
    assert [one["id"] for one in shown] == [told.message_id, board["id"]]
    assert shown[0]["text"] == message["text"] and shown[0]["keyboard"] == message["keyboard"]


@pytest.mark.row("B6")
async def test_the_warning_is_replaced_not_piled_up(talking: World):
    """The old warning goes, the new one is the newest message; removed, nothing is left."""
    waiting = an_account(token_status=TokenStatus.EXPIRED)
    await talking.connect(waiting)
    warning = token_warning_card(TokenWarning((waiting.broker_id,)))
    first = await deliver(talking, warning)
    await talking.owner.say("something else")
    await talking.settled()
    second = await deliver(talking, warning, message_id=first.message_id)
    shown = [one for one in await talking.owner.messages() if "Login needed" in one["text"]]
    assert [one["id"] for one in shown] == [second.message_id]
    labels = [row[0]["text"] for row in shown[0]["keyboard"]]
    assert labels == ["Log in to Zerodha - Main", "Dismiss"]
    gone = token_warning_removal()
    assert await deliver(talking, gone, message_id=second.message_id) == Delivered(None)
    assert await deliver(talking, gone, message_id=second.message_id) == Delivered(None)
    assert not any("Login needed" in one["text"] for one in await talking.owner.messages())


@pytest.mark.row("B6")
async def test_dismissing_the_warning_tells_the_controller(talking: World):
    """Dismiss silences it until a new expiry."""
    waiting = an_account(token_status=TokenStatus.EXPIRED)
    await talking.connect(waiting)
    await deliver(talking, token_warning_card(TokenWarning((waiting.broker_id,))))
    await talking.owner.tap("Dismiss")
    await talking.owner.sees("Warning dismissed")
    assert len(await talking.effects("dismiss")) == 1


@pytest.mark.matrix("T04")
async def test_a_blocked_chat_and_an_unknown_one_are_dead_letters(talking: World):
    """403 and 'chat not found' end as Blocked, so the queue goes on without them."""
    await talking.telegram.control("chats", id=OWNER, blocked=True)
    assert isinstance(await deliver(talking), Blocked)
    result = await talking.bot.notifier.deliver(
        424242, TEXT, notice_id="N", message_id=None, is_repeat=False
    )
    assert isinstance(result, Blocked)


@pytest.mark.row("H5")
@pytest.mark.matrix("T04")
async def test_who_writes_again_gets_what_could_not_be_delivered(talking: World):
    """Any message or tap is a visit; the dead letters are queued behind a summary."""
    await talking.settled()
    outbox = talking.wiring.outbox
    await outbox.post(talking.store, Post(LoginDone("gone"), chat_id=OWNER))
    dead = Change(set={"state": "DEAD"})
    await talking.store.update("outbox", {"kind": LoginDone.kind}, dead)
    await talking.owner.say("/health")
    await talking.owner.sees("1 message could not be delivered")
    await talking.settled()
    rows = await talking.store.find("outbox", {"state": "WAITING"}, sort=[("seq", 1)])
    assert [row["kind"] for row in rows if row["chat_id"] == OWNER][-2:] == [
        "undelivered",
        "login_done",
    ]


@pytest.mark.matrix("T02")
async def test_a_flood_answer_names_the_wait_and_nothing_more_is_sent_meanwhile(talking: World):
    """429 is handed to the outbox at once; a second try before its time does not reach Telegram."""
    body = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 40",
        "parameters": {"retry_after": 40},
    }
    talking.fault("http", "sendMessage", status=429, body=body, times=1)
    first = await deliver(talking)
    assert isinstance(first, TryLater) and first.retry_after_s == 40
    second = await deliver(talking)
    assert isinstance(second, TryLater) and 0 < second.retry_after_s <= 40
    talking.clock.wall.seconds += 41
    assert isinstance(await deliver(talking), Delivered)


@pytest.mark.matrix("T03", "T01")
@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "html"])
async def test_an_outage_is_tried_later(talking: World, kind: str):
    """A lost connection or answer may have shown the message: the outbox repeats it, marked."""
    talking.fault(kind, "sendMessage", times=1)
    assert isinstance(await deliver(talking), TryLater)
    assert isinstance(await deliver(talking, is_repeat=True), Delivered)


@pytest.mark.matrix("T04")
async def test_a_text_that_telegram_does_not_parse_goes_out_plain(talking: World):
    """Better without bold than not at all; refused again, it is undeliverable."""
    body = {"ok": False, "error_code": 400, "description": "Bad Request: can't parse entities: x"}
    talking.fault("http", "sendMessage", status=400, body=body, times=1)
    assert isinstance(await deliver(talking), Delivered)
    seen = await talking.owner.sees("Hello <there> & you")
    assert seen["entities"] == [] or all(one["type"] == "hashtag" for one in seen["entities"])
    talking.fault("http", "sendMessage", status=400, body=body, times=2)
    assert isinstance(await deliver(talking), Undeliverable)


@pytest.mark.matrix("T04")
async def test_a_text_that_is_too_long_is_cut_with_a_hint(talking: World):
    """More than 4096 characters never block the queue."""
    post = Post(Text("\n".join(["A line of <text>"] * 900)))
    assert isinstance(await deliver(talking, post), Delivered)
    await talking.owner.sees("the rest is cut")


async def test_what_cannot_be_rendered_now_is_tried_later_and_nonsense_is_laid_aside(
    talking: World,
):
    """The store away: later. One that breaks its renderer: a dead letter, and the next one goes on."""
    talking.engine_store.fail("get", "broker_accounts", StoreUnavailable("away"))
    done = Post(LoginDone("zerodha_x"))
    assert isinstance(await deliver(talking, done), TryLater)
    talking.engine_store.fail("get", "broker_accounts", ValueError("nonsense"))
    assert isinstance(await deliver(talking, done), Undeliverable)
    assert isinstance(await deliver(talking), Delivered)


@pytest.mark.row("R4", "G3")
async def test_an_unresolved_order_has_its_own_card_and_a_persons_word(talking: World):
    """The card says what is known; 'not placed' counts only after a look and a confirmation."""
    account = an_account()
    await talking.connect(account)
    order = an_order(account, state=OrderState.UNRESOLVED, broker_order_id=None)
    await talking.order(order)
    await soon(talking.have_read)
    card = unresolved_card(order.key)
    sent = await deliver(talking, card)
    seen = await talking.owner.sees("Not known yet")
    assert "everything else goes on" in seen["text"] and order.key in seen["text"]
    again = await talking.owner.button("Ask again")
    await talking.owner.tap("Not placed")
    question = await talking.owner.sees("Not placed on Zerodha - Main?")
    assert question["id"] != seen["id"], "the card stays as it is"
    await talking.owner.tap("It was not placed")
    await talking.owner.sees("Never reached the broker")
    known = await talking.control.views.order(order.key)
    assert known.state is OrderState.NOT_PLACED
    await deliver(talking, card, message_id=sent.message_id)
    end = await talking.owner.reads(sent.message_id, "Known now")
    assert "said so, and a last look did not show it" in end["text"] and not end["keyboard"]
    # A tap on what another phone still shows.
    await talking.owner.press(sent.message_id, again["data"])
    await talking.owner.sees("Already known: Buy 10 NSE:SBIN is given up as not placed")


@pytest.mark.row("R4", "G3")
async def test_an_unresolved_order_is_linked_from_its_card(talking: World):
    """Ask again edits the card with what the broker shows; the order there is chosen by a button."""
    account = an_account()
    await talking.connect(account)
    order = an_order(account, state=OrderState.UNRESOLVED, broker_order_id=None)
    await talking.order(order)
    await soon(talking.have_read)
    card = unresolved_card(order.key)
    sent = await deliver(talking, card)
    at_broker = talking.at_broker(account.broker_id)
    request = OrderRequest(
        "", order.instrument, order.side, order.quantity, OrderType.LIMIT, order.product
    )
    number = at_broker.show(request).broker_order_id
    at_broker.order_list[number] = replace(at_broker.order_list[number], tag=None)
    await talking.owner.tap("Ask again")
    await soon(lambda: _has_candidates(talking, order.key))
    await deliver(talking, card, message_id=sent.message_id)
    await talking.owner.reads(sent.message_id, number)
    await talking.owner.tap("It is this")
    question = await talking.owner.sees("Is it this one on Zerodha - Main?")
    assert number in question["text"]
    await talking.owner.tap("It is this one", message=question)
    await talking.owner.sees("Noted")
    known = await talking.control.views.order(order.key)
    assert (known.state, known.broker_order_id) == (OrderState.ACCEPTED, number)
    await deliver(talking, card, message_id=sent.message_id)
    await talking.owner.reads(sent.message_id, "said which order it is")


async def _has_candidates(talking: World, key: str) -> bool:
    return bool((await talking.control.unresolved.view(key)).inquiry.candidates)
