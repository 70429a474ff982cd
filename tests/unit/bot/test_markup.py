"""Texts as Telegram shows them on a phone."""

from __future__ import annotations

import pytest

from bot.views.markup import fit


@pytest.mark.row("E6")
def test_a_unit_stays_with_its_figure():
    """No line of a phone begins with the unit of the figure above; words are left alone."""
    sent = fit("came 61 s late, for 3 min, 5 % of it, 4 stops, 2 minutes")
    assert sent == "came 61\u00a0s late, for 3\u00a0min, 5\u00a0% of it, 4 stops, 2 minutes"
