"""The schema is changed with patience: building an index may take longer than any answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pytest

from core.adapters.mongo.store import MongoStore, StoreOptions
from core.bootstrap import foundation
from core.config import Settings


class Store:
    """A store of the schema before."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, *_: object) -> dict[str, Any] | None:
        return None

    async def find(self, *_: object) -> list[dict[str, Any]]:
        return []

    def server_kind(self) -> str:
        return "embedded"


async def test_schema_is_changed_with_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a client that gives no answer up for minutes; the program works with another."""
    waits: list[float] = []

    async def connect(_uri: str, _name: str, options: StoreOptions | None = None) -> Store:
        waits.append((options or StoreOptions()).operation_s)
        return Store()

    async def migrate(_store: Store, *, rebuilds: bool) -> None:
        assert waits[-1] > 600
        assert not rebuilds, "the embedded server keeps what serves as well"

    monkeypatch.setattr(MongoStore, "connect", connect)
    monkeypatch.setattr(foundation, "migrate", migrate)
    settings = Settings(public_url="https://x.example", data=tmp_path)
    async with foundation.attach(settings, "mongodb://nowhere"):
        assert len(waits) == 2
    assert waits[0] == StoreOptions().operation_s
