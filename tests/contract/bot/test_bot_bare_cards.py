"""A card says no longer that a position is unprotected once that is over (rows R6, E1; I8).

The position is closed by an order of another run, of a panic or of a hand at the broker, whose steps
edit other cards. So this one is put right by an edit of its own: silent, and never a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from core.domain.account import Account
from core.domain.instrument import Product
from core.domain.notices.post import Delivery, run_card
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import trading_day
from core.engine.orders.goals import Flattening, UserClose, flatten, put_goal
from core.engine.orders.ledgers import ledgers_of
from core.ports.store import Change, StoreView
from tests.fakes.bot_world import OWNER, World, soon
from tests.fakes.brokers import SBIN
from tests.fakes.views import a_position, a_run, an_account, an_order

pytestmark = [pytest.mark.row("R6"), pytest.mark.row("E1"), pytest.mark.invariant("I8")]

MAIN = an_account()
RUN = "held"
"""The run whose order has opened what an account holds."""
BARE = "its strategy sets no stop"
GONE = "SBIN: no longer held"
Closing = Callable[[World], Awaitable[None]]


async def wanted(
    world: World,
    quantity: int,
    account: Account = MAIN,
    *,
    run_id: str = RUN,
    strategy: str = "orb",
) -> None:
    """Set a goal as a run does, without a stop."""
    await put_goal(
        world.store,
        strategy=strategy,
        broker_id=account.broker_id,
        instrument=SBIN,
        product=Product.MIS,
        quantity=quantity,
        stop_price=None,
        run_id=run_id,
        day=trading_day(world.clock.market_now()),
        at=world.clock.now(),
    )


async def held(world: World, *accounts: Account, has_workers: bool = False, **fields: Any) -> None:
    """Start a bot beside accounts that hold what a run has opened without a stop."""
    await world.connect(*accounts)
    for one in accounts:
        await world.hold(a_position(one, **fields))
        await wanted(world, 10, one)
    await world.ran(a_run(*map(an_order, accounts), run_id=RUN))
    await world.start(has_workers=has_workers)
    await world.owner.say("/help")
    await world.owner.sees("What I can do")


async def is_still(world: World) -> bool:
    """Tell whether nothing waits any more; a second passes with each look."""
    world.clock.wall.seconds += 1
    world.wiring.outbox.wake.set()
    return not await world.store.find("outbox", {"state": {"$in": ["WAITING", "SENDING"]}})


async def shown(world: World) -> dict[str, Any]:
    """Post the card of the run, and return its message."""
    await world.wiring.outbox.post(world.store, run_card(RUN))
    await soon(lambda: is_still(world))
    card = await the_card(world)
    assert BARE in card["text"] and GONE not in card["text"]
    return card


async def the_card(world: World) -> dict[str, Any]:
    """Return the message of the run's card."""
    row = await world.store.get("cards", f"{OWNER}|run:{RUN}")
    assert row is not None
    (found,) = [one for one in await world.owner.messages() if one["id"] == row["message_id"]]
    return found


async def closed(world: World, accounts: Sequence[Account] = (MAIN,)) -> None:
    """Let nothing be held any more, without a message of it, and let each account look."""
    for one in accounts:
        flat = Change(set={"quantity": 0})
        await world.store.update("ledgers", {"broker_id": one.broker_id}, flat, many=True)
    for one in accounts:
        await world.wiring.guards.check(one.broker_id, needs_login=False)


async def amendments(world: World) -> list[str]:
    """Return what became of the posts that put a card right."""
    rows = await world.rows("outbox", delivery=Delivery.AMEND.value)
    return [f"{row['state']} {row['reason']}".strip() for row in rows]


def calls(world: World, after: int = 0) -> list[str]:
    """Return the calls of the Bot API that show something, after a number."""
    log = world.telegram.world.parts["telegram.calls"]
    return [one["method"] for one in log.entries(after) if "essage" in one["method"]]


def so_far(world: World) -> int:
    return max(int(one["seq"]) for one in world.telegram.world.parts["telegram.calls"].entries())


async def another_run(world: World) -> None:
    """A later run of the same strategy wants nothing."""
    await world.ran(a_run(an_order(MAIN), run_id="orb|later"))
    await wanted(world, 0, run_id="orb|later")


async def another_strategy(world: World) -> None:
    """Another strategy holds the other side: both are crossed, and nothing is sent."""
    await world.hold(a_position(MAIN, quantity=-10, owners={"dip": -10}))
    world.at_broker(MAIN.broker_id).position_list.clear()
    await wanted(world, 0, run_id="dip|run", strategy="dip")
    await wanted(world, 0, run_id="orb|later")


async def by_hand(world: World) -> None:
    """Somebody sells it in the broker's app."""
    at = world.at_broker(MAIN.broker_id)
    order = OrderRequest("byhand", SBIN, Side.SELL, 10, OrderType.MARKET, Product.MIS)
    at.fill(at.show(order).broker_order_id)
    await world.refresh(MAIN)


def decided(kind: str, run_id: str, close: UserClose | None = None) -> Closing:
    """Return what closes it by a decision of this kind."""

    async def closing(world: World) -> None:
        now = world.clock.market_now()

        async def body(view: StoreView) -> None:
            what = await ledgers_of(view, MAIN.broker_id)
            day, at = trading_day(now), world.clock.now()
            decision = Flattening(run_id, kind, "orb", MAIN.broker_id, day, at, now, close)
            await flatten(view, world.wiring.outbox, what, decision)

        await world.store.transaction(body, nonce="a decision")

    return closing


