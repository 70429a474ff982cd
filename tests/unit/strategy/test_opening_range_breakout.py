"""The opening range breakout, by tables and by properties."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.bars import bar_close
from core.domain.broker import Candle
from core.domain.sessions import slots_of
from core.domain.target import Context, DataNeed, Direction, checked_parameters
from core.errors import UserError
from strategy.opening_range_breakout import OpeningRangeBreakout
from tests.unit.strategy.days import SBIN, Given, at, bar, bars, decide, window

pytestmark = pytest.mark.row("D7")

ORB = OpeningRangeBreakout()
# Range 09:15 to 09:29: high 102, low 98.
OPENING = [bar("09:15", 100, 102, 98, 100), *bars("09:16", [100] * 14)]
UP = bar("09:30", 100, 103, 100, 103)
DOWN = bar("09:30", 100, 100, 97, 97)


def target_of(slot: str, *later: Candle, **given_: str):
    return decide(ORB, slot, [*OPENING, *later], given_)


@pytest.mark.parametrize(
    ("breakout", "given_", "direction", "stop"),
    [
        (UP, {}, Direction.LONG, "98"),
        (DOWN, {}, Direction.SHORT, "102"),
        (UP, {"side": "long"}, Direction.LONG, "98"),
        (UP, {"side": "short"}, Direction.FLAT, None),
        (DOWN, {"side": "long"}, Direction.FLAT, None),
        (bar("09:30", 100, 105, 95, 102), {}, Direction.FLAT, None),
        (UP, {"buffer_bps": "98"}, Direction.LONG, "98"),
        (UP, {"buffer_bps": "99"}, Direction.FLAT, None),
        (DOWN, {"buffer_bps": "100"}, Direction.SHORT, "102"),
        (UP, {"stop": "percent", "stop_percent": "1"}, Direction.LONG, "101.97"),
        (DOWN, {"stop": "percent", "stop_percent": "0.5"}, Direction.SHORT, "97.49"),
    ],
)
def test_a_close_beyond_the_range_enters(
    breakout: Candle, given_: dict[str, str], direction: Direction, stop: str | None
):
    """A close beyond range and buffer enters on an allowed side, with the stop asked for."""
    target = target_of("09:31", breakout, **given_)
    assert target.direction is direction
    assert target.stop_price == (None if stop is None else Decimal(stop))
    assert target.signal_at == (at("09:31") if direction else at("09:15"))


def test_the_signal_keeps_its_time_while_the_goal_stands():
    """A goal's signal is the close of the bar that caused it, at each later slot too."""
    later = [UP, *bars("09:31", [103, 104, 105, 104])]
    signals = {target_of(f"09:{minute}", *later).signal_at for minute in range(31, 36)}
    assert signals == {at("09:31")}


@pytest.mark.parametrize(
    ("breakout", "touch"),
    [(UP, bar("09:40", 100, 101, 98, 101)), (DOWN, bar("09:40", 99, 102, 99, 99))],
)
def test_a_touched_stop_ends_the_position_for_the_day(breakout: Candle, touch: Candle):
    """Once a bar touched the stop the goal is flat from that bar's close on."""
    later = [breakout, *bars("09:31", [100] * 9), touch, *bars("09:41", [100, 100, 100])]
    assert target_of("09:40", *later).direction is not Direction.FLAT
    for slot in ("09:41", "09:44"):
        target = target_of(slot, *later)
        assert target.direction is Direction.FLAT
        assert target.signal_at == at("09:41")
        assert "stop at ₹" in target.reason


def test_the_breakout_bar_itself_cannot_hit_the_stop():
    """A position opens after its signal bar, so that bar's low says nothing about the stop."""
    assert target_of("09:31", bar("09:30", 100, 103, 97, 103)).direction is Direction.LONG


def test_a_second_breakout_enters_only_as_often_as_asked():
    """After a stop, a new crossing in the same direction needs ``max_entries`` above one."""
    later = [UP, bar("09:31", 100, 100, 98, 100), *bars("09:32", [100, 104])]
    assert target_of("09:34", *later).direction is Direction.FLAT
    again = target_of("09:34", *later, max_entries="2")
    assert (again.direction, again.signal_at) == (Direction.LONG, at("09:34"))


def test_after_a_stopped_long_the_other_side_may_still_break_out():
    """One entry a direction: a short remains possible after a long was stopped out."""
    later = [UP, bar("09:31", 100, 100, 98, 99), bar("09:32", 97)]
    assert target_of("09:33", *later).direction is Direction.SHORT


