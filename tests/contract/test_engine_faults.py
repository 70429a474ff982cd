"""The running engine against both simulators on a bad day: each case of the matrix it must survive."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from core.domain.inquiry import Candidate
from core.domain.mode import TradingMode
from core.domain.order import OrderState
from core.domain.outcome import NotSent, WriteOutcome
from tests.faults.life import FYERS, KITE, Life, Simulated, World, another, living, until
from tests.faults.watch import Watch
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

PLACE = {"method": "POST", "path": "*/orders/*"}
PAIR = (KITE, FYERS)
KEY = "NSE:SBIN|MIS"
HUNG_S = 1.5
"""Where answers are held back, so long is waited for one."""
TIMED_OUT = {
    "status": "error",
    "message": "Order request timed out. Please check the order book and confirm before placing again.",
    "error_type": "OrderException",
    "s": "error",
    "code": -99,
}


def strike(world: World, who: Simulated, kind: str, **fields: Any) -> str:
    """Set a fault on the next order of one account."""
    match = {**PLACE, "api_key": who.api_key}
    if kind in {"hide", "reject_later", "partial_fill", "no_fill", "lose_tag"}:
        match = {"api_key": who.api_key}
    return world.sandbox.fault(kind, who.target, match=match, **fields)


# What spoils the answer to an order, and whether the order is at the broker all the same.
AMBIGUOUS: dict[str, tuple[bool, dict[str, Any]]] = {
    "N01": (True, {"kind": "hang", "effect": True}),
    "N02": (False, {"kind": "hang"}),
    "N03": (True, {"kind": "hang", "effect": True, "effect_delay_s": 1.8}),
    "N04-before": (False, {"kind": "reset_before"}),
    "N04-after": (True, {"kind": "reset_after"}),
    "N06-500": (True, {"kind": "http", "status": 500, "body": "<h1>oops</h1>", "effect": True}),
    "N06-502": (False, {"kind": "html"}),
    "N07": (
        True,
        {"kind": "http", "status": 400, "body": TIMED_OUT, "effect": True, "effect_delay_s": 0.8},
    ),
    "N10-half": (True, {"kind": "malformed"}),
    "N10-empty": (False, {"kind": "http", "status": 200, "body": ""}),
    "N11": (True, {"kind": "drip", "delay_s": 1.0}),
    "N16": (
        False,
        {"kind": "http", "status": 302, "headers": {"Location": "/orders/regular"}, "body": ""},
    ),
}


@pytest.mark.matrix("N01", "N02", "N03", "N04", "N06", "N07", "N10", "N11", "N16")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I8", "I9")
@pytest.mark.row("S2")
@pytest.mark.parametrize("target", ["kite", pytest.param("fyers", marks=pytest.mark.nightly)])
async def test_every_unknown_answer_is_resolved_by_looking(world: World, target: str) -> None:
    """Whatever spoils the answer, entries and exits end as the broker has them, and go once.

    One account a case, all at once. Then each account that holds exits, with the same fault again:
    an exit that did not arrive is worked out anew exactly once.
    """
    world.horizon_s, world.order_deadline_s = 5.0, HUNG_S
    people = {name: another(world, target, n) for n, name in enumerate(AMBIGUOUS)}
    async with living(world) as life:
        ids = await connected(life, people)
        for name, who in people.items():
            strike(world, who, **AMBIGUOUS[name][1])
        await life.run("LONG")
        await life.settled()
        for name, (arrives, _) in AMBIGUOUS.items():
            row = await life.row(broker_id=ids[name])
            assert (name, row["state"]) == (name, "FILLED" if arrives else "NOT_PLACED")
            assert (name, len(world.placed(people[name]))) == (name, 1)
        await assert_invariants(life)
        alerts = {"order_unresolved", "order_resolved"}
        assert alerts <= set(world.told.kinds())
        world.sandbox.ask("DELETE", "/faults")
        holding = [name for name, (arrives, _) in AMBIGUOUS.items() if arrives]
        for name, other in zip(holding, AMBIGUOUS, strict=False):
            strike(world, people[name], **AMBIGUOUS[other][1])
        await life.run("FLAT")
        for name in holding:
            await life.holds(ids[name], 0)
        await assert_invariants(life)
        for name, other in zip(holding, AMBIGUOUS, strict=False):
            exits = await life.rows(broker_id=ids[name], purpose="exit")
            wanted = ["FILLED"] if AMBIGUOUS[other][0] else ["NOT_PLACED", "FILLED"]
            assert (name, other, [row["state"] for row in exits]) == (name, other, wanted)


async def connected(life: Life, people: dict[str, Simulated]) -> dict[str, str]:
    """Connect every account, and return their broker_ids."""
    found = {}
    for name, who in people.items():
        found[name] = await life.connect(who)
    return found


async def both(life: Life, quantity: int = 1) -> tuple[str, str]:
    """Connect an account of each broker."""
    kite = await life.connect(KITE, quantity=quantity)
    return kite, await life.connect(FYERS, quantity=quantity)


@pytest.mark.matrix("N03")
@pytest.mark.invariant("I1", "I2", "I4", "I5")
async def test_order_that_shows_up_after_it_was_given_up(world: World) -> None:
    """Given up at the horizon, then seen at the broker: a critical alert, and it counts as ours."""
    world.order_deadline_s = HUNG_S
    async with living(world) as life:
        ids = await both(life)
        for who in PAIR:
            strike(world, who, "hide", delay_s=8)
            strike(world, who, "hang", effect=True)
        await life.run("LONG")
        for broker_id in ids:
            await life.becomes(OrderState.NOT_PLACED, broker_id=broker_id)
        for broker_id in ids:
            await life.becomes(OrderState.FILLED, broker_id=broker_id)
            await life.holds(broker_id, 1)
        await assert_invariants(life)
        assert world.told.kinds().count("order_revived") == 2
        assert len(world.placed()) == 2


@pytest.mark.matrix("N05")
@pytest.mark.invariant("I1", "I2")
async def test_what_was_not_sent_goes_again_with_the_same_id(world: World) -> None:
    """No connection: the order is held, and goes under the same id when the way is free."""
    left = {KITE.api_key: 2, FYERS.api_key: 2}

    def refuse(name: str, api_key: str) -> WriteOutcome | None:
        if name != "place" or not left[api_key]:
            return None
        left[api_key] -= 1
        return NotSent("connection refused")

    async with living(world, Watch(instead=refuse)) as life:
        ids = await both(life)
        await life.run("LONG")
        for broker_id in ids:
            await life.holds(broker_id, 1)
            assert (await life.row(broker_id=broker_id))["state"] == "FILLED"
        await assert_invariants(life)
        assert len(world.placed()) == 2


@pytest.mark.row("E1")
@pytest.mark.matrix("N08")
@pytest.mark.invariant("I1", "I2", "I4")
async def test_refusal_is_told_in_the_brokers_words(world: World) -> None:
    """A refused order is REJECTED at once, with the broker's words, and does not come again."""
    async with living(world) as life:
        kite = await life.connect(KITE, quantity=90_000)
        fyers = await life.connect(FYERS, quantity=90_000)
        await life.run("LONG")
        for broker_id in (kite, fyers):
            row = await life.becomes(OrderState.REJECTED, broker_id=broker_id)
            assert "margin" in row["reason"].lower()
        evidence = await assert_invariants(life)
        assert world.told.kinds().count("order_rejected") == 2
        assert len(evidence.orders()) == 2


