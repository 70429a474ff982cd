"""Strategies, settings, lists and logins through the chat, against the simulated Bot API."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.account import TokenStatus
from core.domain.broker import BrokerStatus, Holding
from core.domain.command import Command
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.views import SizeKind
from core.errors import LoginRefused, StoreUnavailable
from tests.fakes.bot_world import World, a_message, soon
from tests.fakes.views import a_position, a_trade, an_account, an_order

CANCELED, COMPLETE = BrokerStatus.CANCELED, BrokerStatus.COMPLETE
NAME = "opening_range_breakout"


@pytest.mark.row("D6")
async def test_a_strategy_is_switched_tuned_and_run_from_the_chat(world: World):
    """Enable, change a parameter (a wrong value first), run now after a confirmation."""
    await world.connect(an_account())
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "Parameters")
    await person.tap("Enable")
    await person.reads(page, "Enable Opening range breakout?")
    await person.tap("Yes, enable it")
    await person.reads(page, "🟢 enabled")
    await person.tap("Parameters")
    await person.reads(page, "Opening range, minutes: 15")
    await person.tap("Opening range, minutes")
    await person.sees("Send the new value for Opening range, minutes (1 to 120).")
    await person.say("500")
    await person.sees("expected 1 to 120")
    await person.say("45")
    await person.sees("✅ Changed.", anywhere=True)
    strategy = await world.control.strategies.get(NAME)
    assert strategy.is_enabled
    values = {parameter.name: value for parameter, value in strategy.parameters}
    assert values["range_minutes"] == 45
    await person.tap("« Back", anywhere=True)
    await person.tap("Run now", anywhere=True)
    question = await person.sees("Run Opening range breakout now?", anywhere=True)
    assert "may enter on: Zerodha - Main" in question["text"]
    await person.tap("Run it now", anywhere=True)
    await person.sees("runs now", anywhere=True)
    (filed,) = await world.rows("run_requests")
    assert (filed["strategy"], filed["state"]) == (NAME, "filed")


@pytest.mark.row("D4")
async def test_an_assignment_is_changed_from_the_chat(world: World):
    """Off and on, product, size as a share of capital, multiplier."""
    await world.connect(an_account())
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "1 unit")
    await person.tap("Zerodha - Main …")
    await person.reads(page, "Runs there: yes")
    await person.tap("Use CNC")
    await person.sees("CNC holds no short position")
    await person.tap("Turn off here")
    await person.reads(page, "Runs there: no")
    await person.tap("Use CNC")
    await person.reads(page, "Product: CNC")
    await person.tap("Share of capital")
    await person.sees("in percent")
    await person.say("lots")
    await person.sees("expected a number above zero")
    await person.say("5%")
    await person.sees("Size: 5\u00a0% of capital", anywhere=True)
    (changed,) = (await world.control.strategies.get(NAME)).assignments
    assert (changed.is_on, changed.product) == (False, Product.CNC)
    assert (changed.size_kind, changed.size_value) == (SizeKind.CAPITAL_SHARE, Decimal(5))


@pytest.mark.row("D4")
@pytest.mark.parametrize("is_here", [True, False])
async def test_what_a_strategy_holds_is_asked_about_when_it_is_switched_off(
    world: World, is_here: bool
):
    """Off at once, on the account or everywhere; the question offers to close, or to keep it."""
    await world.connect(an_account())
    await world.hold(a_position(an_account(), owners={NAME: 10}))
    await world.start()
    person = world.owner
    wish = Command("wish", 1, 1)
    await world.control.strategy_settings.set_enabled(wish, NAME, enabled=True)
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    if is_here:
        await person.tap("Zerodha - Main …")
    await person.tap("Turn off here" if is_here else "Disable")
    question = await person.reads(page, "It still holds:")
    assert "SBIN MIS · +10" in question["text"]
    strategy = await world.control.strategies.get(NAME)
    assert (strategy.is_enabled, strategy.assignments[0].is_on) == (is_here, not is_here)
    await person.tap("Close SBIN")
    await person.reads(page, "Close this position on Zerodha - Main?")


@pytest.mark.row("D6")
async def test_instruments_that_are_held_are_named_before_they_are_dropped(world: World):
    """Nothing changes before the confirmation, which says what no signal closes any more."""
    await world.connect(an_account())
    reliance = InstrumentId("NSE", "RELIANCE")
    position = a_position(
        an_account(), key="NSE:RELIANCE|MIS", instrument=reliance, owners={NAME: 10}
    )
    await world.hold(position)
    await world.start()
    person = world.owner
    settings = world.control.strategy_settings
    before = (await settings.parameters(NAME))["instruments"]
    assert before == "NSE:SBIN,NSE:RELIANCE"
    await person.say("/strategies")
    await person.tap("Opening range breakout")
    await person.tap("Parameters")
    await person.tap("Instruments")
    await person.sees("Instruments")
    await person.say("sbin")
    question = await person.sees("It would no longer trade what it holds:", anywhere=True)
    assert "RELIANCE MIS · +10" in question["text"]
    assert (await settings.parameters(NAME))["instruments"] == before
    await person.tap("Change it all the same", message=question)
    await person.sees("✅ Changed.", anywhere=True)
    assert (await settings.parameters(NAME))["instruments"] == "NSE:SBIN"


async def test_a_setting_is_changed_after_a_wrong_value(world: World):
    """What was wrong is told, the question stays open."""
    await world.connect(an_account())
    await world.start()
    person = world.owner
    await person.say("/settings")
    await person.tap("Data account")
    await person.sees("Data account is automatic.")
    await person.say("nobody")
    await person.sees("expected the name of an account")
    await person.say("main")
    await person.sees("is now Zerodha - Main", anywhere=True)
    assert (await world.control.settings.all())["data_account"] == "Zerodha - Main"


async def test_a_setting_with_few_values_is_set_with_a_tap(world: World):
    """The day's summary and the data account need no typing; the same tap again changes nothing."""
    await world.connect(an_account())
    await world.start()
    person = world.owner
    await person.say("/settings")
    await person.tap("Day summary")
    await person.sees("It comes after the close")
    await person.tap("Off")
    await person.sees("Day summary is now off.")
    await person.tap("Data account")
    await person.sees("Tap an account, or send its name.")
    await person.tap("Zerodha - Main")
    await person.sees("Data account is now Zerodha - Main.")
    known = await world.control.settings.all()
    assert (known["day_summary"], known["data_account"]) == ("off", "Zerodha - Main")
    await person.say("on")
    await person.sees("I did not understand that")


