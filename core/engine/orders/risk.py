"""The checks that every order passes: one ordered list, used when a run is planned and in the gate.

A check is a pure function from the facts of an order to a ``Denial`` or None; ``first_denial``
asks them in order and stops at the first that denies. The runner asks when it plans an entry, so
that the chat says at once why nothing is entered; the gateway asks again inside the gate's
transaction, where the facts can no longer move (I6). A fact that a caller cannot know keeps its
neutral default.

To add a limit, write one function and add one line to ``CHECKS``. A limit denies entries only: it
begins with ``if not facts.is_entry: return None``, for a denied exit would keep the user in a
position. CONTRIBUTING.md says where its number lives and how its facts are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.exits import left_to_exit, units_on_side
from core.domain.host_clock import DENIED_FROM, words
from core.domain.identifiers import entry_id
from core.domain.instrument import InstrumentId, Product, why_not_closed, why_not_handled
from core.domain.ledger import Ledger, shrunk
from core.domain.limits import Load, first_passed
from core.domain.mode import TradingMode
from core.domain.order import (
    EXTERNAL,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderType,
    Purpose,
    Side,
)
from core.domain.regained import why_it_waits
from core.domain.rejection import refused_before
from core.engine.orders.gate import Gate
from core.errors import Denied

__all__ = [
    "CHECKS",
    "NOTHING_LEFT",
    "Check",
    "Denial",
    "Facts",
    "allowed_quantity",
    "first_denial",
    "require",
]


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an order is not sent.

    Attributes:
        code: Stable upper-case word, for tests, logs and statistics.
        reason: One sentence without a full stop, shown to the user.
    """

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the checks look at.

    Attributes:
        strategy: Strategy name, or ``MANUAL`` for a close of what no strategy owns.
        quantity: Units asked for; 0 while an entry has no size yet, and for a change of a resting
            order, which asks for nothing new.
        gate: The account's gate; None when the account has none.
        is_assigned: Whether the strategy is switched on for the account.
        is_known_day: Whether the calendar knows that the exchange trades today.
        late: Why the order comes too late, or ''.
        now: Real time; None where no refusal that passes with time counts.
        run_id: The run of the order: slices of one entry have the same.
        is_closing: Whether the strategy is being squared off at this broker.
        shut: Why nothing is entered here for the rest of the day, or ''.
        needs_login: Whether the account has no valid login.
        clock_offset: How far the brokers' clocks are certainly ahead of this computer's.
        price_doubt: Why the price that it was decided on is not believed, or ''.
        by_user: A user's own close: it passes on a disabled account.
        despite_pause: The user confirmed a second time that it passes in PAUSED.
        is_restored: A stop that is put back after the exit that it made way for came to nothing.
        others: Today's other orders of the same account and instrument, in any state.
        price: The price that an entry is sized by; None where it is not known.
        slices: How many orders an entry of this size takes; when one of them is sent, 1.
        loads: What counts against the limits that bound an entry (R1).
        unproved: Why nothing is entered on the account yet, or '' (F8).
        ledgers: What strategies hold of the same (instrument, product) on the account.
        held: Signed units at the broker; None when they could not be read: unknown is not flat.
    """

    purpose: Purpose
    strategy: str
    instrument: InstrumentId
    product: Product
    side: Side
    quantity: int
    gate: Gate | None
    is_assigned: bool = True
    is_known_day: bool = True
    late: str = ""
    now: datetime | None = None
    run_id: str = ""
    is_closing: bool = False
    shut: str = ""
    needs_login: bool = False
    clock_offset: timedelta = timedelta(0)
    price_doubt: str = ""
    by_user: bool = False
    despite_pause: bool = False
    is_restored: bool = False
    others: Sequence[Order] = ()
    price: Decimal | None = None
    slices: int = 1
    loads: Sequence[Load] = ()
    unproved: str = ""
    ledgers: Sequence[Ledger] = ()
    held: int | None = None

    @property
    def is_entry(self) -> bool:
        """Whether the order would open or grow a position."""
        return not self.purpose.is_reducing


_STOPS = {OrderType.SL, OrderType.SL_M}

Check = Callable[[Facts], Denial | None]


def account_gate(facts: Facts) -> Denial | None:
    """An account without a gate takes no orders: nothing could hold its mode (C4)."""
    is_gone = facts.gate is None
    return Denial("NO_GATE", "the account is not connected any more") if is_gone else None


def handled_exchange(facts: Facts) -> Denial | None:
    """Where quantities are lots nothing is sent, not even an exit: its size would be wrong (R3)."""
    reason = why_not_handled(facts.instrument)
    if facts.strategy == MANUAL:
        reason = why_not_closed(facts.instrument, facts.product)
    return Denial("NOT_HANDLED", reason) if reason else None


def known_day(facts: Facts) -> Denial | None:
    """On a day that the calendar does not know the regular hours serve exits alone (K04)."""
    if facts.is_entry and not facts.is_known_day:
        return Denial("UNKNOWN_DAY", "the calendar does not know this day: no entry is sent")
    return None


def slot_freshness(facts: Facts) -> Denial | None:
    """An entry of a slot long past is dropped, its price is gone; exits still fire (D2)."""
    return Denial("LATE", facts.late) if facts.is_entry and facts.late else None


def square_off(facts: Facts) -> Denial | None:
    """What is being squared off is not opened again the same day (D7)."""
    if facts.is_entry and facts.is_closing:
        reason = "positions are being squared off, nothing is entered any more today"
        return Denial("SQUARE_OFF", reason)
    return None


def shut_for_today(facts: Facts) -> Denial | None:
    """What a guard has closed for the day is not opened again before the next (R5)."""
    return (
        Denial("SHUT", f"shut for today: {facts.shut}") if facts.is_entry and facts.shut else None
    )


def trading_mode(facts: Facts) -> Denial | None:
    """PAUSED sends nothing but a user's confirmed close, EXIT_ONLY opens nothing (C2, C3)."""
    mode = facts.gate.mode if facts.gate else TradingMode.NORMAL
    if mode is TradingMode.PAUSED and not (facts.by_user and facts.despite_pause):
        return Denial("PAUSED", f"paused: no {'entry' if facts.is_entry else 'order'} is sent")
    if mode is TradingMode.EXIT_ONLY and facts.is_entry:
        return Denial("EXIT_ONLY", "exit only: no entry is sent")
    return None


