"""What a user is told who runs a strategy while the market counts as closed."""

from __future__ import annotations

from datetime import datetime

import pytest

from core.domain.sessions import IST
from core.errors import UserError
from strategy.registry import STRATEGIES
from tests.fakes.memory_engine import MemoryEngine, market_clock

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