@pytest.mark.parametrize(
    "closing",
    [
        pytest.param(another_run, id="another run"),
        pytest.param(another_strategy, id="another strategy"),
        pytest.param(by_hand, id="by hand"),
        pytest.param(decided("square-off", "sq|1"), id="square-off"),
        pytest.param(decided("stop", "stop|1"), id="its stop, watched here"),
        pytest.param(decided("panic", "panic|1|a"), id="panic"),
        pytest.param(decided("close", "c|1", UserClose(despite_pause=False)), id="the user"),
    ],
)
async def test_card_is_right_whatever_has_closed_its_position(
    world: World, closing: Closing
) -> None:
    """The closing has its own message or card; this one is edited where it is."""
    await held(world, MAIN, has_workers=True)
    async with world.sending():
        card = await shown(world)
        await closing(world)

        async def is_right() -> bool:
            world.wiring.pool.wake(MAIN.broker_id)
            await is_still(world)
            return BARE not in (await the_card(world))["text"]

        await soon(is_right)
        assert (await the_card(world))["id"] == card["id"]
        assert GONE in (await the_card(world))["text"]
        await soon(lambda: is_still(world))
    assert sum(GONE in one["text"] for one in await world.owner.messages()) == 1
    assert await world.rows("bare_cards") == []


async def test_it_is_one_silent_edit_and_no_message(world: World) -> None:
    """The chat has as many messages as before, and the account looks on without another post."""
    await held(world, MAIN)
    async with world.sending():
        await shown(world)
        before, at = len(await world.owner.messages()), so_far(world)
        await closed(world)
        await closed(world)
        await soon(lambda: is_still(world))
        await closed(world)
        await soon(lambda: is_still(world))
    assert GONE in (await the_card(world))["text"]
    assert calls(world, at) == ["editMessageText"]
    assert len(await world.owner.messages()) == before
    assert await amendments(world) == ["SENT"]


async def test_fifty_accounts_of_a_run_are_one_edit(world: World) -> None:
    """The first account that looks posts it; what has ended on the others by then is on it."""
    accounts = [
        an_account(f"zerodha_{n:010d}", display_name=f"A{n}", is_default=n == 0) for n in range(50)
    ]
    await held(world, *accounts)
    async with world.sending():
        await shown(world)
        at = so_far(world)
        await closed(world, accounts)
        await soon(lambda: is_still(world))
    assert calls(world, at) == ["editMessageText"]
    assert await amendments(world) == ["SENT"]
    assert await world.rows("bare_cards") == []


async def test_card_that_was_never_shown_stays_away(world: World) -> None:
    """Nothing is said of it that could be wrong, so nothing is posted; nor where it is gone."""
    await held(world, MAIN)
    async with world.sending():
        before, at = len(await world.owner.messages()), so_far(world)
        await closed(world)
        await soon(lambda: is_still(world))
        assert await amendments(world) == []
    assert (calls(world, at), len(await world.owner.messages())) == ([], before)


async def test_card_whose_message_is_gone_or_too_old_is_left_alone(world: World) -> None:
    """Telegram refuses to edit it: another card would be sent anew, this one has been told."""
    await held(world, MAIN)
    async with world.sending():
        await shown(world)
        before, at = len(await world.owner.messages()), so_far(world)
        refusal = "Bad Request: message can't be edited"
        body = {"ok": False, "error_code": 400, "description": refusal}
        world.fault("http", "editMessageText", status=400, body=body)
        await closed(world)
        await soon(lambda: is_still(world))
        await closed(world)
        await soon(lambda: is_still(world))
    assert calls(world, at) == ["editMessageText"]
    assert len(await world.owner.messages()) == before
    assert await amendments(world) == ["SENT its message cannot be edited any more"]
    assert await world.rows("outbox", state="DEAD") == []


@pytest.mark.parametrize("state", ["WAITING", "SENDING"], ids=["before the edit", "in it"])
async def test_controller_that_is_killed_puts_it_right_at_its_next_start(
    world: World, state: str
) -> None:
    """The post is in the store, as any other; that it may have arrived makes no message of it."""
    await held(world, MAIN)
    async with world.sending():
        await shown(world)
    await closed(world)
    before = len(await world.owner.messages())
    where = {"delivery": Delivery.AMEND.value}
    assert await world.store.update("outbox", where, Change(set={"state": state})) == 1
    await world.crash()
    await world.start(has_workers=False)
    at = so_far(world)
    async with world.sending():
        await soon(lambda: is_still(world))
    assert GONE in (await the_card(world))["text"]
    assert calls(world, at) == ["editMessageText"]
    assert len(await world.owner.messages()) == before


async def test_controller_that_is_killed_before_it_looked_looks_at_its_next_start(
    world: World,
) -> None:
    """What a card says is in the store: the closing's own commit need not know of it."""
    await held(world, MAIN)
    async with world.sending():
        await shown(world)
    await world.crash()
    await world.start(has_workers=False)
    async with world.sending():
        await closed(world)
        await soon(lambda: is_still(world))
    assert GONE in (await the_card(world))["text"]
