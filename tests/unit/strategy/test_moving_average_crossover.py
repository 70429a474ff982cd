"""The moving average crossover, by tables, against a second reckoning, and by properties."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talipp.indicators import EMA, SMA

from core.domain.bars import bar_close
from core.domain.broker import Candle
from core.domain.sessions import slots_of
from core.domain.target import Context, DataNeed, Direction, checked_parameters
from core.errors import UserError
from strategy.moving_average_crossover import MovingAverageCrossover
from tests.unit.strategy.days import SBIN, at, bar, bars, decide, window

pytestmark = pytest.mark.row("D7")

MAC = MovingAverageCrossover()
FAST = {"bar_minutes": "1", "fast": "2", "slow": "3", "average": "SMA", "entry_from": "09:15"}
YESTERDAY = window().day - timedelta(days=1)


def earlier(*closes: float) -> list[Candle]:
    """The last bars of the day before."""
    first = 30 - len(closes)
    return [bar(f"15:{first + index}", close, day=YESTERDAY) for index, close in enumerate(closes)]


def target_of(slot: str, day: list[Candle], **given_: str):
    return decide(MAC, slot, day, {**FAST, **given_})


@pytest.mark.parametrize(
    ("before", "today", "direction", "stop"),
    [
        # Falling, then up: averages of 2 and 3 are 97.5 and 98, then 101.5 and 100.
        ([100, 99, 98, 97], [106], Direction.LONG, "104.94"),
        ([100, 101, 102, 103], [94], Direction.SHORT, "94.94"),
        ([100, 99, 98, 97], [96], Direction.FLAT, None),
        ([100, 100, 100, 100], [100], Direction.FLAT, None),
        ([100, 100, 100, 100], [110], Direction.FLAT, None),
        ([100, 99, 98, 98, 98, 98], [110], Direction.LONG, "108.9"),
    ],
)
def test_the_first_bar_of_a_day_can_be_a_crossing(
    before: list[float], today: list[float], direction: Direction, stop: str | None
):
    """With bars of the day before, the crossing over night is known at the first close.

    Equal averages have no side: the side before them counts, and without one nothing is crossed.
    """
    target = target_of("09:16", [*earlier(*before), *bars("09:15", today)])
    assert target.direction is direction
    assert target.stop_price == (None if stop is None else Decimal(stop))
    assert target.signal_at == (at("09:16") if direction else at("09:15"))


def test_without_warm_up_the_first_side_is_no_crossing():
    """Where the averages begin today, their first order only sets the side."""
    day = bars("09:15", [100, 101, 102, 103, 104, 90])
    assert target_of("09:20", day).direction is Direction.FLAT
    assert target_of("09:21", day).direction is Direction.SHORT


UP = [*earlier(100, 99, 98, 97), bar("09:15", 106)]


def test_the_opposite_crossing_turns_the_position():
    """A long becomes a short at the opposite crossing, or flat when shorts are not asked for."""
    day = [*UP, bar("09:16", 107), bar("09:17", 105.5), bar("09:18", 105)]
    assert target_of("09:17", day).direction is Direction.LONG
    both = target_of("09:19", day)
    assert (both.direction, both.signal_at) == (Direction.SHORT, at("09:19"))
    only = target_of("09:19", day, side="long")
    assert (only.direction, only.signal_at) == (Direction.FLAT, at("09:19"))
    assert "below" in only.reason


def test_after_a_stop_the_next_crossing_is_waited_for():
    """A stop ends the position although the averages still say long; only a new crossing enters."""
    day = [*UP, bar("09:16", 108, 108, 104.94, 108), *bars("09:17", [109, 110])]
    stopped = target_of("09:19", day)
    assert (stopped.direction, stopped.signal_at) == (Direction.FLAT, at("09:17"))
    assert "stop at ₹" in stopped.reason
    again = [*day, bar("09:19", 100), bar("09:20", 100), bar("09:21", 112)]
    assert target_of("09:22", again).signal_at == at("09:22")
    assert target_of("09:22", again).direction is Direction.LONG


def test_a_stop_and_the_opposite_crossing_in_one_bar_turn_the_position():
    """The bar that falls through the stop and crosses is the other side's signal."""
    day = [*UP, bar("09:16", 107), bar("09:17", 107, 107, 90, 90)]
    assert target_of("09:18", day).direction is Direction.SHORT


