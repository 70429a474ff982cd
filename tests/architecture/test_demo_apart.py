"""The demo stands outside the product: nothing of it can be reached where orders move money."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.registry import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
OF_THE_DEMO = re.compile(
    r"console\.demo|/telegram/|/tokens/expire|\bsandbox\b.*\bimport\b|[\"']demo[\"']"
)

pytestmark = pytest.mark.row("F1")


def traces(text: str) -> list[str]:
    """Return the lines of a source that reach for the demo or its sandbox."""
    return [line.strip() for line in text.splitlines() if OF_THE_DEMO.search(line)]


def test_the_product_reaches_for_no_demo() -> None:
    """No module of the product imports the demo, asks the sandbox's control port, or serves its card."""
    found = {
        str(path.relative_to(ROOT)): lines
        for package in ("bot", "core", "strategy", "webhooks")
        for path in (ROOT / package).rglob("*.py")
        if (lines := traces(path.read_text(encoding="utf-8")))
    }
    assert found == {}
    assert "demo" not in {one.name for one in COMMANDS}
    assert len(traces('from console.demo.panel import Panel\nCommand("demo", card)\n')) == 2
