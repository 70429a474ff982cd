"""The gate that every submission writes (reliability.md 2.3, product.md C4).

Collection ``account_gates``, one document an account: ``account_mode``, ``global_mode``, ``mode``
(the stricter, kept because the submit filter needs it), ``enabled``, ``drain``, ``frozen`` (an
anomaly stopped entries until a user sets NORMAL), ``address_trouble`` (why nothing is entered from
the account's address, or ''), ``fence`` (of the lease), ``seq`` (raised by every submission),
``version`` (raised by every change), ``changed_at``, ``changed_by``. Reading the mode inside a
transaction does not protect it; matching *and incrementing* this document does, because a mode
change writes it too. Keeps I6 and I10.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from core.domain.goal import Goal
from core.domain.mode import TradingMode, stricter
from core.engine.remembered import Remembered
from core.errors import Denied, LeaseLost, NotFound
from core.ports.store import Change, Document, ServedStore, StoreView

__all__ = [
    "Gate",
    "add_gate",
    "change_gate",
    "close_gate",
    "freeze_entries",
    "gate_at",
    "gate_of",
    "hold_fence",
    "is_pursued",
    "new_gate",
    "pass_gate",
    "raise_fence",
    "restrict_gates",
    "set_address_trouble",
    "touch_gate",
    "touch_gates",
    "uncontended",
]

_GATES = "account_gates"


@dataclass(frozen=True, slots=True)
class Gate:
    """An account's gate as it was read."""

    broker_id: str
    account_mode: TradingMode
    global_mode: TradingMode
    mode: TradingMode
    enabled: bool
    drain: bool
    fence: int
    version: int
    frozen: bool = False
    address_trouble: str = ""


def new_gate(
    broker_id: str, global_mode: TradingMode, *, fence: int, at: datetime, by: str
) -> Document:
    """Return the first document of an account's gate."""
    return {
        "_id": broker_id,
        "account_mode": TradingMode.NORMAL.value,
        "global_mode": global_mode.value,
        "mode": global_mode.value,
        "enabled": False,
        "drain": False,
        "frozen": False,
        "fence": fence,
        "seq": 0,
        "version": 0,
        "changed_at": at,
        "changed_by": by,
    }


def _read(row: Document) -> Gate:
    return Gate(
        row["_id"],
        TradingMode(row["account_mode"]),
        TradingMode(row["global_mode"]),
        TradingMode(row["mode"]),
        row["enabled"],
        row["drain"],
        row["fence"],
        row["version"],
        row.get("frozen", False),
        row.get("address_trouble", ""),
    )


gate_of: Remembered[Gate] = Remembered(_read)
"""Returns the gate of a document."""


def is_pursued(goal: Goal, gate: Gate) -> bool:
    """Whether mode and switch let anything be done for a goal; the gate decides on each order."""
    if gate.mode is TradingMode.PAUSED:
        return goal.by_user and goal.despite_pause
    return gate.enabled or gate.drain or goal.by_user


async def gate_at(view: StoreView, broker_id: str) -> Gate | None:
    """Return an account's gate as it stands; None for an account that has none."""
    row = await view.get(_GATES, broker_id)
    return gate_of(row) if row else None


async def add_gate(view: StoreView, gate: Document) -> None:
    """Write the first document of an account's gate (``new_gate``)."""
    await view.insert(_GATES, gate)


async def raise_fence(view: StoreView, fence: int) -> None:
    """Copy the fence of a new lease into every gate: whoever held the old one sends no more."""
    await view.update(_GATES, {}, Change(set={"fence": fence}, inc={"seq": 1}), many=True)


async def freeze_entries(view: StoreView, broker_id: str) -> None:
    """Stop an account's entries until a user sets NORMAL."""
    await view.update(_GATES, {"_id": broker_id}, Change(set={"frozen": True}, inc={"seq": 1}))


async def set_address_trouble(view: StoreView, broker_id: str, trouble: str) -> None:
    """Stop an account's entries because of its address, or let them go again with '' (A12)."""
    change = Change(set={"address_trouble": trouble}, inc={"seq": 1})
    await view.update(_GATES, {"_id": broker_id}, change)


async def close_gate(view: StoreView, broker_id: str) -> None:
    """Let no strategy's order through any more: the account is disconnected."""
    closed = Change(set={"enabled": False, "drain": False}, inc={"seq": 1, "version": 1})
    await view.update(_GATES, {"_id": broker_id}, closed)


