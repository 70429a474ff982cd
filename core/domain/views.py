"""What the controller shows: frozen answers for the chat and the pages, with no secret in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.account import Account
from core.domain.broker import BrokerTrade, Funds, Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.notices.result_guards import GuardFired
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.panic import Panic
from core.domain.target import Parameter, ParameterValue, Target

__all__ = [
    "LATE_TURN_S",
    "AccountHealth",
    "AssignmentView",
    "DashboardView",
    "DrainView",
    "ExposureView",
    "HealthView",
    "LoopLag",
    "ModeChange",
    "OrderView",
    "PanicAccount",
    "PanicPart",
    "PanicQuestion",
    "PanicView",
    "PnlView",
    "PositionView",
    "Readiness",
    "RunLine",
    "RunView",
    "SizeKind",
    "StrategyView",
    "TradeView",
]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PositionView:
    """One open or closed position of an account.

    Attributes:
        key: Short handle for buttons, stable while the position exists (``NSE:SBIN|MIS``).
        owners: Units by strategy; what is left over is ``external``.
        stop: Trigger price of a resting stop, if any.
        warnings: Why a strategy's part of it is unprotected, a sentence each (R6).
        realised: Today's profit of units closed today, rupees.
        unrealised: Today's profit of units held; with ``realised`` it is the day's.
        charges: Of what was traded in it today and of closing it, estimated alone: of several they
            do not add up to the account's, for a contract note rounds sums. None when they are not
            known, 0 where there are none or no profit was worked out.
        is_since_entry: The previous close is not known: profit counts from the entry.
        previous_close: From where the profit of what was carried into the day counts, if any was.
        is_listed: The broker's list has it; else neither its price nor its profit is known.
    """

    key: str
    broker_id: str
    account_label: str
    instrument: InstrumentId
    product: Product
    quantity: int
    average_price: Decimal
    last_price: Decimal
    realised: Decimal
    unrealised: Decimal
    owners: Mapping[str, int]
    stop: Decimal | None = None
    warnings: tuple[str, ...] = ()
    is_since_entry: bool = False
    previous_close: Decimal | None = None
    charges: Decimal | None = _ZERO
    is_listed: bool = True

    @property
    def result(self) -> Decimal | None:
        """Today's profit before charges; None where it is not known."""
        return self.realised + self.unrealised if self.is_listed else None


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order of today, ours or foreign.

    Attributes:
        key: Handle for buttons: our ``client_order_id``, else the broker's order id.
        is_followed: False once its account is disconnected: nobody learns what becomes of it.
        sequel: What follows a refused exit, one sentence; '' for everything else.
        realised: Rupees before charges that it has booked by closing; None where it closed nothing
            of a strategy's.
    """

    key: str
    broker_id: str
    account_label: str
    instrument: InstrumentId
    side: Side
    quantity: int
    filled_quantity: int
    average_price: Decimal
    order_type: OrderType
    product: Product
    limit_price: Decimal | None
    trigger_price: Decimal | None
    state: OrderState
    purpose: Purpose
    strategy: str
    reason: str
    broker_order_id: str | None
    at: datetime
    is_cancellable: bool
    is_followed: bool = True
    sequel: str = ""
    realised: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TradeView:
    """One execution of today."""

    account_label: str
    trade: BrokerTrade
    strategy: str


@dataclass(frozen=True, slots=True)
class PnlView:
    """Today's profit of one account in rupees; None where the broker could not be read.

    Attributes:
        realised: Before charges, of units closed today.
        unrealised: Before charges, of units held.
        charges: Of the day so far and of closing what is held, estimated; None when unknown.
    """

    broker_id: str
    account_label: str
    realised: Decimal | None
    unrealised: Decimal | None
    charges: Decimal | None = None

    @property
    def total(self) -> Decimal | None:
        """Realised and unrealised together before charges, or None when either is unknown."""
        if self.realised is None or self.unrealised is None:
            return None
        return self.realised + self.unrealised


@dataclass(frozen=True, slots=True)
class DashboardView:
    """Everything about one account now.

    Attributes:
        as_of: Market time (IST) of the last successful read of the broker; None for never.
        incomplete: Sentences that say what may be missing and why; empty when all is fresh.
        held_back: Why it enters nothing by its limits, a clause each (R1, F8).
    """

    account: Account
    effective_mode: TradingMode
    as_of: datetime | None
    funds: Funds | None
    pnl: PnlView
    positions: tuple[PositionView, ...]
    working: tuple[OrderView, ...]
    trades: tuple[TradeView, ...]
    holdings: tuple[Holding, ...]
    incomplete: tuple[str, ...]
    held_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExposureView:
    """What hangs on an account: shown before disabling, disconnecting, pausing."""

    account: Account
    positions: tuple[PositionView, ...]
    strategy_positions: tuple[PositionView, ...]
    working: tuple[OrderView, ...]
    is_known: bool


@dataclass(frozen=True, slots=True)
class ExitView:
    """An exit that waits and will be sent."""

    account_label: str
    strategy: str
    instrument: InstrumentId
    product: Product
    side: Side
    quantity: int


@dataclass(frozen=True, slots=True)
class OwnMode:
    """An account whose own mode is stricter than one for all accounts (C1).

    Attributes:
        why: What a user has to look at before it is set NORMAL by itself, or ''.
        may_follow: Whether NORMAL for all may be set for it in the same tap.
    """

    account: Account
    why: str = ""
    may_follow: bool = False


@dataclass(frozen=True, slots=True)
class ModeChange:
    """The result of a mode change (C2): what still works at brokers, what it leaves unprotected.

    Attributes:
        broker_id: None for the global mode.
        unprotected: Positions whose stop or square-off strategies no longer care for.
        exits: What waited while an account was PAUSED, and goes out now.
        held: The positions that PAUSED leaves alone, with their stops.
        own: The accounts that their own mode keeps stricter than the mode that was set for all.
    """

    broker_id: str | None
    old: TradingMode
    new: TradingMode
    effective: Mapping[str, TradingMode]
    working: tuple[OrderView, ...]
    unprotected: int
    exits: tuple[ExitView, ...] = ()
    held: tuple[PositionView, ...] = ()
    own: tuple[OwnMode, ...] = ()


@dataclass(frozen=True, slots=True)
class RunLine:
    """One account's part in a run; ``note`` says why nothing (more) is done.

    Attributes:
        warnings: What of it is unprotected now, and why (R6).
        late: Signals of earlier runs that this account never entered on, and will not.
        is_quiet: Its mode or switch alone keeps entries back, which the user knows: said, and no
            reason for a message.
        result: Rupees before charges of the units that its orders have closed; None when none did.
        charges: Of opening and closing these, estimated; None where they are not known.
        bare: The keys of the ledgers that ``warnings`` are about.
        gone: What its entries opened and its strategy no longer holds, though no order of the run
            has closed it.
    """

    broker_id: str
    account_label: str
    orders: tuple[OrderView, ...]
    note: str
    warnings: tuple[str, ...] = ()
    result: Decimal | None = None
    charges: Decimal | None = None
    late: tuple[Target, ...] = ()
    is_quiet: bool = False
    bare: tuple[str, ...] = ()
    gone: tuple[InstrumentId, ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """One run of a strategy: its targets, and a line an account.

    Attributes:
        fired: The guard whose card it is, which shows the ``parts`` that close for it.
        is_closing: It is a decision to close, and something of that is still held.
        is_practice: It was decided at prices that are made up (F6).
    """

    run_id: str
    strategy: str
    title: str
    slot_at: datetime
    targets: tuple[Target, ...]
    lines: tuple[RunLine, ...]
    note: str
    is_practice: bool = False
    is_closing: bool = False
    fired: GuardFired | None = None
    parts: tuple[RunView, ...] = ()


class SizeKind(StrEnum):
    """How the size of a position is worked out (D4)."""

    QUANTITY = "quantity"
    CAPITAL_SHARE = "capital_share"


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """A strategy on an account.

    Attributes:
        size_value: Units for QUANTITY, percent of capital for CAPITAL_SHARE.
        multiplier: Applied to either.
        kept_out: Why nothing is entered there though it is on, a clause; '' where it is, and for
            whoever needs the settings alone.
    """

    strategy: str
    broker_id: str
    account_label: str
    is_on: bool
    product: Product
    size_kind: SizeKind
    size_value: Decimal
    multiplier: Decimal
    kept_out: str = ""


@dataclass(frozen=True, slots=True)
class StrategyView:
    """One strategy with its settings and its last and next doings.

    Attributes:
        next_slot: By its schedule, IST: when it runs next, or would if it were enabled now. None
            when the calendar ends.
        every_minutes: Between two slots of a day.
    """

    name: str
    title: str
    description: str
    is_enabled: bool
    parameters: tuple[tuple[Parameter, ParameterValue], ...]
    next_slot: datetime | None
    every_minutes: int
    last_run: RunView | None
    assignments: tuple[AssignmentView, ...]


@dataclass(frozen=True, slots=True)
class Readiness:
    """The line of one account at the end of the morning round (B9)."""

    account: Account
    is_ready: bool
    funds: Decimal | None
    has_data: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class DrainView:
    """What an EXIT_ONLY account still holds (C5); value in rupees at last prices."""

    account: Account
    positions: tuple[PositionView, ...]
    holdings: tuple[Holding, ...]
    working: tuple[OrderView, ...]
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class AccountHealth:
    """How one account's connection does.

    Attributes:
        is_live: Whether the broker pushes its order updates; else they are polled.
        polled_since: Since when they are, where they might be pushed.
        polled_why: Why.
    """

    account: Account
    last_read_at: datetime | None
    trouble: str
    unresolved: int
    is_live: bool = False
    polled_since: datetime | None = None
    polled_why: str = ""


LATE_TURN_S = 0.02
"""A turn of the event loop that takes longer keeps others waiting noticeably."""


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How long others had to wait in the last minute, because the event loop was busy.

    Attributes:
        worst_ms: The longest turn.
        late: How many turns took longer than ``LATE_TURN_S``.
    """

    worst_ms: float
    late: int