def account_switch(facts: Facts) -> Denial | None:
    """A disabled account gets no strategy's orders, but for exits while it is drained (A5)."""
    gate = facts.gate
    if gate is None or gate.enabled or facts.by_user:
        return None
    if gate.drain and not facts.is_entry:
        return None
    what = "no entry is sent" if facts.is_entry else "strategies send nothing on it"
    return Denial("DISABLED", f"disabled: {what}")


def assignment(facts: Facts) -> Denial | None:
    """A strategy that is switched off on an account enters nothing there (D4)."""
    if facts.is_entry and not facts.is_assigned:
        return Denial("OFF_HERE", "the strategy is off on this account: no entry is sent")
    return None


def delivery_short(facts: Facts) -> Denial | None:
    """A delivery product holds no short: the sale would take the user's own shares (R3)."""
    if facts.is_entry and facts.product is Product.CNC and facts.side is Side.SELL:
        return Denial("NO_SHORT", "CNC holds no short position: no entry is sent")
    return None


def sent_already(facts: Facts) -> Denial | None:
    """What the broker has is never sent again, though a restored journal lacks it (D04)."""
    adopted = {order.client_order_id for order in facts.others if order.strategy == EXTERNAL}
    if facts.is_entry and facts.gate and adopted:
        name = f"{facts.instrument}|{facts.product}"
        if entry_id(facts.gate.broker_id, facts.strategy, facts.run_id, name) in adopted:
            return Denial("SENT", "sent before the backup was restored: the broker has it")
    return None


def frozen_entries(facts: Facts) -> Denial | None:
    """An impossible order event stops entries until a user sets NORMAL (reliability.md 2.2)."""
    if facts.is_entry and facts.gate and facts.gate.frozen:
        reason = "an impossible order event froze entries; set Exit only, then Normal, to go on"
        return Denial("FROZEN", reason)
    return None


def login(facts: Facts) -> Denial | None:
    """An entry does not wait for a login: its signal is old by then (row B10)."""
    if facts.is_entry and facts.needs_login:
        return Denial("LOGIN", "login needed: the entry is dropped")
    return None


def host_clock(facts: Facts) -> Denial | None:
    """With a wrong clock every slot, age and deadline is wrong: nothing is entered (K02)."""
    if facts.is_entry and abs(facts.clock_offset) > DENIED_FROM:
        reason = f"this computer's clock is {words(facts.clock_offset)}: no entry is sent"
        return Denial("CLOCK", reason)
    return None


def believed_price(facts: Facts) -> Denial | None:
    """A wrong price is a wrong size and a wrong stop: nothing is entered at it (D10)."""
    return Denial("PRICE", facts.price_doubt) if facts.is_entry and facts.price_doubt else None


def unsettled_orders(facts: Facts) -> Denial | None:
    """Nothing is sent beside an order that may or may not be at the broker (reliability.md 2.1).

    But a stop, when the order is of another ledger: it covers what its own ledger holds, whatever
    became of that order, and would have rested on beside it (R6, decision 14).
    """
    unknown = [other for other in facts.others if other.state in UNKNOWN_STATES]
    if facts.purpose is Purpose.STOP:
        mine = (facts.strategy, facts.product)
        unknown = [one for one in unknown if (one.strategy, one.request.product) == mine]
    if unknown:
        reason = (
            f"an order of {facts.instrument} is not settled yet, nobody knows whether the broker "
            "has it"
        )
        return Denial("UNRESOLVED", reason)
    return None