@pytest.mark.matrix("T07")
async def test_an_answer_that_waited_changes_nothing(world: World):
    """A value typed hours ago is asked for again."""
    await world.start()
    person = world.owner
    await person.say("/settings")
    await person.tap("Data account")
    await person.sees("Data account is automatic.")
    await world.settled()
    await world.crash()
    last = max(row["update_id"] for row in await world.rows("inbox"))
    await world.lay_in_inbox(a_message(last + 1, "automatic", at=world.clock.now()))
    world.clock.wall.seconds += 3600
    await world.start()
    await person.sees("reached me late")
    assert await world.effects("setting") == []


async def test_cancel_ends_an_open_question(world: World):
    """/cancel and the Cancel button both end it; the next text is no answer."""
    await world.start()
    person = world.owner
    await person.say("/cancel")
    await person.sees("nothing to cancel")
    await person.say("/settings")
    await person.tap("Data account")
    await person.sees("Data account is automatic.")
    await person.say("/cancel")
    await person.sees("Cancelled the question")
    await person.say("automatic")
    await person.sees("I did not understand that")
    assert await world.effects("setting") == []


@pytest.mark.row("E3")
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("positions", "+10 · +\u2060₹1,250.50 since entry"),
        ("orders", "Buying 10 SBIN · limit ₹812.00"),
        ("trades", "bought 10 SBIN · ₹812.35"),
        ("pnl", "+\u2060₹1,250.50"),
    ],
)
async def test_lists_show_one_account_and_all(world: World, command: str, shown: str):
    """The selected account first; one tap shows all accounts together."""
    first = an_account()
    second = an_account("zerodha_bbbbbbbbbb", display_name="Second", is_default=False)
    await world.connect(first, second)
    for one, key in ((first, "SAAAAAAAAAAAAAAAAAA2"), (second, "SBBBBBBBBBBBBBBBBBB2")):
        realised, unrealised = Decimal(1000), Decimal("250.50")
        await world.hold(a_position(one, realised=realised, unrealised=unrealised))
        await world.order(an_order(one, key=key))
        # Of another order: the listed one works, whichever id the scripted broker gives it.
        moment = world.clock.market_now()
        trade = a_trade(one, traded_at=moment, broker_order_id="239999000000001").trade
        world.at_broker(one.broker_id).trade_list.append(trade)
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
    await world.connect(account)
    world.at_broker(account.broker_id).holding_list = [
        Holding(InstrumentId("NSE", "INFY"), 40, 0, Decimal(1400), Decimal(1500))
    ]
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("Left to close")
    seen = await world.owner.sees("Left to close: exit-only accounts")
    assert "INFY 40" in seen["text"] and "about ₹60,000" in seen["text"]


