"""What the card of a run says of its targets."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.views.strategies import run_card
from tests.fakes.views import a_run


@pytest.mark.row("E1")
def test_a_target_of_an_earlier_signal_says_since_when():
    """It is repeated at each slot and enters once: a card without an order of it explains itself."""
    run = a_run()
    (target,) = run.targets
    old = replace(target, signal_at=run.slot_at - timedelta(minutes=9))
    text = run_card(replace(run, targets=(target, old)), "Breakout").text
    assert text.count(" since 10:06, stop") == 1
