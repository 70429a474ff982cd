"""Goals: the position that each strategy wants in each ledger. Owns the collection ``goals``.

A goal has the key of its ledger and the fields of :class:`core.domain.converge.Goal`, besides
``set_at`` and the newest signal on which an entry was decided (``entered_side``, ``entered_on``). A
goal of an earlier ``day`` is stale: MIS positions do not live over night.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.goal import Goal, NoRest
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.notices.post import run_card
from core.domain.order import MANUAL
from core.domain.panic import is_of_panic
from core.domain.stop_rule import StopRule
from core.engine.orders.ledgers import ledgers_of
from core.engine.orders.run_rows import insert_run
from core.engine.outbox import Outbox
from core.engine.remembered import Remembered
from core.ports.store import Change, Document, StoreView

__all__ = [
    "Flattening",
    "UserClose",
    "end_goal",
    "entered_on",
    "flatten",
    "forget_goals",
    "give_up_close",
    "goal_at",
    "goal_of",
    "goals_of",
    "is_result_wanted",
    "keep_stop_of",
    "keep_what_is_held",
    "leave_without_stop",
    "let_stop_rest",
    "mark_stuck",
    "move_stop",
    "put_goal",
    "retarget_goal",
    "take_back_leaving",
    "tell_result",
    "to_flatten",
    "trim_goal",
    "want_nothing",
]

_GOALS = "goals"
_MAY_REST = {"can_rest": True, "no_rest": None, "no_rest_reason": ""}


def _read(row: Document) -> Goal:
    return Goal(
        key=row["_id"],
        strategy=row["strategy"],
        broker_id=row["broker_id"],
        instrument=InstrumentId.parse(row["instrument"]),
        product=Product(row["product"]),
        quantity=row["quantity"],
        stop_price=row.get("stop_price"),
        run_id=row["run_id"],
        can_rest=row.get("can_rest", True),
        no_rest=NoRest(row["no_rest"]) if row.get("no_rest") else None,
        no_rest_reason=row.get("no_rest_reason", ""),
        stop_set_at=row.get("stop_set_at"),
        may_rest_since=row.get("may_rest_since", row.get("stop_set_at")),
        stop_day=row.get("stop_day", ""),
        day=row.get("day", ""),
        by_user=row.get("by_user", False),
        despite_pause=row.get("despite_pause", False),
        to_close=row.get("to_close", 0),
        stuck=row.get("stuck", ""),
        stop_rule=_rule_of(row.get("stop_rule")),
        before=_read(row["before"]) if row.get("before") else None,
    )


goal_of: Remembered[Goal] = Remembered(_read)
"""Returns the goal of a document."""


def _rule_of(row: Document | None) -> StopRule | None:
    return StopRule(row["to_cost_at"], row["trail_by"]) if row else None


def _rule_row(rule: StopRule | None) -> Document | None:
    return {"to_cost_at": rule.to_cost_at, "trail_by": rule.trail_by} if rule else None


async def goals_of(view: StoreView, broker_id: str | None) -> list[Goal]:
    """Return an account's goals, with None those of all."""
    where = {} if broker_id is None else {"broker_id": broker_id}
    return [goal_of(row) for row in await view.find(_GOALS, where)]


async def goal_at(view: StoreView, key: str) -> Goal | None:
    """Return the goal of one ledger; None where none was ever set."""
    row = await view.get(_GOALS, key)
    return goal_of(row) if row else None


async def entered_on(view: StoreView, key: str, side: int) -> datetime | None:
    """Return the newest signal of a side (1 or -1) on which an entry was decided in a ledger."""
    row = await view.get(_GOALS, key)
    if row is None or row.get("entered_side") != side:
        return None
    found: datetime | None = row["entered_on"]
    return found


async def leave_without_stop(view: StoreView, key: str, why: NoRest, reason: str = "") -> None:
    """Place no stop for this goal any more, until its stop is set anew or a user puts it back."""
    fields = {"can_rest": False, "no_rest": why.value, "no_rest_reason": reason}
    await view.update(_GOALS, {"_id": key}, Change(set=fields))


async def take_back_leaving(view: StoreView, before: Goal) -> None:
    """Let the stop of a goal be as it was, where it was left away in the chat and stands after all.

    Args:
        view: The store.
        before: The goal as it was before.
    """
    where = {"_id": before.key, "run_id": before.run_id, "no_rest": NoRest.CANCELLED_HERE.value}
    fields = {
        "can_rest": before.can_rest,
        "no_rest": before.no_rest.value if before.no_rest else None,
        "no_rest_reason": before.no_rest_reason,
    }
    await view.update(_GOALS, where, Change(set=fields))


async def let_stop_rest(view: StoreView, key: str, *, at: datetime) -> None:
    """Place this goal's stop again, whatever became of it before."""
    fields = {**_MAY_REST, "stop_set_at": at, "may_rest_since": at}
    await view.update(_GOALS, {"_id": key}, Change(set=fields))


