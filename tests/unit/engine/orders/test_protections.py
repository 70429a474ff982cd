"""How each ledger of an account stands, by all that is there of its position (R6)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.notices.protection import Unprotected
from core.domain.order import EXTERNAL, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.protection import Lack, Protection, Shelter
from core.domain.sessions import trading_day
from core.engine.orders.gaps import Gap
from core.engine.orders.gate import change_gate
from core.engine.orders.goals import UserClose
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.held import hold, want
from tests.fakes.orders import order_in

pytestmark = pytest.mark.row("R6")

S = OrderState
STOP = Decimal(800)
TCS = InstrumentId("NSE", "TCS")
_NUMBERS = count()


@pytest.fixture
async def desk() -> Desk:
    """An account that holds nothing."""
    return await a_desk()


async def holds(desk: Desk, quantity: int, strategy: str = STRATEGY) -> Ledger:
    """Let a strategy hold SBIN, without an order of its own."""
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    return await hold(desk.engine, account, quantity, strategy=strategy)


async def works(desk: Desk, state: OrderState = S.ACCEPTED, **changes: Any) -> None:
    """Let the journal have an order: unless it says otherwise, a stop of the user's own for ten."""
    given = {
        "client_order_id": f"S{next(_NUMBERS):019d}",
        "broker_id": desk.broker_id,
        "strategy": EXTERNAL,
        "purpose": Purpose.EXTERNAL,
        "side": Side.SELL,
        "quantity": 10,
        "order_type": OrderType.SL_M,
        "trigger_price": Decimal(790),
        "day": trading_day(desk.clock.market_now()),
        **changes,
    }
    await desk.engine.wiring.journal.add(desk.engine.store, [order_in(state, **given)])


async def protections(desk: Desk, *, needs_login: bool = False) -> dict[str, Protection]:
    """Return how what strategies hold is protected, by strategy."""
    found = await desk.engine.wiring.protections.of_account(desk.broker_id, needs_login=needs_login)
    return {one.ledger.strategy: one.protection for one in found}


async def protection(desk: Desk, *, needs_login: bool = False) -> Protection:
    (found,) = (await protections(desk, needs_login=needs_login)).values()
    return found


# What the user's own orders cover


@pytest.mark.row("R8")
@pytest.mark.parametrize("sign", [1, -1])
async def test_a_stop_of_the_users_does_not_cover_two_strategies(desk: Desk, sign: int) -> None:
    """Ten and four are held and it is for ten: both are named, until the four have their own."""
    ours: dict[str, Any] = {
        "side": Side.of(-sign),
        "strategy": "other",
        "purpose": Purpose.STOP,
        "quantity": 4,
    }
    for strategy, units in ((STRATEGY, 10), ("other", 4)):
        await want(desk.engine, await holds(desk, units * sign, strategy), units * sign)
    await works(desk, side=Side.of(-sign))
    assert {one.gap for one in (await protections(desk)).values()} == {Lack.NO_STOP}
    await works(desk, **ours)
    assert {one.shelter for one in (await protections(desk)).values()} == {Shelter.PROTECTED}


@pytest.mark.row("R8")
async def test_strategies_on_two_sides_share_no_stop(desk: Desk) -> None:
    """Ten long and four short: the user's sale is for the long ones."""
    for strategy, units in ((STRATEGY, 10), ("other", -4)):
        await want(desk.engine, await holds(desk, units, strategy), units)
    await works(desk)
    found = await protections(desk)
    assert found[STRATEGY].shelter is Shelter.PROTECTED
    assert found["other"].gap is Lack.NO_STOP


@pytest.mark.row("R8")
async def test_what_is_held_elsewhere_takes_nothing_of_a_users_stop(desk: Desk) -> None:
    """Another instrument that is bare, and what the user has sold short of this one."""
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    await want(desk.engine, await holds(desk, 10), 10)
    await want(desk.engine, await hold(desk.engine, account, 10, instrument=TCS), 10)
    sold: dict[str, Any] = {"quantity": 5, "filled_quantity": 5, "order_type": OrderType.MARKET}
    await works(desk, S.FILLED, **sold)
    await works(desk)
    assert (await protections(desk))[STRATEGY].shelter is Shelter.PROTECTED


