"""An engine on the made-up day of ``tests/data/replay``, with strategies that follow a script."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.lockstep import Rig, rig, standing
from tests.fakes.sandbox_process import Sandbox
from tests.fakes.scripted import Opened, Scripted, at

REPLAY = Path(__file__).resolve().parents[1] / "data" / "replay" / "2021-05-12"


@pytest.fixture(scope="session")
def _made_up_day() -> Iterator[Sandbox]:
    sandbox = standing(at("09:20"), "--replay", str(REPLAY))
    yield sandbox
    sandbox.end()


@pytest.fixture
def opened(tmp_path: Path, _made_up_day: Sandbox) -> Opened:
    """Opens an engine with scripted strategies at 09:20 of the made-up day."""
    _made_up_day.ask("POST", "/reset")

    @contextlib.asynccontextmanager
    async def open_rig(*strategies: Scripted) -> AsyncIterator[Rig]:
        registry = {strategy.name: strategy for strategy in strategies}
        async with rig(tmp_path, None, registry, at("09:20"), _made_up_day) as engine:
            yield engine

    return open_rig
