"""Strategies, settings, lists and logins through the chat, against the simulated Bot API."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.account import TokenStatus
from core.domain.broker import Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.views import AssignmentView, SizeKind
from core.errors import StoreUnavailable
from tests.fakes.bot_world import World, a_message, soon
from tests.fakes.views import a_position, a_strategy, a_trade, an_account, an_order

NAME = "opening_range_breakout"


def with_strategy(world: World) -> None:
    account = an_account()
    world.control.put(account)
    assignment = AssignmentView(
        strategy=NAME,
        broker_id=account.broker_id,
        account_label=account.label,
        is_on=True,
        product=Product.MIS,
        size_kind=SizeKind.QUANTITY,
        size_value=Decimal(10),
        multiplier=Decimal(1),
    )
    world.control.strategies_[NAME] = a_strategy(assignment)


@pytest.mark.row("D6")
async def test_a_strategy_is_switched_tuned_and_run_from_the_chat(world: World):
    """Enable, change a parameter (a wrong value first), run now after a confirmation."""
    with_strategy(world)
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "Parameters")
    await person.tap("Enable")
    await person.reads(page, "🟢 enabled")
    await person.tap("Parameters")
    await person.reads(page, "(5 to 120)")
    await person.tap("Range, minutes")
    await person.sees("Send the new value for Range, minutes")
    await person.say("500")
    await person.sees("expected 5 to 120")
    await person.say("45")
    await person.sees("✅ Changed.")
    assert world.control.did("set_parameter") == [(NAME, "range_minutes", "45")]
    await person.tap("« Back")
    await person.tap("Run now")
    question = await person.sees("Run Opening range breakout now?")
    assert "may place orders on: Zerodha - Main" in question["text"]
    await person.tap("Run it now")
    await person.sees("runs now")
    assert world.control.did("run_now") == [(NAME,)]


@pytest.mark.row("D4")
async def test_an_assignment_is_changed_from_the_chat(world: World):
    """Off and on, product, size as a share of capital, multiplier."""
    with_strategy(world)
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "10 units")
    await person.tap("On Zerodha - Main")
    await person.reads(page, "Runs there: yes")
    await person.tap("Turn off here")
    await person.reads(page, "Runs there: no")
    await person.tap("Use CNC")
    await person.reads(page, "Product: CNC")
    await person.tap("Share of capital")
    await person.sees("in percent")
    await person.say("lots")
    await person.sees("expected a number above zero")
    await person.say("5%")
    await person.sees("Size: 5 % of capital")
    changes = [change for _, _, change in world.control.did("set_assignment")]
    assert changes == [
        {"is_on": False},
        {"product": Product.CNC},
        {"size_kind": SizeKind.CAPITAL_SHARE, "size_value": Decimal(5)},
    ]


async def test_a_setting_is_changed_after_a_wrong_value(world: World):
    """What was wrong is told, the question stays open."""
    await world.start()
    person = world.owner
    await person.say("/settings")
    await person.tap("Warning interval s")
    await person.sees("Send the new value for Warning interval s. Now: 900")
    await person.say("often")
    await person.sees("expected a whole number")
    await person.say("600")
    await person.sees("is now 600")
    assert world.control.settings_["warning_interval_s"] == "600"


@pytest.mark.matrix("T07")
async def test_an_answer_that_waited_changes_nothing(world: World):
    """A value typed hours ago is asked for again."""
    await world.start()
    person = world.owner
    await person.say("/settings")
    await person.tap("Warning interval s")
    await person.sees("Send the new value")
    await world.settled()
    await world.crash()
    last = max(row["update_id"] for row in await world.rows("inbox"))
    await world.lay_in_inbox(a_message(last + 1, "600", at=world.clock.now()))
    world.clock.wall.seconds += 3600
    await world.start()
    await person.sees("reached me late")
    assert world.control.did("set_setting") == []


async def test_cancel_ends_an_open_question(world: World):
    """/cancel and the Cancel button both end it; the next text is no answer."""
    await world.start()
    person = world.owner
    await person.say("/cancel")
    await person.sees("nothing to cancel")
    await person.say("/settings")
    await person.tap("Warning interval s")
    await person.sees("Send the new value")
    await person.say("/cancel")
    await person.sees("Cancelled the question")
    await person.say("600")
    await person.sees("not waiting for an answer")
    assert world.control.did("set_setting") == []


@pytest.mark.row("E3")
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("positions", "NSE:SBIN MIS · +10"),
        ("orders", "BUY 10 NSE:SBIN MIS limit ₹812.00"),
        ("trades", "BUY 10 NSE:SBIN at ₹812.35"),
        ("pnl", "+₹1,250.50"),
    ],
)
async def test_lists_show_one_account_and_all(world: World, command: str, shown: str):
    """The selected account first; one tap shows all accounts together."""
    first = an_account()
    second = an_account("fyers_bbbbbbbbbb", display_name="Second", is_default=False)
    world.control.put(first, second)
    for one in (first, second):
        world.control.positions_.append(a_position(one))
        world.control.orders_.append(an_order(one))
        world.control.trades_.append(a_trade(one))
    await world.start()
    await world.owner.say(f"/{command}")
    seen = await world.owner.sees(shown)
    assert "Zerodha - Second" not in seen["text"].split("\n", 1)[1]
    await world.owner.tap("All accounts")
    await world.owner.reads(seen["id"], "all accounts")
    both = await world.owner.reads(seen["id"], "Zerodha - Second")
    assert shown in both["text"]


@pytest.mark.row("C5")
async def test_the_drain_view_is_one_tap_from_the_modes(world: World):
    """Positions and holdings left on the exit-only account."""
    account = an_account(trading_mode=TradingMode.EXIT_ONLY)
    world.control.put(account)
    world.control.holdings_[account.broker_id] = [
        Holding(InstrumentId("NSE", "INFY"), 40, 0, Decimal(1400), Decimal(1500))
    ]
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("Drain view")
    seen = await world.owner.sees("accounts in exit-only mode")
    assert "NSE:INFY 40" in seen["text"] and "about ₹1,23,457" in seen["text"]


@pytest.mark.row("C2")
async def test_all_working_orders_are_cancelled_with_one_confirmation(world: World):
    """Each is named before; one that is finished meanwhile does not stop the others."""
    account = an_account()
    world.control.put(account)
    keys = ["SAAAAAAAAAAAAAAAAAA2", "SBBBBBBBBBBBBBBBBBB2", "SCCCCCCCCCCCCCCCCCC2"]
    world.control.orders_.extend(an_order(account, key=key) for key in keys)
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("Main: Paused")
    await world.owner.tap("Yes, set Paused")
    await world.owner.tap("Cancel all 3")
    await world.owner.sees("Cancel 3 working orders?")
    del world.control.orders_[1]
    await world.owner.tap("Cancel all 3")
    result = await world.owner.sees("Cancel requested")
    assert "❌ That order is not among today's orders." in result["text"]
    assert [key for _, key in world.control.did("cancel_order")] == [keys[0], keys[2]]


@pytest.mark.row("B9")
async def test_the_morning_round_is_asked_for_once(world: World):
    """Without an account there is a hint; else the controller posts the card."""
    await world.start()
    await world.owner.say("/login")
    await world.owner.sees("Use /add to connect the first one")
    world.control.put(an_account(token_status=TokenStatus.EXPIRED))
    await world.owner.say("/login")
    await soon(lambda: len(world.control.did("start_morning_round")) == 1)


@pytest.mark.row("B11")
async def test_a_login_is_shared_as_a_link(world: World):
    """The link alone, with a copy button, for the holder who is not in this chat."""
    account = an_account(token_status=TokenStatus.EXPIRED)
    world.control.put(account)
    await world.start()
    await world.owner.say("/brokers")
    await world.owner.tap("Edit Main")
    await world.owner.tap("Share login")
    copied = (await world.owner.button("Copy the link"))["copy_text"]
    assert copied == f"https://saarthi.example/login/{account.broker_id}-link"


async def test_a_failing_store_is_told_in_plain_words(world: World):
    """No technical text, and what it means: no orders are sent."""
    world.control.put(an_account())
    await world.start()
    world.control.failure = StoreUnavailable("mongodb://10.0.0.1 refused")
    await world.owner.say("/dashboard")
    seen = await world.owner.sees("My memory is out of reach")
    assert "10.0.0.1" not in seen["text"]


async def test_a_mistake_of_ours_is_told_and_the_bot_goes_on(world: World):
    """An unforeseen failure of one handler neither kills the bot nor leaves silence."""
    world.control.put(an_account())
    await world.start()
    world.control.failure = ZeroDivisionError("secret detail")
    await world.owner.say("/dashboard")
    seen = await world.owner.sees("Something went wrong on my side.")
    assert "secret detail" not in seen["text"]
    await world.owner.say("/dashboard")
    await world.owner.sees("Funds")
