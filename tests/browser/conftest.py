"""Where the browser tests leave their pictures: a folder that git ignores, for people to look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

# Five seconds, the default, are not much on two cores that run five tests at once.
expect.set_options(timeout=120_000)

_ROOT = Path(__file__).resolve().parents[2] / ".screenshots"


@pytest.fixture
def shots(request: pytest.FixtureRequest) -> Path:
    """Return the folder of a test module's pictures; earlier ones stay until they are taken anew."""
    folder = _ROOT / Path(str(request.node.path)).stem.removeprefix("test_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