def refused_before_today(facts: Facts) -> Denial | None:
    """What the broker refused today for a cause that lasts is not tried at each signal (R3)."""
    if not facts.is_entry:
        return None
    order = refused_before(facts.others, facts.product, facts.side, facts.quantity, facts.now)
    if order is None:
        return None
    words = order.reason.removesuffix(".") or "it gave no reason"
    return Denial("REFUSED_BEFORE", f"the broker refused it before today: {words}")


def second_entry(facts: Facts) -> Denial | None:
    """One entry of a strategy works at a time; a second could double its size."""
    if not facts.is_entry:
        return None
    for other in facts.others:
        mine = other.strategy == facts.strategy and other.request.product is facts.product
        # Slices of one entry work beside one another.
        is_slice = facts.run_id != "" and other.run_id == facts.run_id
        if is_slice:
            continue
        if mine and other.purpose is Purpose.ENTRY and other.state in OPEN_STATES:
            return Denial("ENTRY_WORKING", "an entry of this strategy is still working")
    return None


def proved_account(facts: Facts) -> Denial | None:
    """At the broker's own address nothing is entered before limits and a round trip (F8)."""
    return Denial("UNPROVED", facts.unproved) if facts.is_entry and facts.unproved else None


def registered_address(facts: Facts) -> Denial | None:
    """Nothing is entered from an address that the broker's console does not hold (A12)."""
    trouble = facts.gate.address_trouble if facts.is_entry and facts.gate else ""
    return Denial("ADDRESS", trouble) if trouble else None


def limits(facts: Facts) -> Denial | None:
    """An entry passes no limit of its account, nor of all accounts together (R1)."""
    if not facts.is_entry:
        return None
    passed = first_passed(facts.loads, facts.quantity, facts.price, facts.slices)
    return Denial(passed.code, passed.reason) if passed else None


def known_position(facts: Facts) -> Denial | None:
    """What must not exceed the broker's net is not sent while that net is unknown (B09)."""
    if facts.is_entry or facts.quantity == 0 or not _needs_net(facts) or facts.held is not None:
        return None
    reason = "the broker's positions could not be read, or contradict today's fills"
    return Denial("POSITION_UNKNOWN", reason)


def own_order_rests(facts: Facts) -> Denial | None:
    """An exit waits for a user's own order that closes the same units: both would flip (R8)."""
    if facts.is_entry or facts.quantity == 0 or allowed_quantity(facts) > 0:
        return None
    resting = _resting_by_hand(facts)
    others = [order for order in facts.others if order not in resting]
    if not resting or allowed_quantity(replace(facts, others=others)) == 0:
        return None
    what = f"{facts.side.word} {sum(o.leaves_quantity for o in resting)} {facts.instrument}"
    return Denial("OWN_ORDER_RESTS", why_it_waits(resting, what))


def units_left(facts: Facts) -> Denial | None:
    """An exit closes only what is held and not being closed already (C3, I6)."""
    if facts.is_entry or facts.quantity == 0 or allowed_quantity(facts) > 0:
        return None
    truth = "unknown" if facts.held is None else str(facts.held)
    reason = (
        f"{facts.quantity} asked, but nothing is left to close (the broker holds {truth}, the rest "
        "is already being closed)"
    )
    is_exit_only = facts.gate is not None and facts.gate.mode is TradingMode.EXIT_ONLY
    return Denial("EXIT_ONLY" if is_exit_only else "NOT_HELD", reason)


NOTHING_LEFT = frozenset({"NOT_HELD", "EXIT_ONLY"})
"""Codes of a reducing order that was denied because there is nothing left to close."""

CHECKS: tuple[Check, ...] = (
    account_gate,
    handled_exchange,
    known_day,
    slot_freshness,
    square_off,
    shut_for_today,
    trading_mode,
    account_switch,
    assignment,
    delivery_short,
    sent_already,
    frozen_entries,
    proved_account,
    login,
    registered_address,
    refused_before_today,
    host_clock,
    believed_price,
    unsettled_orders,
    second_entry,
    limits,
    known_position,
    own_order_rests,
    units_left,
)
"""In the order in which a user should learn of them: the first that denies is the one shown."""


def first_denial(facts: Facts) -> Denial | None:
    """Return the first denial of ``CHECKS``, or None when the order may go."""
    for check in CHECKS:
        denial = check(facts)
        if denial is not None:
            return denial
    return None