@pytest.mark.parametrize(
    ("window_", "direction"),
    [
        ({}, Direction.LONG),
        ({"entry_from": "09:30"}, Direction.FLAT),
        ({"entry_from": "09:15", "entry_until": "09:30"}, Direction.LONG),
    ],
)
def test_entries_only_within_their_window(window_: dict[str, str], direction: Direction):
    """A crossing before the window enters nothing, not even later."""
    day = [*UP, *bars("09:16", [107] * 20)]
    assert target_of("09:36", day, **window_).direction is direction


def test_outside_the_entry_window_a_crossing_still_ends_a_position():
    """After the window the opposite crossing closes without opening."""
    day = [*UP, *bars("09:16", [107] * 20), bar("09:36", 105.5), bar("09:37", 105.4)]
    target = target_of("09:38", day, entry_until="09:30")
    assert (target.direction, target.signal_at) == (Direction.FLAT, at("09:37"))


def test_the_square_off_ends_the_day():
    """At the square-off an open position's goal turns flat, and no crossing enters any more."""
    day = [*UP, *bars("09:16", [107 + minute / 100 for minute in range(400)])]
    assert target_of("14:59", day).direction is Direction.LONG
    for slot in ("15:00", "15:10"):
        target = target_of(slot, day)
        assert (target.direction, target.signal_at) == (Direction.FLAT, at("15:00"))


def test_what_happens_at_or_after_the_square_off_changes_nothing():
    """No crossing enters at the square-off or later, and no later stop moves the goal's time."""
    late = {"square_off": "10:00", "entry_until": "15:00"}
    idle = [*earlier(100, 99, 98, 97), *bars("09:15", [97 - n / 10 for n in range(44)])]
    for slot, day in (
        ("10:00", [*idle, bar("09:59", 120)]),
        ("10:02", [*idle, *bars("09:59", [92, 91, 120])]),
    ):
        target = target_of(slot, day, **late)
        assert (target.direction, target.signal_at) == (Direction.FLAT, at("09:15"))
    held = [*UP, *bars("09:16", [107 + n / 100 for n in range(44)]), *bars("10:00", [90, 90])]
    target = target_of("10:02", held, **late)
    assert (target.direction, target.signal_at) == (Direction.FLAT, at("10:00"))


def test_a_gap_leaves_the_averages_on_the_bars_there_are():
    """Missing minutes are no bars: the averages run over those that exist."""
    full = [*UP, bar("09:16", 107), bar("09:17", 105.5), bar("09:18", 105)]
    gapped = [*UP, bar("09:20", 107), bar("09:25", 105.5), bar("09:31", 105)]
    assert target_of("09:19", full).direction is target_of("09:32", gapped).direction
    assert target_of("09:32", gapped).signal_at == at("09:32")


def test_without_any_bar_of_today_the_last_goal_stands_until_the_square_off():
    """Missing data closes nothing by itself, but the square-off does not wait for data."""
    parameters = checked_parameters(MAC, {"instruments": "NSE:SBIN"})
    only_before = {SBIN: earlier(100, 99, 98, 97)}
    assert not MAC.decide(Context(at("11:00"), window(), only_before, parameters))
    (target,) = MAC.decide(Context(at("15:00"), window(), only_before, parameters))
    assert target.direction is Direction.FLAT


def test_what_it_needs_and_when_it_runs():
    """It asks for four slow periods before today and runs at each close until the square-off."""
    parameters = checked_parameters(MAC, {"slow": "30", "bar_minutes": "15"})
    assert MAC.data(parameters) == DataNeed(15, 120)
    slots = slots_of(MAC.schedule(parameters), window())
    assert (slots[0], slots[-1], len(slots)) == (at("09:30"), at("14:45"), 22)


