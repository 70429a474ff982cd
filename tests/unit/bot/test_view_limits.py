"""Every view of a large installation stays within Telegram's limits, and is split between rows.

Fifty accounts with long names, 200 positions, 1,000 orders: 4,096 units of UTF-16, 100 buttons, 64
bytes of a button's data. Telegram refuses what is beyond, and the user would see nothing.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bot.views
import bot.wizard
from bot.views.markup import LIMIT, fit, units
from bot.views.paging import PAGE
from bot.views.screen import Screen
from bot.views.strategies import strategy_page
from tests.fakes import large_views
from tests.fakes.large_views import ACCOUNTS, OTHERS, STRATEGY, VIEWS

BUTTONS, BYTES = 100, 64


def datas(screen: Screen) -> Iterator[str]:
    for row in screen.rows:
        for one in row:
            if one.callback_data is not None:
                yield str(one.callback_data)


@pytest.mark.row("E2", "E3")
@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=6, deadline=None)
@given(page=st.integers(0, 130))
def test_every_view_is_within_the_limits_of_telegram(name: str, page: int) -> None:
    """Whatever page: its length, its buttons, their data; nothing is cut away, no tag left open."""
    hold_limits(VIEWS[name](page))


@pytest.mark.parametrize("at", range(len(OTHERS)))
def test_every_single_screen_is_within_the_limits(at: int) -> None:
    """Questions, pages of one account, guards, limits, addresses, links, wizard, panic, help."""
    hold_limits(OTHERS[at])


def test_no_view_is_missing_here() -> None:
    """Whatever returns a screen is called in the samples, so a new view is tried as well."""
    called = {
        node.func.id
        for node in ast.walk(ast.parse(inspect.getsource(large_views)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    missing = [
        f"{module.__name__}.{name}"
        for package in (bot.views, bot.wizard)
        for found in pkgutil.iter_modules(package.__path__)
        for module in [importlib.import_module(f"{package.__name__}.{found.name}")]
        for name, view in inspect.getmembers(module, inspect.isfunction)
        if view.__module__ == module.__name__ and not name.startswith("_")
        if view.__annotations__.get("return") == "Screen" and name not in called
    ]
    assert missing == []


def hold_limits(screen: Screen) -> None:
    """Fail unless Telegram takes the screen, whole."""
    text = fit(screen.text)
    assert 0 < units(text) <= LIMIT
    assert "the rest is cut" not in text
    markup = screen.markup()
    rows = markup.inline_keyboard if markup else ()
    assert sum(map(len, rows)) <= BUTTONS
    assert all(0 < len(row) <= 8 for row in rows)
    assert all(len(one.encode()) <= BYTES for one in datas(screen))
    for tag in ("b", "i", "code"):
        assert len(re.findall(f"<{tag}>", text)) == text.count(f"</{tag}>")


@pytest.mark.row("A4", "C1", "D4")
@pytest.mark.parametrize("name", ["accounts", "modes", "strategy", "limits"])
def test_each_account_is_on_one_page(name: str) -> None:
    """Every account is named on exactly one page, and no page is cut."""
    views = {
        **VIEWS,
        "strategy": lambda page: strategy_page(replace(STRATEGY, last_run=None), page),
    }
    pages = [views[name](page) for page in range(len(ACCOUNTS) // PAGE)]
    texts = list(dict.fromkeys(screen.text for screen in pages))
    for account in ACCOUNTS:
        label = account.label.replace("&", "&amp;")
        assert sum(f"{label}<" in text or f"{label}:" in text for text in texts) == 1
    assert not any("the rest is cut" in fit(text) for text in texts)


@pytest.mark.row("E1")
def test_a_card_of_fifty_accounts_shows_those_that_need_a_look() -> None:
    """Accounts with a note come first, and the rest is counted instead of cut away."""
    text = VIEWS["run card"](0).text
    assert "the rest is cut" not in fit(text)
    assert text.count("does not buy one lot") == 8
    rest = re.search(r"… and (\d+) more accounts, all through: /orders\.", text)
    assert rest is not None and int(rest[1]) >= 38
    assert re.search(r"… and \d+ more that enter nothing\.", text)
