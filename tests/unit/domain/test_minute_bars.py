"""Minute bars from ticks: counted as a broker's history counts them, however the ticks come."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.domain.broker import Candle
from core.domain.coverage import Coverage
from core.domain.minute_bars import MINUTE, MinuteBars, fold_bars, minute_bars, minute_of
from core.domain.sessions import IST
from core.domain.ticks import PriceTick
from tests.fakes.brokers import SBIN

OPEN = datetime(2026, 11, 23, 9, 15, tzinfo=IST)


def moment(second: float) -> datetime:
    return OPEN + timedelta(seconds=second)


def full(second: int, price: str, volume: int, *, late: float = 0.2) -> PriceTick:
    """A tick of the full mode: it knows when it was traded, in whole seconds."""
    at = moment(second)
    return PriceTick(SBIN, Decimal(price), at + timedelta(seconds=late), at, at, volume)


def bare(second: float, price: str, volume: int | None = None) -> PriceTick:
    """A tick of a shorter mode: no times, with or without a volume."""
    return PriceTick(SBIN, Decimal(price), moment(second), volume=volume)


def candle(minute: int, prices: str, volume: int) -> Candle:
    """A bar of the n-th minute: open, high, low, close."""
    opened, high, low, close = map(Decimal, prices.split())
    return Candle(OPEN + minute * MINUTE, opened, high, low, close, volume)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),  # seconds since the tick before
        st.integers(-20, 20),  # paise times five
        st.integers(0, 300),  # units
    ),
    min_size=1,
    max_size=60,
)


def day_of(steps: list[tuple[int, int, int]]) -> list[PriceTick]:
    """Return ticks of the full mode in their order, trades and repetitions among them."""
    second, price, volume, found = 0, 81_500, 0, []
    traded, high, low = moment(0), Decimal(0), Decimal(10**6)
    for gap, move, units in steps:
        second += gap
        if units:
            price, volume, traded = price + 5 * move, volume + units, moment(second)
        last = Decimal(price).scaleb(-2)
        if units:
            high, low = max(high, last), min(low, last)
        if volume:
            at = moment(second)
            found.append(PriceTick(SBIN, last, at, at, traded, volume, high, low))
    return found


def counted(ticks: list[PriceTick]) -> list[Candle]:
    """Return the bars by the definition, from the trades alone."""
    trades: dict[datetime, list[PriceTick]] = {}
    for before, tick in zip([None, *ticks], ticks, strict=False):
        if before is None or tick.volume != before.volume:
            trades.setdefault(minute_of(tick.moment), []).append(tick)
    bars, volume = [], 0
    for start, rows in trades.items():
        prices = [row.last for row in rows]
        total = rows[-1].volume or 0
        bars.append(Candle(start, prices[0], max(prices), min(prices), prices[-1], total - volume))
        volume = total
    return bars


@given(STEPS)
def test_bars_are_those_of_the_trades(steps: list[tuple[int, int, int]]) -> None:
    """Open, extremes, close and volume of each minute in which something was traded."""
    ticks = day_of(steps)
    assert minute_bars(ticks) == counted(ticks)


@given(STEPS, st.data())
def test_any_split_order_and_repetition_gives_the_same_bars(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """A restart, a second socket and frames out of order change no bar that was heard whole."""
    ticks = day_of(steps)
    # What cannot be told apart is left out: two trades in a second that say the same volume.
    numbered = [replace(one, heard_at=moment(n)) for n, one in enumerate(ticks)]
    at = data.draw(st.integers(0, len(numbered)))
    again = data.draw(st.lists(st.sampled_from(numbered), max_size=10)) if numbered else []
    shuffled = data.draw(st.permutations(numbered))
    assert minute_bars([*numbered[:at], *again, *numbered[at:]]) == minute_bars(numbered)
    assert minute_bars(shuffled) == minute_bars(numbered)


@given(STEPS, st.integers(0, 60))
def test_bars_can_be_read_at_any_time(steps: list[tuple[int, int, int]], at: int) -> None:
    """What was read between two ticks is no part of the result."""
    ticks, bars = day_of(steps), MinuteBars()
    for number, tick in enumerate(ticks):
        bars.add(tick)
        if number == at:
            bars.bars(OPEN, tick.moment)
    assert bars.bars(OPEN, OPEN + timedelta(hours=2)) == minute_bars(ticks)


def test_trade_told_in_the_next_minute_belongs_to_its_own() -> None:
    """The last trade of a minute comes with the first seconds of the next one."""
    late = replace(full(59, "816.00", 30, late=1.4), at=moment(60))
    ticks = [full(0, "815.00", 10), late, full(61, "814.00", 45)]
    assert minute_bars(ticks) == [
        candle(0, "815.00 816.00 815.00 816.00", 30),
        candle(1, "814.00 814.00 814.00 814.00", 15),
    ]


def test_late_tick_corrects_a_bar_that_was_read() -> None:
    """It changes the close and the volume of its minute, and says that it did."""
    bars = MinuteBars()
    for tick in (full(0, "815.00", 10), full(61, "815.50", 30), full(121, "815.00", 40)):
        bars.add(tick)
    before = bars.revision
    bars.add(full(58, "816.00", 20, late=90))
    assert bars.revision == before + 1
    assert bars.bars(OPEN, OPEN + 2 * MINUTE) == [
        candle(0, "815.00 816.00 815.00 816.00", 20),
        candle(1, "815.50 815.50 815.50 815.50", 10),
    ]


def test_book_that_moves_is_no_trade() -> None:
    """Frames come for a change of the depth as well: a minute without a trade has no bar."""
    trade = full(10, "815.00", 10)
    quiet = replace(trade, at=moment(130), heard_at=moment(130.2))
    assert minute_bars([trade, quiet]) == [candle(0, "815.00 815.00 815.00 815.00", 10)]
    untraded = replace(trade, traded_at=None, volume=0)
    assert minute_bars([untraded]) == []


def test_times_are_inferred_where_a_mode_has_none() -> None:
    """By the moment of coming; a trade is a rise of the volume, or without one a new price."""
    assert minute_bars([bare(1, "815", 10), bare(30, "816", 12), bare(70, "816", 12)]) == [
        candle(0, "815 816 815 816", 12)
    ]
    assert minute_bars([bare(1, "815"), bare(30, "816"), bare(70, "816"), bare(130, "815")]) == [
        candle(0, "815 816 815 816", 0),
        candle(2, "815 815 815 815", 0),
    ]


def test_index_prints_each_second() -> None:
    """It has a time and no volume: each value counts, the same one again too."""
    at = [PriceTick(SBIN, Decimal(26_000), moment(s), moment(s)) for s in (5, 59, 65)]
    assert [bar.volume for bar in minute_bars(at)] == [0, 0]


def test_volume_before_the_session_is_not_in_its_first_bar() -> None:
    """The auction before the open, and the day before, are before the first minute."""
    yesterday = replace(full(0, "800", 9_000_000), traded_at=moment(-86_400 + 22_000))
    auction = full(-400, "815", 5_000)
    first = full(0, "815.50", 5_070)
    assert minute_bars([yesterday, auction, first])[-1].volume == 70
    assert minute_bars([yesterday, first])[-1].volume == 5_070


def test_extreme_between_two_ticks_is_known_by_the_day() -> None:
    """A snapshot a second misses trades; the day's high tells of the highest one."""
    one = replace(full(10, "815", 10), day_high=Decimal(815), day_low=Decimal(815))
    two = replace(full(70, "815", 20), day_high=Decimal(818), day_low=Decimal(812))
    assert minute_bars([one, two])[-1] == candle(1, "815 818 812 815", 10)


