"""Rows of one kind look alike, and fit a phone with what is usual."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.registry import COMMANDS
from bot.views.lines import card_lines, order_lines, position_lines
from bot.views.markup import fit
from bot.views.rows import ListRow, laid_out
from bot.views.width import fits_line
from tests.fakes.usual_views import NAMES, orders, positions, usual_screens

SENTENCE = re.compile(r"[.:?!]$|^⚠️ ")
PARTS = st.text("AM&0₹", min_size=1, max_size=14).map(html.escape)
FIGURES = st.lists(PARTS, max_size=3).map(tuple)


@pytest.mark.row("E1", "E2", "E3", "E6")
@pytest.mark.parametrize("names", [NAMES, *((one,) for one in NAMES)], ids=len)
def test_no_row_is_wider_than_a_phone(names: tuple[str, ...]) -> None:
    """Options, four digits of units, sums of twelve lakh and long nicknames: a line is a line."""
    wide = [
        line
        for screen in usual_screens(*names)
        for line in fit(screen.text).split("\n")
        if not fits_line(line) and not SENTENCE.search(re.sub("<[^>]+>", "", line))
    ]
    assert wide == []


@pytest.mark.row("E2", "E3", "E6")
def test_a_price_stands_beside_all_names_or_beside_none() -> None:
    """What RELIANCE has no room for stands in a line of its own for SBIN too."""
    sbin, other = (replace(orders(one)[5], quantity=1) for one in ("SBIN", "RELIANCE"))
    assert order_lines([sbin])[0].startswith("🕒 Stop: sell 1 SBIN · ₹12,345.65\n")
    first, second = order_lines([sbin, other])
    assert first.startswith("🕒 Stop: sell 1 SBIN\n   ₹12,345.65\n   MIS · 10:15\n")
    assert second.startswith("🕒 Stop: sell 1 RELIANCE\n   ₹12,345.65\n   MIS · 10:15\n")
    (option,) = card_lines(orders(NAMES[-1])[5:6], {})
    assert option == f"🕒 Stop: sell 1800 · ₹12,345.65\n   {NAMES[-1]}"


@pytest.mark.parametrize("names", [NAMES[:3], NAMES])
def test_rows_of_one_kind_have_one_shape(names: tuple[str, ...]) -> None:
    """The same order or position of another name has as many lines."""
    for rows in (
        order_lines([orders(one)[0] for one in names]),
        card_lines([orders(one)[2] for one in names], {}),
        position_lines([positions(one)[1] for one in names]),
    ):
        assert len({one.count("\n") for one in rows}) == 1


@given(st.lists(st.builds(ListRow, PARTS, FIGURES, below=st.tuples(FIGURES, FIGURES)), max_size=4))
def test_nothing_of_a_row_is_lost(rows: list[ListRow]) -> None:
    """Whatever the widths: all parts, in their order, and the figures beside the name or below."""
    for row, text in zip(rows, laid_out(rows, indent="   "), strict=True):
        shown = re.split(r" · |\n", re.sub(r"(?m)^ +", "", text))
        assert shown == [row.name, *row.figures, *row.below[0], *row.below[1]]
        assert all(line.startswith("   ") for line in text.split("\n"))


def test_each_command_has_a_line_of_the_help() -> None:
    """The help is a list: what a command is for stands beside it."""
    wide = [one.name for one in COMMANDS if not fits_line(f"/{one.name} — {one.summary}")]
    assert wide == []
