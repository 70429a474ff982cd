"""Texts as Telegram shows them on a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.markup import LIMIT, clock_time, day_time, fit, short, units


@pytest.mark.row("E6")
def test_times_are_those_of_india() -> None:
    """Whatever zone a moment comes in: of the store, of a broker, of the machine."""
    moment = datetime(2026, 11, 22, 18, 45, 9, tzinfo=UTC)
    assert clock_time(moment) == "00:15"
    assert clock_time(moment, seconds=True) == "00:15:09"
    assert day_time(moment) == "23 Nov 00:15"
    assert day_time(moment, moment + timedelta(hours=23)) == "00:15"
    assert day_time(moment, moment + timedelta(days=1)) == "23 Nov 00:15"
    assert clock_time(None) == day_time(None) == "never"


@pytest.mark.row("E6")
def test_a_unit_stays_with_its_figure():
    """No line of a phone begins with the unit of the figure above; words are left alone."""
    sent = fit("came 61 s late, for 3 min, 5 % of it, 9 ms, 4 stops, 2 minutes")
    assert (
        sent == "came 61\u00a0s late, for 3\u00a0min, 5\u00a0% of it, 9\u00a0ms, 4 stops, 2 minutes"
    )


@pytest.mark.row("H5")
@given(st.lists(st.text("😀🏴a<&\n", max_size=400), max_size=40))
def test_a_message_is_as_long_as_telegram_counts(lines: list[str]) -> None:
    """A picture counts twice: counted as one sign, four thousand of them are a dead letter."""
    text = fit("\n".join(lines))
    assert units(text) <= LIMIT
    assert units(text) == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("limit", [2, 10, 3000])
def test_a_shortened_text_is_short_enough(limit: int) -> None:
    """Labels of buttons and reasons of brokers are cut between two signs."""
    cut = short("😀" * 4000, limit)
    assert units(cut) <= limit and cut.endswith("…")
    assert short("😀", 2) == "😀"
