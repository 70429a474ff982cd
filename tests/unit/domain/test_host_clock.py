"""How wrong the host's clock is: right to a second, and only when three answers agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.host_clock import certain_offset, is_right, offset_at, words

NOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


def seconds(*values: float) -> list[timedelta]:
    return [timedelta(seconds=value) for value in values]


@pytest.mark.matrix("K02")
@given(
    skew=st.floats(-100, 100),
    phase=st.floats(0, 1),
    out=st.floats(0, 0.5),
    back=st.floats(0, 0.5),
)
def test_an_offset_is_right_to_a_second(skew: float, phase: float, out: float, back: float) -> None:
    """Whole seconds of ``Date`` and an answer of up to a second move it by no more than that."""
    sent_at = NOON + timedelta(seconds=phase)
    theirs = sent_at + timedelta(seconds=out + skew)
    date = theirs.replace(microsecond=0)
    offset = offset_at(date, sent_at, sent_at + timedelta(seconds=out + back))
    assert offset is not None
    assert abs(offset.total_seconds() - skew) <= 1.0001


def test_a_slow_answer_and_a_stepped_clock_show_nothing() -> None:
    """More than a second, or less than none because the clock was set back meanwhile."""
    assert offset_at(NOON, NOON, NOON + timedelta(seconds=1.1)) is None
    assert offset_at(NOON, NOON, NOON - timedelta(seconds=1)) is None


def test_three_readings_of_one_broker_must_agree() -> None:
    """The least of them counts, the largest of the brokers; one outlier or two sides say nothing."""
    assert certain_offset({}) == timedelta(0)
    assert certain_offset({"a": seconds(40, 41)}) == timedelta(0)
    assert certain_offset({"a": seconds(0, 40, 39, 41)}) == timedelta(seconds=39)
    assert certain_offset({"a": seconds(-40, -39, -41)}) == timedelta(seconds=-39)
    assert certain_offset({"a": seconds(40, 0.2, 41)}) == timedelta(seconds=0.2)
    assert certain_offset({"a": seconds(40, -0.2, 41)}) == timedelta(0)
    assert certain_offset({"a": seconds(0, 0, 0), "b": seconds(5, 6, 7)}) == timedelta(seconds=5)


def test_right_again_is_three_near_readings_of_every_broker() -> None:
    """Nothing heard is not right."""
    assert not is_right({})
    assert not is_right({"a": seconds(0.1, 0.2)})
    assert not is_right({"a": seconds(0.1, 0.2, 2.5)})
    assert not is_right({"a": seconds(0.1, 0.2, 0.3), "b": seconds(0.1, 0.2, 40)})
    assert is_right({"a": seconds(40, 0.1, -0.2, 0.3)})


def test_words_are_for_this_computers_clock() -> None:
    """The brokers ahead means that ours is slow."""
    assert words(timedelta(seconds=40.7)) == "40 s slow"
    assert words(timedelta(seconds=-300)) == "5 min fast"
    assert words(timedelta(hours=-30)) == "30 h fast"
