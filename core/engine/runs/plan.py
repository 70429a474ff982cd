"""What a run decides for its accounts, before anything is written: who may enter, and with what.

Documents of the collection ``runs`` (core.engine.runs.runner) are written and read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.domain.identifiers import entry_id
from core.domain.instrument import InstrumentId
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.planning import AccountState, Leg
from core.domain.sessions import trading_day
from core.domain.slicing import cut, slices
from core.domain.target import Direction, Target
from core.domain.views import AssignmentView
from core.engine.orders.gate import Gate
from core.engine.orders.limit_use import EntryBounds
from core.engine.orders.risk import Facts
from core.engine.runs.bars import Bars
from core.ports.store import Document

__all__ = ["Decided", "RunPlan", "RunRequest", "requested_slot", "run_row", "target_of"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        run_id: Unique; a second run of the same id does nothing.
        slot_at: Market time of the slot.
        may_enter: False for a slot that is too late: entries are dropped, exits still fire.
        only: Run on this account alone (``saarthi live``); None for all.
        is_first: The first since the user enabled the strategy, who waits to hear of it.
    """

    run_id: str
    strategy: str
    slot_at: datetime
    may_enter: bool = True
    only: str | None = None
    is_first: bool = False

    @property
    def is_told(self) -> bool:
        """Whether it gets a card without a signal, too."""
        return self.is_first or self.is_by_user

    @property
    def is_by_user(self) -> bool:
        """Whether a user asked for it (``core.engine.control.manual_runs``)."""
        return self.run_id.startswith(f"{self.strategy}|now|")


def requested_slot(now: datetime) -> datetime:
    """Return the slot of a run that a user asks for at a market time.

    To the millisecond, as the store keeps it: two runs of one minute are two slots, so that a
    signal which a strategy gives afresh in each is not taken for the same one (D3).
    """
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a strategy decided, and on which bars."""

    targets: Sequence[Target]
    bars: Bars
    bar_minutes: int

    @property
    def prices(self) -> Mapping[InstrumentId, Decimal]:
        """The close of each instrument's newest bar."""
        return {name: rows[-1].close for name, rows in self.bars.items() if rows}


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is the same for every account of a run.

    Attributes:
        closing: Brokers at which the strategy is being squared off.
        now: Real time.
        is_known_day: Whether the calendar knows that the exchange trades (K04).
        clock_offset: How far the brokers' clocks are certainly ahead of this computer's.
        doubts: Why the price of an instrument is not believed, for those that are not entered.
        stop_doubts: Likewise, for those whose stop is not moved.
        day: The trading day of the slot.
        fresh_for: How old a signal may be to enter.
    """

    request: RunRequest
    every_minutes: int
    closing: frozenset[BrokerProfile]
    now: datetime
    is_known_day: bool = True
    clock_offset: timedelta = timedelta(0)
    doubts: Mapping[InstrumentId, str] = field(default_factory=dict)
    stop_doubts: Mapping[InstrumentId, str] = field(default_factory=dict)
    day: str = field(init=False)
    fresh_for: timedelta = field(init=False)

    def __post_init__(self) -> None:
        # Once a run: they are asked for several times for each account.
        object.__setattr__(self, "day", trading_day(self.request.slot_at))
        object.__setattr__(self, "fresh_for", timedelta(minutes=self.every_minutes))

    def is_fresh(self, target: Target) -> bool:
        """Whether an entry may be decided on a target at all."""
        age = self.request.slot_at - target.signal_at
        return bool(target.direction) and age < self.fresh_for

    def facts(
        self,
        target: Target,
        assignment: AssignmentView,
        account: Account,
        gate: Gate | None,
        orders: Sequence[Order],
        *,
        shut: str = "",
        price: Decimal | None = None,
        bounds: EntryBounds | None = None,
    ) -> Facts:
        """Return what the checks look at for an entry that has no size yet.

        Args:
            target: What the strategy wants.
            assignment: How the strategy runs on the account.
            account: Where it would enter.
            gate: The account's gate as it is in this transaction.
            orders: Today's orders of the account in the target's instrument.
            shut: Why nothing is entered there for the rest of the day, or ''.
            price: What it would be sized by.
            bounds: What it would be held to.
        """
        return Facts(
            purpose=Purpose.ENTRY,
            strategy=assignment.strategy,
            instrument=target.instrument,
            product=assignment.product,
            side=Side.of(int(target.direction)),
            quantity=0,
            gate=gate,
            is_assigned=assignment.is_on,
            is_known_day=self.is_known_day,
            now=self.now,
            run_id=self.request.run_id,
            late=""
            if self.request.may_enter
            else "the run came too late, so its entries are dropped",
            is_closing=account.broker in self.closing,
            shut=shut,
            needs_login=account.needs_login,
            clock_offset=self.clock_offset,
            price_doubt=self.doubts.get(target.instrument, ""),
            others=orders,
            price=price,
            loads=bounds.loads if bounds else (),
            unproved=bounds.unproved if bounds else "",
        )

    def entries(
        self, target: Target, assignment: AssignmentView, leg: Leg, current: AccountState
    ) -> list[Order]:
        """Return the entry intent of a leg, in slices of what one order may be."""
        price = current.price if current.price > 0 else None
        intent = self._entry(target, assignment, leg, price)
        sizes = slices(intent.request.quantity, current.largest_order)
        return [intent] if len(sizes) == 1 else cut(intent, sizes)

    def _entry(
        self, target: Target, assignment: AssignmentView, leg: Leg, price: Decimal | None
    ) -> Order:
        name = f"{target.instrument}|{assignment.product}"
        cid = entry_id(assignment.broker_id, assignment.strategy, self.request.run_id, name)
        request = OrderRequest(
            cid,
            target.instrument,
            Side.of(leg.entry),
            abs(leg.entry),
            OrderType.MARKET,
            assignment.product,
        )
        return Order(
            request=request,
            broker_id=assignment.broker_id,
            strategy=assignment.strategy,
            run_id=self.request.run_id,
            purpose=Purpose.ENTRY,
            state=OrderState.INITIALIZED,
            day=self.day,
            created_at=self.now,
            decided_price=price,
        )


def target_of(row: Document) -> Target:
    """Read a stored target."""
    return Target(
        InstrumentId.parse(row["instrument"]),
        Direction(row["direction"]),
        row["signal_at"],
        row.get("stop_price"),
        row.get("reason", ""),
    )


def run_row(
    plan: RunPlan,
    targets: Sequence[Target],
    notes: Mapping[str, str],
    accounts: Sequence[tuple[Account, AssignmentView]],
    *,
    quiet: Sequence[str],
    said: Sequence[str],
    is_signal: bool,
) -> Document:
    """Return the document of a run."""
    return {
        "_id": plan.request.run_id,
        "strategy": plan.request.strategy,
        "slot_at": plan.request.slot_at,
        "targets": [
            {
                "instrument": str(target.instrument),
                "direction": int(target.direction),
                "signal_at": target.signal_at,
                "stop_price": target.stop_price,
                "reason": target.reason,
            }
            for target in targets
        ],
        "notes": dict(notes),
        "quiet": list(quiet),
        "said": list(said),
        "broker_ids": [account.broker_id for account, _ in accounts],
        "is_signal": is_signal,
        "created_at": plan.now,
    }
