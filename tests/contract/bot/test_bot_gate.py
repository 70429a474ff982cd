"""Who is served (G1), and what single-use buttons hold (G3), against the simulated Bot API."""

from __future__ import annotations

import logging

import pytest

from bot.edge.pairing import pairing_code
from bot.registry import ACTIONS, COMMANDS
from core.domain.account import Account
from core.domain.instrument import InstrumentId
from core.domain.mode import TradingMode
from core.domain.order import Purpose, Side
from tests.fakes.bot_world import OWNER, Person, World, a_tap, soon
from tests.fakes.views import a_position, an_account, an_order

pytestmark = pytest.mark.dates

STRANGER = 6666


@pytest.mark.row("G1")
@pytest.mark.matrix("O05")
async def test_a_stranger_gets_nothing_from_any_command(
    world: World, caplog: pytest.LogCaptureFixture
):
    """Every command of the registry, free text, /pair with a wrong code: no answer, one log line."""
    await world.connect(an_account())
    await world.start()
    stranger = Person(world.telegram, STRANGER)
    with caplog.at_level(logging.WARNING):
        for command in COMMANDS:
            await stranger.say(f"/{command.name}")
        await stranger.say("hello")
        await stranger.say("/pair ABCDEFGH")
        await world.owner.say("/help")  # behind all of these
        await world.owner.sees("What I can do")
        await world.settled()
    seen = await stranger.messages()
    assert [one for one in seen if one["from"] == "bot"] == []
    lines = [line for line in caplog.text.splitlines() if str(STRANGER) in line]
    assert len(lines) == 1 and "not served" in lines[0]
    assert await world.effects() == []
    assert [row["_id"] for row in await world.rows("users")] == [str(OWNER)]
    assert len(await world.rows("inbox")) == 1


@pytest.mark.row("G1")
@pytest.mark.matrix("O05")
async def test_a_stranger_gets_nothing_from_any_button(world: World):
    """Forged button data of every verb is neither answered nor obeyed."""
    account = an_account()
    await world.connect(account)
    await world.start()
    await world.owner.say("/mode")
    await world.owner.sees("Trading modes")
    stranger = Person(world.telegram, STRANGER)
    await stranger.say("hi")
    # A callback needs a message of the bot, so the stranger's come through the queue itself.
    bot = next(iter(world.telegram.sim.bots.values()))
    for verb in ACTIONS:
        tap = a_tap(abs(hash(verb)) % 10**9, f"v1:{verb}:{account.broker_id}", 1, user_id=STRANGER)
        world.telegram.sim.queue(bot).put("callback_query", "x", tap["callback_query"])
    await world.owner.say("/help")  # behind all of these
    await world.owner.sees("What I can do")
    await world.settled()
    assert await world.effects() == []
    assert [one for one in await stranger.messages() if one["from"] == "bot"] == []


@pytest.mark.row("G1")
async def test_an_owner_is_not_served_in_a_group(world: World):
    """A group could show an account to others: even its owner gets nothing there."""
    await world.start()
    status, _ = await world.telegram.control("chats", id=-500, type="group", title="Friends")
    assert status == 200
    status, _ = await world.telegram.control("send", chat_id=-500, user_id=OWNER, text="/dashboard")
    assert status == 200
    await world.owner.say("/help")  # behind that
    await world.owner.sees("What I can do")
    seen = await world.telegram.transcript(-500)
    assert [one for one in seen["messages"] if one["from"] == "bot"] == []


@pytest.mark.row("G1")
async def test_the_pairing_code_makes_the_first_owner(world: World):
    """The console's code lets its holder in, once; nobody else after that."""
    world.owners = frozenset()
    code = await pairing_code(world.store)
    assert code is not None and await pairing_code(world.store) == code
    await world.start()
    await world.owner.say("/start")
    await world.owner.say("/pair WRONGONE")
    await world.owner.say(f"/pair {code.lower()}")
    await world.owner.sees("Namaste")
    late = Person(world.telegram, STRANGER)
    await late.say(f"/pair {code}")
    await world.settled()
    assert [one for one in await late.messages() if one["from"] == "bot"] == []
    (row,) = await world.rows("users")
    assert (row["_id"], row["user_id"], row["role"]) == (str(OWNER), OWNER, "owner")
    assert await pairing_code(world.store) is None


