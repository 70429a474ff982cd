"""The end of a world: every fault stops, and the engine has to come to rest by itself."""

from __future__ import annotations

import asyncio

from core.domain.instrument import InstrumentId, Product
from tests.campaign.panics_umpire import is_left_to_a_person
from tests.campaign.users import answer_question
from tests.campaign.verdict import Verdict
from tests.campaign.world import World

__all__ = ["calm_down", "come_to_rest", "restless"]

_MOVING = {"INITIALIZED", "HELD", "SUBMITTED", "UNRESOLVED", "PENDING_CANCEL", "PENDING_UPDATE"}
_SHORTEST_S = 50.0
_LONGEST_S = 400.0
_LOOK_S = 5.0


def calm_down(world: World) -> None:
    """End every fault."""
    world.database.is_away = False
    world.database.lost_answers = 0
    world.chat.away_until = world.chat.loses_answers = 0
    for broker_id in world.accounts:
        client = world.seat(broker_id)
        client.troubles.end()
        for order in client.venue.orders.values():
            if order.rests:  # the exchange trades again
                client.venue.fill_rest(order)
    if world.life is not None:
        world.life.watch.rule = None


def restless(world: World) -> list[str]:
    """Return what still moves, or should."""
    found = [
        f"{row['purpose']} {row['_id']} is {row['state']} ({row['reason']})"
        for row in world.rows("orders")
        if row["state"] in _MOVING
    ]
    found += [
        f"the notice {row['kind']} is {row['state']}"
        for row in world.rows("outbox")
        if row["state"] in {"WAITING", "SENDING"}
    ]
    found += [
        f"the run {row['_id']} is {row['state']}"
        for row in world.rows("run_requests")
        if row["state"] != "done"
    ]
    found += [
        f"the panic {row['_id']} runs"
        for row in world.rows("panics")
        if not row["end"] and not is_left_to_a_person(world, row)
    ]
    goals = world.database.committed["goals"]
    for row in world.rows("ledgers"):
        goal = goals.get(row["_id"])
        wanted = goal["quantity"] if goal else row["quantity"]
        where = InstrumentId.parse(row["instrument"]), Product(row["product"])
        if world.is_asked_about(row["broker_id"], where):
            continue  # the person decides
        if row["quantity"] * wanted < 0 or abs(row["quantity"]) > abs(wanted):
            found.append(f"{row['_id']} holds {row['quantity']} and wants {wanted}")
    return found


async def _answer_questions(world: World) -> None:
    """Let the person say of each unresolved order what is true."""
    for row in world.rows("orders"):
        if row["state"] == "UNRESOLVED" and world.life is not None:
            await answer_question(world, row["_id"])


def _deal_with_own_orders(world: World) -> None:
    """Let the person cancel, or let fill, an order of theirs that an exit is said to wait for.

    Such an exit waits for as long as the person's order rests (R8), so no time ends it; an exit
    that waits without a notice gets no help here, and is found not at rest.
    """
    named = {
        (row["data"]["broker_id"], row["data"]["instrument"])
        for row in world.rows("outbox")
        if row["kind"] == "exit_denied" and row["data"]["reason"].startswith("your own ")
    }
    for broker_id in world.accounts:
        venue = world.venue(broker_id)
        for order in list(venue.orders.values()):
            is_named = (broker_id, str(order.instrument)) in named
            if order.origin != "hand" or not order.is_live or not is_named:
                continue
            if int(order.order_id) % 2:
                venue.end(order, "CANCELLED", by="hand")
            else:
                venue.fill_rest(order)


async def come_to_rest(world: World, verdict: Verdict) -> None:
    """End every fault and wait until nothing moves; what never does is a fault of the product."""
    calm_down(world)
    if world.life is None:
        await world.begin()
    for broker_id in world.accounts:
        if world.seat(broker_id).is_login_dead:
            await world.log_in(broker_id)
    until, calm, seen = world.loop.time() + _LONGEST_S, 0, -1
    begun = world.loop.time()
    while calm < 3:
        await asyncio.sleep(_LOOK_S)
        calm_down(world)
        moving = restless(world)
        if world.loop.time() - begun > _SHORTEST_S / 2:
            world.market.halt(world.clock.market_now())  # what is judged stands still
        events = len(world.rows("order_events"))
        # What a person did by hand is believed only after some looks at the positions.
        is_early = world.loop.time() - begun < _SHORTEST_S
        calm = calm + 1 if not moving and events == seen and not is_early else 0
        seen = events
        if world.loop.time() > until:
            for sentence in moving or ["the journal grows on and on"]:
                verdict.bad("not at rest", sentence)
            return
        if world.loop.time() - begun > 120:
            await _answer_questions(world)
            _deal_with_own_orders(world)
