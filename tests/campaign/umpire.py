"""The umpire: judges a world by the broker's ledger and the journal, and believes nobody.

``observe`` looks once a second, ``filled`` at every execution, ``judge`` when the world is at rest.
What both sides agree on in the end is checked by ``tests.invariants``; what is added here is what
only shows on the way: seconds in which something held was neither protected nor being closed nor
named, an exit that closed more than its strategy held, an order that a mode forbade.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import CLOSED_STATES
from tests.campaign.crossings_umpire import CrossingsUmpire
from tests.campaign.passed_umpire import PassedUmpire
from tests.campaign.safeguards_umpire import SafeguardsUmpire
from tests.campaign.vain_umpire import VainUmpire
from tests.campaign.venue import Key, Trade
from tests.campaign.verdict import GRACE_S, REACTION_S, Verdict
from tests.campaign.world import CHAT, World
from tests.invariants import (
    Evidence,
    check_monotone,
    check_no_duplicate,
    check_no_loss,
    check_notifications,
    check_orders_truth,
    check_write_ahead,
)

__all__ = ["GRACE_S", "Umpire", "Verdict"]

STORM = 30
"""Orders of one account within a minute above which the product goes round in a circle."""
_BEGIN_S = 10.0
"""What a controller needs until it has looked at the first prices."""
_CLOSED = {state.value for state in CLOSED_STATES}
_DECIDED = frozenset(
    {"run_card", "login_done", "started", "morning_round", "token_warning", "alarm_over"}
)
"""Notices that name no trouble of a position."""


class Standing(Enum):
    """How a ledger stands: safe, being worked on, or neither."""

    SAFE = "safe"
    AT_WORK = "at work"
    NAKED = "naked"


@dataclass
class Umpire:
    """Watches one world."""

    world: World
    verdict: Verdict = field(default_factory=Verdict)
    modes: list[tuple[float, str, str]] = field(default_factory=list)
    _naked_since: dict[str, float] = field(default_factory=dict)
    _hindered: list[float] = field(default_factory=list)
    _safe_at: dict[str, float] = field(default_factory=dict)
    _counted: Counter[str] = field(default_factory=Counter)
    _true_books: Counter[str] = field(default_factory=Counter)
    _judged: set[str] = field(default_factory=set)
    _alive_since: float = 0.0
    _life: object = None

    def __post_init__(self) -> None:
        self._crossings = CrossingsUmpire(self.world, self._true_books)
        self._vain = VainUmpire(self.world)
        self._passed = PassedUmpire(self.world, self.verdict)
        self._safeguards = SafeguardsUmpire(self.world, self.verdict, self._true_books)

    @property
    def now(self) -> float:
        return self.world.loop.time()

    # Every execution

    def filled(self, broker_id: str, trade: Trade) -> None:
        """An exit or stop of ours closes at most what its strategy holds, and turns nothing."""
        if trade.order.origin != "us":
            return
        row = self.world.database.committed["orders"].get(trade.order.tag or "")
        if row is None:
            self.verdict.bad("orders unknown to the journal", f"{trade.order.tag} filled")
            return
        key = f"{row['strategy']}|{broker_id}|{row['instrument']}|{row['product']}"
        before = self._true_books[key]
        self._true_books[key] = after = before + trade.signed
        if row["purpose"] == "entry" or row["strategy"] == "manual":
            return
        if self._crossings.excuse(row, key):
            return  # what it protected crossed inside, and it filled although it was cancelled
        venue, where = self.world.venue(broker_id), trade.order.key
        since = venue.moved_by_others(where)
        if since is not None:
            # Whose units others closed is the product's decision; the net is everybody's.
            owners = [name for name in self._true_books if name.split("|", 1)[1] in key]
            if self.now - since <= REACTION_S or len(owners) > 1:
                return
            if row["purpose"] == "stop" and self._crossings.is_going(row, since):
                return  # it was seen, and the stop fires while the broker does not take it away
            after = venue.net(where)
            before = after - trade.signed
        if abs(after) > abs(before) or before * after < 0:
            at = f"{self.world.clock.market_now():%H:%M:%S}"
            self.verdict.bad(
                "positions wrong",
                f"{row['purpose']} {row['_id']} took {key} from {before} to {after} at {at}",
            )

    # Every second

    def observe(self) -> None:
        """Look at what is held and at the modes."""
        life = self.world.life
        if life is not self._life:
            self._life, self._alive_since = life, self.now
        gates = self.world.rows("account_gates")
        if (
            life is None
            or life.watch.is_dead
            or self.world.database.is_away
            or self._alive_since == self.now
            or any(self.world.seat(who).is_login_dead for who in self.world.accounts)
            or any(gate["mode"] == "PAUSED" for gate in gates)
        ):
            self._hindered.append(self.now)
        for broker_id in self.world.accounts:
            self.world.venue(broker_id).settle()
            gate = self.world.database.committed["account_gates"].get(broker_id)
            if gate:
                self.modes.append((self.now, broker_id, gate["mode"]))
        for row in self.world.rows("ledgers"):
            self._look_at(row)
        self._vain.observe()
        self._safeguards.observe(is_hindered=self._hindered[-1:] == [self.now])

    def _look_at(self, ledger: Mapping[str, Any]) -> None:
        key, standing = ledger["_id"], self._standing(ledger)
        is_hindered = self._hindered[-1:] == [self.now] or self.now - self._alive_since <= _BEGIN_S
        self._passed.observe(ledger, is_naked=standing is Standing.NAKED, is_hindered=is_hindered)
        gate = self.world.database.committed["account_gates"][ledger["broker_id"]]
        if standing is Standing.NAKED and gate["mode"] == "PAUSED":
            standing = Standing.AT_WORK  # its confirmation named what it leaves alone
        if standing is not Standing.NAKED:
            self._naked_since.pop(key, None)
        if standing is Standing.SAFE:
            self._safe_at[key] = self.now
        if standing is not Standing.NAKED:
            return
        since = max(self._naked_since.setdefault(key, self.now), self._alive_since)
        if self.now - since <= GRACE_S or self._is_named(ledger, self._safe_at.get(key, 0.0)):
            return
        self.verdict.figures["seconds unprotected without a notice"] += 1
        self._counted[key] += 1
        if self._counted[key] == 1:
            at = f"{self.world.clock.market_now():%H:%M:%S}"
            self.verdict.faults.append(
                f"unprotected without a word: {key} {at} {self._why(ledger)}"
            )

    def _why(self, ledger: Mapping[str, Any]) -> str:
        goal = self.world.database.committed["goals"].get(ledger["_id"], {})
        orders = [
            f"{row['purpose']} {row['state']} {row['quantity']} {row['reason']}"
            for row in self._orders_of(ledger)[-4:]
        ]
        wanted = goal.get("quantity"), goal.get("stop_price")
        return f"holds {ledger['quantity']}, wants {wanted}; {orders}"

    def _orders_of(self, ledger: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        names = ("strategy", "broker_id", "instrument", "product")
        return [
            row
            for row in self.world.rows("orders")
            if all(row[name] == ledger[name] for name in names)
        ]

    def _standing(self, ledger: Mapping[str, Any]) -> Standing:
        """Say whether a ledger is flat, asks for no stop, is protected, or is being closed."""
        held, committed = ledger["quantity"], self.world.database.committed
        goal = committed["goals"].get(ledger["_id"])
        if not held or goal is None:
            return Standing.SAFE
        if self.world.life is None:
            return Standing.AT_WORK
        keeps = goal["quantity"] * held > 0
        if keeps and goal.get("stop_price") is None and abs(goal["quantity"]) >= abs(held):
            return Standing.SAFE
        venue = self.world.venue(ledger["broker_id"])
        protects = 0
        for row in self._orders_of(ledger):
            at_work = venue.orders.get(row["broker_order_id"] or "")
            if row["purpose"] == "entry" or row["state"] in _CLOSED:
                continue
            if at_work is None or row["purpose"] == "exit":
                return Standing.AT_WORK  # on its way, unknown, or an exit that works
            if at_work.is_live and not at_work.has_triggered:
                protects += at_work.left
        net = venue.net((InstrumentId.parse(ledger["instrument"]), Product(ledger["product"])))
        is_covered = keeps and protects >= min(abs(held), abs(net))
        return Standing.SAFE if is_covered else Standing.NAKED

    def _is_named(self, ledger: Mapping[str, Any], since: float) -> bool:
        """Whether a notice since a minute before it was last safe tells of its trouble."""
        start = self.world.start.timestamp()
        ids = {row["_id"] for row in self._orders_of(ledger)}
        for row in self.world.rows("outbox"):
            said = row["created_at"].timestamp() - start
            if row["kind"] in _DECIDED or said < since - REACTION_S:
                continue
            data = row["data"]
            if data.get("client_order_id") in ids:
                return True
            about = data.get("instrument", ledger["instrument"])
            if data.get("broker_id") == ledger["broker_id"] and about == ledger["instrument"]:
                return True
        return False

    # At rest

    def judge(self) -> Verdict:
        """Judge the world as it stands, at rest."""
        world, verdict = self.world, self.verdict
        evidence = self._evidence()
        ours = [row for row in evidence.orders() if row["purpose"] != "external"]
        placed = [w for w in evidence.writes if w["action"] == "place" and w["applied"]]
        verdict.figures.update(
            {
                "worlds": 1,
                "kills": world.kills,
                "faults": world.faults,
                "orders intended": len(ours),
                "orders placed": len(placed),
                "commands": len(world.commands),
                "notices": len(evidence.tables["outbox"]),
            }
        )
        for figure, found in (
            ("orders duplicated", check_no_duplicate(evidence)),
            ("orders lost", check_no_loss(evidence)),
            ("invariants broken", world.differences),
            ("invariants broken", check_write_ahead(evidence)),
            ("invariants broken", check_orders_truth(evidence)),
            ("invariants broken", check_monotone(evidence)),
            ("notices lost", check_notifications(evidence)),
            ("notices lost", self._untold()),
            ("positions wrong", self._positions()),
            ("commands lost or doubled", self._commands()),
            ("invariants broken", self._forbidden()),
            ("invariants broken", self._secrets(evidence)),
            ("storms of orders", self._storms()),
            ("stops taken away in vain", self._vain.judge(self._hindered)),
        ):
            for sentence in found:
                verdict.bad(figure, sentence)
        self._safeguards.judge()
        verdict.figures["invariants checked"] += 10
        return verdict

    def _evidence(self) -> Evidence:
        names = ("orders", "order_events", "fills", "ledgers", "outbox", "runs", "run_requests")
        venues = {broker_id: self.world.venue(broker_id) for broker_id in self.world.accounts}
        return Evidence(
            tables={name: self.world.rows(name) for name in (*names, "users")},  # type: ignore[misc]
            writes=[write for venue in venues.values() for write in venue.writes],
            books={broker_id: venue.book() for broker_id, venue in venues.items()},
            accounts={},
            told=self.world.chat,  # type: ignore[arg-type]
            unjournalled=tuple(self.world.unjournalled),
        )

    def _untold(self) -> Iterable[str]:
        """I2: whatever became unknown was said to be so."""
        said = {
            (row["data"].get("client_order_id"), row["created_at"].replace(microsecond=0))
            for row in self.world.rows("outbox")
            if row["kind"] == "order_unresolved"
        }
        for event in self.world.rows("order_events"):
            at = event["at"].replace(microsecond=0)
            when = {at, at + timedelta(seconds=1)}
            told = {(event["client_order_id"], moment) for moment in when} & said
            if event["state"] == "UNRESOLVED" and not told:
                yield f"{event['client_order_id']} became unknown and nobody was told"

    def _books(self, broker_id: str) -> Counter[Key]:
        books: Counter[Key] = Counter()
        for row in self.world.rows("ledgers"):
            if row["broker_id"] == broker_id:
                key = InstrumentId.parse(row["instrument"]), Product(row["product"])
                books[key] += row["quantity"]
        return books

    def _positions(self) -> Iterable[str]:
        """Books are the broker's net; where others traded, no more than it, and of its sign."""
        for broker_id in self.world.accounts:
            venue, books = self.world.venue(broker_id), self._books(broker_id)
            for key in {*venue.touched(), *books}:
                net, book = venue.net(key), books[key]
                if net != book and self.world.is_asked_about(broker_id, key):
                    self.verdict.figures["positions asked about"] += 1
                    continue
                if venue.moved_by_others(key) is None:
                    if net != book:
                        yield f"{broker_id} {key}: the books say {book}, the broker {net}"
                elif book * net < 0 or abs(book) > abs(net):
                    yield f"{broker_id} {key}: the books say {book} beside others, the broker {net}"
                else:
                    yield from self._unexplained(broker_id, key, net - book)

    def _unexplained(self, broker_id: str, key: Key, outside: int) -> Iterable[str]:
        """What no book owns was bought or sold by others, not by us."""
        venue = self.world.venue(broker_id)
        theirs: defaultdict[bool, int] = defaultdict(int)
        for trade in venue.trades:
            if trade.order.key == key and trade.order.origin != "us":
                theirs[trade.signed > 0] += trade.signed
        moved = venue.converted[key]
        low, high = theirs[False] + min(moved, 0), theirs[True] + max(moved, 0)
        if not low <= outside <= high:
            yield f"{broker_id} {key}: {outside} belong to nobody; others traded {low}..{high}"

    def _commands(self) -> Iterable[str]:
        """A wish that was acknowledged took effect, and once (I9)."""
        runs = Counter(row["_id"] for row in self.world.rows("runs"))
        requests = {row["_id"]: row["state"] for row in self.world.rows("run_requests")}
        for request, state in requests.items():
            if state != "done":
                yield f"the run {request} was asked for and is {state}"
        for gate in self.world.rows("account_gates"):
            wanted = self._wanted_mode(gate["_id"])
            if gate["mode"] != wanted:
                yield f"{gate['_id']} is in {gate['mode']}, the last wish was {wanted}"
        for command_id, kind, result in self.world.commands:
            if kind == "run" and result == "done" and not any(command_id in r for r in requests):
                yield f"{kind} {command_id} was acknowledged and is not there"
            if kind == "close" and result == "done" and f"manual|{command_id}" not in runs:
                yield f"{kind} {command_id} was acknowledged and is not there"

    def _wanted_mode(self, broker_id: str) -> str:
        """Return the stricter of what was wanted for all and for this account."""
        wanted = self.world.wanted_modes
        both = (wanted.get(None), wanted.get(broker_id))
        strict = [TradingMode.NORMAL, TradingMode.EXIT_ONLY, TradingMode.PAUSED]
        return max((mode or TradingMode.NORMAL for mode in both), key=strict.index).value

    def _forbidden(self) -> Iterable[str]:
        """I6: nothing was sent that the mode forbade when it was committed."""
        for row in self.world.rows("orders"):
            if row["submitted_at"] is None or row["purpose"] == "external":
                continue
            at = row["submitted_at"].timestamp() - self.world.start.timestamp()
            near = {m for t, who, m in self.modes if who == row["broker_id"] and abs(t - at) <= 2}
            if near == {"PAUSED"} and row["strategy"] != "manual" and not self._is_by_user(row):
                yield f"I6: {row['purpose']} {row['_id']} left in PAUSED"
            if near == {"EXIT_ONLY"} and row["purpose"] == "entry":
                yield f"I6: the entry {row['_id']} left in EXIT_ONLY"

    @staticmethod
    def _is_by_user(row: Mapping[str, Any]) -> bool:
        # A panic closes in every mode, as its confirmation says.
        return str(row["run_id"]).startswith(("manual|", "panic|"))

    def _storms(self) -> Iterable[str]:
        """I11: an account sends no more orders in a minute than something could need."""
        for broker_id in self.world.accounts:
            sent = [w["at"] for w in self.world.venue(broker_id).writes if w["action"] == "place"]
            most = max((sum(at <= other < at + 60 for other in sent) for at in sent), default=0)
            if most > STORM:
                yield f"{broker_id} sent {most} orders within a minute"

    def _secrets(self, evidence: Evidence) -> Iterable[str]:
        """I12: no secret is readable in what is stored or told."""
        told = repr([post for chat, _, _, post in self.world.chat.delivered if chat == CHAT])
        stored = repr(self._plain())
        for canary in ("a secret", "token-of-"):
            if canary in told or canary in stored:
                yield f"I12: {canary!r} is readable"
        assert evidence.tables

    def _plain(self) -> Sequence[Sequence[Mapping[str, Any]]]:
        return [self.world.rows(name) for name in self.world.database.collections]