@dataclass(frozen=True, slots=True)
class HealthView:
    """How the controller does.

    Attributes:
        outbox_waiting: Notices that are not delivered yet.
        outbox_dead: Notices that could not be delivered.
        loop: How the event loop does; None where nothing watches it.
    """

    started_at: datetime
    now: datetime
    market_now: datetime
    session_note: str
    store_kind: str
    data_account: str
    outbox_waiting: int
    outbox_dead: int
    accounts: tuple[AccountHealth, ...]
    troubles: tuple[str, ...]
    loop: LoopLag | None = None


@dataclass(frozen=True, slots=True)
class PanicAccount:
    """What a panic would find on one account, by the last reads.

    Attributes:
        positions: Positions that it would close.
        orders: Orders that it would cancel.
        delivery: Delivery positions and holdings, which it closes only if asked.
        is_read: Whether the broker was read today.
    """

    account: Account
    positions: int
    orders: int
    delivery: int
    is_paused: bool
    is_read: bool


@dataclass(frozen=True, slots=True)
class PanicQuestion:
    """What a user decides on before a panic; ``running`` is the one that runs already."""

    accounts: tuple[PanicAccount, ...]
    running: Panic | None


@dataclass(frozen=True, slots=True)
class PanicPart:
    """What a panic has done on one account, once it has ended.

    Attributes:
        closed: How many positions its exits have closed, at least in part.
        result: Rupees before charges of what they closed, as far as it is known; None for nothing.
        charges: Of opening and closing that, estimated; None where they are not known.
        unknown: Positions of which it is not known what they had cost.
        left: What is still held of what was to be closed, by the last read.
    """

    closed: int = 0
    result: Decimal | None = None
    charges: Decimal | None = None
    unknown: int = 0
    left: tuple[PositionView, ...] = ()


@dataclass(frozen=True, slots=True)
class PanicView:
    """A panic as its message shows it.

    Attributes:
        accounts: The connected accounts by id, those without a part in it too.
        labels: Names of its accounts that are disconnected.
        cancelled: Other people's orders that it cancelled, once it has ended.
        global_mode: What holds for every account beside its own mode.
        parts: What it has done on each of its accounts, once it has ended.
    """

    panic: Panic
    accounts: Mapping[str, Account]
    labels: Mapping[str, str]
    cancelled: tuple[OrderView, ...]
    global_mode: TradingMode
    parts: Mapping[str, PanicPart] = field(default_factory=dict)