@pytest.mark.row("D1")
def test_the_fast_average_must_be_the_shorter():
    """A fast period that is not below the slow one is refused with both figures."""
    parameters = checked_parameters(MAC, {"fast": "21"})
    with pytest.raises(UserError, match="fast 21 and slow 21"):
        MAC.instruments(parameters)


@pytest.mark.row("D8")
@pytest.mark.parametrize("kind", [EMA, SMA])
def test_the_averages_are_the_librarys(kind: type, monkeypatch: pytest.MonkeyPatch):
    """A crossing is what the library's averages say: when they say nothing there is none."""
    day = [*earlier(100, 99, 98, 97), *bars("09:15", [106])]
    assert target_of("09:16", day, average=kind.__name__).direction is Direction.LONG
    monkeypatch.setattr(kind, "_calculate_new_value", lambda _: None)
    assert target_of("09:16", day, average=kind.__name__).direction is Direction.FLAT


# --- properties ----------------------------------------------------------------------------------

# So close together that a stop of ten percent is never touched.
CLOSES = st.lists(st.integers(9_600, 10_400), min_size=8, max_size=45)


def day_of(closes: list[int]) -> list[Candle]:
    """A few bars of yesterday, the rest today."""
    prices = [Decimal(close) / 100 for close in closes]
    return [*earlier(*map(float, prices[:6])), *bars("09:15", [str(p) for p in prices[6:]])]


def crossings(closes: list[int], fast: int, slow: int) -> list[tuple[int, int]]:
    """Reckon the crossings of simple averages in fractions: (index, direction)."""
    side, found = 0, []
    for index in range(slow - 1, len(closes)):
        means = [
            Fraction(sum(closes[index + 1 - length : index + 1]), length) for length in (fast, slow)
        ]
        now = (means[0] > means[1]) - (means[0] < means[1])
        if now and side and now != side:
            found.append((index, now))
        side = now or side
    return found


@given(closes=CLOSES)
def test_simple_averages_agree_with_a_second_reckoning(closes: list[int]):
    """With a stop too far to matter, the goal is today's last crossing reckoned in fractions."""
    wide = {"stop_percent": "10", "fast": "3", "slow": "5", "entry_until": "15:00"}
    today = [(index, side) for index, side in crossings(closes, 3, 5) if index >= 6]
    slot = at("09:15") + timedelta(minutes=len(closes) - 6)
    target = decide(MAC, slot, day_of(closes), {**FAST, **wide})
    if not today:
        assert target.direction is Direction.FLAT
        return
    index, side = today[-1]
    assert target.direction == side
    assert target.signal_at == at("09:15") + timedelta(minutes=index - 5)


@pytest.mark.row("D1")
@given(
    closes=CLOSES,
    cut=st.integers(1, 40),
    average=st.sampled_from(["EMA", "SMA"]),
    side=st.sampled_from(["both", "long", "short"]),
)
def test_decisions_are_pure_and_never_revised(closes: list[int], cut: int, average: str, side: str):
    """Later bars and repetition change nothing; goals change at closes; stops lose."""
    given_ = {**FAST, "average": average, "side": side, "stop_percent": "0.3"}
    day = day_of(closes)
    last = None
    for minute in range(1, cut + 1):
        slot = at("09:15") + timedelta(minutes=minute)
        seen = [candle for candle in day if bar_close(candle, 1) <= slot]
        target = decide(MAC, slot, seen, given_)
        assert decide(MAC, slot, day, given_) == target
        if last is not None:
            same = target.direction is last.direction
            assert target.signal_at in ({last.signal_at, slot} if same else {slot})
        if target.stop_price is not None:
            entry = {bar_close(candle, 1): candle.close for candle in seen}[target.signal_at]
            assert (entry - target.stop_price) * target.direction > 0
        last = target
