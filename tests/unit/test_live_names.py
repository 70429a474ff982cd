"""``saarthi live`` takes a strategy and an account by the names that the chat shows."""

from __future__ import annotations

import pytest

from console.live import meant

KNOWN = {
    "orb": ("Opening range breakout",),
    "mac": ("Moving average crossover",),
    "a": ("Same",),
    "b": ("same",),
    "zerodha_abc123": ("Zerodha - Main", "Main"),
}


@pytest.mark.row("D5")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orb", "orb"),
        ("Opening range breakout", "orb"),
        ("moving  average CROSSOVER", "mac"),
        ("zerodha - main", "zerodha_abc123"),
        ("main", "zerodha_abc123"),
        ("same", None),
        ("nothing", None),
    ],
)
def test_what_runs_is_named_by_its_id_or_as_the_chat_shows_it(text: str, name: str | None) -> None:
    """In any case; a title that two have means neither."""
    assert meant(text, KNOWN) == name