@pytest.mark.row("C2")
async def test_all_working_orders_are_cancelled_with_one_confirmation(world: World):
    """Each is named before; one that is finished meanwhile does not stop the others."""
    account = an_account()
    await world.connect(account)
    keys = ["SAAAAAAAAAAAAAAAAAA2", "SBBBBBBBBBBBBBBBBBB2", "SCCCCCCCCCCCCCCCCCC2"]
    ids = [await world.order(an_order(account, key=key)) for key in keys]
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("Main: Paused")
    await world.owner.tap("Yes, set Paused")
    await world.owner.tap("Cancel 3 orders, no stops")
    await world.owner.sees("Cancel 3 working orders?")
    world.at_broker(account.broker_id).fill(ids[1])
    await world.refresh(account)
    await world.owner.tap("Cancel all 3")
    result = await world.owner.sees("Cancel requested")
    assert "❌ That order is filled already." in result["text"]
    listed = world.at_broker(account.broker_id).order_list
    assert [listed[one].status for one in ids] == [CANCELED, COMPLETE, CANCELED]


@pytest.mark.row("B9")
async def test_the_morning_round_is_asked_for_once(world: World):
    """Without an account there is a hint; else the controller posts the card."""
    await world.start()
    await world.owner.say("/login")
    await world.owner.sees("Use /add to connect the first one")
    await world.connect(an_account(token_status=TokenStatus.EXPIRED))
    await world.owner.say("/login")
    await soon(lambda: world.effects("round"))


@pytest.mark.row("B11")
async def test_a_login_is_shared_as_a_link(world: World):
    """A link with an end, shown once with a copy button, listed and revoked."""
    account = an_account(token_status=TokenStatus.EXPIRED)
    await world.connect(account)
    await world.start()
    await world.owner.say("/brokers")
    await world.owner.tap("Edit Main")
    await world.owner.tap("Share login")
    await world.owner.sees("No link is open.")
    await world.owner.tap("7 days")
    copied = (await world.owner.button("Copy the link"))["copy_text"]
    root, _, link = copied.rpartition("/")
    assert root == "https://saarthi.example/login"
    assert (await world.control.logins.linked_account(link)).broker_id == account.broker_id
    await world.owner.tap("Login links")
    listed = await world.owner.sees("• made ")
    assert link not in listed["text"]
    await world.owner.tap("Revoke the one of")
    await world.owner.sees("Revoked: that link opens nothing any more.")
    with pytest.raises(LoginRefused):
        await world.control.logins.linked_account(link)


async def test_a_failing_store_is_told_in_plain_words(world: World):
    """No technical text, and what it means: no orders are sent."""
    await world.connect(an_account())
    await world.start()
    world.engine_store.fail("find", "fills", StoreUnavailable("mongodb://10.0.0.1 refused"))
    await world.owner.say("/dashboard")
    seen = await world.owner.sees("My memory is out of reach")
    assert "10.0.0.1" not in seen["text"]


async def test_a_mistake_of_ours_is_told_and_the_bot_goes_on(world: World):
    """An unforeseen failure of one handler neither kills the bot nor leaves silence."""
    await world.connect(an_account())
    await world.start()
    world.engine_store.fail("find", "fills", ZeroDivisionError("secret detail"))
    await world.owner.say("/dashboard")
    seen = await world.owner.sees("Something went wrong on my side.")
    assert "secret detail" not in seen["text"]
    await world.owner.say("/dashboard")
    await world.owner.sees("Funds")
