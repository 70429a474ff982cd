"""Whatever a broker does to exits and stops, a ledger reaches its goal and never turns (C6, D7, D9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.converge import next_step
from core.domain.exits import left_to_exit
from core.domain.goal import Goal
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.ledger import Ledger, shrunk, with_fill
from core.domain.order import (
    LIVE_STATES,
    OPEN_STATES,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.outcome import Cause
from core.domain.slicing import largest_order
from core.domain.steps import (
    Cancel,
    GiveUpStop,
    PlaceExit,
    PlaceStop,
    ResizeStop,
    Step,
    StopGone,
    StopPassed,
    Wait,
)

S = OrderState
NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
SBIN = InstrumentId("NSE", "SBIN")
CHASE_S, REST_S = 15.0, 60.0


def an_order(
    purpose: Purpose,
    side: Side,
    quantity: int,
    state: OrderState,
    *,
    number: int = 1,
    at: datetime = NOW,
) -> Order:
    """Return an order of the strategy."""
    request = OrderRequest(f"S{number:019d}", SBIN, side, quantity, OrderType.MARKET, Product.MIS)
    return Order(
        request,
        "zerodha_a",
        "orb",
        "run",
        purpose,
        state,
        "2026-11-20",
        at,
        number,
        submitted_at=at,
    )


@dataclass
class CruelBroker:
    """Carries out steps as badly as it may, and checks at each moment that nothing can go wrong."""

    goal: Goal
    held: int
    draw: Callable[[st.SearchStrategy[str]], str]
    orders: list[Order] = field(default_factory=list)
    now: datetime = NOW
    cruelty: int = 12
    freeze: int | None = None
    is_freeze_known: bool = False

    def choose(self, *ways: str) -> str:
        """Pick a way; when the cruelty is used up the first, which is kind."""
        if self.cruelty <= 0:
            return ways[0]
        self.cruelty -= 1
        return self.draw(st.sampled_from(ways))

    def put(self, order: Order, **changes: object) -> None:
        """Change one order, and the ledger with what it filled."""
        after = replace(order, **changes)  # type: ignore[arg-type]
        newly = after.filled_quantity - order.filled_quantity
        before = self.held
        self.held += newly * order.request.side.sign
        self.orders[self.orders.index(order)] = after
        if order.purpose is not Purpose.ENTRY and newly:
            assert abs(self.held) < abs(before) and self.held * before >= 0, "it turned or grew"

    def carry_out(self, step: Step) -> None:
        """Do what a step asks."""
        self.now += timedelta(milliseconds=200)
        match step:
            case PlaceExit(side, quantity, _):
                self.place(Purpose.EXIT, side, quantity)
            case PlaceStop(side, quantity, trigger, _):
                self.place(Purpose.STOP, side, quantity, trigger)
            case Cancel(order, _):
                self.cancel(order)
            case ResizeStop(order, quantity, trigger):
                self.resize(order, quantity, trigger)
            case GiveUpStop() | StopGone():
                self.goal = replace(self.goal, can_rest=False)
            case StopPassed():
                self.goal = replace(self.goal, quantity=0, stop_price=None, run_id="stop")
            case Wait(until):
                self.wait(until)

    def place(
        self, purpose: Purpose, side: Side, quantity: int, trigger: Decimal | None = None
    ) -> None:
        same_side = [o for o in self.orders if o.state in OPEN_STATES]
        assert quantity <= left_to_exit(self.held, side, same_side), "asks for more than is left"
        order = an_order(
            purpose, side, quantity, S.SUBMITTED, number=len(self.orders) + 1, at=self.now
        )
        order = replace(order, request=replace(order.request, trigger_price=trigger))
        self.orders.append(order)
        if self.freeze is not None and quantity > self.freeze:
            largest = self.freeze if self.choose("named", "unnamed") == "named" else None
            end = {"state": S.REJECTED, "cause": Cause.FREEZE, "largest": largest}
            self.put(order, settled_at=self.now, **end)
            return
        kind = "fill" if purpose is Purpose.EXIT else "rest"
        way = self.choose(kind, "rest", "part", "reject", "unknown")
        if way == "unknown":
            self.put(order, state=S.UNRESOLVED)
        elif way == "reject":
            self.put(order, state=S.REJECTED, settled_at=self.now)
        elif way == "fill":
            self.put(order, state=S.FILLED, filled_quantity=quantity, settled_at=self.now)
        elif way == "part" and quantity > 1:
            self.put(order, state=S.PARTIALLY_FILLED, filled_quantity=1)
        else:
            self.put(order, state=S.ACCEPTED)

    def cancel(self, order: Order) -> None:
        way = self.choose("done", "filled", "pending", "unchanged")
        if way == "done":
            self.put(order, state=S.CANCELED, settled_at=self.now, cancel_reason="ours")
        elif way == "filled":
            quantity = order.request.quantity
            self.put(order, state=S.FILLED, filled_quantity=quantity, settled_at=self.now)
        elif way == "pending":
            self.put(order, state=S.PENDING_CANCEL, cancel_reason="ours")

    def resize(self, order: Order, quantity: int, trigger: Decimal) -> None:
        total = order.filled_quantity + quantity
        assert total <= order.request.quantity, "a resting stop was made larger"
        if self.choose("done", "unchanged") == "done":
            request = replace(order.request, quantity=total, trigger_price=trigger)
            self.put(order, request=request)

    def wait(self, until: datetime | None) -> None:
        """Time passes; what was unknown becomes known, what rests may fill, cancels end."""
        self.now = max(self.now + timedelta(seconds=1), until or self.now)
        self.cruelty -= 1
        for order in list(self.orders):
            if order.state is S.UNRESOLVED:
                self.learn(order)
            elif order.state is S.PENDING_CANCEL:
                self.put(order, state=S.CANCELED, settled_at=self.now)
            elif order.state in LIVE_STATES:
                self.meddle(order)

    def meddle(self, order: Order) -> None:
        """Let an order that works meet the market, the broker or a person."""
        by_others = ("trigger", "gone", "moved") if order.purpose is Purpose.STOP else ()
        match self.choose("rest", "fill", *by_others):
            case "fill":
                filled = order.filled_quantity + 1
                state = S.FILLED if filled == order.request.quantity else S.PARTIALLY_FILLED
                hit = order.triggered_at or self.now if by_others else None
                known = replace(order, triggered_at=hit)
                self.orders[self.orders.index(order)] = known
                self.put(known, state=state, filled_quantity=filled, settled_at=self.now)
            case "trigger":
                self.put(order, triggered_at=order.triggered_at or self.now)
            case "gone":
                reason = self.choose("", "cancelled by the exchange")
                known = replace(order, reason=reason, cancel_reason="", broker_order_id="1")
                self.orders[self.orders.index(order)] = known
                self.put(known, state=S.CANCELED, settled_at=self.now)
            case "moved":
                terms = replace(order.request, trigger_price=Decimal(900))
                self.put(order, request=terms, is_changed_outside=True)

    def learn(self, order: Order) -> None:
        if self.choose("absent", "there") == "absent":
            self.put(order, state=S.NOT_PLACED, settled_at=self.now)
        else:
            self.put(order, state=S.ACCEPTED)

    def next(self) -> Step:
        """Ask for the next step."""
        known = self.freeze if self.is_freeze_known else None
        row = Instrument(SBIN, "x", "1", 1, Decimal("0.05"), Segment.CASH, freeze_quantity=known)
        return next_step(
            self.goal,
            self.held,
            self.orders,
            now=self.now,
            chase_s=CHASE_S,
            rest_s=REST_S,
            limit=largest_order(row, self.orders),
        )


@pytest.mark.matrix("B02", "B05", "B12")
@pytest.mark.invariant("I6")
@pytest.mark.row("C6", "D7", "D9", "R3")
@settings(max_examples=400, deadline=None)
@given(
    data=st.data(), held=st.integers(1, 5), sign=st.sampled_from([1, -1]), keep=st.integers(0, 5)
)
def test_ledger_reaches_its_goal(data: st.DataObject, held: int, sign: int, keep: int) -> None:
    """Every exit and stop is within what is left, nothing turns, and the goal is reached."""
    keep = min(keep, held)
    stop = Decimal(880) if data.draw(st.booleans()) else None
    goal = Goal(
        "k", "orb", "zerodha_a", SBIN, Product.MIS, keep * sign, stop if keep else None, "run"
    )
    broker = CruelBroker(
        goal,
        held * sign,
        data.draw,
        freeze=data.draw(st.none() | st.integers(1, 5)),
        is_freeze_known=data.draw(st.booleans()),
    )
    if data.draw(st.booleans()):
        resting = an_order(Purpose.STOP, Side.of(-held * sign), held, S.ACCEPTED)
        broker.orders.append(
            replace(resting, request=replace(resting.request, trigger_price=Decimal(870)))
        )
    for _ in range(400):
        step = broker.next()
        if isinstance(step, Wait) and step.until is None and broker.cruelty <= 0:
            unsettled = [o for o in broker.orders if o.state in {S.UNRESOLVED, S.PENDING_CANCEL}]
            if not unsettled:
                break
        broker.carry_out(step)
    else:
        raise AssertionError(f"still going on after 400 steps: {broker.next()}")
    assert abs(broker.held) <= keep
    assert broker.held * sign >= 0
    live = [order for order in broker.orders if order.state in LIVE_STATES]
    assert all(order.purpose is Purpose.STOP for order in live)
    covered = sum(order.leaves_quantity for order in live)
    if broker.goal.stop_price is None:
        assert covered == 0
    elif broker.goal.can_rest:
        assert covered == abs(broker.held)
    else:
        assert covered <= abs(broker.held)


@pytest.mark.row("C6")
def test_stop_makes_way_at_once() -> None:
    """An exit begins with the cancel of what rests, without waiting for anything."""
    goal = Goal("k", "orb", "zerodha_a", SBIN, Product.MIS, 0, None, "run")
    stop = an_order(Purpose.STOP, Side.SELL, 2, S.ACCEPTED)
    step = next_step(goal, 2, [stop], now=NOW, chase_s=CHASE_S, rest_s=REST_S)
    assert isinstance(step, Cancel) and step.order is stop


@pytest.mark.matrix("C02", "N01")
@pytest.mark.invariant("I1")
@given(
    unknown=st.sampled_from([S.SUBMITTED, S.UNRESOLVED]),
    purpose=st.sampled_from([Purpose.ENTRY, Purpose.EXIT, Purpose.STOP]),
    held=st.integers(-5, 5),
    wanted=st.integers(-5, 5),
)
def test_nothing_is_done_beside_an_unknown_order(
    unknown: OrderState, purpose: Purpose, held: int, wanted: int
) -> None:
    """While nobody knows what became of an order, the ledger stands still."""
    goal = Goal("k", "orb", "zerodha_a", SBIN, Product.MIS, wanted, Decimal(880), "run")
    orders = [an_order(purpose, Side.BUY, 1, unknown)]
    assert next_step(goal, held, orders, now=NOW, chase_s=1, rest_s=1) == Wait()


@pytest.mark.invariant("I6")
@pytest.mark.row("C3")
@given(
    held=st.integers(-10, 10),
    side=st.sampled_from(Side),
    working=st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 6)), max_size=4),
)
def test_exit_at_its_limit_can_never_turn_a_position(
    held: int, side: Side, working: list[tuple[Side, int]]
) -> None:
    """Were everything of its side to fill, the position would at most be flat."""
    orders = [an_order(Purpose.EXIT, s, q, S.ACCEPTED) for s, q in working]
    left = left_to_exit(held, side, orders)
    assert 0 <= left <= abs(held)
    already = sum(q for s, q in working if s is side)
    if left:
        after = held + side.sign * (left + already)
        assert after * held >= 0
        assert abs(after) <= abs(held)
    elif Side.of(-held) is side and held:
        assert already >= abs(held)


PRICES = st.decimals(min_value=1, max_value=5000, places=2)


@pytest.mark.invariant("I4")
@pytest.mark.row("D3")
@given(fills=st.lists(st.tuples(st.integers(-5, 5).filter(bool), PRICES), max_size=12), last=PRICES)
def test_ledger_is_its_fills(fills: list[tuple[int, Decimal]], last: Decimal) -> None:
    """Units are the sum of the fills; realised and open profit together are the cash and the rest."""
    ledger = Ledger("orb", "zerodha_a", SBIN, Product.MIS)
    for signed, price in fills:
        ledger = with_fill(ledger, signed, price)
    assert ledger.quantity == sum(signed for signed, _ in fills)
    cash = -sum((signed * price for signed, price in fills), Decimal(0))
    worth = cash + ledger.quantity * last
    booked = ledger.realised + (last - ledger.average_price) * ledger.quantity
    assert abs(worth - booked) < Decimal("0.0001")


@pytest.mark.invariant("I6")
@pytest.mark.row("D3")
@given(quantities=st.lists(st.integers(-5, 5), max_size=4), net=st.integers(-10, 10))
def test_books_shrink_to_the_broker_and_never_grow(quantities: list[int], net: int) -> None:
    """Together the ledgers end no larger than the broker's net; none grows or turns."""
    ledgers = [
        Ledger(f"s{n}", "zerodha_a", SBIN, Product.MIS, quantity, Decimal(900))
        for n, quantity in enumerate(quantities)
    ]
    after = {ledger.strategy: ledger.quantity for ledger in ledgers}
    before = dict(after)
    after.update({ledger.strategy: ledger.quantity for ledger in shrunk(ledgers, net)})
    for name, quantity in after.items():
        assert abs(quantity) <= abs(before[name])
        assert quantity * before[name] >= 0
    total, old = sum(after.values()), sum(before.values())
    if old:
        sign = 1 if old > 0 else -1
        assert total * sign <= max(0, net * sign) or total == old
        assert total * sign == min(old * sign, max(0, net * sign))