@pytest.mark.row("R8")
async def test_a_stop_of_the_users_is_for_what_the_user_holds_besides(desk: Desk) -> None:
    """Ten of the strategy's, ten of the user's own and a stop of theirs: the strategy's are told."""
    await desk.holds(10)
    desk.at.by_hand(Side.BUY, 10)
    stop = OrderRequest("hand", SBIN, Side.SELL, 10, OrderType.SL_M, Product.MIS, None, STOP)
    desk.at.show(stop)
    await desk.turns(4, apart_s=3)
    assert (await protection(desk)).gap is Lack.NO_STOP
    (told,) = await desk.engine.notices(Unprotected)
    assert isinstance(told, Unprotected) and told.why == "its strategy sets no stop"
    desk.at.show(replace(stop, client_order_id="more"))
    await desk.turns(2)
    assert (await protection(desk)).how == "your own stop rests at the broker at ₹800.00"


@pytest.mark.row("R8", "D9")
async def test_a_software_stop_beside_a_target_of_the_users_is_told(desk: Desk) -> None:
    """Hit, it would wait for that order: until it is gone the position is named as unprotected."""

    def refusing(order: OrderRequest) -> WriteOutcome | None:
        is_stop = order.order_type is OrderType.SL_M
        return Refused(Refusal.REJECTED, "no stop orders here") if is_stop else None

    desk.at.answer = refusing
    target = OrderRequest("hand", SBIN, Side.SELL, 10, OrderType.LIMIT, Product.MIS, Decimal(830))
    await desk.holds(10, STOP)
    for _ in range(4):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    assert (await protection(desk)).is_software
    resting = desk.at.show(target)
    for _ in range(6):
        await desk.engine.wiring.price_watch.tick()
        await desk.turns(1, apart_s=3)
    (told,) = await desk.engine.notices(Unprotected)
    assert isinstance(told, Unprotected)
    assert "watched here, but your own Sell 10 NSE:SBIN rests at the broker" in told.why
    await desk.at.cancel(resting.broker_order_id)
    await desk.turns(2)
    await desk.engine.wiring.price_watch.tick()
    assert (await protection(desk)).is_software


@pytest.mark.row("R8")
@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (S.ACCEPTED, {"product": Product.NRML}),
        (S.ACCEPTED, {"instrument": TCS}),
        (S.CANCELED, {}),
        (S.ACCEPTED, {"strategy": "manual", "purpose": Purpose.EXIT}),
    ],
    ids=["another product", "another instrument", "cancelled", "of ours"],
)
async def test_only_a_working_order_of_the_same_position_covers_it(
    desk: Desk, state: OrderState, changes: dict[str, Any]
) -> None:
    """What rests elsewhere, has ended or is no order of the user's own is no stop of it."""
    await holds(desk, 10)
    await works(desk, state, **changes)
    assert (await protection(desk)).gap is Lack.NO_STOP
    await works(desk)
    assert (await protection(desk)).shelter is Shelter.PROTECTED


async def test_a_stop_protects_its_own_ledger_alone(desk: Desk) -> None:
    """Of its strategy, product and instrument; a ledger that is flat is not looked at."""
    for strategy in (STRATEGY, "other"):
        await want(desk.engine, await holds(desk, 10, strategy), 10, stop_price=STOP)
    await hold(
        desk.engine, await desk.engine.wiring.accounts.get(desk.broker_id), 0, strategy="flat"
    )
    ours: dict[str, Any] = {"strategy": STRATEGY, "purpose": Purpose.STOP}
    await works(desk, product=Product.NRML, **ours)
    await works(desk, instrument=TCS, **ours)
    assert {one.gap for one in (await protections(desk)).values()} == {Lack.NOT_RESTING}
    await works(desk, **ours)
    found = await protections(desk)
    assert found.keys() == {STRATEGY, "other"}
    assert found[STRATEGY].shelter is Shelter.PROTECTED
    assert found["other"].gap is Lack.NOT_RESTING
    await works(desk, strategy="other", purpose=Purpose.STOP)
    assert (await protections(desk))["other"].shelter is Shelter.PROTECTED


async def test_what_the_market_and_the_broker_say_counts(desk: Desk) -> None:
    """Positions that contradict the fills leave it open what is held; at night no stop goes out."""
    await want(desk.engine, await holds(desk, 10), 10, stop_price=STOP)
    gaps, key = desk.engine.wiring.nets.gaps, (SBIN, Product.MIS)
    gaps.saw(desk.broker_id, key, Gap(10, 3), desk.clock.now())
    assert (await protection(desk)).gap is Lack.UNKNOWN_BARE
    gaps.forget(desk.broker_id, key)
    assert (await protection(desk)).gap is Lack.NOT_RESTING
    await desk.clock.advance(10 * 3600)
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    kept = await hold(desk.engine, account, 10, product=Product.NRML, strategy="kept")
    await want(desk.engine, kept, 10, stop_price=STOP)
    assert (await protections(desk))["kept"].gap is Lack.MARKET_CLOSED


