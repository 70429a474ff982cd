"""The document that every commit matches and writes, and what else may be found in a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import LeaseLost, TransactionConflict
from core.ports.store import OUTSIDE, Change, StoreView

__all__ = ["DoneBefore", "Fence", "WrittenOutside", "prove"]


class WrittenOutside(TransactionConflict):
    """Another process wrote beside this one, and said so in the lease."""


class DoneBefore(TransactionConflict):
    """A nonce of the group was committed before."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The document that each commit matches and writes."""

    collection: str
    where: Mapping[str, Any]


async def prove(view: StoreView, fence: Fence | None, outside: int) -> None:
    """Prove inside a commit that this process is still the only one who writes.

    Args:
        view: The commit.
        fence: The document.
        outside: How often others had written when memory was read.

    Raises:
        LeaseLost: It is not.
        WrittenOutside: Another has written, and said so.
    """
    if fence is None:
        raise LeaseLost("The lease was given back.")
    mine = {**fence.where, OUTSIDE: outside}
    if await view.update(fence.collection, mine, Change(inc={"commits": 1})) == 1:
        return
    if await view.find(fence.collection, fence.where):
        raise WrittenOutside("Another process wrote beside this one.")
    raise LeaseLost("another controller holds a newer lease")