async def tell_result(view: StoreView, goal: Goal) -> None:
    """Have the result of this goal's exit told, as long as no other run sets the goal anew."""
    await view.update(_GOALS, {"_id": goal.key}, Change(set={"tell_run": goal.run_id}))


async def is_result_wanted(view: StoreView, key: str, run_id: str) -> bool:
    """Whether the result of an exit of this run is to be told."""
    row = await view.get(_GOALS, key)
    return row is not None and row.get("tell_run") == run_id


async def keep_stop_of(view: StoreView, before: Goal) -> None:
    """Let the stop of a goal that was just set be as it was: whether it rests, and of what day."""
    fields = {
        "can_rest": before.can_rest,
        "no_rest": before.no_rest.value if before.no_rest else None,
        "no_rest_reason": before.no_rest_reason,
        "stop_day": before.stop_day or before.day,
    }
    await view.update(_GOALS, {"_id": before.key}, Change(set=fields))


async def mark_stuck(view: StoreView, goal: Goal, run_id: str) -> bool:
    """Note which run's exit was reported as not through, '' for none; False when the goal moved."""
    where = {"_id": goal.key, "run_id": goal.run_id}
    return await view.update(_GOALS, where, Change(set={"stuck": run_id})) == 1


async def want_nothing(view: StoreView, key: str) -> None:
    """Give a goal up where its ledger was given up: nothing is wanted and nothing protected."""
    await view.update(_GOALS, {"_id": key}, Change(set={"quantity": 0, "stop_price": None}))


async def trim_goal(view: StoreView, key: str, quantity: int) -> None:
    """Want fewer units than before, under the same run and stop."""
    await view.update(_GOALS, {"_id": key}, Change(set={"quantity": quantity}))


@dataclass(frozen=True, slots=True)
class UserClose:
    """A user's own close of one position.

    Attributes:
        despite_pause: The user confirmed it a second time, so it passes in PAUSED.
        outside: Signed units of the position that no strategy owns, closed in the user's name.
    """

    despite_pause: bool
    outside: int = 0


async def put_goal(
    view: StoreView,
    *,
    strategy: str,
    broker_id: str,
    instrument: InstrumentId,
    product: Product,
    quantity: int,
    stop_price: Decimal | None,
    run_id: str,
    day: str,
    at: datetime,
    close: UserClose | None = None,
    signal_at: datetime | None = None,
    stop_rule: StopRule | None = None,
    before: Document | None = None,
) -> None:
    """Set one goal; a stop may rest at the broker again, whatever it refused before.

    With ``signal_at`` an entry goes with it: the goal remembers the signal over later goals, for a
    signal enters once. With ``before`` it takes the place of that one, which may be given back.
    """
    fields: dict[str, object] = {
        "strategy": strategy,
        "broker_id": broker_id,
        "instrument": str(instrument),
        "product": product.value,
        "quantity": quantity,
        "stop_price": stop_price,
        "stop_rule": _rule_row(stop_rule),
        "run_id": run_id,
        **_MAY_REST,
        "stop_set_at": at,
        "may_rest_since": at,
        "stop_day": day,
        "day": day,
        "set_at": at,
        "by_user": close is not None,
        "despite_pause": close is not None and close.despite_pause,
        "to_close": close.outside if close and strategy == MANUAL else 0,
    }
    if quantity or before is not None:
        fields["before"] = before
    if signal_at is not None:
        fields |= {"entered_side": 1 if quantity > 0 else -1, "entered_on": signal_at}
    key = ledger_key(strategy, broker_id, instrument, product)
    await view.update(_GOALS, {"_id": key}, Change(set=fields), upsert=True)


async def move_stop(
    view: StoreView, goal: Goal, stop_price: Decimal, *, at: datetime, day: str
) -> bool:
    """Move the stop of a goal that still is as it was read; return whether it was.

    Whether a stop may rest stays as it is: what the broker refused is not asked for again at each
    step.
    """
    where = {"_id": goal.key, "run_id": goal.run_id, "stop_price": goal.stop_price}
    fields = {"stop_price": stop_price, "stop_set_at": at, "stop_day": day}
    return await view.update(_GOALS, where, Change(set=fields)) == 1


async def retarget_goal(
    view: StoreView,
    key: str,
    *,
    stop_price: Decimal | None,
    day: str,
    at: datetime,
    stop_rule: StopRule | None = None,
) -> bool:
    """Move only the stop of a goal of this day, whoever set it; return whether there is one."""
    goal = await goal_at(view, key)
    if goal is None or goal.day != day:
        return False
    fields: Document = {"set_at": at, "stop_rule": _rule_row(stop_rule)}
    if stop_price != goal.stop_price:
        # A price that was refused may be taken elsewhere. What a person cancelled stays away until
        # a person puts it back (R7).
        is_left_alone = goal.no_rest is not None and goal.no_rest.is_by_person
        fields |= {"stop_price": stop_price, "stop_set_at": at}
        fields |= {} if is_left_alone else _MAY_REST
    return await view.update(_GOALS, {"_id": key, "day": day}, Change(set=fields)) == 1


