"""Guards on the day's result as users see them: what is set, how it stands, what would change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.day_result import DayResult
from core.domain.money import rupees, signed_rupees
from core.domain.result_guard import Breach, Guard, GuardDay, GuardScope

__all__ = ["GuardPreview", "GuardView", "PendingView", "guard_words"]


@dataclass(frozen=True, slots=True)
class PendingView:
    """A looser guard that waits for its second confirmation; market times, for the chat.

    Attributes:
        guard: What it would be.
        from_at: From when it can be confirmed.
        until_at: Until when.
    """

    id: str
    guard: Guard
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class GuardView:
    """One scope: its guard, and how its day stands.

    Attributes:
        name: ``All accounts``, an account, a strategy on an account.
        version: Goes back with a change, so that another user's is not overwritten.
        result: None while it is unknown.
        why: Why it is unknown, a sentence without its full stop.
        price_age_s: How old the oldest price that counts is; None while nothing is held.
        day: The state of today.
        locked_until: The first day on which it can be loosened again, '' while it can.
        leaves_out_paper: Whether there is a paper account, which this scope does not count.
    """

    scope: GuardScope
    name: str
    guard: Guard
    version: int
    result: DayResult | None
    why: str
    price_age_s: int | None
    day: GuardDay
    locked_until: str = ""
    pending: PendingView | None = None
    leaves_out_paper: bool = False


@dataclass(frozen=True, slots=True)
class GuardPreview:
    """What a change would do.

    Attributes:
        now: The scope as it stands.
        guard: What it would become.
        looser: Which parts would be looser, in words; none for a change that tightens.
        is_waiting: Whether it needs a second confirmation two minutes later.
        at_once: What the present result has reached already, so that it fires at the next look.
    """

    now: GuardView
    guard: Guard
    looser: tuple[str, ...]
    is_waiting: bool
    at_once: Breach | None


def guard_words(guard: Guard) -> str:
    """Return a guard in words: ``stop -₹5,000, target +₹20,000``; ``nothing`` where none is set."""
    parts = []
    if guard.stop is not None:
        parts.append(f"stop {signed_rupees(-guard.stop, paise=False)}")
    if guard.target is not None:
        parts.append(f"target {signed_rupees(guard.target, paise=False)}")
    trail = guard.trail
    if trail is not None:
        start = signed_rupees(trail.start, paise=False)
        text = f"from {start} keep {rupees(trail.keep, paise=False)}"
        if trail.each:
            each, more = rupees(trail.each, paise=False), rupees(trail.more, paise=False)
            text += f", then per {each} keep {more}"
        parts.append(text)
    return ", ".join(parts) or "nothing"