@pytest.mark.matrix("N09")
@pytest.mark.invariant("I1", "I2")
async def test_throttled_order_waits_and_goes_again(world: World) -> None:
    """429: an entry goes again with the same id after the time that was named; an exit gets out."""
    slow = {"status": 429, "headers": {"Retry-After": "1"}, "body": THROTTLED}
    async with living(world) as life:
        ids = await both(life)
        for direction, held in (("LONG", 1), ("FLAT", 0)):
            for who in PAIR:
                strike(world, who, "http", **slow)
            await life.run(direction)
            for broker_id in ids:
                await life.holds(broker_id, held)
        await assert_invariants(life)
        for who in PAIR:
            entry = [write for write in world.placed(who) if write["side"] == "BUY"]
            assert [write["applied"] for write in entry] == [False, True]
            assert entry[0]["tag"] == entry[1]["tag"]
            assert entry[1]["real_at"] - entry[0]["real_at"] > 0.9


THROTTLED = {
    "status": "error",
    "message": "Too many requests",
    "error_type": "NetworkException",
    "s": "error",
    "code": -429,
}


@pytest.mark.row("E1")
@pytest.mark.matrix("B01")
@pytest.mark.invariant("I2", "I4", "I5")
async def test_order_rejected_after_its_acknowledgement(world: World) -> None:
    """Accepted, then rejected by the risk system: told as rejected, and nothing is held."""
    async with living(world) as life:
        ids = await both(life)
        for who in PAIR:
            strike(world, who, "reject_later", message="RMS: blocked for intraday")
        await life.run("LONG")
        for broker_id in ids:
            row = await life.becomes(OrderState.REJECTED, broker_id=broker_id)
            assert "blocked for intraday" in row["reason"]
        await assert_invariants(life)
        assert world.told.kinds().count("order_rejected") == 2
        assert await life.held(ids[0]) == await life.held(ids[1]) == 0