# Why nothing is sent


@pytest.mark.row("C2", "A5")
@pytest.mark.parametrize(
    ("mode", "switch", "close", "why"),
    [
        (TradingMode.NORMAL, (True, False), None, ""),
        (TradingMode.EXIT_ONLY, (True, False), None, ""),
        (TradingMode.NORMAL, (False, True), None, ""),
        (TradingMode.NORMAL, (False, False), None, "the account is disabled"),
        (TradingMode.NORMAL, (False, False), UserClose(despite_pause=False), ""),
        (TradingMode.PAUSED, (True, False), None, "it is paused"),
        (TradingMode.PAUSED, (True, False), UserClose(despite_pause=False), "it is paused"),
        (TradingMode.PAUSED, (True, False), UserClose(despite_pause=True), ""),
        (TradingMode.PAUSED, (False, False), UserClose(despite_pause=True), ""),
    ],
)
async def test_it_says_why_mode_and_switch_let_no_exit_out(
    desk: Desk,
    mode: TradingMode,
    switch: tuple[bool, bool],
    close: UserClose | None,
    why: str,
) -> None:
    """As the gate would: a user's own close goes on a disabled account, and in a pause if asked."""
    await want(desk.engine, await holds(desk, 10), 0, close=close)
    await change_gate(
        desk.engine.store,
        desk.broker_id,
        at=desk.clock.now(),
        by="1",
        account_mode=mode,
        enabled=switch[0],
        drain=switch[1],
    )
    found = await protection(desk)
    assert found.how == f"its exit is not at the broker{f': {why}' if why else ''}"
    assert found.is_to_come is not bool(why)


async def test_what_was_never_wanted_is_named_with_why_nothing_is_sent(desk: Desk) -> None:
    """Without a goal a pause holds for it too, and an account that is gone sends nothing at all."""
    await want(desk.engine, await holds(desk, 10), 10, stop_price=STOP)
    login = await protection(desk, needs_login=True)
    assert login.how == "its stop is not at the broker: the account needs a login"
    await desk.engine.store.delete("account_gates", {"_id": desk.broker_id})
    gone = await protection(desk)
    assert gone.how == "its stop is not at the broker: the account is not connected any more"
    await desk.engine.store.delete("goals", {})
    (standing,) = await desk.engine.wiring.protections.of_account(desk.broker_id, needs_login=False)
    assert (standing.protection.gap, standing.goal) == (Lack.NO_STOP, None)
    assert standing.bare_line is None


@pytest.mark.row("R4")
@pytest.mark.parametrize("wanted", [10, 0, -10])
@pytest.mark.parametrize(
    ("changes", "holds_exits", "holds_stops"),
    [
        ({"strategy": STRATEGY}, True, True),
        ({"strategy": "other"}, True, False),
        ({"strategy": STRATEGY, "product": Product.NRML}, True, False),
        ({"strategy": STRATEGY, "instrument": TCS}, False, False),
    ],
    ids=["of this ledger", "of another strategy", "of another product", "of another instrument"],
)
async def test_what_an_order_of_unknown_fate_holds_back(
    desk: Desk,
    wanted: int,
    changes: dict[str, Any],
    *,
    holds_exits: bool,
    holds_stops: bool,
) -> None:
    """Every exit of its instrument, and the stops of its own ledger; not while an answer is awaited."""
    entry: dict[str, Any] = {"purpose": Purpose.ENTRY, "side": Side.BUY, "quantity": 1, **changes}
    await want(desk.engine, await holds(desk, 10), wanted, stop_price=STOP if wanted else None)
    await works(desk, S.SUBMITTED, **entry)
    assert (await protection(desk)).is_to_come
    await works(desk, S.UNRESOLVED, **entry)
    found = await protection(desk)
    is_held_back = holds_stops if wanted > 0 else holds_exits
    assert found.how.endswith("an order of SBIN is unresolved") is is_held_back
    assert found.is_to_come is not is_held_back


async def test_what_its_run_says_of_it_names_the_ledger(desk: Desk) -> None:
    """While it is unprotected, and no longer than that."""
    ledger = await holds(desk, 10)
    await want(desk.engine, ledger, 10, stop_price=STOP, run_id="orb|1")
    look = desk.engine.wiring.protections.of_account
    (one,) = await look(desk.broker_id, needs_login=False)
    line = one.bare_line
    assert line is not None
    assert (line.run_id, line.broker_id, line.ledger) == ("orb|1", desk.broker_id, ledger.key)
    await works(desk)
    (one,) = await look(desk.broker_id, needs_login=False)
    assert one.bare_line is None
