"""From when a ledger is squared off, by product, strategy and hours."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest

from core.domain.instrument import Product
from core.domain.sessions import IST, Schedule, SessionWindow
from core.domain.square_off import square_off_times

pytestmark = pytest.mark.row("D7")

DAY = date(2026, 11, 23)


def at(clock: str) -> datetime:
    return datetime.combine(DAY, time.fromisoformat(clock), IST)


def window(opens: str = "09:15", closes: str = "15:15") -> SessionWindow:
    return SessionWindow(DAY, at(opens), at(closes))


def wants(clock: str | None) -> Schedule:
    flat = time.fromisoformat(clock) if clock else None
    return Schedule(time(9, 30), time(14, 30), 5, square_off=flat)


CASH, FUTURES = time(15, 0), time(15, 10)


@pytest.mark.parametrize(
    ("product", "schedule", "cut_offs", "begins", "alarms"),
    [
        (Product.MIS, wants("14:45"), [CASH], "14:45", "14:55"),
        (Product.MIS, wants("15:20"), [CASH], "15:00", "15:10"),
        (Product.MIS, wants(None), [CASH], "15:00", "15:10"),
        (Product.MIS, None, [CASH], "15:00", "15:10"),
        (Product.MIS, None, [CASH, FUTURES], "15:10", "15:14"),
        (Product.MIS, None, [], "15:00", "15:10"),
        (Product.NRML, wants("14:45"), [CASH], "14:45", "14:55"),
    ],
)
def test_the_earlier_of_wish_and_cut_off_and_the_latest_in_doubt(
    product: Product, schedule: Schedule | None, cut_offs: list[time], begins: str, alarms: str
):
    """An intraday ledger has a time even when its strategy cannot be asked."""
    found = square_off_times(product, schedule, cut_offs, window())
    assert found is not None
    assert (found.begins_at, found.alarm_at) == (at(begins), at(alarms))


@pytest.mark.parametrize("product", [Product.NRML, Product.CNC])
@pytest.mark.parametrize("schedule", [None, wants(None)])
def test_what_is_carried_overnight_is_left_alone(product: Product, schedule: Schedule | None):
    """Without a strategy that wants to be flat, delivery and NRML are not closed."""
    assert square_off_times(product, schedule, [CASH], window()) is None


def test_an_evening_session_is_squared_off_at_its_own_end():
    """A strategy's 15:00 lies before a Muhurat session: its cut-off holds, not its open."""
    found = square_off_times(Product.MIS, wants("15:00"), [time(18, 45)], window("18:00", "19:00"))
    assert found is not None
    assert (found.begins_at, found.alarm_at) == (at("18:45"), at("18:55"))


def test_it_begins_while_the_instrument_still_trades():
    """A cut-off after the close, from a rule that does not fit the day, still leaves time."""
    found = square_off_times(Product.MIS, None, [time(15, 10)], window("09:15", "10:00"))
    assert found is not None
    assert (found.begins_at, found.alarm_at) == (at("09:58"), at("09:59"))
