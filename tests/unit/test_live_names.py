"""``saarthi live`` takes a strategy by the title that the chat shows."""

from __future__ import annotations

import pytest

from console.live import meant

KNOWN = {
    "orb": ("Opening range breakout",),
    "mac": ("Moving average crossover",),
    "a": ("Same",),
    "b": ("same",),
}


@pytest.mark.row("D5")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orb", "orb"),
        ("Opening range breakout", "orb"),
        ("moving  average CROSSOVER", "mac"),
        ("same", None),
        ("nothing", None),
    ],
)
def test_a_strategy_is_named_by_its_id_or_its_title(text: str, name: str | None) -> None:
    """In any case; a title that two have means neither."""
    assert meant(text, KNOWN) == name
