"""A cancellation reaches whoever waits for the store, also when the driver swallows it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from pymongo.errors import AutoReconnect

from core.adapters.mongo._view import DirectView, MongoView, TransactionView

pytestmark = pytest.mark.invariant("I13")


class DeafCollection:
    """Ends a call as ``asyncio.wait_for`` of Python 3.11 can: the cancellation is lost."""

    def __init__(self, *, fails: bool) -> None:
        self.started = asyncio.Event()
        self._fails = fails

    async def find_one(self, *_: Any, **__: Any) -> dict[str, str]:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self._fails:
                raise AutoReconnect("the connection went away") from None
        return {"_id": "x"}


def view_of(kind: type[MongoView], collection: DeafCollection) -> MongoView:
    return kind(cast("Any", {"things": collection}), None)


@pytest.mark.parametrize("kind", [DirectView, TransactionView])
@pytest.mark.parametrize("fails", [False, True])
async def test_cancelled_reader_ends(kind: type[MongoView], fails: bool) -> None:
    """Whether the driver then returned or failed, the task that was asked to end ends."""
    collection = DeafCollection(fails=fails)
    reader = asyncio.create_task(view_of(kind, collection).get("things", "x"))
    await collection.started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader


@pytest.mark.parametrize("kind", [DirectView, TransactionView])
async def test_deadline_is_kept(kind: type[MongoView]) -> None:
    """A deadline is a cancellation too: it is told as one, not passed over."""
    view = view_of(kind, DeafCollection(fails=False))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await view.get("things", "x")
