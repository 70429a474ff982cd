"""An engine on the made-up day of ``tests/data/replay``, with strategies that follow a script."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.lockstep import Rig, rig
from tests.fakes.scripted import Opened, Scripted, at

REPLAY = Path(__file__).resolve().parents[1] / "data" / "replay" / "2021-05-12"


@pytest.fixture
def opened(tmp_path: Path, embedded_store_uri: str) -> Opened:
    """Opens an engine with scripted strategies at 09:20 of the made-up day."""

    @contextlib.asynccontextmanager
    async def open_rig(*strategies: Scripted) -> AsyncIterator[Rig]:
        registry = {strategy.name: strategy for strategy in strategies}
        start = at("09:20")
        replay = ("--replay", str(REPLAY))
        async with rig(tmp_path, embedded_store_uri, registry, start, *replay) as engine:
            yield engine

    return open_rig
