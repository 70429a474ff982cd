"""Implements ``core.engine.control.control``: each command in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from core.domain.account import Account, AccountDraft, DisablePolicy
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.notices.accounts import OrdersLeftResting
from core.domain.notices.post import Post, morning_round_card
from core.domain.order import MANUAL, OPEN_STATES
from core.domain.sessions import trading_day
from core.domain.views import (
    DashboardView,
    DrainView,
    ExposureView,
    HealthView,
    LoginOffer,
    ModeChange,
    OrderView,
    PnlView,
    PositionView,
    Readiness,
    RunView,
    SizeKind,
    StrategyView,
    TradeView,
)
from core.engine.accounts.accounts import ACCOUNTS
from core.engine.accounts.modes import hand_over, write_mode
from core.engine.control.control import Command
from core.engine.control.parts import ControllerParts
from core.engine.control.settings import House
from core.engine.orders.documents import ledger_of
from core.engine.orders.gate import change_gate
from core.engine.orders.goals import Flattening, flatten, to_flatten
from core.engine.runs.plan import RunRequest
from core.engine.workers.account_worker import AccountWorker
from core.errors import BrokerReadError, ChoiceNeeded, UserError
from core.ports.broker import BrokerClient
from core.ports.store import Change, StoreView

__all__ = ["Controller"]

_RECENT_READ = timedelta(seconds=3)


class Controller:
    """Implements ``core.engine.control.control.Control``."""

    def __init__(self, parts: ControllerParts) -> None:
        self._parts = parts
        self._house = House(parts)

    # Accounts

    async def accounts(self) -> tuple[Account, ...]:
        return await self._parts.accounts.all()

    async def account(self, broker_id: str) -> Account:
        return await self._parts.accounts.get(broker_id)

    async def check_name_is_free(self, name: str, *, besides: str | None = None) -> None:
        await self._parts.accounts.check_name_is_free(name, besides)

    async def check_key_is_free(self, draft_key: str, broker_type: str) -> str:
        twins = await self._parts.accounts.with_key(broker_type, draft_key)
        for twin in twins:
            if twin.user_id is None:
                raise UserError(
                    f"{twin.display_name!r} uses this key already and has not logged in yet; log "
                    "it in first, or disconnect it."
                )
        if not twins:
            return ""
        names = ", ".join(f"{twin.display_name} ({twin.user_id})" for twin in twins)
        return f"This key is connected already: {names}. Go on only for another user of that app."

    async def add_account(self, command: Command, draft: AccountDraft) -> Account:
        if not self._parts.live_brokers_allowed:
            raise UserError(
                "The embedded store is beta and live brokers need an explicit yes: set "
                "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE=yes, or use MONGODB_URI."
            )
        account = await self._parts.accounts.add(
            draft,
            nonce=f"add:{command.id}",
            fence=self._parts.lease.fence,
            author=str(command.user_id),
        )
        self._parts.pool.accounts_changed()
        return account

    async def rename(self, command: Command, broker_id: str, name: str) -> Account:
        return await self._parts.accounts.rename(broker_id, name, nonce=f"rename:{command.id}")

    async def set_default(self, command: Command, broker_id: str) -> Account:
        return await self._parts.accounts.set_default(broker_id, nonce=f"default:{command.id}")

    async def exposure(self, broker_id: str) -> ExposureView:
        worker = self._parts.pool.get(broker_id)
        trouble = await worker.refresh() if worker else "not started yet"
        return await self._parts.queries.exposure(broker_id, trouble)

    async def enable(self, command: Command, broker_id: str) -> Account:
        return await self._switch(command, broker_id, enabled=True, drain=False)

    async def disable(
        self, command: Command, broker_id: str, policy: DisablePolicy | None
    ) -> Account:
        ledgers = [
            ledger_of(row)
            for row in await self._parts.store.find("ledgers", {"broker_id": broker_id})
            if row["quantity"]
        ]
        if ledgers and policy is None:
            raise ChoiceNeeded(
                f"Strategies hold {len(ledgers)} position(s) on this account: let them only exit, "
                "close all now, or leave them to you?"
            )
        # An entry that still works may fill after this: its exits must be let through then.
        drain = policy is not DisablePolicy.MANUAL
        account = await self._switch(command, broker_id, enabled=False, drain=drain, policy=policy)
        if policy is DisablePolicy.MANUAL:
            await self._release(account)
        return account

    async def _release(self, account: Account) -> None:
        """Take strategies' resting orders away from what the person manages now."""
        try:
            failed = await self._parts.trading.release(account.broker_id)
        except UserError as error:
            failed, reason = 1, str(error)
        else:
            reason = "the broker did not confirm"
        if failed:
            notice = OrdersLeftResting(account.broker_id, failed, reason)
            await self._parts.outbox.post(self._parts.store, Post(notice))

    async def _switch(
        self,
        command: Command,
        broker_id: str,
        *,
        enabled: bool,
        drain: bool,
        policy: DisablePolicy | None = None,
    ) -> Account:
        """Turn an account on or off: account, gate and ledgers in one transaction (A5)."""
        await self._parts.accounts.get(broker_id)
        now, by = self._parts.clock.now(), str(command.user_id)

        async def body(view: StoreView) -> None:
            await change_gate(view, broker_id, at=now, by=by, enabled=enabled, drain=drain)
            fields = {"enabled": enabled, "drain": drain}
            await view.update(ACCOUNTS, {"_id": broker_id}, Change(set=fields))
            if policy is DisablePolicy.CLOSE_NOW:
                await self._flatten(view, broker_id, command)
            elif policy is DisablePolicy.MANUAL:
                await hand_over(view, broker_id)

        await self._parts.store.transaction(body, nonce=f"switch:{command.id}")
        self._wake(broker_id)
        await self._parts.tokens.show_warning()
        return await self._parts.accounts.get(broker_id)

    async def _flatten(self, view: StoreView, broker_id: str, command: Command) -> None:
        ledgers = await to_flatten(view, broker_id)
        market_at = self._parts.clock.market_now()
        decision = Flattening(
            f"switch-off|{command.id}",
            "switch-off",
            MANUAL,
            broker_id,
            trading_day(market_at),
            self._parts.clock.now(),
            market_at,
        )
        await flatten(view, self._parts.outbox, ledgers, decision)

    async def disconnect(self, command: Command, broker_id: str) -> Account:
        client = await self._client_or_none(broker_id)
        account = await self._parts.accounts.wipe(broker_id, nonce=f"disconnect:{command.id}")
        if client is not None:
            try:
                await client.logout()
            except BrokerReadError as error:
                # The token is wiped here and dies at 06:00 there; say so instead of failing.
                self._parts.supervisor.troubles[f"logout {broker_id}"] = (
                    f"{account.label} was disconnected, but the broker did not confirm the logout: "
                    f"{error}"
                )
        await self._parts.connections.drop(broker_id)
        self._wake(broker_id)
        await self._parts.tokens.show_warning()
        return account

    async def _client_or_none(self, broker_id: str) -> BrokerClient | None:
        try:
            return await self._parts.connections.client_of(broker_id)
        except BrokerReadError:
            return None

    def _wake(self, broker_id: str) -> None:
        self._parts.pool.wake(broker_id)

    # Modes

    async def global_mode(self) -> TradingMode:
        row = await self._parts.store.get("settings", "global_mode")
        return TradingMode(row["value"]) if row else TradingMode.NORMAL

    async def set_mode(
        self, command: Command, mode: TradingMode, broker_id: str | None
    ) -> ModeChange:
        if broker_id is not None:
            await self._parts.accounts.get(broker_id)
        now, by = self._parts.clock.now(), str(command.user_id)

        async def body(view: StoreView) -> tuple[TradingMode, dict[str, TradingMode]]:
            return await write_mode(view, mode, broker_id, at=now, by=by)

        old, effective = await self._parts.store.transaction(body, nonce=f"mode:{command.id}")
        targets = list(effective)
        for target in targets:
            self._wake(target)
        working, unprotected = await self._left_behind(targets, effective)
        return ModeChange(broker_id, old, mode, effective, working, unprotected)

    async def _left_behind(
        self, targets: list[str], effective: Mapping[str, TradingMode]
    ) -> tuple[tuple[OrderView, ...], int]:
        """What still works at the brokers, and how many positions nobody cares for when PAUSED."""
        working: list[OrderView] = []
        unprotected = 0
        for target in targets:
            orders = await self._parts.queries.orders(target)
            working += [order for order in orders if order.state in OPEN_STATES]
            if effective[target] is TradingMode.PAUSED:
                rows = await self._parts.store.find("ledgers", {"broker_id": target})
                unprotected += sum(1 for row in rows if row["quantity"])
        return tuple(working), unprotected

    async def drain(self) -> tuple[DrainView, ...]:
        return await self._parts.queries.drain()

    # Logins

    async def login_offer(self, broker_id: str) -> LoginOffer:
        return await self._parts.logins.offer(broker_id)

    async def accounts_needing_login(self) -> tuple[Account, ...]:
        waiting = [account for account in await self.accounts() if account.needs_login]
        return tuple(sorted(waiting, key=lambda a: not (a.enabled or a.is_default)))

    async def paste_login(self, command: Command, text: str, broker_id: str | None) -> Account:
        await self._once(f"paste:{command.id}")
        return await self._parts.logins.paste(text, broker_id)

    async def _once(self, nonce: str) -> None:
        """Note that a command takes effect now; raises ``AlreadyDone`` when it did before."""

        async def body(_view: StoreView) -> None:
            return None

        await self._parts.store.transaction(body, nonce=nonce)

    async def dismiss_warning(self, command: Command) -> None:
        await self._parts.store.transaction(
            self._parts.tokens.dismiss, nonce=f"dismiss:{command.id}"
        )

    async def readiness(self) -> tuple[Readiness, ...]:
        return tuple([await self._readiness(account) for account in await self.accounts()])

    async def _readiness(self, account: Account) -> Readiness:
        if account.needs_login:
            return Readiness(account, False, None, None, "login needed")
        worker = self._parts.pool.get(account.broker_id)
        trouble = await worker.refresh() if worker else "not started yet"
        funds = worker.snapshot.funds if worker else None
        has_data = self._parts.market_data.has_plan(account.broker_id)
        note = trouble or account.parked_reason or ("" if account.enabled else "disabled")
        is_ready = not trouble and not account.parked_reason
        return Readiness(account, is_ready, funds.available if funds else None, has_data, note)

    async def start_morning_round(self, command: Command) -> tuple[Account, ...]:
        async def body(view: StoreView) -> None:
            await self._parts.outbox.post(view, morning_round_card(command.chat_id, fresh=True))

        await self._parts.store.transaction(body, nonce=f"round:{command.id}")
        return await self.accounts_needing_login()

    # Views

    async def dashboard(self, broker_id: str, *, fresh: bool = False) -> DashboardView:
        worker = self._parts.pool.get(broker_id)
        if fresh and worker is not None and not self._is_recent(worker):
            await worker.refresh()
        return await self._parts.queries.dashboard(broker_id)

    def _is_recent(self, worker: AccountWorker) -> bool:
        now, snapshot = self._parts.clock.now(), worker.snapshot
        # Funds are read less often than positions; both are shown under one "as of".
        reads = (snapshot.positions_at, snapshot.funds_at)
        return all(at is not None and now - at < _RECENT_READ for at in reads)

    async def positions(self, broker_id: str | None) -> tuple[PositionView, ...]:
        return await self._parts.queries.positions(broker_id)

    async def orders(self, broker_id: str | None) -> tuple[OrderView, ...]:
        return await self._parts.queries.orders(broker_id)

    async def order(self, client_order_id: str) -> OrderView:
        return await self._parts.queries.order(client_order_id)

    async def trades(self, broker_id: str | None) -> tuple[TradeView, ...]:
        return await self._parts.queries.trades(broker_id)

    async def pnl(self, broker_id: str | None) -> tuple[PnlView, ...]:
        return await self._parts.queries.pnl(broker_id)

    # A person's own orders

    async def close_position(
        self, command: Command, broker_id: str, position_key: str, *, despite_pause: bool = False
    ) -> OrderView:
        order = await self._parts.trading.close(
            command, broker_id, position_key, despite_pause=despite_pause
        )
        return await self._parts.queries.order(order.client_order_id)

    async def cancel_order(self, command: Command, broker_id: str, order_key: str) -> OrderView:
        order = await self._parts.trading.cancel(command, broker_id, order_key)
        return await self._parts.queries.order(order.client_order_id)

    async def resolve_order(
        self, command: Command, client_order_id: str, *, was_placed: bool
    ) -> OrderView:
        await self._parts.trading.resolve(command, client_order_id, was_placed=was_placed)
        return await self._parts.queries.order(client_order_id)

    # Strategies

    async def strategies(self) -> tuple[StrategyView, ...]:
        return tuple([await self.strategy(name) for name in self._parts.strategies.registry])

    async def strategy(self, name: str) -> StrategyView:
        strategy = self._parts.strategies.strategy(name)
        row = await self._parts.strategies.row(name)
        values = await self._parts.strategies.parameters(name)
        accounts = await self.accounts()
        assignments = [await self._parts.strategies.assignment(name, a) for a in accounts]
        return StrategyView(
            name=name,
            title=strategy.title,
            description=strategy.description,
            is_enabled=row["enabled"],
            parameters=tuple((p, values[p.name]) for p in strategy.parameters),
            next_slot=await self._parts.scheduler.next_slot(name),
            last_run=await self._parts.queries.last_run(name),
            assignments=tuple(assignments),
        )

    async def set_strategy_enabled(self, command: Command, name: str, *, enabled: bool) -> None:
        await self._parts.strategies.set_enabled(
            name, enabled=enabled, nonce=f"strategy:{command.id}"
        )

    async def set_parameter(self, command: Command, name: str, parameter: str, text: str) -> None:
        await self._parts.strategies.set_parameter(
            name, parameter, text, nonce=f"parameter:{command.id}"
        )

    async def set_assignment(
        self,
        command: Command,
        name: str,
        broker_id: str,
        *,
        is_on: bool | None = None,
        product: Product | None = None,
        size_kind: SizeKind | None = None,
        size_value: Decimal | None = None,
        multiplier: Decimal | None = None,
    ) -> None:
        await self._parts.strategies.assign(
            name,
            await self._parts.accounts.get(broker_id),
            nonce=f"assign:{command.id}",
            is_on=is_on,
            product=product,
            size_kind=size_kind,
            size_value=size_value,
            multiplier=multiplier,
        )

    async def run_now(self, command: Command, name: str) -> str:
        self._parts.strategies.strategy(name)
        now = self._parts.clock.market_now().replace(second=0, microsecond=0)
        window = self._parts.runner.session(now)
        if window is None or not window.contains(now):
            raise UserError("The market is closed now; a run needs a trading session.")
        request = RunRequest(f"{name}|now|{command.id}", name, now)

        async def body(view: StoreView) -> None:
            await self._parts.run_requests.file(view, request)

        await self._parts.store.transaction(body, nonce=f"run-now:{command.id}")
        self._parts.run_requests.wake()
        return request.run_id

    async def run(self, run_id: str) -> RunView:
        return await self._parts.queries.run(run_id)

    # The house

    async def health(self) -> HealthView:
        return await self._house.health()

    async def settings(self) -> Mapping[str, str]:
        return await self._house.settings()

    async def set_setting(self, command: Command, name: str, text: str) -> None:
        await self._house.set_setting(command, name, text)