@pytest.mark.matrix("B02")
@pytest.mark.invariant("I4", "I5")
@pytest.mark.row("D9", "C6")
async def test_stop_covers_what_has_filled(world: World) -> None:
    """A stop is as large as what has filled so far, grows with it, and goes before the exit."""
    async with living(world) as life:
        ids = await both(life, quantity=3)
        for who in PAIR:
            strike(world, who, "partial_fill", quantity=1)
        await life.run("LONG", stop_percent="5")
        for broker_id in ids:
            stop = await life.becomes(OrderState.ACCEPTED, broker_id=broker_id, purpose="stop")
            entry = await life.row(broker_id=broker_id, purpose="entry")
            assert (stop["quantity"], entry["filled_quantity"]) == (1, 1)
        for who in PAIR:
            (rest,) = (one for one in world.book(who)["orders"] if one["side"] == "BUY")
            world.sandbox.ask("POST", f"/orders/{rest['order_id']}/fill")

        async def covered() -> bool:
            rows = await life.rows(purpose="stop", state="ACCEPTED")
            return sorted(row["quantity"] for row in rows) == [1, 1, 2, 2]

        await until(covered, what="stops of three")
        await life.run("FLAT")
        for broker_id in ids:
            await life.holds(broker_id, 0)
        await assert_invariants(life)
        for who in PAIR:
            assert_stop_goes_first(world, who)


def assert_stop_goes_first(world: World, who: Simulated) -> None:
    """At no time could stop and exit together sell more than is held."""
    book = world.book(who)
    stop_ids = {o["order_id"] for o in book["orders"] if o["order_type"] in {"SL", "SL-M"}}
    actions = [
        (write["action"], write["broker_order_id"] in stop_ids)
        for write in world.ledger(who)
        if write["applied"]
    ]
    exit_at = actions.index(("place", False), 1)
    assert ("cancel", True) in actions[:exit_at]
    assert all(order["status"] != "OPEN" for order in book["orders"])


@pytest.mark.matrix("B02")
@pytest.mark.invariant("I4", "I5")
@pytest.mark.row("E4")
@pytest.mark.slow
async def test_rest_of_a_partly_filled_order_is_cancelled(world: World) -> None:
    """What filled before the cancel is held, at the average price that the broker says."""
    async with living(world) as life:
        ids = await both(life, quantity=3)
        for who in PAIR:
            strike(world, who, "partial_fill", quantity=2)
        await life.run("LONG")
        for broker_id in ids:
            row = await life.becomes(OrderState.PARTIALLY_FILLED, broker_id=broker_id)
            await life.system.control.orders.cancel(life.command(), broker_id, row["_id"])
            await life.becomes(OrderState.CANCELED, broker_id=broker_id)
            await life.holds(broker_id, 2)
        await assert_invariants(life)


@pytest.mark.matrix("B05")
@pytest.mark.invariant("I2", "I4")
@pytest.mark.row("C6")
@pytest.mark.slow
async def test_refused_cancel_asks_for_the_state(world: World) -> None:
    """A cancel that the broker refuses is a question, asked at most three times, then the exit goes."""
    async with living(world) as life:
        ids = await both(life)
        await life.enter(stop_percent="5")
        for broker_id in ids:
            await life.becomes(OrderState.ACCEPTED, broker_id=broker_id, purpose="stop")
        for who in PAIR:
            match = {"method": "DELETE", "api_key": who.api_key}
            body = {
                "status": "error",
                "message": "Order cannot be cancelled as it is being processed. Try later.",
                "error_type": "OrderException",
                "s": "error",
                "code": -50,
            }
            world.sandbox.fault("http", who.target, match=match, status=400, body=body)
        await life.run("FLAT")
        for broker_id in ids:
            await life.holds(broker_id, 0)
        await assert_invariants(life)
        for who in PAIR:
            cancels = [w for w in world.ledger(who) if w["action"] == "cancel"]
            assert len(cancels) == 2


