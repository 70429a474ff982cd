"""Views: what accounts, snapshots and the journal show, put together for a user (product.md E)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from core.domain.account import Account, TokenStatus
from core.domain.broker import Position
from core.domain.broker_profile import BrokerProfile
from core.domain.day_result import DayResult, day_result
from core.domain.identifiers import is_paper
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.notices.result_guards import GuardFired
from core.domain.notices.stored import from_document
from core.domain.order import EXTERNAL, LIVE_STATES, OPEN_STATES, Order, OrderState
from core.domain.profit import Profit, days_profit
from core.domain.protection import awaited
from core.domain.sessions import trading_day
from core.domain.truth import Key, key_of
from core.domain.views import (
    DashboardView,
    DrainView,
    ExposureView,
    OrderView,
    PnlView,
    PositionView,
    RunLine,
    RunView,
    TradeView,
)
from core.engine.accounts.accounts import Accounts
from core.engine.control.projections import (
    at_broker,
    bare_by_hand,
    is_stop,
    ledger_view,
    order_view,
    position_view,
    value_of,
)
from core.engine.control.run_results import never_entered, no_longer_held, result_of_run
from core.engine.orders.gate import gate_at
from core.engine.orders.goals import goals_of
from core.engine.orders.guards import lasting_gaps
from core.engine.orders.journal import Journal
from core.engine.orders.limit_use import held_back
from core.engine.orders.practice import was_practised
from core.engine.orders.protections import Protections, Standing
from core.engine.orders.reconciliation import Snapshot
from core.engine.orders.run_rows import newest_run, run_at
from core.engine.orders.waiting import left_of
from core.engine.runs.plan import target_of
from core.engine.workers.account_worker import AccountWorker
from core.errors import NotFound
from core.ports.clock import Clock
from core.ports.store import Document, Store

__all__ = ["Protected", "Views"]

PRACTICE = "prices are made up for practice until you connect a broker"
_RECENT_READ = timedelta(seconds=3)


class Protected(dict[str, list[Standing]]):
    """How what accounts hold is protected, by account: read once for the runs of one answer."""


class Views:
    """Puts views together; changes nothing.

    ``worker`` returns an account's worker while it runs, ``proof_address`` where it has to be
    proved before it enters (F8), ``instruments`` what is known of a broker's list.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        worker: Callable[[str], AccountWorker | None],
        protections: Protections,
        proof_address: Callable[[str], str | None],
        instruments: Callable[[BrokerProfile], Mapping[InstrumentId, Instrument]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._worker = worker
        self._protections = protections
        self._proof_address = proof_address
        self._instruments = instruments

    @property
    def _today(self) -> str:
        return trading_day(self._clock.market_now())

    def _snapshot(self, broker_id: str) -> Snapshot | None:
        # Yesterday's figures under today's date would mislead more than none at all.
        worker = self._worker(broker_id)
        if worker is None or worker.snapshot.day != self._today:
            return None
        return worker.snapshot

    async def _chosen(self, broker_id: str | None) -> tuple[Account, ...]:
        if broker_id is None:
            return await self._accounts.all()
        return (await self._accounts.get(broker_id),)

    async def mode_of(self, broker_id: str) -> TradingMode:
        """Return an account's effective mode."""
        # Without a gate nothing can be sent (C4), and that is what PAUSED says.
        gate = await gate_at(self._store, broker_id)
        return gate.mode if gate else TradingMode.PAUSED

    async def look(self, broker_id: str) -> str:
        """Read an account's broker, within a deadline; return what went wrong, or ''."""
        worker = self._worker(broker_id)
        if worker is None or self._is_recent(worker.snapshot):
            return ""
        return await worker.refresh()

    async def dashboard(self, broker_id: str) -> DashboardView:
        """Return one account's dashboard, by the last read of its broker."""
        account = await self._accounts.get(broker_id)
        snapshot = self._snapshot(broker_id)
        orders = await self.orders(broker_id)
        return DashboardView(
            account=account,
            effective_mode=await self.mode_of(broker_id),
            as_of=snapshot.as_of if snapshot else None,
            funds=snapshot.funds if snapshot else None,
            pnl=self._pnl(account, snapshot),
            positions=await self.positions(broker_id),
            working=tuple(order for order in orders if order.state in OPEN_STATES),
            trades=await self.trades(broker_id),
            holdings=tuple(snapshot.holdings or ()) if snapshot else (),
            incomplete=(
                *((PRACTICE,) if await self.are_made_up() else ()),
                *self._incomplete(account, snapshot),
            ),
            held_back=await held_back(
                self._store, broker_id, self._proof_address(broker_id), self._today
            ),
        )

    async def as_of(self, broker_id: str | None) -> datetime | None:
        """Return when an account was last read, market time; of several the one longest ago."""
        reads = [self._snapshot(one.broker_id) for one in await self._chosen(broker_id)]
        known = [one.as_of for one in reads if one is not None and one.as_of is not None]
        return min(known, default=None)

    def _is_recent(self, snapshot: Snapshot) -> bool:
        # Funds are read less often than positions; both are shown under one "as of".
        reads, now = (snapshot.positions_at, snapshot.funds_at), self._clock.now()
        return all(at is not None and now - at < _RECENT_READ for at in reads)

    async def are_made_up(self) -> bool:
        """Return whether every price is made up: no broker is connected, only paper (F6)."""
        return await self._accounts.are_all_paper()

    def _incomplete(self, account: Account, snapshot: Snapshot | None) -> tuple[str, ...]:
        sentences = []
        if account.token_status is TokenStatus.EXPIRED:
            sentences.append(f"token not refreshed for {account.display_name}")
        worker = self._worker(account.broker_id)
        if worker is not None and worker.trouble and not account.needs_login:
            sentences.append(f"the last read failed: {worker.trouble}")
        for what, count in (snapshot.odd if snapshot else {}).items():
            if count:
                sentences.append(f"{count} {what}(s) of the broker's list could not be read")
        if snapshot is None or snapshot.as_of is None:
            sentences.append("nothing was read from the broker yet today")
        return tuple(sentences)

    async def positions(self, broker_id: str | None) -> tuple[PositionView, ...]:
        """Return positions of one account or all: open ones, and those closed today."""
        found: list[PositionView] = []
        for account in await self._chosen(broker_id):
            snapshot = self._snapshot(account.broker_id)
            if snapshot is None or snapshot.positions is None:
                continue
            owners = await self._owners(account.broker_id)
            stops = await self._stops(account.broker_id)
            standings = await self._standings(account)
            for position in snapshot.positions:
                key = (position.instrument, position.product)
                profit = _profit(position, snapshot)
                charges = self._charges(account, snapshot, position)
                warnings = _warnings(standings, key)
                warnings += bare_by_hand(position, owners.get(key, {}), stops.get(key))
                found.append(
                    position_view(
                        account,
                        position,
                        profit,
                        charges,
                        owners.get(key, {}),
                        stops.get(key),
                        warnings,
                    )
                )
            shown = {(one.instrument, one.product) for one in snapshot.positions}
            # What a strategy holds does not go away because the broker's list lacks it.
            found.extend(
                _held_view(account, ledger, stops, standings)
                for ledger in await self._journal.ledgers(account.broker_id)
                if ledger.quantity and (ledger.instrument, ledger.product) not in shown
            )
        return tuple(found)

    async def held(self, broker_id: str) -> tuple[PositionView, ...]:
        """Return what an account holds with what protects it, by the last read of today.

        Where there was none, what strategies hold: an account that waits for its login has not
        stopped to hold it.
        """
        snapshot = self._snapshot(broker_id)
        if snapshot is not None and snapshot.positions is not None:
            return tuple(one for one in await self.positions(broker_id) if one.quantity)
        account = await self._accounts.get(broker_id)
        stops, standings = await self._stops(broker_id), await self._standings(account)
        ledgers = await self._journal.ledgers(broker_id)
        held = [ledger for ledger in ledgers if ledger.quantity]
        return tuple(_held_view(account, ledger, stops, standings) for ledger in held)

    async def _standings(self, account: Account) -> list[Standing]:
        standings = await self._protections.of_account(
            account.broker_id, needs_login=account.needs_login
        )
        if not any(one.protection.is_to_come for one in standings):
            return standings
        lasting = await lasting_gaps(self._store, account.broker_id, self._clock.now())
        return [
            one if one.ledger.key in lasting else replace(one, protection=awaited(one.protection))
            for one in standings
        ]

    async def _owners(self, broker_id: str) -> dict[tuple[InstrumentId, Product], dict[str, int]]:
        owners: dict[tuple[InstrumentId, Product], dict[str, int]] = {}
        for ledger in await self._journal.ledgers(broker_id):
            if ledger.quantity:
                shares = owners.setdefault((ledger.instrument, ledger.product), {})
                shares[ledger.strategy] = ledger.quantity
        return owners

    async def _stops(self, broker_id: str) -> dict[tuple[InstrumentId, Product], Decimal]:
        return {
            (order.request.instrument, order.request.product): order.request.trigger_price
            for order in await self._journal.pending(broker_id)
            if is_stop(order)
            and order.state in LIVE_STATES
            and order.request.trigger_price is not None
        }

    async def orders(self, broker_id: str | None) -> tuple[OrderView, ...]:
        """Return today's orders, newest first."""
        found: list[OrderView] = []
        for account in await self._chosen(broker_id):
            today = await self._journal.of_day(account.broker_id, self._today)
            found.extend(order_view(self._clock, account, order) for order in today)
        return tuple(sorted(found, key=lambda view: view.at, reverse=True))

    async def order(self, client_order_id: str) -> OrderView:
        """Return one order of the journal; raises ``NotFound``."""
        order = await self._journal.get(client_order_id)
        return order_view(self._clock, await self._any_account(order.broker_id), order)

    async def _any_account(self, broker_id: str) -> Account | str:
        try:
            return await self._accounts.get(broker_id)
        except NotFound:
            return await self._accounts.label_of(broker_id)

    async def trades(self, broker_id: str | None) -> tuple[TradeView, ...]:
        """Return today's trades, newest first."""
        found: list[TradeView] = []
        for account in await self._chosen(broker_id):
            # By the broker's id: a trade may be kept before it is known which order it is of.
            strategies = {
                order.broker_order_id: order.strategy
                for order in await self._journal.of_day(account.broker_id, self._today)
            }
            for _, trade in await self._journal.trades_of_day(account.broker_id, self._today):
                strategy = strategies.get(trade.broker_order_id, EXTERNAL)
                found.append(TradeView(account.label, trade, strategy))
        floor = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(found, key=lambda view: view.trade.traded_at or floor, reverse=True))

    async def pnl(self, broker_id: str | None) -> tuple[PnlView, ...]:
        """Return today's profit by account."""
        accounts = await self._chosen(broker_id)
        return tuple(self._pnl(account, self._snapshot(account.broker_id)) for account in accounts)

    async def day_result(self, broker_id: str) -> DayResult | None:
        """Return today's result of an account by its last read; None where there was none."""
        account = await self._accounts.get(broker_id)
        return self._day_result(account, self._snapshot(broker_id))

    def _day_result(self, account: Account, snapshot: Snapshot | None) -> DayResult | None:
        if snapshot is None or snapshot.positions is None:
            return None
        trades, holdings = snapshot.trades or (), snapshot.holdings or ()
        day = date.fromisoformat(self._today)
        return day_result(snapshot.positions, trades, holdings, account.broker.name, day)

    def _pnl(self, account: Account, snapshot: Snapshot | None) -> PnlView:
        result = self._day_result(account, snapshot)
        if result is None:
            return PnlView(account.broker_id, account.label, None, None)
        return PnlView(
            account.broker_id,
            account.label,
            result.realised,
            result.unrealised,
            result.all_charges,
        )

    def _charges(self, account: Account, snapshot: Snapshot, position: Position) -> Decimal | None:
        """Return the charges of one position by itself, with those of closing it."""
        key = key_of(position)
        trades = [one for one in snapshot.trades or () if (one.instrument, one.product) == key]
        day = date.fromisoformat(self._today)
        holdings = snapshot.holdings or ()
        return day_result([position], trades, holdings, account.broker.name, day).all_charges

    async def exposure(self, broker_id: str) -> ExposureView:
        """Return what an account holds and has working, read fresh from the broker if possible."""
        worker = self._worker(broker_id)
        trouble = await worker.refresh() if worker else "not started yet"
        account = await self._accounts.get(broker_id)
        every = await self.positions(broker_id)
        positions = [view for view in every if view.quantity]
        working = [o for o in await self.orders(broker_id) if o.state in OPEN_STATES]
        # What strategies hold against one another is none at the broker, and theirs all the same.
        owned = tuple(view for view in every if view.owners)
        ledgers = await self._journal.ledgers(broker_id)
        held = [ledger for ledger in ledgers if ledger.quantity]
        known = not trouble and not account.needs_login
        # A broker that cannot be read does not make the strategies' positions go away: the user is
        # asked about them by the ledgers (A5).
        if not known and held and not owned:
            owned = tuple(ledger_view(account, ledger) for ledger in held)
        return ExposureView(account, tuple(positions), owned, tuple(working), known)

    async def drain(self) -> tuple[DrainView, ...]:
        """Return what each EXIT_ONLY account still holds (S1, C5)."""
        found = []
        for account in await self._accounts.all():
            if await self.mode_of(account.broker_id) is not TradingMode.EXIT_ONLY:
                continue
            snapshot = self._snapshot(account.broker_id)
            positions = tuple(p for p in await self.positions(account.broker_id) if p.quantity)
            holdings = tuple(snapshot.holdings or ()) if snapshot else ()
            working = [o for o in await self.orders(account.broker_id) if o.state in OPEN_STATES]
            known = snapshot is not None and snapshot.positions is not None
            value = value_of(positions, holdings) if known else None
            found.append(DrainView(account, positions, holdings, tuple(working), value))
        return tuple(found)

    async def run(self, run_id: str, seen: Protected | None = None) -> RunView:
        """Return one run with a line an account; raises ``NotFound``.

        Args:
            run_id: The run.
            seen: What was read of protections for other runs of the same answer.
        """
        seen = Protected() if seen is None else seen
        row = await run_at(self._store, run_id)
        if row is None:
            raise NotFound("I do not know that run, or keep it no longer.")
        if row.get("kind") == "fired":
            return await self._fired(row)
        orders: dict[str, list[Order]] = {}
        for order in await self._journal.of_run(run_id):
            orders.setdefault(order.broker_id, []).append(order)
        lines, brokers = [], []
        for broker_id in row["broker_ids"]:
            account = await self._any_account(broker_id)
            label = account if isinstance(account, str) else account.label
            brokers += [] if isinstance(account, str) else [account.broker]
            mine = orders.get(broker_id, [])
            shown = tuple(order_view(self._clock, account, one) for one in _in_order(mine))
            note, bare = row["notes"].get(broker_id, ""), await self._bare(account, run_id, seen)
            warnings = tuple(f"{one.ledger.instrument}: {one.protection.warning}" for one in bare)
            result = await self._result(broker_id, mine)
            traded = {one.instrument for one in shown}
            late = await never_entered(self._store, broker_id, row, traded)
            quiet = broker_id in row.get("quiet", ())
            keys = tuple(one.ledger.key for one in bare)
            gone = no_longer_held(mine, await self._journal.ledgers(broker_id)) if mine else ()
            what = (broker_id, label, shown, note, warnings, *result, late, quiet, keys, gone)
            lines.append(RunLine(*what))
        tables = [self._instruments(one) for one in dict.fromkeys(brokers)]
        return RunView(
            run_id=run_id,
            strategy=row["strategy"],
            title=row["strategy"],
            slot_at=row["slot_at"],
            targets=tuple(at_broker(target_of(one), tables) for one in row["targets"]),
            lines=tuple(lines),
            note=row.get("kind", ""),
            is_closing=row.get("kind", "") != ""
            and await self._is_closing(row["broker_ids"], run_id),
            is_practice=all(map(is_paper, row["broker_ids"]))
            and await was_practised(self._store, trading_day(row["slot_at"])),
        )

    async def _fired(self, row: Document) -> RunView:
        """Return the run of a guard that fires, with those that close for it."""
        fired = from_document(row["fired"])
        seen = Protected()
        parts = [await self.run(one, seen) for one in row["runs"]]
        return RunView(
            run_id=row["_id"],
            strategy=row["strategy"],
            title=row["strategy"],
            slot_at=row["slot_at"],
            targets=(),
            lines=(),
            note=row["kind"],
            is_closing=any(one.is_closing for one in parts),
            fired=fired if isinstance(fired, GuardFired) else None,
            parts=tuple(parts),
        )

    async def _is_closing(self, broker_ids: Sequence[str], run_id: str) -> bool:
        """Whether a decision to close has something left to close."""
        for broker_id in broker_ids:
            for goal in await goals_of(self._store, broker_id):
                if goal.run_id == run_id and await left_of(self._store, goal, self._today):
                    return True
        return False

    async def _result(
        self, broker_id: str, orders: Sequence[Order]
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return what orders of a run have brought, and the charges of it."""
        days = {one.day for one in orders if one.filled_quantity}
        if not days:
            return None, None
        today = [one for day in days for one in await self._journal.of_day(broker_id, day)]
        return result_of_run(orders, today)

    async def _bare(self, account: Account | str, run_id: str, seen: Protected) -> list[Standing]:
        """Return what of a run is unprotected now, or watched here alone."""
        if isinstance(account, str):
            return []
        if account.broker_id not in seen:
            seen[account.broker_id] = await self._standings(account)
        lines = ((one, one.bare_line) for one in seen[account.broker_id])
        return [one for one, line in lines if line is not None and line.run_id == run_id]

    async def last_run(self, strategy: str) -> RunView | None:
        """Return a strategy's newest run."""
        run_id = await newest_run(self._store, strategy, self._clock.market_now())
        return await self.run(run_id) if run_id else None


_WAITING = frozenset({OrderState.INITIALIZED, OrderState.HELD})


def _in_order(orders: Iterable[Order]) -> list[Order]:
    """Return orders as they went out, and last what waits to go.

    The entry of a reversal waits for its exit, and was written down with it or before it.
    """
    return sorted(
        orders, key=lambda one: (one.state in _WAITING, one.submitted_at or one.created_at)
    )


def _profit(position: Position, snapshot: Snapshot) -> Profit:
    return days_profit(position, snapshot.trades or (), snapshot.holdings or ())


def _held_view(
    account: Account, ledger: Ledger, stops: Mapping[Key, Decimal], standings: Sequence[Standing]
) -> PositionView:
    key = key_of(ledger)
    return ledger_view(account, ledger, stops.get(key), _warnings(standings, key))


def _warnings(standings: Sequence[Standing], key: tuple[InstrumentId, Product]) -> list[str]:
    """Return the warnings of one position, each with its strategy where several hold it."""
    found = [one for one in standings if (one.ledger.instrument, one.ledger.product) == key]
    said = [one for one in found if one.protection.warning]
    if len(found) > 1:
        return [f"{one.ledger.strategy}: {one.protection.warning}" for one in said]
    return [one.protection.warning for one in said]
