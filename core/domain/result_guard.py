"""Guards on the day's result: when one fires, and which change of one is looser (row R5).

A guard has a stop (rupees of loss), a target (rupees of profit) and a lock-and-trail (from a profit
of X keep Y, then of each further A keep B). It is judged by the result after charges. The highest
result of the day sets a floor, which never falls while the guard is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from core.domain.identifiers import is_paper
from core.domain.money import rupees

__all__ = [
    "AMOUNT_RANGE",
    "Breach",
    "Guard",
    "GuardDay",
    "GuardScope",
    "Reached",
    "ScopeKind",
    "Trail",
    "floor_of",
    "looser",
    "problem_of",
    "step",
]

AMOUNT_RANGE = (Decimal(1), Decimal(1_000_000_000))
"""Rupees of any amount of a guard."""


class ScopeKind(StrEnum):
    """What a guard covers."""

    STRATEGY = "strategy"
    """A strategy on an account."""
    ACCOUNT = "account"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class GuardScope:
    """What a guard covers: a strategy on an account, an account, or all accounts."""

    kind: ScopeKind
    broker_id: str = ""
    strategy: str = ""

    @property
    def key(self) -> str:
        """The ``_id`` of its documents: ``all``, ``account|…`` or ``strategy|…|…``."""
        return "|".join(part for part in (self.kind.value, self.strategy, self.broker_id) if part)

    @classmethod
    def parse(cls, key: str) -> GuardScope:
        """Read a key back; raises ``ValueError`` for any other text."""
        match key.split("|"):
            case ["all"]:
                return cls(ScopeKind.ALL)
            case ["account", broker_id] if broker_id:
                return cls(ScopeKind.ACCOUNT, broker_id)
            case ["strategy", strategy, broker_id] if strategy and broker_id:
                return cls(ScopeKind.STRATEGY, broker_id, strategy)
        raise ValueError(f"no scope of a guard: {key!r}")

    def includes(self, broker_id: str) -> bool:
        """Whether an account is covered, or a part of it; all together are no paper accounts."""
        return broker_id == self.broker_id if self.broker_id else not is_paper(broker_id)

    def covers(self, broker_id: str, strategy: str) -> bool:
        """Whether an order of this strategy on this account is covered."""
        return self.includes(broker_id) and self.strategy in {"", strategy}


@dataclass(frozen=True, slots=True)
class Trail:
    """From a result of ``start`` keep ``keep``; then of each further ``each`` keep ``more``.

    Attributes:
        each: Rupees of a further step; 0 where nothing more is kept.
        more: Rupees that each step keeps.
    """

    start: Decimal
    keep: Decimal
    each: Decimal = Decimal(0)
    more: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Guard:
    """What stops a scope for the day; positive rupees, None for what is not set."""

    stop: Decimal | None = None
    target: Decimal | None = None
    trail: Trail | None = None

    @property
    def is_set(self) -> bool:
        """Whether anything of it is set."""
        return self != Guard()


class Reached(StrEnum):
    """What made a guard fire."""

    STOP = "stop"
    TARGET = "target"
    FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Breach:
    """Why a guard fires: what was reached, the limit in rupees, and the result."""

    reached: Reached
    limit: Decimal
    result: Decimal


@dataclass(frozen=True, slots=True)
class GuardDay:
    """The state of a guard on one trading day.

    Attributes:
        day: The trading day.
        highest: The highest result that was judged; None before the first.
        floor: What the trail keeps, None below its start.
        fired: Why it has fired, None while it has not.
    """

    day: str
    highest: Decimal | None = None
    floor: Decimal | None = None
    fired: Breach | None = None


def floor_of(trail: Trail | None, highest: Decimal | None) -> Decimal | None:
    """Return what a trail keeps once ``highest`` was reached; None below its start."""
    if trail is None or highest is None or highest < trail.start:
        return None
    steps = (highest - trail.start) // trail.each if trail.each else Decimal(0)
    return trail.keep + steps * trail.more


def step(guard: Guard, day: GuardDay, result: Decimal) -> tuple[GuardDay, Breach | None]:
    """Judge a result; return the state afterwards, and why the guard fires now, if it does.

    A guard fires once a day. What is a loss is asked first: a stop names the reason better.
    """
    if day.fired is not None:
        return day, None
    highest = result if day.highest is None else max(day.highest, result)
    floors = [one for one in (day.floor, floor_of(guard.trail, highest)) if one is not None]
    after = replace(day, highest=highest, floor=max(floors, default=None))
    breach = _breach(guard, after.floor, result)
    return replace(after, fired=breach), breach


def _breach(guard: Guard, floor: Decimal | None, result: Decimal) -> Breach | None:
    if guard.stop is not None and result <= -guard.stop:
        return Breach(Reached.STOP, -guard.stop, result)
    if floor is not None and result <= floor:
        return Breach(Reached.FLOOR, floor, result)
    if guard.target is not None and result >= guard.target:
        return Breach(Reached.TARGET, guard.target, result)
    return None


def looser(old: Guard, new: Guard) -> tuple[str, ...]:
    """Return which parts of a guard a change makes looser, in words; () for one that tightens.

    Each part is judged by itself: what would let a larger loss, a later target or a lower floor
    happen is looser, whatever the other parts gain.
    """
    found = []
    if old.stop is not None and (new.stop is None or new.stop > old.stop):
        found.append("stop")
    if old.target is not None and (new.target is None or new.target > old.target):
        found.append("target")
    if old.trail is not None and (new.trail is None or _is_looser(old.trail, new.trail)):
        found.append("trail")
    return tuple(found)


def _is_looser(old: Trail, new: Trail) -> bool:
    """Whether some highest result may have a lower floor than before."""
    if new.start > old.start or new.keep < old.keep:
        return True
    steps = bool(old.each and old.more)
    return steps and (not new.each or new.each > old.each or new.more < old.more)


def problem_of(guard: Guard) -> str:
    """Return why a guard cannot be set, a sentence; '' where it can."""
    trail = guard.trail
    amounts = [guard.stop, guard.target, *((trail.start,) if trail else ())]
    low, high = AMOUNT_RANGE
    for amount in amounts:
        if amount is not None and not low <= amount <= high:
            return (
                f"Found {rupees(amount)}; expected {rupees(low, paise=False)} to "
                f"{rupees(high, paise=False)}."
            )
    if trail is None:
        return ""
    if not 0 <= trail.keep < trail.start:
        return (
            f"The trail keeps {rupees(trail.keep)} from {rupees(trail.start)}; it must keep less."
        )
    if (trail.each > 0) is not (trail.more > 0):
        return "Found one of two; expected both: of each further how much to keep how much."
    if trail.each and not (0 < trail.more <= trail.each and low <= trail.each <= high):
        return (
            f"Of each further {rupees(trail.each)} it keeps {rupees(trail.more)}; it must keep no "
            f"more than that, of steps of {rupees(low, paise=False)} or more."
        )
    if guard.target is not None and guard.target <= trail.start:
        return "The target is reached before the trail begins; expected a higher one, or none."
    return ""
