"""No store at all is one sentence that says what to do (row F5)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.adapters.mongo.server import launch
from core.errors import StoreUnavailable

pytestmark = pytest.mark.row("F5")


async def test_embedded_store_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A production installation has none: the sentence names the three ways to a store."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable) as refused:
        await launch(tmp_path / "data", uri=None, mongod=None, wait_s=0)
    sentence = str(refused.value)
    assert sentence.count(". ") == 0 and "\n" not in sentence
    for way in ("MONGODB_URI", "mongod", "requirements-embedded.lock"):
        assert way in sentence
