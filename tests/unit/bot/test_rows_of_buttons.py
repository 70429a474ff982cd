"""Buttons stand in rows in which a phone shows their whole labels, whatever view asks for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.views.accounts import switcher
from bot.views.screen import REFRESH, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import fits_button
from tests.fakes.views import an_account


def rows_of(*rows: tuple[str, ...]) -> list[list[str]]:
    """Return the labels as they are sent."""
    screen = Screen("text", tuple(tuple(button(one, Verb.HELP) for one in row) for row in rows))
    markup = screen.markup()
    assert markup is not None
    return [[one.text for one in row] for row in markup.inline_keyboard]


def test_short_labels_share_a_row_and_long_ones_have_their_own():
    """Three short ones stay together; one that would be cut off begins a row."""
    assert rows_of((REFRESH, "Trades", "Mode")) == [[REFRESH, "Trades", "Mode"]]
    assert rows_of(("Cancel buying SBIN · Main", "Close SBIN")) == [
        ["Cancel buying SBIN · Main"],
        ["Close SBIN"],
    ]
    assert rows_of(("One", "Two", "Cancel buying SBIN · Main")) == [
        ["One", "Two"],
        ["Cancel buying SBIN · Main"],
    ]


def test_names_of_accounts_are_readable_in_the_switcher():
    """Names of usual length stand two or three in a row, and none is cut."""
    accounts = [
        an_account(f"zerodha_{number:010}", display_name=name, is_default=not number)
        for number, name in enumerate(["Main", "Growth", "Family trust", "Wife's second account"])
    ]
    markup = Screen("x", switcher(accounts, accounts[0].broker_id, Verb.POSITIONS)).markup()
    assert markup is not None
    rows = [[one.text for one in row] for row in markup.inline_keyboard]
    assert rows == [["• Main", "Growth", "Family trust"], ["Wife's second account"]]


@given(st.lists(st.text("aiWm 0₹🟢", min_size=1, max_size=40), min_size=1, max_size=8))
def test_no_button_is_lost_and_none_is_cut_that_need_not_be(labels: list[str]):
    """All stay in their order; one that shares its row has its room there."""
    buttons = [button(one, Verb.HELP) for one in labels]
    markup = Screen("x", grid(buttons, 3)).markup()
    assert markup is not None
    rows = markup.inline_keyboard
    assert [one for row in rows for one in row] == buttons
    for row in rows:
        assert len(row) == 1 or all(fits_button(one.text, len(row)) for one in row)
