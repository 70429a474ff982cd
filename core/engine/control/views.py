"""Views: what accounts, books and the journal show, put together for a person (product.md E)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from core.domain.account import Account, TokenStatus
from core.domain.broker import BrokerTrade, Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.order import EXTERNAL, LIVE_STATES, OPEN_STATES, Order, OrderState, Purpose, Side
from core.domain.sessions import trading_day
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
from core.engine.orders.gate import GATES, gate_of
from core.engine.orders.journal import Journal
from core.engine.orders.reconciliation import Snapshot
from core.engine.runs.plan import target_of
from core.engine.workers.account_worker import AccountWorker
from core.errors import NotFound
from core.ports.clock import Clock
from core.ports.store import Document, Store

__all__ = ["ViewParts", "Views", "position_key"]


def position_key(instrument: InstrumentId, product: Product) -> str:
    """Return a position's handle for buttons."""
    return f"{instrument}|{product}"


@dataclass(frozen=True, slots=True)
class ViewParts:
    """What the views are put together from. ``worker`` returns an account's worker, if it runs."""

    store: Store
    clock: Clock
    accounts: Accounts
    journal: Journal
    worker: Callable[[str], AccountWorker | None]


class Views:
    """Puts views together; changes nothing."""

    def __init__(self, parts: ViewParts) -> None:
        self._parts = parts

    @property
    def _today(self) -> str:
        return trading_day(self._parts.clock.market_now())

    def _book(self, broker_id: str) -> Snapshot | None:
        worker = self._parts.worker(broker_id)
        if worker is None or worker.snapshot.day != self._today:
            return None
        return worker.snapshot

    async def _chosen(self, broker_id: str | None) -> tuple[Account, ...]:
        if broker_id is None:
            return await self._parts.accounts.all()
        return (await self._parts.accounts.get(broker_id),)

    async def mode_of(self, broker_id: str) -> TradingMode:
        """Return an account's effective mode."""
        row = await self._parts.store.get(GATES, broker_id)
        return gate_of(row).mode if row else TradingMode.PAUSED

    async def dashboard(self, broker_id: str) -> DashboardView:
        """Return one account's dashboard from the last reads."""
        account = await self._parts.accounts.get(broker_id)
        snapshot = self._book(broker_id)
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
            incomplete=self._incomplete(account, snapshot),
        )

    def _incomplete(self, account: Account, snapshot: Snapshot | None) -> tuple[str, ...]:
        sentences = []
        if account.token_status is TokenStatus.EXPIRED:
            sentences.append(f"token not refreshed for {account.display_name}")
        worker = self._parts.worker(account.broker_id)
        if worker is not None and worker.trouble and not account.needs_login:
            sentences.append(f"the last read failed: {worker.trouble}")
        if snapshot is None or snapshot.as_of is None:
            sentences.append("nothing was read from the broker yet today")
        return tuple(sentences)

    async def positions(self, broker_id: str | None) -> tuple[PositionView, ...]:
        """Return positions of one account or all: open ones, and those closed today."""
        found: list[PositionView] = []
        for account in await self._chosen(broker_id):
            snapshot = self._book(account.broker_id)
            if snapshot is None or snapshot.positions is None:
                continue
            owners = await self._owners(account.broker_id)
            stops = await self._stops(account.broker_id)
            for position in snapshot.positions:
                key = (position.instrument, position.product)
                found.append(_position(account, position, owners.get(key, {}), stops.get(key)))
        return tuple(found)

    async def _owners(self, broker_id: str) -> dict[tuple[InstrumentId, Product], dict[str, int]]:
        owners: dict[tuple[InstrumentId, Product], dict[str, int]] = {}
        for ledger in await self._parts.journal.ledgers(broker_id):
            if ledger.quantity:
                shares = owners.setdefault((ledger.instrument, ledger.product), {})
                shares[ledger.strategy] = ledger.quantity
        return owners

    async def _stops(self, broker_id: str) -> dict[tuple[InstrumentId, Product], Decimal]:
        return {
            (order.request.instrument, order.request.product): order.request.trigger_price
            for order in await self._parts.journal.pending(broker_id)
            if order.purpose is Purpose.STOP
            and order.state in LIVE_STATES
            and order.request.trigger_price is not None
        }

    async def orders(self, broker_id: str | None) -> tuple[OrderView, ...]:
        """Return today's orders, newest first."""
        found: list[OrderView] = []
        for account in await self._chosen(broker_id):
            today = await self._parts.journal.of_day(account.broker_id, self._today)
            found.extend(_order(self._parts.clock, account, order) for order in today)
        return tuple(sorted(found, key=lambda view: view.at, reverse=True))

    async def order(self, client_order_id: str) -> OrderView:
        """Return one order."""
        order = await self._parts.journal.get(client_order_id)
        return _order(self._parts.clock, await self._any_account(order.broker_id), order)

    async def _any_account(self, broker_id: str) -> Account | str:
        try:
            return await self._parts.accounts.get(broker_id)
        except NotFound:
            return broker_id

    async def trades(self, broker_id: str | None) -> tuple[TradeView, ...]:
        """Return today's trades, newest first."""
        found: list[TradeView] = []
        for account in await self._chosen(broker_id):
            where = {"broker_id": account.broker_id, "day": self._today}
            rows = await self._parts.store.find("fills", where)
            strategies = {
                order.client_order_id: order.strategy
                for order in await self._parts.journal.of_day(account.broker_id, self._today)
            }
            for row in rows:
                strategy = strategies.get(row["client_order_id"], EXTERNAL)
                found.append(TradeView(account.label, _trade(row), strategy))
        floor = datetime.min.replace(tzinfo=UTC)
        return tuple(sorted(found, key=lambda view: view.trade.traded_at or floor, reverse=True))

    async def pnl(self, broker_id: str | None) -> tuple[PnlView, ...]:
        """Return today's profit by account."""
        accounts = await self._chosen(broker_id)
        return tuple(self._pnl(account, self._book(account.broker_id)) for account in accounts)

    def _pnl(self, account: Account, snapshot: Snapshot | None) -> PnlView:
        if snapshot is None or snapshot.positions is None:
            return PnlView(account.broker_id, account.label, None, None)
        realised = sum((position.realised for position in snapshot.positions), Decimal(0))
        unrealised = sum((position.unrealised for position in snapshot.positions), Decimal(0))
        return PnlView(account.broker_id, account.label, realised, unrealised)

    async def exposure(self, broker_id: str, trouble: str) -> ExposureView:
        """Return what hangs on an account; ``trouble`` is what went wrong in a fresh read."""
        account = await self._parts.accounts.get(broker_id)
        positions = [view for view in await self.positions(broker_id) if view.quantity]
        working = [o for o in await self.orders(broker_id) if o.state in OPEN_STATES]
        owned = tuple(view for view in positions if view.owners)
        ledgers = await self._parts.journal.ledgers(broker_id)
        held = [ledger for ledger in ledgers if ledger.quantity]
        known = not trouble and not account.needs_login
        if not known and held and not owned:
            owned = tuple(_from_ledger(account, ledger) for ledger in held)
        return ExposureView(account, tuple(positions), owned, tuple(working), known)

    async def drain(self) -> tuple[DrainView, ...]:
        """Return what each EXIT_ONLY account still holds (S1, C5)."""
        found = []
        for account in await self._parts.accounts.all():
            if await self.mode_of(account.broker_id) is not TradingMode.EXIT_ONLY:
                continue
            snapshot = self._book(account.broker_id)
            positions = tuple(p for p in await self.positions(account.broker_id) if p.quantity)
            holdings = tuple(snapshot.holdings or ()) if snapshot else ()
            working = [o for o in await self.orders(account.broker_id) if o.state in OPEN_STATES]
            known = snapshot is not None and snapshot.positions is not None
            value = _value(positions, holdings) if known else None
            found.append(DrainView(account, positions, holdings, tuple(working), value))
        return tuple(found)

    async def run(self, run_id: str) -> RunView:
        """Return one run with a line an account."""
        row = await self._parts.store.get("runs", run_id)
        if row is None:
            raise NotFound("That run is not in the journal.")
        orders: dict[str, list[OrderView]] = {}
        for order in await self._parts.journal.of_run(run_id):
            account = await self._any_account(order.broker_id)
            view = _order(self._parts.clock, account, order)
            orders.setdefault(order.broker_id, []).append(view)
        lines = []
        for broker_id in row["broker_ids"]:
            account = await self._any_account(broker_id)
            label = account if isinstance(account, str) else account.label
            mine = tuple(sorted(orders.get(broker_id, []), key=lambda view: view.at))
            lines.append(RunLine(broker_id, label, mine, row["notes"].get(broker_id, "")))
        return RunView(
            run_id=run_id,
            strategy=row["strategy"],
            title=row["strategy"],
            slot_at=row["slot_at"],
            targets=tuple(target_of(target) for target in row["targets"]),
            lines=tuple(lines),
            note=row.get("kind", ""),
        )

    async def last_run(self, strategy: str) -> RunView | None:
        """Return a strategy's newest run."""
        rows = await self._parts.store.find(
            "runs", {"strategy": strategy}, sort=[("slot_at", -1)], limit=1
        )
        return await self.run(rows[0]["_id"]) if rows else None