async def end_goal(view: StoreView, goal: Goal) -> None:
    """Remove a user's close that is done, unless it was asked for anew meanwhile."""
    await view.delete(_GOALS, {"_id": goal.key, "run_id": goal.run_id})


async def keep_what_is_held(
    view: StoreView,
    goal: Goal,
    *,
    quantity: int,
    stop_price: Decimal | None,
    run_id: str,
    at: datetime,
) -> None:
    """End a close of a strategy's ledger in a store that was restored: nobody asks for it now."""
    fields = {
        "quantity": quantity,
        "stop_price": stop_price,
        "run_id": run_id,
        "stop_set_at": at,
        "by_user": False,
        "despite_pause": False,
        "stuck": "",
    }
    await view.update(_GOALS, {"_id": goal.key}, Change(set=fields))


async def give_up_close(view: StoreView, goal: Goal) -> None:
    """Let a user's close ask for nothing more, as one of an earlier day does.

    It is removed when no exit of it works any more: without a goal nobody would cancel that, and it
    would open a position once its units are gone (I6).
    """
    where = {"_id": goal.key, "run_id": goal.run_id}
    await view.update(_GOALS, where, Change(set={"day": ""}))


async def forget_goals(
    view: StoreView, broker_id: str, *, before: datetime, keep: Collection[str]
) -> int:
    """Remove an account's goals that were set before a real time; return how many.

    Args:
        view: The store.
        broker_id: The account.
        before: What was set since is kept.
        keep: Keys of ledgers that hold something or have an order under way.
    """
    gone = 0
    for goal in await goals_of(view, broker_id):
        if goal.key not in keep:
            # One that is set anew at this moment does not match any more.
            gone += await view.delete(_GOALS, {"_id": goal.key, "set_at": {"$lt": before}})
    return gone


async def to_flatten(view: StoreView, broker_id: str) -> list[Ledger]:
    """Return what strategies hold on an account or still want to: ledgers and goals not flat.

    A goal without units yet belongs to an entry that may still fill.
    """
    # Without its goal set flat as well, an entry that is still waiting would open the position
    # again right after the close.
    held = [ledger for ledger in await ledgers_of(view, broker_id) if ledger.quantity]
    ledgers = {ledger.key: ledger for ledger in held}
    for goal in await goals_of(view, broker_id):
        if goal.quantity and goal.key not in ledgers:
            ledgers[goal.key] = Ledger(goal.strategy, broker_id, goal.instrument, goal.product)
    return list(ledgers.values())


@dataclass(frozen=True, slots=True)
class Flattening:
    """A decision, not a strategy's, to make ledgers of an account flat.

    Attributes:
        run_id: Unique; the card in the chat and the exits carry it.
        kind: Why, for the card: ``square-off``, ``close``, ``switch-off``, ``stop`` or ``panic``.
        strategy: Whose ledgers, or ``manual`` for a user's decision.
        day: Trading day.
        at: Real time.
        market_at: Market time.
        close: Set when a user asked for it.
        note: What its card says of the account besides its orders.
    """

    run_id: str
    kind: str
    strategy: str
    broker_id: str
    day: str
    at: datetime
    market_at: datetime
    close: UserClose | None = None
    note: str = ""


async def flatten(
    view: StoreView, outbox: Outbox, ledgers: list[Ledger], decision: Flattening
) -> None:
    """Set the goal of each of these ledgers to flat, and show it as a run of its own.

    What it takes the place of is kept, for the close may be given up. Its card goes on to the
    result of all that it closes, which takes its place (``results.py``). A panic has one message
    for all that it does.
    """
    rows = {row["_id"]: row for row in await view.find(_GOALS, {"broker_id": decision.broker_id})}
    for ledger in ledgers:
        row = rows.get(ledger.key)
        await put_goal(
            view,
            strategy=ledger.strategy,
            broker_id=ledger.broker_id,
            instrument=ledger.instrument,
            product=ledger.product,
            quantity=0,
            stop_price=None,
            run_id=decision.run_id,
            day=decision.day,
            at=decision.at,
            close=decision.close,
            before={**row, "before": None} if row and row["quantity"] else None,
        )
    await insert_run(
        view,
        {
            "_id": decision.run_id,
            "strategy": decision.strategy,
            "slot_at": decision.market_at,
            "targets": [],
            "notes": {decision.broker_id: decision.note} if decision.note else {},
            "broker_ids": [decision.broker_id],
            "is_signal": True,
            "kind": decision.kind,
            "closes": len(ledgers),
            "created_at": decision.at,
        },
    )
    if not is_of_panic(decision.run_id):
        await outbox.post(view, run_card(decision.run_id))