def test_staying_outside_is_no_new_breakout():
    """The bar that stops a long below the range is no short, nor is the next one down there."""
    later = [UP, bar("09:31", 100, 100, 97, 97), *bars("09:32", [96, 95])]
    assert target_of("09:34", *later).direction is Direction.FLAT


def test_the_target_ends_the_position():
    """With a target of twice the risk: entry 103, risk 5, target 113."""
    later = [UP, bar("09:31", 103, 112.95, 103, 110), bar("09:32", 110, 113, 109, 109)]
    assert target_of("09:32", *later, target_multiple="2").direction is Direction.LONG
    done = target_of("09:33", *later, target_multiple="2")
    assert (done.direction, done.signal_at) == (Direction.FLAT, at("09:33"))
    assert "target of ₹" in done.reason
    assert target_of("09:33", *later).direction is Direction.LONG


def test_of_stop_and_target_in_one_bar_the_stop_counts():
    """A bar does not tell the order of its prices, so the worse one is assumed."""
    both = bar("09:31", 103, 120, 98, 110)
    assert "stop at ₹" in target_of("09:32", UP, both, target_multiple="1").reason


@pytest.mark.parametrize(("until", "direction"), [("09:45", 1), ("09:30", 0)])
def test_no_entry_after_the_entry_window(until: str, direction: int):
    """A breakout at 09:45 enters when entries are allowed until then, not when only before."""
    later = [*bars("09:30", [100] * 14), bar("09:44", 103)]
    assert target_of("09:45", *later, entry_until=until).direction == direction


def test_the_square_off_ends_the_day():
    """At the square-off an open position's goal turns flat, dated to the square-off."""
    later = [UP, *bars("09:31", [103] * 330)]
    assert target_of("14:59", *later).direction is Direction.LONG
    for slot in ("15:00", "15:01"):
        target = target_of(slot, *later)
        assert (target.direction, target.signal_at) == (Direction.FLAT, at("15:00"))
        assert "Square-off" in target.reason


def test_what_happens_at_or_after_the_square_off_changes_nothing():
    """No breakout enters at the square-off or later, and no later stop moves the goal's time."""
    idle = [*bars("09:30", [100] * 29), *bars("09:59", [103, 100, 103, 100])]
    for slot in ("10:00", "10:03"):
        target = target_of(slot, *idle, square_off="10:00", entry_until="15:00")
        assert (target.direction, target.signal_at) == (Direction.FLAT, at("09:15"))
    held = [UP, *bars("09:31", [103] * 29), *bars("10:00", [90, 100])]
    target = target_of("10:02", *held, square_off="10:00")
    assert (target.direction, target.signal_at) == (Direction.FLAT, at("10:00"))


def test_a_short_session_ends_a_quarter_of_an_hour_before_its_close():
    """Where the session closes at 10:00, the day ends at 09:45 whatever the square-off says."""
    short = window(closes="10:00")
    later = [*OPENING, UP, *bars("09:31", [103] * 20)]
    assert decide(ORB, "09:44", later, session=short).direction is Direction.LONG
    ended = decide(ORB, "09:45", later, session=short)
    assert (ended.direction, ended.signal_at) == (Direction.FLAT, at("09:45"))


@pytest.mark.parametrize("missing", [slice(0, 15), slice(0, 1), slice(7, 8), slice(14, 15)])
def test_without_the_whole_opening_there_is_no_trade(missing: slice):
    """A gap in the opening range means no range and no trade, and the reason says so."""
    day = [*OPENING]
    del day[missing]
    target = decide(ORB, "09:31", [*day, UP])
    assert target.direction is Direction.FLAT
    assert f"{len(day)} of 15 bars" in target.reason


def test_before_the_range_ends_nothing_is_decided():
    """Within the opening range the goal is flat since the open."""
    target = decide(ORB, "09:20", OPENING)
    assert (target.direction, target.signal_at) == (Direction.FLAT, at("09:15"))


def test_without_any_bar_the_last_goal_stands_until_the_square_off():
    """Missing data closes nothing by itself, but the square-off does not wait for data."""
    parameters = checked_parameters(ORB, {"instruments": "NSE:SBIN"})
    assert not ORB.decide(Context(at("11:00"), window(), {}, parameters))
    (target,) = ORB.decide(Context(at("15:00"), window(), {SBIN: ()}, parameters))
    assert target.direction is Direction.FLAT