def _position(
    account: Account, position: Position, owners: Mapping[str, int], stop: Decimal | None
) -> PositionView:
    return PositionView(
        key=position_key(position.instrument, position.product),
        broker_id=account.broker_id,
        account_label=account.label,
        instrument=position.instrument,
        product=position.product,
        quantity=position.quantity,
        average_price=position.average_price,
        last_price=position.last_price,
        realised=position.realised,
        unrealised=position.unrealised,
        owners=owners,
        stop=stop,
    )


def _from_ledger(account: Account, ledger: Ledger) -> PositionView:
    return PositionView(
        key=position_key(ledger.instrument, ledger.product),
        broker_id=account.broker_id,
        account_label=account.label,
        instrument=ledger.instrument,
        product=ledger.product,
        quantity=ledger.quantity,
        average_price=ledger.average_price,
        last_price=ledger.average_price,
        realised=ledger.realised,
        unrealised=Decimal(0),
        owners={ledger.strategy: ledger.quantity},
    )


def _order(clock: Clock, account: Account | str, order: Order) -> OrderView:
    request = order.request
    return OrderView(
        key=order.client_order_id,
        broker_id=order.broker_id,
        account_label=account if isinstance(account, str) else account.label,
        instrument=request.instrument,
        side=request.side,
        quantity=request.quantity,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        order_type=request.order_type,
        product=request.product,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
        state=order.state,
        purpose=order.purpose,
        strategy=order.strategy,
        reason=order.reason,
        broker_order_id=order.broker_order_id,
        at=clock.market_at(order.submitted_at or order.created_at),
        is_cancellable=order.state in {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED},
    )


def _trade(row: Document) -> BrokerTrade:
    return BrokerTrade(
        row["trade_id"],
        row["broker_order_id"],
        InstrumentId.parse(row["instrument"]),
        Side(row["side"]),
        Product(row["product"]),
        row["quantity"],
        row["price"],
        row["traded_at"],
    )


def _value(positions: Sequence[PositionView], holdings: Sequence[Holding]) -> Decimal:
    open_value = sum((abs(p.quantity) * p.last_price for p in positions), Decimal(0))
    held = sum(((h.quantity + h.t1_quantity) * h.last_price for h in holdings), Decimal(0))
    return open_value + held
