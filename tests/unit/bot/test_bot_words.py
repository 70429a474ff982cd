"""The words for orders, and the one list of commands."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from bot.registry import COMMANDS, command_help
from bot.views.dashboard import order_items
from bot.views.system import help_screen
from bot.views.words import ORDER_ICON, order_state, part_of
from core.domain.order import OrderState, OrderType
from tests.fakes.views import an_account, an_order

MAIN = an_account()


@pytest.mark.parametrize("state", OrderState)
def test_every_order_state_has_words(state: OrderState):
    """No state's machine name reaches a user."""
    order = an_order(MAIN, state=state, filled_quantity=4, average_price=Decimal(1))
    words = order_state(order)
    assert words and "_" not in words and state.value not in words.split()
    assert ORDER_ICON[state]


@pytest.mark.parametrize("kind", OrderType)
def test_every_order_type_has_words(kind: OrderType):
    """Terms are told in plain words with the prices that matter."""
    order = an_order(MAIN, order_type=kind, trigger_price=Decimal(800))
    (item,) = order_items([order])
    word = {"MARKET": "Buying 10", "LIMIT": "limit ₹812.00"}.get(kind.value, "stop ₹800.00")
    assert word in item.text


def test_help_lists_every_command_of_the_registry():
    """One registry serves handlers, menu and help."""
    text = help_screen([(one.name, one.summary) for one in command_help()]).text
    assert [one.name for one in COMMANDS] == re.findall(r"^/(\w+) —", text, re.MULTILINE)
    wanted = (
        "start dashboard brokers add login strategies positions orders trades pnl mode panic limits "
        "guard settings owners health help cancel"
    )
    assert {one.name for one in COMMANDS} == set(wanted.split())
    assert all(re.fullmatch(r"[a-z0-9_]{1,32}", one.name) for one in COMMANDS)
    assert all(1 <= len(one.summary) <= 60 for one in COMMANDS)


@pytest.mark.parametrize(
    ("count", "all_of", "said"),
    [(0, 3, ""), (2, 3, ", 2 of them flat"), (3, 3, ", all flat"), (1, 1, ", flat"), (0, 1, "")],
)
def test_a_part_of_one_is_not_counted(count: int, all_of: int, said: str):
    """Of one account it is said that it is flat, not that one of them is."""
    assert part_of(count, all_of, "flat") == said
