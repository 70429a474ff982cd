"""The document that every commit matches and writes, and what else may be found in a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import LeaseLost, TransactionConflict
from core.ports.store import OUTSIDE, Change, Condition, StoreView

__all__ = ["DoneBefore", "Fence", "WrittenOutside", "held", "why_not_held"]


class WrittenOutside(TransactionConflict):
    """Another process wrote beside this one, and said so in the lease."""


class DoneBefore(TransactionConflict):
    """A nonce of the group was committed before."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The document that each commit matches and writes."""

    collection: str
    where: Mapping[str, Any]


def held(fence: Fence | None, outside: int, at: datetime) -> Condition:
    """Return the condition of a commit: that this process is still the only one who writes.

    Args:
        fence: The document.
        outside: How often others had written when memory was read.
        at: The time, real.

    Raises:
        LeaseLost: The lease was given back.
    """
    if fence is None:
        raise LeaseLost("The lease was given back.")
    mine = {**fence.where, OUTSIDE: outside}
    return Condition(fence.collection, mine, Change(inc={"commits": 1}), at)


async def why_not_held(view: StoreView, fence: Fence) -> LeaseLost | WrittenOutside:
    """Return what it means that ``held`` did not match."""
    if await view.find(fence.collection, fence.where):
        return WrittenOutside("Another process wrote beside this one.")
    return LeaseLost("another controller holds a newer lease")
