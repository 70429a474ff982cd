"""Judges each entry at its commit by the limits in force then; shares no code with the product.

It sees what the transaction saw, and besides it the limits and the entries that others have
committed by then: whatever a submission overlooks of these is a limit that was passed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.fakes.memory_store import MemoryDatabase

__all__ = ["LimitUmpire"]

Row = Mapping[str, Any]
_OPEN = {"SUBMITTED", "UNRESOLVED", "ACCEPTED", "PARTIALLY_FILLED"}
_OPEN |= {"PENDING_CANCEL", "PENDING_UPDATE"}
_NOTHING = {"REJECTED", "NOT_PLACED"}


@dataclass
class LimitUmpire:
    """Watches a database.

    Attributes:
        entries: How many entries were judged.
        faults: What was passed.
    """

    database: MemoryDatabase
    entries: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database.on_commit = self._committed

    def _committed(self, base: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        for key, row in made["orders"].items():
            before = base["orders"].get(key)
            was_sent = before is not None and before["state"] == "SUBMITTED"
            if row["purpose"] == "entry" and row["state"] == "SUBMITTED" and not was_sent:
                self.entries += 1
                self._judge(row, made)

    def _judge(self, entry: Row, made: Mapping[str, Any]) -> None:
        orders = list(made["orders"].values())
        for key, row in self.database.committed["orders"].items():
            seen = made["orders"].get(key)
            is_unseen = seen is None or (seen["submitted_at"] is None and key != entry["_id"])
            if row["purpose"] == "entry" and row["submitted_at"] is not None and is_unseen:
                orders = [one for one in orders if one["_id"] != key]
                orders.append({**row, "state": "SUBMITTED", "filled_quantity": 0})
        for scope in (entry["broker_id"], "all"):
            limits = self.database.committed["limits"].get(scope)
            if limits is None:
                continue
            covered = {scope} if scope != "all" else {one["broker_id"] for one in orders}
            mine = [one for one in orders if one["broker_id"] in covered]
            ledgers = [one for one in made["ledgers"].values() if one["broker_id"] in covered]
            for name, used in self._used(entry, mine, ledgers).items():
                limit = limits.get(name)
                if limit is not None and used > limit:
                    self.faults.append(f"{entry['_id'][-6:]} of {scope}: {name} {used} > {limit}")

    def _used(self, entry: Row, orders: Iterable[Row], ledgers: Iterable[Row]) -> dict[str, Any]:
        """Return what would be used of each limit with the entry in it."""
        units: Counter[tuple[str, str, str]] = Counter()
        net: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        held_before = False
        place = (entry["broker_id"], entry["instrument"], entry["product"])
        for ledger in ledgers:
            where = (ledger["broker_id"], ledger["instrument"], ledger["product"])
            net[where] -= ledger["quantity"]
            sign = 1 if entry["side"] == "BUY" else -1
            is_own = where == place and ledger["strategy"] == entry["strategy"]
            held_before |= where == place and ledger["quantity"] != 0
            if not (is_own and ledger["quantity"] * sign < 0):
                units[where] += abs(ledger["quantity"])
        sent, whole = [], 0
        for order in orders:
            where = (order["broker_id"], order["instrument"], order["product"])
            sign = 1 if order["side"] == "BUY" else -1
            net[where] += order["filled_quantity"] * sign
            if order["purpose"] == "entry" and order["state"] in _OPEN:
                units[where] += order["quantity"] - order["filled_quantity"]
                held_before |= where == place and order["_id"] != entry["_id"]
            if order["strategy"] != "external" and order["submitted_at"] is not None:
                sent.append(order["submitted_at"])
            names = ("run_id", "strategy", "instrument", "product")
            if order["purpose"] == "entry" and order["state"] not in _NOTHING:
                whole += order["quantity"] * all(order[one] == entry[one] for one in names)
        for where, outside in net.items():
            units[where] += abs(outside)
            held_before |= where == place and outside != 0
        same = sum(n for (_, *rest), n in units.items() if tuple(rest) == place[1:])
        price, now = entry["decided_price"], entry["submitted_at"]
        positions = sum(1 for n in units.values() if n)
        return {
            "order_value": whole * price,
            "position_value": same * price,
            # One that is open already may grow, however many are.
            "open_positions": 0 if held_before else positions,
            "orders_minute": sum(1 for at in sent if at > now - timedelta(minutes=1)),
            "orders_day": len(sent),
        }