async def pass_gate(view: StoreView, broker_id: str, *, fence: int) -> Gate:
    """Write the gate inside a transaction, as its first step; return what it says.

    The caller checks what it read (``core.engine.orders.risk``): whatever moves the gate meanwhile
    makes this transaction fail.

    Raises:
        Denied: The gate moved at this very moment.
        LeaseLost: Another controller has taken over.
    """
    row = await view.get(_GATES, broker_id)
    if row is None:
        raise NotFound(f"Account {broker_id} has no gate.")
    gate = gate_of(row)
    if gate.fence != fence:
        raise LeaseLost(f"gate fence {gate.fence}, ours {fence}")
    # The filter repeats what was read and the update writes it, so that a change of mode, switch or
    # lease that commits in between makes this transaction fail instead of being overlooked (I6).
    matched = await view.update(
        _GATES,
        {
            "_id": broker_id,
            "fence": fence,
            "mode": gate.mode.value,
            "enabled": gate.enabled,
            "drain": gate.drain,
        },
        Change(inc={"seq": 1}),
    )
    if matched != 1:
        raise Denied("GATE_MOVED", "the mode changed at this very moment")
    return gate


def uncontended(store: ServedStore, broker_ids: Iterable[str]) -> list[str]:
    """Return the accounts whose gates nobody else kept locked lately.

    A run that passes the gates of fifty accounts in one commit waits for the slowest of them.
    """
    contended = store.contended(_GATES)
    return [one for one in broker_ids if one not in contended]


async def hold_fence(view: StoreView, broker_id: str, fence: int) -> None:
    """Prove inside a transaction that no other controller has taken over; raises ``LeaseLost``."""
    mine = {"_id": broker_id, "fence": fence}
    if await view.update(_GATES, mine, Change(inc={"seq": 1})) != 1:
        raise LeaseLost(f"the gate of {broker_id} no longer has fence {fence}")


async def touch_gate(view: StoreView, broker_id: str) -> None:
    """Make a change of something that submissions read collide with them, as a mode change does."""
    await view.update(_GATES, {"_id": broker_id}, Change(inc={"seq": 1}))


async def touch_gates(view: StoreView) -> None:
    """Do so for every account's submissions."""
    await view.update(_GATES, {}, Change(inc={"seq": 1}), many=True)


async def restrict_gates(
    view: StoreView,
    broker_ids: Collection[str],
    chosen: Collection[str],
    *,
    global_mode: TradingMode | None,
    at: datetime,
    by: str,
) -> dict[TradingMode, list[str]]:
    """Make gates EXIT_ONLY at least, in a few writes however many they are.

    Args:
        view: The caller's transaction.
        broker_ids: Whose gates.
        chosen: Those whose own mode changes.
        global_mode: The mode for all; None leaves it.
        at: Real time.
        by: Who asked for it.

    Returns:
        The chosen accounts by the mode of their own that they have now.
    """
    # A transaction of five calls for each of twenty accounts would not end in time when the store
    # is busy, and it collides with every submission meanwhile.
    groups: defaultdict[tuple[TradingMode, TradingMode], list[str]] = defaultdict(list)
    for row in await view.find(_GATES, {"_id": {"$in": list(broker_ids)}}):
        gate = gate_of(row)
        own = gate.account_mode
        if gate.broker_id in chosen:
            own = stricter(own, TradingMode.EXIT_ONLY)
        groups[own, global_mode or gate.global_mode].append(gate.broker_id)
    modes: defaultdict[TradingMode, list[str]] = defaultdict(list)
    for (own, everyone), members in groups.items():
        fields = {
            "account_mode": own.value,
            "global_mode": everyone.value,
            "mode": stricter(own, everyone).value,
            "changed_at": at,
            "changed_by": by,
        }
        change = Change(set=fields, inc={"seq": 1, "version": 1})
        await view.update(_GATES, {"_id": {"$in": members}}, change, many=True)
        modes[own] += [one for one in members if one in chosen]
    return {mode: members for mode, members in modes.items() if members}


async def change_gate(
    view: StoreView,
    broker_id: str,
    *,
    at: datetime,
    by: str,
    account_mode: TradingMode | None = None,
    global_mode: TradingMode | None = None,
    enabled: bool | None = None,
    drain: bool | None = None,
    frozen: bool | None = None,
) -> tuple[Gate, Gate]:
    """Change a gate inside a transaction; return it before and after."""
    row = await view.get(_GATES, broker_id)
    if row is None:
        raise NotFound(f"Account {broker_id} has no gate.")
    old = gate_of(row)
    account = account_mode or old.account_mode
    everyone = global_mode or old.global_mode
    fields = {
        "account_mode": account.value,
        "global_mode": everyone.value,
        "mode": stricter(account, everyone).value,
        "enabled": old.enabled if enabled is None else enabled,
        "drain": old.drain if drain is None else drain,
        "frozen": old.frozen if frozen is None else frozen,
        "changed_at": at,
        "changed_by": by,
    }
    await view.update(_GATES, {"_id": broker_id}, Change(set=fields, inc={"seq": 1, "version": 1}))
    return old, gate_of({**row, **fields, "version": old.version + 1})
