"""A mongod that comes back at another port, and closes connections while it does (row F5)."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from core.adapters.mongo._mongod import _claim_address

pytestmark = pytest.mark.row("F5")


class Set:
    """A replica set's administration, whose connection breaks at the calls that are named."""

    def __init__(self, *breaks: int) -> None:
        self.config = {"version": 1, "members": [{"host": "127.0.0.1:1"}]}
        self.calls: list[str] = []
        self._breaks = breaks

    @property
    def admin(self) -> Set:
        return self

    async def command(self, name: str, value: Any = None, **options: Any) -> dict[str, Any]:
        self.calls.append(name)
        if name == "replSetReconfig":
            assert options == {"force": True}
            self.config = {**value}
        if len(self.calls) in self._breaks:
            raise AutoReconnect("connection closed")
        members = [dict(one) for one in self.config["members"]]  # type: ignore[attr-defined]
        return {"config": {**self.config, "members": members}}


@pytest.mark.parametrize("breaks", [(), (1,), (2,), (1, 2, 3)])
async def test_the_address_is_claimed_although_connections_close(breaks: tuple[int, ...]) -> None:
    """Before the look, and in the answer to the change: it is looked at again, and changed once."""
    replicas = Set(*breaks)
    await _claim_address(replicas, 27_017)  # type: ignore[arg-type]
    assert replicas.config["members"] == [{"host": "127.0.0.1:27017"}]
    assert replicas.config["version"] == 2
    assert replicas.calls.count("replSetReconfig") == 1
