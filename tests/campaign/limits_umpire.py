"""Judges limits by the broker's ledger, with arithmetic of its own (row R1).

An entry is judged in the moment of its commit: what is sent from then on is bound by what the
limits say then. What a person trades besides counts for the product and not here, for nobody knows
when it is seen: an entry that is objected to here was beyond the limit in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from tests.campaign.venue import Key
from tests.campaign.verdict import GRACE_S, REACTION_S, Verdict
from tests.campaign.world import World, Written

__all__ = ["LimitsUmpire", "result_of"]

Row = Mapping[str, Any]
_REARM_S = 300.0
_CANDLE = timedelta(seconds=150)
"""How old the price may be by which an entry was sized: a bar that has closed, and the wait."""
_GONE = {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "NOT_PLACED", "DENIED"}
_NOTHING = {"REJECTED", "NOT_PLACED", "DENIED"}


def result_of(world: World, broker_id: str) -> Decimal:
    """Return the day's result of an account before charges: rupees received, and what is held."""
    venue, total = world.venue(broker_id), Decimal(0)
    for trade in venue.trades:
        last = venue.market.price(trade.order.instrument, venue.wall())
        total += trade.signed * (last - trade.price)
    return total


def key_of(row: Row) -> Key:
    """Return where an order or ledger counts."""
    return InstrumentId.parse(row["instrument"]), Product(row["product"])


