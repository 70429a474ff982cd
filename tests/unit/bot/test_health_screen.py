"""The health of accounts as the chat shows it."""

from __future__ import annotations

import pytest

from bot.views.markup import clock_time
from bot.views.system import health_screen
from core.domain.views import AccountHealth, HealthView, LoopLag
from tests.fakes.views import AT, an_account

ACCOUNT = an_account()
SINCE = clock_time(AT, seconds=True)
WAYS = [
    (AccountHealth(ACCOUNT, AT, "", 0, is_live=True), "order updates: live"),
    (AccountHealth(ACCOUNT, AT, "", 0), "order updates: asked for"),
    (
        AccountHealth(ACCOUNT, AT, "", 0, polled_since=AT, polled_why="closed <by it>"),
        f"order updates: asked for since {SINCE}: closed &lt;by it&gt;",
    ),
]


@pytest.mark.parametrize(("one", "said"), WAYS, ids=["live", "asked for", "asked for why"])
def test_health_says_how_orders_are_followed(one: AccountHealth, said: str) -> None:
    """Live while they are pushed, else asked for, with since when and why where known."""
    health = HealthView(AT, AT, AT, "", "memory", "", 0, 0, (one,), ())
    lines = health_screen(health, "").text.partition(one.account.label)[2].splitlines()
    shown = " · ".join(part.strip() for part in lines[1:])
    assert shown == f"logged in · read {SINCE} · {said}"


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        (LoopLag(7.6, 0), "8 ms"),
        (LoopLag(45.2, 3), "45 ms, 3 times over 20 ms"),
        (LoopLag(45.2, 1), "45 ms, 1 time over 20 ms"),
        (None, None),
    ],
)
def test_health_says_how_long_things_waited(lag: LoopLag | None, said: str | None) -> None:
    """For what the controller was busy with, where that is watched."""
    health = HealthView(AT, AT, AT, "", "memory", "", 0, 0, (), (), lag)
    told = " ".join(health_screen(health, "").text.split()).partition("Longest wait inside: ")[2]
    assert told == (said or "")