def test_bars_of_other_days_are_not_the_opening():
    """Yesterday's bars change nothing."""
    yesterday = [bar("09:30", 500, day=window().day - timedelta(days=1))]
    assert decide(ORB, "09:31", [*yesterday, *OPENING, UP]) == target_of("09:31", UP)


def test_longer_bars_round_the_range_up():
    """A range of 20 minutes on 15-minute bars takes two bars, and slots start after them."""
    parameters = checked_parameters(ORB, {"bar_minutes": "15", "range_minutes": "20"})
    schedule = ORB.schedule(parameters)
    slots = slots_of(schedule, window())
    assert [f"{slot:%H:%M}" for slot in (slots[0], slots[1], slots[-1])] == [
        "09:45",
        "10:00",
        "14:45",
    ]
    assert ORB.data(parameters) == DataNeed(15)
    day = bars("09:15", [100, 102, 101, 103], minutes=15)
    given_ = {"bar_minutes": "15", "range_minutes": "20"}
    assert decide(ORB, "09:45", day, given_).direction is Direction.FLAT
    assert decide(ORB, "10:15", day, given_).signal_at == at("10:15")


@pytest.mark.row("D1")
@pytest.mark.parametrize(
    ("text", "found"),
    [("", "found 0"), (",", "found 0"), ("SBIN", "SBIN"), ("NSE:SBIN,NSE:SBIN", "twice")],
)
def test_a_malformed_list_of_instruments_is_explained(text: str, found: str):
    """The error names what was found."""
    with pytest.raises(UserError, match=found):
        ORB.instruments({"instruments": text})


# --- properties ----------------------------------------------------------------------------------

PRICE = st.integers(9_000, 11_000).map(lambda paise: Decimal(paise) / 100)


@st.composite
def candles(draw: st.DrawFn) -> list[Candle]:
    """A morning of minute bars, wild, now and then with gaps after the opening."""
    day = []
    for minute in range(draw(st.integers(16, 60))):
        if minute >= 15 and draw(st.integers(0, 9)) == 0:
            continue
        opened, close, one, two = draw(st.tuples(PRICE, PRICE, PRICE, PRICE))
        high, low = max(opened, close, one), min(opened, close, two)
        day.append(Candle(at("09:15") + timedelta(minutes=minute), opened, high, low, close, 1))
    return day


@st.composite
def settings(draw: st.DrawFn) -> Given:
    """Parameters of any kind."""
    return {
        "side": draw(st.sampled_from(["both", "long", "short"])),
        "buffer_bps": str(draw(st.integers(0, 100))),
        "stop": draw(st.sampled_from(["range", "percent"])),
        "stop_percent": draw(st.sampled_from(["0.1", "1", "10"])),
        "target_multiple": draw(st.sampled_from(["0", "1", "2.5"])),
        "max_entries": str(draw(st.integers(1, 3))),
        "entry_until": draw(st.sampled_from(["09:45", "14:00"])),
        "square_off": draw(st.sampled_from(["10:00", "15:00"])),
        "range_minutes": draw(st.sampled_from(["5", "15"])),
    }


@pytest.mark.row("D1")
@given(day=candles(), given_=settings(), cut=st.integers(0, 60))
def test_a_decision_depends_on_what_had_closed_alone(day: list[Candle], given_: Given, cut: int):
    """Later bars never change a decision, nor does asking twice."""
    slot = at("09:15") + timedelta(minutes=cut)
    seen = [candle for candle in day if bar_close(candle, 1) <= slot]
    if not seen:
        return
    first = decide(ORB, slot, seen, given_)
    assert decide(ORB, slot, seen, given_) == first
    assert decide(ORB, slot, day, given_) == first


@given(day=candles(), given_=settings())
def test_goals_change_at_bar_closes_alone_and_stops_are_on_the_losing_side(
    day: list[Candle], given_: Given
):
    """A goal is dated to the close of a known bar, the open or the square-off; stops lose."""
    closes = {bar_close(candle, 1): candle.close for candle in day}
    last = None
    for minute in range(1, 61):
        slot = at("09:15") + timedelta(minutes=minute)
        target = decide(ORB, slot, day, given_)
        if last is not None and target.direction is not last.direction:
            assert target.signal_at == slot
        if last is not None and target.direction is last.direction:
            assert target.signal_at == last.signal_at
        assert target.signal_at in {*closes, at("09:15"), at("10:00")}
        if target.direction is not Direction.FLAT:
            assert target.stop_price is not None
            entry = closes[target.signal_at]
            assert (entry - target.stop_price) * target.direction > 0
        last = target