async def _candidates(life: Life, client_order_id: str) -> tuple[Candidate, ...]:
    """Return what the broker shows that could be an unresolved order."""
    view = await life.system.control.unresolved.view(client_order_id)
    return view.inquiry.candidates


@pytest.mark.matrix("B07")
@pytest.mark.invariant("I1", "I2", "I4")
@pytest.mark.row("R4")
async def test_order_without_its_tag_is_only_proposed(world: World) -> None:
    """Answer and tag lost: the look-alike is proposed, nothing is guessed, a user confirms."""
    world.order_deadline_s = HUNG_S
    async with living(world) as life:
        ids = await both(life)
        for who in PAIR:
            strike(world, who, "lose_tag")
            strike(world, who, "hang", effect=True)
        await life.run("LONG")
        for broker_id in ids:
            row = await life.becomes(OrderState.UNRESOLVED, broker_id=broker_id)
            await until(partial(_candidates, life, row["_id"]))
        for broker_id in ids:
            # The horizon passes, and nothing is given up.
            await life.outlived(await life.row(broker_id=broker_id), world.horizon_s + 1)
            row = await life.row(broker_id=broker_id)
            assert row["state"] == "UNRESOLVED"
            (found,) = await _candidates(life, row["_id"])
            unresolved = life.system.control.unresolved
            await unresolved.link(life.command(), row["_id"], found.broker_order_id)
            await life.holds(broker_id, 1)
        await assert_invariants(life)
        assert {row["purpose"] for row in await life.rows()} == {"entry"}


@pytest.mark.matrix("B07")
@pytest.mark.invariant("I1", "I2", "I4")
@pytest.mark.row("R4")
async def test_look_alike_that_is_not_ours(world: World) -> None:
    """The user says that it was not placed: given up, and the look-alike is somebody else's."""
    world.order_deadline_s = HUNG_S
    async with living(world) as life:
        kite = await life.connect(KITE)
        strike(world, KITE, "lose_tag")
        strike(world, KITE, "hang", effect=True)
        await life.run("LONG")
        row = await life.becomes(OrderState.UNRESOLVED, broker_id=kite)
        await life.system.control.unresolved.not_placed(life.command(), row["_id"])
        external = await life.becomes(OrderState.FILLED, purpose="external")
        assert (await life.row(_id=row["_id"]))["state"] == "NOT_PLACED"
        assert external["filled_quantity"] == 1
        await assert_invariants(life)
        assert await life.held(kite) == 0


@pytest.mark.matrix("S04")
@pytest.mark.invariant("I2")
@pytest.mark.slow
async def test_no_entry_beside_an_order_that_nobody_knows(world: World) -> None:
    """While an order of the instrument is unresolved, no other enters."""
    world.horizon_s, world.order_deadline_s = 60.0, HUNG_S
    async with living(world) as life:
        kite = await life.connect(KITE)
        strike(world, KITE, "hang")
        await life.run("LONG")
        await life.becomes(OrderState.UNRESOLVED, broker_id=kite)
        await life.run("SHORT")
        runs = await life.system.foundation.store.find("runs", {}, sort=[("created_at", -1)])
        assert "not settled" in runs[0]["notes"][kite]
    world.horizon_s = 2.0  # was long so that the second run comes before it on any machine
    async with living(world) as life:
        await assert_invariants(life)
        assert len(world.placed()) == 1


@pytest.mark.matrix("B09")
@pytest.mark.invariant("I6")
@pytest.mark.row("C3")
async def test_unknown_positions_are_not_flat(world: World) -> None:
    """Positions that cannot be read are not flat: the day's fills bound an exit in EXIT_ONLY."""
    async with living(world) as life:
        ids = await both(life)
        await life.enter()
        await life.settled()
        for who in PAIR:
            match = {"method": "GET", "path": "*/positions", "api_key": who.api_key}
            world.sandbox.fault("http", who.target, match=match, status=500, body="no", times=0)
        await life.system.control.modes.set(life.command(), TradingMode.EXIT_ONLY, None)
        await life.run("FLAT")
        for broker_id in ids:
            await life.holds(broker_id, 0)
        await assert_invariants(life)
