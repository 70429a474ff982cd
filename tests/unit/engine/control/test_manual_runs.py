"""What a user is told who runs a strategy while the market counts as closed."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.domain.sessions import IST
from core.errors import AlreadyDone, NotFound, UserError
from strategy.registry import STRATEGIES
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

NAME = next(iter(STRATEGIES))


@pytest.mark.row("D6")
@pytest.mark.matrix("K04")
@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-11-08T18:20", "hours of today are not known.*Muhurat"),
        ("2031-03-09T12:00", "hours of today are not known.*2031"),
        ("2026-11-24T12:00", "closed now; a run needs a trading session"),
        ("2026-11-23T16:00", "closed now; a run needs a trading session"),
    ],
)
async def test_unknown_hours_are_not_called_closed(now: str, said: str):
    """A session without its hours in the calendar is said to be unknown (case n08)."""
    engine = MemoryEngine(market_clock(datetime.fromisoformat(now).replace(tzinfo=IST)), STRATEGIES)
    with pytest.raises(UserError, match=said):
        await engine.control.runs.file(engine.command(), NAME)


@pytest.mark.row("D6")
async def test_each_wish_is_one_run_and_begins_at_once():
    """Asked for twice it runs twice; the same tap, delivered again, files nothing more."""
    engine = MemoryEngine(market_clock(TEN), STRATEGIES)
    runs, requests = engine.control.runs, engine.wiring.run_requests
    first, second = engine.command(), engine.command()
    ids = [await runs.file(one, NAME) for one in (first, second)]
    with pytest.raises(AlreadyDone):
        await runs.file(first, NAME)
    rows = await engine.store.find("run_requests", {}, sort=[("_id", 1)])
    assert [row["_id"] for row in rows] == sorted(ids)
    assert {(row["strategy"], row["only"], row["state"]) for row in rows} == {(NAME, None, "filed")}
    assert requests._wake.is_set()


@pytest.mark.row("D6")
async def test_a_strategy_that_is_gone_is_not_run():
    """The button may be older than this version's list of strategies."""
    engine = MemoryEngine(market_clock(TEN), STRATEGIES)
    with pytest.raises(NotFound, match="expected one of"):
        await engine.control.runs.file(engine.command(), "gone")
    assert await engine.store.find("run_requests", {}) == []
