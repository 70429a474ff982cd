"""The capital of a day is read after the morning's login, not at midnight from yesterday's book."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Funds
from core.domain.order import Purpose
from core.domain.sessions import IST
from core.domain.target import Direction
from core.domain.views import SizeKind
from core.engine.accounts.tokens import is_of_the_day
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import RunBench

EVENING = datetime(2026, 11, 23, 15, 0, tzinfo=IST)


@pytest.mark.row("D4")
async def test_capital_is_read_after_the_mornings_login() -> None:
    """The process runs overnight: at 00:01 the broker still shows the day before, and that stays out."""
    engine = await MemoryEngine(market_clock(EVENING)).owned()
    account = await engine.connect()
    worker = engine.wiring.new_worker(account.broker_id)
    engine.at_broker(account).balance = Funds(Decimal(100), Decimal(0), Decimal(100))
    await worker.turn()
    await engine.clock.advance_to(EVENING.replace(hour=0, minute=1) + timedelta(days=1))
    await worker.turn()
    figures = await engine.store.find("day_figures", {}, sort=[("day", 1)])
    assert [(row["day"], row["capital"]) for row in figures] == [("2026-11-23", Decimal(100))]
    await engine.clock.advance_to(EVENING.replace(hour=8, minute=30) + timedelta(days=1))
    await engine.log_in(account)
    engine.at_broker(account).balance = Funds(Decimal(70), Decimal(0), Decimal(70))
    await worker.turn()
    figures = await engine.store.find("day_figures", {}, sort=[("day", 1)])
    assert [row["capital"] for row in figures] == [Decimal(100), Decimal(70)]


@pytest.mark.row("D4")
async def test_a_share_is_of_the_users_figure_else_of_the_mornings_money() -> None:
    """10 % of 2,50,000 that were free at 815 are 30 shares; of a lakh that the user names, 12."""
    bench = await RunBench().opened()
    await bench.assign(size_kind=SizeKind.CAPITAL_SHARE, size_value=Decimal(10))
    bench.strategy.want(Direction.LONG)
    await bench.run()
    assert await bench.note() == (
        "its capital is not known yet today, so no size can be worked out"
    )
    await bench.turns()
    await bench.run()
    (first,) = await bench.engine.orders()
    assert first.request.quantity == 30
    await bench.turns()
    await bench.close()
    await bench.turns()
    settings, name = bench.engine.control.settings, f"capital|{bench.account.broker_id}"
    await settings.set(bench.engine.command(), name, "100000")
    await bench.engine.clock.advance(60)
    later = bench.engine.clock.market_now()
    bench.strategy.want(Direction.LONG, later)
    await bench.run(later)
    entries = [one for one in await bench.engine.orders() if one.purpose is Purpose.ENTRY]
    assert sorted(one.request.quantity for one in entries) == [12, 30]


@pytest.mark.parametrize(
    ("logged_in", "now", "expected"),
    [
        ("2026-11-23T15:00", "2026-11-24T00:01", False),
        ("2026-11-24T00:30", "2026-11-24T00:31", False),
        ("2026-11-24T06:30", "2026-11-24T06:31", True),
        ("2026-11-24T08:30", "2026-11-24T15:00", True),
        ("2026-11-23T15:00", "2026-11-23T15:01", True),
    ],
)
def test_a_login_belongs_to_the_session_that_it_outlives(
    logged_in: str, now: str, expected: bool
) -> None:
    """One that ends at six in the morning is not the day's; one made after six is."""
    at, moment = (datetime.fromisoformat(text).replace(tzinfo=IST) for text in (logged_in, now))
    assert is_of_the_day(at, time(6, 0), moment) is expected


def test_a_login_without_an_end_counts_after_the_night() -> None:
    """A broker whose logins last is believed from the morning on."""
    at = datetime(2026, 11, 20, 9, 0, tzinfo=IST)
    assert not is_of_the_day(at, None, datetime(2026, 11, 24, 0, 1, tzinfo=IST))
    assert is_of_the_day(at, None, datetime(2026, 11, 24, 8, 0, tzinfo=IST))
