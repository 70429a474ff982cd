"""Buttons of old messages: what they say may be true no more; a tap tells what is, and shows it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.command import Command
from core.domain.views import SizeKind
from tests.fakes.bot_world import OWNER, World
from tests.fakes.views import a_position, an_account

NAME = "opening_range_breakout"
FIRST, SECOND = an_account(), an_account("zerodha_bbbbbbbbbb", is_default=False, display_name="Two")


def command(number: int) -> Command:
    return Command(f"elsewhere{number}", OWNER, OWNER)


async def old_button(world: World, label: str) -> str:
    """Return the data of the newest button with a label, to be tapped later."""
    return str((await world.owner.button(label))["data"])


@pytest.mark.row("D6")
async def test_an_old_enable_button_tells_that_the_strategy_runs(world: World):
    """It asks nothing, changes nothing (no slot is skipped), and the page is drawn as it is."""
    await world.connect(FIRST)
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    shown = await person.reads(page, "Once enabled, next run: ")
    assert "planned" not in shown["text"]
    enable = await old_button(world, "Enable")
    settings = world.control.strategy_settings
    await settings.set_enabled(command(1), NAME, enabled=True)
    (before,) = await world.rows("strategies", _id=NAME)
    await person.press(page, enable)
    shown = await person.reads(page, "It is enabled already; nothing was changed.")
    assert "Next run: " in shown["text"] and "🟢 enabled" in shown["text"]
    assert (await world.rows("strategies", _id=NAME)) == [before]
    disable = await old_button(world, "Disable")
    await settings.set_enabled(command(2), NAME, enabled=False)
    await person.press(page, disable)
    shown = await person.reads(page, "It is off already; nothing was changed.")
    assert "⚪ disabled" in shown["text"]


@pytest.mark.row("D4")
async def test_a_yes_enables_only_what_was_asked_about(world: World):
    """The size was raised after the question: it is asked again, with the new rupees."""
    await world.connect(FIRST)
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "⚪ disabled")
    await person.tap("Enable")
    await person.reads(page, "Enable Opening range breakout?")
    yes = await old_button(world, "Yes, enable it")
    settings = world.control.strategy_settings
    size = {"size_kind": SizeKind.QUANTITY, "size_value": Decimal(5000)}
    await settings.assign(command(1), NAME, FIRST.broker_id, **size)  # type: ignore[arg-type]
    await person.press(page, yes)
    shown = await person.reads(page, "has changed since that question")
    assert "5000 " in shown["text"]
    assert not (await world.control.strategies.get(NAME)).is_enabled
    await person.tap("Yes, enable it")
    await person.reads(page, "🟢 enabled")


@pytest.mark.row("D4")
async def test_old_buttons_of_an_assignment_tell_what_is(world: World):
    """On, off and the product; an account that is disabled is not listed as on without a word."""
    await world.connect(FIRST)
    await world.start()
    person = world.owner
    await person.say("/strategies")
    page = await person.tap("Opening range breakout")
    await person.reads(page, "Zerodha - Main: on")
    await person.tap("Zerodha - Main …")
    await person.reads(page, "Runs there: yes")
    off, product = await old_button(world, "Turn off here"), await old_button(world, "Use NRML")
    await person.press(page, off)
    await person.reads(page, "Runs there: no")
    on = await old_button(world, "Turn on here")
    await person.press(page, off)
    await person.reads(page, "It is off already; nothing was changed.")
    await person.press(page, on)
    await person.reads(page, "Runs there: yes")
    await person.press(page, on)
    await person.reads(page, "It is on here already; nothing was changed.")
    await person.press(page, product)
    await person.reads(page, "Product: NRML")
    await person.press(page, product)
    await person.reads(page, "It uses NRML already; nothing was changed.")
    await world.control.switch.disable(command(9), FIRST.broker_id, None)
    await person.tap("« Back")
    shown = await person.reads(page, "⏸ the account is disabled")
    await person.tap("Run now")
    shown = await person.reads(page, "Run Opening range breakout now?")
    assert "may enter on: no account." in shown["text"]
    assert "Zerodha - Main: the account is disabled" in shown["text"]


@pytest.mark.row("A5")
async def test_old_buttons_of_accounts_tell_what_is(world: World):
    """Enable and Disable, in the list and on the page; Set default."""
    await world.connect(FIRST, SECOND)
    await world.start()
    person = world.owner
    await person.say("/brokers")
    listed = (await person.sees("Your accounts"))["id"]
    disable = await old_button(world, "Disable Two")
    await world.control.switch.disable(command(1), SECOND.broker_id, None)
    await person.press(listed, disable)
    shown = await person.reads(listed, "Zerodha - Two is disabled already; nothing was changed.")
    assert "⚪ disabled" in shown["text"]
    enable = await old_button(world, "Enable Two")
    await person.press(listed, enable)
    await person.reads(listed, "Your accounts")
    await person.tap("Edit Two …")
    await person.reads(listed, "Strategies: enabled")
    await person.press(listed, enable)
    await person.reads(listed, "Zerodha - Two is enabled already; nothing was changed.")
    default = await old_button(world, "Set default")
    await person.press(listed, default)
    await person.reads(listed, "⭐ default")
    await person.press(listed, default)
    await person.reads(listed, "Zerodha - Two is the default already; nothing was changed.")


@pytest.mark.row("E4")
async def test_a_list_is_drawn_anew_when_its_button_is_of_the_past(world: World):
    """Close of a position that is gone: the reason comes, and the list shows what is held now."""
    await world.connect(FIRST)
    await world.hold(a_position(FIRST, owners={}))
    await world.start()
    person = world.owner
    await person.say("/positions")
    listed = (await person.sees("Positions · Zerodha - Main"))["id"]
    await person.reads(listed, "SBIN MIS · +10")
    close = await old_button(world, "Close SBIN")
    world.at_broker(FIRST.broker_id).position_list.clear()
    await world.refresh(FIRST)
    await person.press(listed, close)
    await person.sees("That position is not open any more.")
    await person.reads(listed, "None.")
