"""Notices about runs of strategies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

__all__ = [
    "DataMissing",
    "InstrumentGone",
    "RunCard",
    "RunFailed",
    "RunNotice",
    "RunsTogether",
    "SlotMissed",
    "StrategyDisabled",
]


@dataclass(frozen=True, slots=True)
class RunCard:
    """One signal, a line per account: posted with the run and at each step of its orders."""

    kind: ClassVar[str] = "run_card"
    run_id: str


@dataclass(frozen=True, slots=True)
class RunsTogether:
    """Several runs of one moment on one card, which is edited as each of them goes on."""

    kind: ClassVar[str] = "runs_together"
    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlotMissed:
    """A slot was reached too late for entries, or later slots overtook it (D2).

    Attributes:
        strategy: Name of the strategy.
        slot_at: The slot that is run now, with exits only where it is late.
        late_s: How late, in seconds.
        missed: How many earlier slots were left out altogether.
        may_enter: The slot is run in time for its entries, so that only earlier ones were lost.
        kept_out: Why it enters nothing all the same, or had nothing to enter; a clause, or ''.
        is_silent: For that reason it sends no exit either.
        first_at: The first slot that was left out, IST; None without one, and in older rows.
        last_at: The last of them.
    """

    kind: ClassVar[str] = "slot_missed"
    strategy: str
    slot_at: datetime
    late_s: int
    missed: int = 0
    may_enter: bool = False
    kept_out: str = ""
    is_silent: bool = False
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DataMissing:
    """Market data are missing or stale, so that a run enters nothing; posted once (D10).

    Attributes:
        strategy: Name of the strategy.
        detail: What is missing.
        others_run: Only some instruments have no bars; the others are run.
    """

    kind: ClassVar[str] = "no_data"
    strategy: str
    detail: str = ""
    others_run: bool = False


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A strategy, its schedule or its parameters raised: nothing was sent; once a day an error.

    Attributes:
        strategy: Name of the strategy.
        detail: The error.
    """

    kind: ClassVar[str] = "run_failed"
    strategy: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentGone:
    """An instrument that a strategy trades is not in the brokers' lists; once a day (D10).

    Attributes:
        strategy: Name of the strategy.
        instrument: The instrument.
        reason: Why it cannot be traded, a sentence without its end, with what else may be meant.
    """

    kind: ClassVar[str] = "instrument_gone"
    strategy: str
    instrument: str
    reason: str


@dataclass(frozen=True, slots=True)
class StrategyDisabled:
    """Decisions of a strategy had to be ended, so many in a row: it is disabled (S02).

    Attributes:
        strategy: Name of the strategy.
        strikes: How many.
        detail: What became of the last one.
    """

    kind: ClassVar[str] = "strategy_disabled"
    strategy: str
    strikes: int
    detail: str = ""


RunNotice: TypeAlias = (
    RunCard
    | RunsTogether
    | SlotMissed
    | DataMissing
    | RunFailed
    | StrategyDisabled
    | InstrumentGone
)