def require(facts: Facts) -> None:
    """Raise ``Denied`` with the first denial, if there is one."""
    denial = first_denial(facts)
    if denial is not None:
        raise Denied(denial.code, denial.reason)


def allowed_quantity(facts: Facts) -> int:
    """Return how many of the units asked for may be sent.

    A strategy's exit is bounded by its ledger, shrunk to what the broker holds where that is known:
    what was closed by hand is not closed twice, and what a user's own resting order closes is left
    to that. In EXIT_ONLY, and for a user's own close, it is bounded as well by the broker's net and
    by everything that works against it (C3). Less than asked is sent when less is left. A close of
    what no strategy owns is bounded by what is outside: it never takes a strategy's units.
    """
    if facts.is_entry:
        return facts.quantity
    # All working orders count, unresolved ones too: what may fill is as good as filled here, for an
    # exit that turns out too small is repeated, and one too large opens a position (I6).
    same = [order for order in facts.others if order.request.product is facts.product]
    working = [order for order in same if order.state in OPEN_STATES]
    bounds = [facts.quantity]
    if facts.strategy != MANUAL:
        # Only the strategy's own orders: another strategy's stop protects another ledger.
        own = [order for order in working if order.strategy == facts.strategy]
        mine = left_to_exit(_own_units(facts), facts.side, own)
        bounds.append(max(0, mine - _closed_by_hand(facts)))
    else:
        theirs = [order for order in working if order.strategy in {MANUAL, EXTERNAL}]
        bounds.append(left_to_exit(_outside(facts), facts.side, theirs))
    if _needs_net(facts):
        bounds.append(_left_of_net(facts, working))
    return min(bounds)


def _left_of_net(facts: Facts, working: Sequence[Order]) -> int:
    """Return what everybody's working orders leave of the broker's net, which all draw on.

    A stop of another strategy is for the units of its own ledger. Of strategies on opposite sides
    the net shows only the difference, and such a stop would use up all of it: it is counted against
    what that side holds in all. Without opposite sides both are the same.
    """
    # An unknown net counts as nothing held; ``known_position`` denies it with its own sentence.
    held = facts.held or 0
    counted = [
        order
        for order in working
        if order.purpose is not Purpose.STOP or order.strategy == facts.strategy
    ]
    side_units = units_on_side(held, _sizes(facts).values(), facts.side)
    used = sum(order.leaves_quantity for order in working if order.request.side is facts.side)
    return min(left_to_exit(held, facts.side, counted), max(0, side_units - used))


def _resting_by_hand(facts: Facts) -> list[Order]:
    """Return the orders on this side that somebody else has working at the broker."""
    # Beside a stop only another stop counts: the two would fire together. A target that a user
    # rests above the price must not leave the position without its stop.
    is_stop = facts.purpose is Purpose.STOP
    return [
        order
        for order in facts.others
        if order.strategy == EXTERNAL
        and order.state in OPEN_STATES
        and order.request.side is facts.side
        and order.request.product is facts.product
        and (not is_stop or order.request.order_type in _STOPS)
    ]


def _closed_by_hand(facts: Facts) -> int:
    """Return the strategies' units that foreign working orders on this side would close."""
    resting = sum(order.leaves_quantity for order in _resting_by_hand(facts))
    owned = sum(ledger.quantity for ledger in facts.ledgers)
    outside = 0 if facts.held is None else facts.held - owned
    # What is outside Saarthi is theirs to close first.
    return max(0, resting - max(0, -outside * facts.side.sign))


def _needs_net(facts: Facts) -> bool:
    """Whether the broker's net bounds this order, and not only the strategy's ledger.

    Not in NORMAL: there a stop-loss must not wait until a broker shows its positions (C3, B09).
    """
    # Nor does one that is put back: it rested a moment ago, for no more units than the ledger has,
    # and what made the exit fail may well be that the positions cannot be read (R6).
    if facts.is_restored:
        return False
    is_exit_only = facts.gate is not None and facts.gate.mode is TradingMode.EXIT_ONLY
    return facts.by_user or is_exit_only


def _outside(facts: Facts) -> int:
    """Return the signed units of the net that no strategy owns; 0 while the net is not known."""
    return 0 if facts.held is None else facts.held - sum(_sizes(facts).values())


def _own_units(facts: Facts) -> int:
    return _sizes(facts).get(facts.strategy, 0)


def _sizes(facts: Facts) -> dict[str, int]:
    """Return what each strategy holds, shrunk to the broker's net where that is known."""
    # Not left to the drift check alone, which needs three reads: until then an exit of the ledger's
    # size would sell units that were closed outside.
    sizes = {ledger.strategy: ledger.quantity for ledger in facts.ledgers}
    if facts.held is not None:
        changed = shrunk(facts.ledgers, facts.held)
        sizes.update({ledger.strategy: ledger.quantity for ledger in changed})
    return sizes
