"""Documents that the single writer keeps are shared with all who read them."""

from __future__ import annotations

import pytest

from core.adapters.single_writer import SingleWriterStore
from tests.fakes.clock import ManualClock
from tests.fakes.counted_store import CountedStore

LEASE = {"_id": "controller", "fence": 7}


async def test_what_is_read_is_shared_and_cannot_be_written_into() -> None:
    """Two readers have one document; none can change what the other sees, nor what is kept."""
    base = CountedStore()
    await base.insert("lease", dict(LEASE))
    writer = SingleWriterStore(base, ManualClock())
    await writer.hold("lease", LEASE)
    await writer.insert("chats", {"_id": "flat", "n": 1})
    one, other = [await writer.get("chats", "flat") for _ in range(2)]
    assert one is other and one is not None
    for write in (
        lambda: one.update(n=7),
        lambda: one.pop("n"),
        lambda: one.setdefault("m", 1),
        lambda: one.__setitem__("n", 7),
        lambda: one.__delitem__("n"),
    ):
        with pytest.raises(TypeError):
            write()
    await writer.insert("chats", {"_id": "deep", "inside": {"n": 1}, "rows": [1]})
    (deep,) = await writer.find("chats", {"_id": "deep"})
    deep["inside"]["n"], deep["rows"][0] = 7, 7
    assert await writer.find("chats", {"_id": "deep"}) == [
        {"_id": "deep", "inside": {"n": 1}, "rows": [1]}
    ]
