"""The market clock's text, and the dated sessions."""

from datetime import date, datetime, timedelta

import pytest

from sandbox.clock import IST, ClockError, MarketClock, http_date, parse_clock
from sandbox.kite.apps import CUTOFFS
from sandbox.sessions import (
    SEGMENTS,
    is_trading_day,
    next_open,
    previous_trading_day,
    segment_session,
    session,
    square_off_time,
    takes_after_market_orders,
    within_session,
)

pytestmark = pytest.mark.dates


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T09:10:00+05:30@2026-11-22T03:00:00+05:30*30",
        "2021-05-10T09:10:00+05:30@2026-11-22T03:00:00.250000+05:30*0.001",
    ],
)
def test_a_clock_reads_back_as_it_was_written(text: str) -> None:
    """Parsing and formatting are inverse, so that two processes can share one clock."""
    assert parse_clock(text).format() == text


def test_times_without_a_zone_are_indian() -> None:
    """A naive time is IST, and UTC is converted to it."""
    naive, utc = parse_clock("2026-11-23T09:10"), parse_clock("2026-11-23T03:40Z")
    assert naive.sim == utc.sim == datetime(2026, 11, 23, 9, 10, tzinfo=IST)


@pytest.mark.parametrize("text", ["", "*5", "2026-11-23*0.0001", "2026-11-23*61", "2026-11-23@*1"])
def test_wrong_clocks_are_refused(text: str) -> None:
    """A text that is no clock, or a speed out of bounds, is an error of one line."""
    with pytest.raises(ClockError):
        parse_clock(text)


def test_speed_and_steps() -> None:
    """Market time runs at its speed from the anchor, and steps add to it."""
    wall = datetime.now(IST) - timedelta(seconds=100)
    spec = parse_clock("2026-11-23T09:00:00*10", wall=wall)
    clock = MarketClock(spec)
    expected = datetime(2026, 11, 23, 9, 0, tzinfo=IST) + timedelta(seconds=1000)
    assert abs(clock.now() - expected) < timedelta(seconds=20)
    clock.step(by=3600)
    assert abs(clock.now() - expected - timedelta(hours=1)) < timedelta(seconds=20)
    other = MarketClock(clock.anchored())
    before = clock.now()
    assert before <= other.now() <= clock.now()


def test_a_step_may_let_it_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands at the moment that was asked for, however long, and goes on from there."""
    real = [1_700_000_000.0]
    monkeypatch.setattr("sandbox.clock.real_now", lambda: real[0])
    wall = datetime.fromtimestamp(real[0], IST)
    clock = MarketClock(parse_clock("2026-11-23T09:00*10", wall=wall))
    at = datetime(2026, 11, 23, 14, 55, tzinfo=IST)
    assert clock.step(to="2026-11-23T14:55", stands_s=20) == clock.now() == at
    real[0] += 15
    assert (clock.now(), clock.stands_s) == (at, 5)
    clock.step(by=0, stands_s=10)
    real[0] += 10
    assert (clock.now(), clock.stands_s) == (at, 0)
    real[0] += 6
    assert clock.now() == at + timedelta(minutes=1)
    assert MarketClock(clock.anchored()).now() == clock.now()


def test_dates_of_answers() -> None:
    """The Date header is GMT."""
    assert http_date(datetime(2026, 11, 23, 9, 15, tzinfo=IST)) == "Mon, 23 Nov 2026 03:45:00 GMT"


def test_sessions_are_dated() -> None:
    """Since August 2026 stocks stop at 15:15; weekends and holidays are closed."""
    assert session(date(2026, 7, 31))[1].time().isoformat() == "15:30:00"
    assert session(date(2026, 8, 3))[1].time().isoformat() == "15:15:00"
    assert session(date(2026, 8, 3), index=True)[1].time().isoformat() == "15:30:00"
    assert within_session(datetime(2026, 11, 23, 9, 15, tzinfo=IST))
    assert not within_session(datetime(2026, 11, 23, 15, 15, tzinfo=IST))
    assert not within_session(datetime(2026, 11, 22, 10, 0, tzinfo=IST))
    holiday = datetime(2026, 11, 24, 10, 0, tzinfo=IST)
    assert not within_session(holiday)
    assert next_open(holiday) == datetime(2026, 11, 25, 9, 15, tzinfo=IST)
    assert previous_trading_day(date(2026, 11, 25)) == date(2026, 11, 23)


@pytest.mark.parametrize(
    ("segment", "before", "since"),
    [
        ("auction", "15:30", "15:15"),
        ("cash", "15:30", "15:30"),
        ("index", "15:30", "15:30"),
        ("derivatives", "15:30", "15:40"),
    ],
)
def test_each_segment_closes_at_its_own_time(segment: str, before: str, since: str) -> None:
    """The closing auctions of August 2026 moved two of the four."""
    assert f"{segment_session(segment, date(2026, 7, 31))[1]:%H:%M}" == before
    assert f"{segment_session(segment, date(2026, 8, 3))[1]:%H:%M}" == since


@pytest.mark.parametrize(
    ("day", "opens", "closes", "cutoff"),
    [
        (date(2025, 10, 21), "13:45", "14:45", "14:30"),
        (date(2026, 2, 1), "09:15", "15:30", "15:20"),
        (date(2021, 11, 4), "18:15", "19:15", "19:00"),
    ],
)
def test_special_sessions_are_known(day: date, opens: str, closes: str, cutoff: str) -> None:
    """Muhurat and the budget's Sunday are open, and positions are squared off before their end."""
    assert is_trading_day(day)
    for segment in SEGMENTS:
        opened, closed = segment_session(segment, day)
        assert (f"{opened:%H:%M}", f"{closed:%H:%M}") == (opens, closes)
    assert f"{square_off_time(day, CUTOFFS):%H:%M}" == cutoff


def test_unknown_hours_are_closed() -> None:
    """Muhurat of 2026 has no published hours yet, and an election day is a holiday."""
    for day in (date(2026, 11, 8), date(2026, 1, 15)):
        assert not is_trading_day(day)


@pytest.mark.parametrize(
    ("moment", "cash", "derivatives"),
    [
        ("2026-11-23T08:59", True, True),
        ("2026-11-23T09:05", False, True),
        ("2026-11-23T15:44", False, False),
        ("2026-11-23T15:45", True, True),
        ("2026-11-22T12:00", True, True),
    ],
)
def test_after_market_orders_have_their_hours(
    moment: str, *, cash: bool, derivatives: bool
) -> None:
    """Zerodha takes them from 15:45 until 09:00, for derivatives until 09:10."""
    at = datetime.fromisoformat(moment).replace(tzinfo=IST)
    assert takes_after_market_orders("cash", at) is cash
    assert takes_after_market_orders("derivatives", at) is derivatives