def test_price_of_zero_is_no_price() -> None:
    """A feed without a price says zero."""
    assert minute_bars([full(1, "0", 10)]) == []


MINUTES = [candle(n, "10 12 9 11", 5) for n in (0, 1, 4, 5, 7)]


def test_fold_counts_from_the_open_and_leaves_gaps() -> None:
    """A bar is there when a minute of it is; one that has not closed is not."""
    folded = fold_bars(MINUTES, anchor=OPEN, length=2, until=OPEN + 7 * MINUTE)
    starts = [(bar.start - OPEN) // MINUTE for bar in folded]
    assert (starts, [bar.volume for bar in folded]) == ([0, 4], [10, 10])
    assert fold_bars(MINUTES, anchor=OPEN, length=1, until=OPEN + 8 * MINUTE) == MINUTES
    assert fold_bars(MINUTES, anchor=OPEN + MINUTE, length=3, until=OPEN + 7 * MINUTE) == [
        candle(1, "10 12 9 11", 5),
        candle(4, "10 12 9 11", 10),
    ]


def test_minute_is_whole_when_it_was_heard_from_end_to_end() -> None:
    """A start in a minute, and a break in one, leave a gap for the history to fill."""
    heard = Coverage()
    heard.begin(moment(30))
    assert [n for n in range(5) if not heard.has(OPEN + n * MINUTE)] == [0]
    heard.end(moment(200))
    heard.begin(moment(240))
    assert [n for n in range(9) if not heard.has(OPEN + n * MINUTE)] == [0, 3]
