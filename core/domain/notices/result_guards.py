"""Notices of what stops trading by itself: guards on the day's result (row R5)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, TypeAlias

from core.domain.result_guard import Reached

__all__ = ["GuardBlind", "GuardFired", "GuardNotice", "GuardPricesOld"]


@dataclass(frozen=True, slots=True)
class GuardFired:
    """A guard on the day's result fires: what it covers is closed, and shut for the day.

    Attributes:
        scope: What it covers, as ``GuardScope.key``.
        reached: What was reached.
        limit: That, a signed result in rupees.
        before: The result before charges, rupees.
        charges: Charges so far and of closing, rupees.
        after: The result that was judged.
        floor_from: The highest result of the day, from which a floor came.
        closing: How many positions are closed.
        price_age_s: How old the oldest price was, seconds.
        paused: The accounts on which nothing can be sent, because they are PAUSED.
        logged_out: The accounts on which nothing can be sent before a login.
        left: The instruments held by hand for which Saarthi sends nothing at all.
    """

    kind: ClassVar[str] = "guard_fired"
    scope: str
    reached: Reached
    limit: Decimal
    before: Decimal
    charges: Decimal
    after: Decimal
    floor_from: Decimal | None
    closing: int
    price_age_s: int
    paused: tuple[str, ...] = ()
    logged_out: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardBlind:
    """A guard cannot be judged, or can be again: nothing fires on what nobody knows.

    Attributes:
        scope: What it covers, as ``GuardScope.key``.
        broker_id: The account whose result is unknown.
        why: Why, a sentence without its full stop; '' when it can be judged again.
    """

    kind: ClassVar[str] = "guard_blind"
    scope: str
    broker_id: str
    why: str


@dataclass(frozen=True, slots=True)
class GuardPricesOld:
    """Guards are judged by old prices, or by fresh ones again.

    Attributes:
        age_s: How old the oldest price is, seconds.
        is_over: Whether they are fresh again.
    """

    kind: ClassVar[str] = "guard_prices_old"
    age_s: int
    is_over: bool = False


GuardNotice: TypeAlias = GuardFired | GuardBlind | GuardPricesOld