@pytest.mark.row("G1")
async def test_strangers_do_not_close_pairing(world: World):
    """Wrong codes silence their sender alone and are told on the console; the owner still pairs."""
    world.owners = frozenset()
    code = await pairing_code(world.store)
    await world.start()
    stranger = Person(world.telegram, STRANGER)
    for number in range(10):
        await stranger.say(f"/pair WRONG{number:03d}")
    await stranger.say(f"/pair {code}")  # too late: nothing of theirs is compared any more
    await world.owner.say(f"/pair {code}")
    await world.owner.sees("Namaste")
    await world.settled()
    assert [row["_id"] for row in await world.rows("users")] == [str(OWNER)]
    assert len(await world.rows("inbox")) == 1
    assert len(world.console) == 1 and str(STRANGER) in world.console[0]


@pytest.mark.row("E4", "G3")
@pytest.mark.matrix("O01")
@pytest.mark.invariant("I9")
async def test_five_taps_on_close_close_once(world: World):
    """The confirmation names the account and the effect; repeated taps are answered 'already'."""
    account = an_account()
    await world.connect(account)
    await world.hold(a_position(account))
    await world.start()
    await world.owner.say("/positions")
    await world.owner.tap("Close SBIN")
    question = await world.owner.sees("Close this position on Zerodha - Main?")
    assert "Sell 10 SBIN MIS at the market price" in question["text"]
    data = question["keyboard"][0][0]["data"]
    assert question["keyboard"][0][0]["style"] == "danger"
    for _ in range(5):
        await world.owner.press(question["id"], data)
    await soon(lambda: _placed(world, account))
    await world.settled()
    (sent,) = world.at_broker(account.broker_id).placed
    assert (sent.side, sent.quantity, sent.instrument.symbol) == (Side.SELL, 10, "SBIN")
    assert (await world.owner.toasts()).count("Already done.") == 4


@pytest.mark.row("G3")
async def test_an_expired_button_says_so(world: World):
    """After five minutes a confirmation does nothing but point to where to begin again."""
    account = an_account()
    await world.connect(account)
    await world.order(an_order(account))
    await world.start()
    await world.owner.say("/orders")
    await world.owner.tap("Cancel buying SBIN")
    question = await world.owner.sees("Cancel this order")
    world.clock.wall.seconds += 301
    await world.owner.press(question["id"], question["keyboard"][0][0]["data"])
    text = "This button has expired. Open /orders again."
    await world.owner.sees(text)
    assert text in await world.owner.toasts()
    assert await world.effects() == []


@pytest.mark.row("G3")
@pytest.mark.matrix("O05")
@pytest.mark.parametrize("how", ["verb", "nonce", "person", "nonsense"])
async def test_a_tampered_button_does_nothing(world: World, how: str):
    """A nonce of another verb, an invented nonce, another user's nonce, and noise are refused."""
    account = an_account()
    await world.connect(account)
    await world.hold(a_position(account))
    world.owners = frozenset({OWNER, 2002})
    await world.start()
    await world.owner.say("/positions")
    await world.owner.tap("Close SBIN")
    question = await world.owner.sees("Close this position")
    nonce = question["keyboard"][0][0]["data"].split(":")[2]
    person, data = world.owner, f"v1:discok:{nonce}"
    message_id = question["id"]
    if how == "nonce":
        data = "v1:close:AAAAAAAAAAAAAAAA"
    elif how == "nonsense":
        data = "v0:close"
    elif how == "person":
        person = Person(world.telegram, 2002)
        await person.say("/help")
        message_id = (await person.sees("What I can do"))["id"]
        data = f"v1:close:{nonce}"
    await person.press(message_id, data)
    await soon(person.toasts)
    await world.settled()
    assert await world.effects() == []


@pytest.mark.row("G3")
async def test_a_refused_command_leaves_its_button_usable(world: World):
    """Nothing was changed, so the same confirmation may be tapped again."""
    account = an_account()
    await world.connect(account)
    await world.hold(a_position(account))
    await world.start()
    await world.owner.say("/positions")
    await world.owner.tap("Close SBIN")
    question = await world.owner.sees("Close this position")
    data = question["keyboard"][0][0]["data"]
    await world.wiring.tokens.mark_expired(account.broker_id, "a test")
    await world.owner.press(question["id"], data)
    await world.owner.sees("needs a login first")
    await world.log_in(account)
    await world.owner.press(question["id"], data)
    await soon(lambda: _placed(world, account))


