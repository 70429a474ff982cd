"""What the demo's card promises about the first order."""

from __future__ import annotations

from datetime import datetime

import pytest

from console.demo.connecting import when_it_signals
from core.domain.sessions import IST

pytestmark = pytest.mark.row("F1")


@pytest.mark.parametrize(
    ("now", "is_at_brokers", "said"),
    [
        ("09:12", True, "before 09:35 by the banner, within 140 seconds. You can skip to 09:29"),
        ("09:21", True, "before 09:35 by the banner, within 80 seconds."),
        ("11:00", True, "before 11:10 by the banner, within 60 seconds."),
        ("09:12", False, "before 09:25 by the banner, within 80 seconds."),
        ("14:56", False, "It enters nothing more today: move the clock to the next morning below."),
    ],
)
def test_whoever_waits_for_the_first_order_knows_how_long(
    now: str, is_at_brokers: bool, said: str
) -> None:
    """By the banner and in seconds; with the way that is shorter, where there is one."""
    moment = datetime.fromisoformat(f"2026-11-20T{now}").replace(tzinfo=IST)
    text = when_it_signals(moment, 10, is_at_brokers=is_at_brokers)
    assert said in text
    assert ("skip" in text) is ("skip" in said)