@dataclass
class LimitsUmpire:
    """Watches the limits of one world; ``books`` are units by ``strategy|account|…``."""

    world: World
    verdict: Verdict
    books: Counter[str]
    _stopped: dict[str, float] = field(default_factory=dict)
    _calm_since: dict[str, float] = field(default_factory=dict)
    _beyond_since: dict[str, float] = field(default_factory=dict)
    _late: set[str] = field(default_factory=set)

    # Commits

    def committed(self, changed: Iterable[Written]) -> None:
        """Take in what was told of daily losses, and how many limits were set."""
        for one in changed:
            if (
                one.collection == "outbox"
                and one.new["kind"] == "daily_loss_reached"
                and not one.old
            ):
                self._reached(one.new["data"])
            if one.collection == "limits":
                numbers = ("daily_loss", *_ENTRIES)
                old = one.old or {}
                is_set = any(old.get(name) != one.new.get(name) for name in numbers)
                self.verdict.figures["limits set or removed"] += is_set

    def _reached(self, told: Mapping[str, Any]) -> None:
        self.verdict.figures["daily losses"] += 1
        for broker_id in told["stopped"]:
            self._stopped[broker_id] = self.world.loop.time()
            self.world.wanted_modes[broker_id] = TradingMode.EXIT_ONLY

    def set_normal(self, broker_id: str) -> None:
        """A user has set an account to NORMAL: not within five minutes after its daily loss."""
        since = self._stopped.pop(broker_id, None)
        if since is not None and self.world.loop.time() - since < _REARM_S:
            waited = self.world.loop.time() - since
            self._bad(f"{broker_id} was set to NORMAL {waited:.0f} s after its daily loss")

    def left(self, entry: Row) -> None:
        """An entry leaves: it passes no limit, and not where the daily loss has stopped it."""
        broker_id = entry["broker_id"]
        if broker_id in self._stopped:
            self._bad(f"the entry {entry['_id']} left after the daily loss of {broker_id}")
        for scope in (broker_id, "all"):
            limits = self.world.database.committed["limits"].get(scope)
            if limits is None:
                continue
            whose = [broker_id] if scope != "all" else self.world.accounts
            for name, used in self._used(entry, whose).items():
                limit = limits.get(name)
                if limit is not None and used > limit:
                    self._bad(f"the entry {entry['_id']}: {name} of {scope} {used} > {limit}")

    def _used(self, entry: Row, whose: Iterable[str]) -> dict[str, Decimal | int]:
        """Return what is used of each limit with the entry in it, at least."""
        covered = set(whose)
        orders = [row for row in self.world.rows("orders") if row["broker_id"] in covered]
        sent = [
            row["submitted_at"]
            for row in orders
            if row["strategy"] != "external" and row["submitted_at"] is not None
        ]
        now, price = entry["submitted_at"], self._lowest_price(entry)
        same = ("strategy", "run_id", "instrument", "product")
        whole = sum(
            row["quantity"]
            for row in orders
            if row["purpose"] == "entry"
            and row["submitted_at"] is not None
            and row["state"] not in _NOTHING
            and all(row[name] == entry[name] for name in same)
        )
        units = self._units(entry, covered, orders)
        here = entry["broker_id"], key_of(entry)
        others = {where for where, held in units.items() if held and where != here}
        # What a hand holds of it is open as well: the entry opens no other position.
        by_hand = self.world.venue(here[0]).net(here[1])
        is_open = by_hand != 0 or units[here] > entry["quantity"]
        at_key = sum(held for (_, key), held in units.items() if key == here[1])
        return {
            "order_value": whole * price,
            "position_value": at_key * price,
            "open_positions": 0 if is_open else len(others) + 1,
            "orders_minute": sum(at > now - timedelta(minutes=1) for at in sent),
            "orders_day": len(sent),
        }

    def _units(
        self, entry: Row, covered: set[str], orders: Iterable[Row]
    ) -> Counter[tuple[str, Key]]:
        """Return the units that strategies hold or are entering; 0 where others traded lately."""
        units: Counter[tuple[str, Key]] = Counter()
        for name, held in self.books.items():
            strategy, broker_id, instrument, product = name.split("|")
            key = InstrumentId.parse(instrument), Product(product)
            is_own = (strategy, broker_id, key) == (
                entry["strategy"],
                entry["broker_id"],
                key_of(entry),
            )
            is_reversed = is_own and held * (1 if entry["side"] == "BUY" else -1) < 0
            if broker_id in covered and strategy != "manual" and not is_reversed:
                units[broker_id, key] += abs(held)
        for broker_id, key in list(units):
            venue = self.world.venue(broker_id)
            since = venue.moved_by_others(key)
            if since is not None:
                is_seen = self.world.loop.time() - since > REACTION_S
                units[broker_id, key] = min(units[broker_id, key], abs(venue.net(key)) * is_seen)
        for row in orders:
            if row["purpose"] == "entry" and row["submitted_at"] and row["state"] not in _GONE:
                at_work = self.world.venue(row["broker_id"]).of_tag(row["_id"])
                filled = at_work.filled if at_work else 0
                units[row["broker_id"], key_of(row)] += max(0, row["quantity"] - filled)
        return units

    def _lowest_price(self, entry: Row) -> Decimal:
        venue, at = self.world.venue(entry["broker_id"]), entry["submitted_at"]
        instrument, start = key_of(entry)[0], entry["created_at"] - _CANDLE
        steps = int((at - start).total_seconds() // 5) + 1
        moments = [venue.wall() - timedelta(seconds=5 * n) for n in range(steps)]
        return min(venue.market.price(instrument, moment) for moment in moments)

    # Every second

    def observe(self, *, is_hindered: bool) -> None:
        """A loss beyond the limit that can be known ends in EXIT_ONLY within half a minute."""
        now, everybody = self.world.loop.time(), Decimal(0)
        calm_for = {}
        for broker_id in self.world.accounts:
            if is_hindered or not self._is_plain(broker_id):
                self._calm_since[broker_id] = now
            calm_for[broker_id] = now - self._calm_since.setdefault(broker_id, now)
            result = result_of(self.world, broker_id)
            everybody += result
            self._look(broker_id, [broker_id], result, calm_for[broker_id])
        if self.world.accounts:
            self._look("all", self.world.accounts, everybody, min(calm_for.values()))

    def _look(
        self, scope: str, accounts: Iterable[str], result: Decimal, calm_for_s: float
    ) -> None:
        limits = self.world.database.committed["limits"].get(scope) or {}
        limit, now = limits.get("daily_loss"), self.world.loop.time()
        gates = self.world.database.committed["account_gates"]
        normal = [who for who in accounts if gates[who]["account_mode"] == "NORMAL"]
        if limit is None or result > -limit or not normal:
            self._beyond_since.pop(scope, None)
            return
        since = self._beyond_since.setdefault(scope, now)
        if min(now - since, calm_for_s) > GRACE_S and scope not in self._late:
            self._late.add(scope)
            self._bad(f"{scope} lost {-result} of {limit} for {now - since:.0f} s in NORMAL")

    def _is_plain(self, broker_id: str) -> bool:
        """Whether an account can be read, and nobody else has moved anything on it lately."""
        client, now = self.world.seat(broker_id), self.world.loop.time()
        venue = client.venue
        moved = [at for at, _ in venue.foreign if now - at < REACTION_S]
        asked = any(self.world.is_asked_about(broker_id, key) for key in venue.touched())
        is_blind = asked or bool(venue.conversions)
        return client.troubles.is_calm and not moved and not is_blind

    def _bad(self, sentence: str) -> None:
        self.verdict.bad("limits passed", f"{sentence} ({self.world.clock.market_now():%H:%M:%S})")


_ENTRIES = ("order_value", "position_value", "open_positions", "orders_minute", "orders_day")
