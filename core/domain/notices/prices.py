"""Notices about where prices come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ["PriceNotice", "PricesPolled", "PricesPushed", "SourceSilent"]


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


@dataclass(frozen=True, slots=True)
class SourceSilent:
    """A data account lets runs wait for its answer; said once, until it answers in time (D10).

    Attributes:
        account: The account with its broker, as users read it.
        has_others: Whether another account can be asked instead.
    """

    kind: ClassVar[str] = "source_silent"
    account: str
    has_others: bool


PriceNotice: TypeAlias = PricesPolled | PricesPushed | SourceSilent
