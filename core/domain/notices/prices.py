"""Notices about where prices come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["PriceNotice", "PricesPolled", "PricesPushed"]


@dataclass(frozen=True, slots=True)
class PricesPolled:
    """The broker's stream of prices is down, silent or late: they are asked for; said once (D10).

    Attributes:
        account: The data account, as users read it.
        why: What is wrong with it, a clause.
    """

    kind: ClassVar[str] = "prices_polled"
    account: str
    why: str


@dataclass(frozen=True, slots=True)
class PricesPushed:
    """The stream has told everything for a while again, after ``PricesPolled``."""

    kind: ClassVar[str] = "prices_pushed"


PriceNotice: TypeAlias = PricesPolled | PricesPushed