@pytest.mark.row("C1", "C2", "E4")
async def test_pausing_takes_two_taps_and_lists_what_still_works(world: World):
    """Choose, confirm; the result names working orders, each with a way to cancel it."""
    account = an_account()
    await world.connect(account)
    await world.hold(a_position(account))
    await world.order(an_order(account))
    await world.start()
    await world.owner.say("/mode")
    await world.owner.tap("All: Paused")
    question = await world.owner.sees("Set Paused for all accounts?")
    assert "not even stops" in question["text"]
    await world.owner.tap("Yes, set Paused")
    result = await world.owner.sees("All accounts: Paused")
    assert "1 position left alone: no stop" in result["text"]
    assert "Buying 10 SBIN" in result["text"]
    assert await world.control.modes.global_mode() is TradingMode.PAUSED
    await world.owner.tap("Cancel buying SBIN")
    question = await world.owner.sees("Cancel this order on Zerodha - Main?")
    assert "Buying 10 SBIN" in question["text"]
    assert await world.effects("cancel") == []
    await world.owner.tap("Cancel the order")
    await world.owner.sees("Cancel requested")
    assert len(await world.effects("cancel")) == 1


@pytest.mark.row("E4", "G3")
async def test_cancelling_names_what_comes_of_it(world: World):
    """A stop leaves its position without one, an exit is followed by another; an entry is gone."""
    account = an_account()
    await world.connect(account)
    names = {Purpose.STOP: "TCS", Purpose.EXIT: "INFY", Purpose.ENTRY: "SBIN"}
    for purpose, name in names.items():
        one = InstrumentId("NSE", name)
        await world.order(an_order(account, key=f"S{name}", purpose=purpose, instrument=one))
    await world.start()
    words = {
        Purpose.STOP: "without it the position is unprotected",
        Purpose.EXIT: "as long as its position is to be closed, another one follows",
    }
    for purpose, name in names.items():
        sent = await world.owner.say(f"cancel {name}")
        question = await world.owner.sees("Cancel this order on Zerodha - Main?", after=sent)
        assert name in question["text"]
        said = {one for one, text in words.items() if text in question["text"]}
        assert said == {purpose} & words.keys()
    sent = await world.owner.say("cancel all orders")
    question = await world.owner.sees("Cancel 2 working orders?", after=sent)
    assert "An exit is followed by another one" in question["text"]
    assert "Stops stay" in question["text"]
    assert await world.effects("cancel") == []


@pytest.mark.row("C2")
async def test_closing_on_a_paused_account_asks_twice(world: World):
    """A user's own Close works in PAUSED after a second confirmation."""
    account = an_account(trading_mode=TradingMode.PAUSED)
    await world.connect(account)
    await world.hold(a_position(account))
    await world.start()
    await world.owner.say("/positions")
    await world.owner.tap("Close SBIN")
    await world.owner.tap("Close SBIN now")
    await world.owner.sees("Close the position all the same?")
    assert await world.effects("close") == []
    await world.owner.tap("Close it despite the pause")
    await soon(lambda: _placed(world, account))
    assert len(world.at_broker(account.broker_id).placed) == 1


@pytest.mark.matrix("T07")
async def test_a_tap_that_waited_is_not_obeyed(world: World):
    """A tap stored before a long stop changes nothing when it is replayed; the user is told."""
    account = an_account(enabled=False)
    await world.connect(account)
    await world.start()
    await world.owner.say("/brokers")
    shown = await world.owner.sees("Your accounts")
    await world.settled()
    await world.crash()
    await world.lay_in_inbox(a_tap(77, f"v1:on:{account.broker_id}", shown["id"]))
    world.clock.wall.seconds += 5 * 3600
    await world.start()
    await world.owner.sees("You tapped that 300\u00a0min ago")
    assert await world.effects() == []


@pytest.mark.row("A5")
async def test_the_toggle_flips_in_place(world: World):
    """One tap enables, the label flips in the same message; the next tap disables."""
    account = an_account(enabled=False)
    await world.connect(account)
    await world.start()
    await world.owner.say("/brokers")
    message_id = await world.owner.tap("Enable Main")
    await world.owner.reads(message_id, "🟢 enabled")
    await world.owner.tap("Disable Main")
    await world.owner.reads(message_id, "⚪ disabled")
    assert len(await world.effects()) == 2
    assert not (await world.control.accounts.get(account.broker_id)).enabled


