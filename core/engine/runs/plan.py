"""What a run decides for its accounts, before anything is written: who may enter, and with what.

Documents of the collection ``runs`` (core.engine.runs.runner) are written and read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.account import Account, BrokerType
from core.domain.identifiers import client_order_id
from core.domain.instrument import InstrumentId
from core.domain.mode import TradingMode
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.planning import Leg
from core.domain.sessions import trading_day
from core.domain.target import Direction, Target
from core.domain.views import AssignmentView
from core.engine.orders.gate import gate_of
from core.ports.store import Document

__all__ = ["RunPlan", "RunRequest", "run_row", "target_of"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        run_id: Unique; a second run of the same id does nothing.
        slot_at: Market time of the slot.
        may_enter: False for a slot that is too late: entries are dropped, exits still fire.
        only: Run on this account alone (``saarthi live``); None for all.
    """

    run_id: str
    strategy: str
    slot_at: datetime
    may_enter: bool = True
    only: str | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is the same for every account of a run.

    Attributes:
        closing: Brokers at which the strategy is being squared off.
        now: Real time.
    """

    request: RunRequest
    every_minutes: int
    closing: frozenset[BrokerType]
    now: datetime

    @property
    def day(self) -> str:
        """The trading day of the slot."""
        return trading_day(self.request.slot_at)

    def why_not(self, gate_row: Document | None, account: Account) -> str:
        """Return why an account enters nothing in this run, or ''."""
        if gate_row is None:
            return "the account has no gate"
        gate = gate_of(gate_row)
        if not self.request.may_enter:
            return "the slot came too late, entries are dropped"
        if account.broker_type in self.closing:
            return "positions are being squared off, nothing is entered any more today"
        if gate.mode is not TradingMode.NORMAL:
            return f"{gate.mode}: no entry is sent"
        if not gate.enabled:
            return "disabled: no entry is sent"
        if gate.frozen:
            return "entries are frozen after an impossible order event; set a mode to go on"
        return "login needed: the entry is dropped" if account.needs_login else ""

    def entry(self, target: Target, assignment: AssignmentView, leg: Leg) -> Order:
        """Return the entry intent of a leg."""
        name = f"{target.instrument}|{assignment.product}|entry"
        cid = client_order_id(
            assignment.broker_id, assignment.strategy, self.request.run_id, name, 1
        )
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
        "broker_ids": [account.broker_id for account, _ in accounts],
        "is_signal": is_signal,
        "created_at": plan.now,
    }
