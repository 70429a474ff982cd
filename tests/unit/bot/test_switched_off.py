"""What a strategy still holds when it is switched off: by account, with its stop or without one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.strategies import still_held
from core.adapters.fyers import FYERS
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_position, a_strategy, an_account

MAIN = an_account()
TWO = an_account("fyers_b", FYERS, "Two", is_default=False)


@pytest.mark.row("D4")
@pytest.mark.parametrize(("broker_id", "where"), [(None, "is off"), (TWO.broker_id, "is off here")])
def test_what_is_held_is_named_and_what_has_no_stop_is_a_warning(
    broker_id: str | None, where: str
) -> None:
    """The absence of a word is seen by nobody; each close names its account where there are two."""
    strategy = a_strategy()
    held = [
        a_position(one, owners={strategy.name: 10}, stop=stop)
        for one, stop in ((MAIN, Decimal("805.55")), (TWO, None))
    ]
    screen = still_held(strategy, held, broker_id)
    lines = TAGS.sub("", screen.text).split("\n")
    assert f"{strategy.title} {where} and decides" in lines[0]
    assert lines[1:5] == [
        MAIN.label,
        "SBIN MIS · +10 · stop ₹805.55",
        TWO.label,
        "SBIN MIS · +10 · ⚠️ no stop",
    ]
    labels = [one.text for row in screen.rows for one in row]
    assert labels == ["Close SBIN · Main", "Close SBIN · Two", "« Keep it"]