@pytest.mark.row("A5")
async def test_disabling_with_positions_asks_what_to_do(world: World):
    """Three choices share one nonce: exits only, close now, I manage them."""
    account = an_account()
    await world.connect(account)
    await world.hold(a_position(account))
    await world.start()
    await world.owner.say("/brokers")
    await world.owner.tap("Disable Main")
    question = await world.owner.sees("What should happen to them?")
    choices = [row[0]["data"] for row in question["keyboard"][:3]]
    assert len({data.split(":")[2] for data in choices}) == 1
    for data in choices:
        await world.owner.press(question["id"], data)
    await world.owner.sees("may still close what they hold")
    await world.settled()
    assert len(await world.effects()) == 1


@pytest.mark.row("A6", "A8")
async def test_the_default_is_not_disconnected_before_another_is_named(world: World):
    """Disconnect of the default offers the others; then it names what hangs on the account."""
    first, second = (
        an_account(),
        an_account("zerodha_bbbbbbbbbb", display_name="B", is_default=False),
    )
    await world.connect(first, second)
    await world.hold(a_position(first))
    await world.start()
    await world.owner.say("/brokers")
    page = await world.owner.tap("Edit Main")
    await world.owner.reads(page, "Last strategy run")
    await world.owner.tap("Disconnect")
    await world.owner.sees("Name another default first")
    await world.owner.tap("Make B the default")
    await soon(lambda: world.effects("default"))
    await world.owner.say("/brokers")
    page = await world.owner.tap("Edit Main")
    await world.owner.reads(page, "Last strategy run")
    await world.owner.tap("Disconnect")
    question = await world.owner.sees("Disconnect Zerodha - Main?")
    assert "1 open position" in question["text"] and "SBIN" in question["text"]
    await world.owner.tap("Disconnect Main")
    await world.owner.sees("is disconnected")
    assert [one.broker_id for one in await world.control.accounts.all()] == [second.broker_id]


@pytest.mark.row("A7")
async def test_rename_checks_and_changes(world: World):
    """A taken name is refused with a reason and asked again; a free one is taken."""
    await world.connect(
        an_account(), an_account("zerodha_bbbbbbbbbb", display_name="Taken", is_default=False)
    )
    await world.start()
    await world.owner.say("/brokers")
    await world.owner.tap("Edit Main")
    await world.owner.tap("Rename")
    await world.owner.sees("Send the new name")
    for wrong, told in (("TAKEN", "Another account is called"), ("x" * 41, "41 characters")):
        await world.owner.say(wrong)
        await world.owner.sees(told)
        assert sorted([one.display_name for one in await world.control.accounts.all()]) == [
            "Main",
            "Taken",
        ]
    await world.owner.say("Prime")
    await world.owner.sees("Now called Prime", anywhere=True)
    await world.settled()
    assert await world.rows("prompts") == []
    names = {one.broker_id: one.display_name for one in await world.control.accounts.all()}
    assert names == {an_account().broker_id: "Prime", "zerodha_bbbbbbbbbb": "Taken"}


async def _placed(world: World, account: Account) -> bool:
    """Whether the close of a position went out; the message that asked becomes its card."""
    return bool(world.at_broker(account.broker_id).placed)


@pytest.mark.row("A7", "C1")
async def test_the_mode_of_one_account_is_set_from_its_page(world: World):
    """Chosen, asked about by name, set for this account alone; its page then shows it."""
    account = an_account()
    other = an_account("zerodha_bbbbbbbbbb", display_name="B", is_default=False)
    await world.connect(account, other)
    await world.start()
    await world.owner.say("/brokers")
    page = await world.owner.tap("Edit Main")
    await world.owner.reads(page, "Mode: Normal")
    await world.owner.tap("Mode")
    await world.owner.tap("Main: Exit only")
    await world.owner.sees("Set Exit only for Zerodha - Main?")
    await world.owner.tap("Yes, set Exit only")
    await world.owner.sees("✅ Zerodha - Main: Exit only")
    modes = {one.broker_id: one.trading_mode for one in await world.control.accounts.all()}
    assert modes == {
        account.broker_id: TradingMode.EXIT_ONLY,
        other.broker_id: TradingMode.NORMAL,
    }
    assert await world.control.modes.global_mode() is TradingMode.NORMAL
    await world.owner.say("/brokers")
    page = await world.owner.tap("Edit Main")
    await world.owner.reads(page, "Mode: Exit only")
