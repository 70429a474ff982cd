"""In-memory services of ``Control``: they keep the promises of the real ones, and trade nothing.

It refuses a command id that it has seen, checks names and keys as the real one does, asks back
where a choice is needed, and remembers every command that took effect in ``commands``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from core.domain.account import (
    Account,
    AccountDraft,
    BrokerType,
    DisablePolicy,
    TokenStatus,
    checked_api_key,
    checked_api_secret,
    checked_display_name,
)
from core.domain.broker import Funds, Holding
from core.domain.command import Command
from core.domain.instrument import Product
from core.domain.mode import TradingMode, stricter
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.target import Parameter, ParameterValue
from core.domain.views import (
    AccountHealth,
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
from core.errors import AlreadyDone, ChoiceNeeded, LoginFault, LoginRefused, NotFound, UserError
from tests.fakes.views import AT, an_account, an_order

__all__ = ["FakeControl"]


@dataclass
class FakeControl:
    """What the services do, over plain dictionaries."""

    public_url: str | None = "https://saarthi.example"
    by_id: dict[str, Account] = field(default_factory=dict)
    mode: TradingMode = TradingMode.NORMAL
    positions_: list[PositionView] = field(default_factory=list)
    orders_: list[OrderView] = field(default_factory=list)
    trades_: list[TradeView] = field(default_factory=list)
    holdings_: dict[str, list[Holding]] = field(default_factory=dict)
    strategies_: dict[str, StrategyView] = field(default_factory=dict)
    runs: dict[str, RunView] = field(default_factory=dict)
    settings_: dict[str, str] = field(default_factory=lambda: {"warning_interval_s": "900"})
    commands: list[tuple[str, Command, tuple[Any, ...]]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    failure: Exception | None = None
    """Raised by the next read or command."""
    offers: int = 0
    fresh_reads: int = 0

    def put(self, *accounts: Account) -> None:
        """Connect accounts directly."""
        self.by_id.update({one.broker_id: one for one in accounts})

    def did(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every command of this name that took effect."""
        return [arguments for done, _, arguments in self.commands if done == name]

    # --- inside ---

    def _fail(self) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def _once(self, command: Command) -> None:
        """Refuse a command that took effect before."""
        self._fail()
        if any(done.id == command.id for _, done, _ in self.commands):
            raise AlreadyDone("Already done.")

    def _note(self, name: str, command: Command, *arguments: Any) -> None:
        self.commands.append((name, command, arguments))

    def _change(self, broker_id: str, **fields: Any) -> Account:
        changed = dataclasses.replace(self._get(broker_id), **fields)
        self.by_id[broker_id] = changed
        return changed

    def _get(self, broker_id: str) -> Account:
        if broker_id not in self.by_id:
            raise NotFound("That account is not connected any more. Open /brokers.")
        return self.by_id[broker_id]

    @staticmethod
    def _of(broker_id: str | None, rows: list[Any]) -> tuple[Any, ...]:
        return tuple(one for one in rows if broker_id in {None, one.broker_id})

    # --- accounts ---

    async def accounts(self) -> tuple[Account, ...]:
        self._fail()
        return tuple(
            sorted(self.by_id.values(), key=lambda one: (not one.is_default, one.display_name))
        )

    async def account(self, broker_id: str) -> Account:
        self._fail()
        return self._get(broker_id)

    async def check_name_is_free(self, name: str, besides: str | None = None) -> None:
        for one in self.by_id.values():
            if one.broker_id != besides and one.display_name.lower() == name.lower():
                raise UserError(f"Another account is called {name!r}; choose another name.")

    async def check_key_is_free(self, draft_key: str, broker_type: str) -> str:
        for one in self.by_id.values():
            if (one.api_key, one.broker_type.value) == (draft_key, broker_type):
                return f"This key is connected already as {one.display_name}."
        return ""

    async def add_account(self, command: Command, draft: AccountDraft) -> Account:
        self._once(command)
        await self.check_name_is_free(draft.display_name)
        if draft.broker_type is not BrokerType.PAPER:
            checked_api_key(draft.broker_type, draft.api_key)
            checked_api_secret(draft.api_secret)
        number = len(self.by_id) + 1
        is_paper = draft.broker_type is BrokerType.PAPER
        account = an_account(
            f"{draft.broker_type.value}_new{number:07d}",
            draft.broker_type,
            draft.display_name,
            api_key=draft.api_key,
            is_default=not self.by_id,
            enabled=False,
            token_status=TokenStatus.VALID if is_paper else TokenStatus.EXPIRED,
            token_generated_at=None,
        )
        self.put(account)
        self.secrets[account.broker_id] = draft.api_secret
        self._note("add_account", command, draft)
        return account

    async def rename(self, command: Command, broker_id: str, name: str) -> Account:
        self._once(command)
        account = self._change(broker_id, display_name=checked_display_name(name))
        self._note("rename", command, broker_id, name)
        return account

    async def set_default(self, command: Command, broker_id: str) -> Account:
        self._once(command)
        self._get(broker_id)
        for one in list(self.by_id):
            self._change(one, is_default=one == broker_id)
        self._note("set_default", command, broker_id)
        return self._get(broker_id)

    async def exposure(self, broker_id: str) -> ExposureView:
        positions = self._of(broker_id, self.positions_)
        return ExposureView(
            account=self._get(broker_id),
            positions=positions,
            strategy_positions=tuple(one for one in positions if one.owners),
            working=self._working(broker_id),
            is_known=True,
        )

    def _working(self, broker_id: str | None) -> tuple[OrderView, ...]:
        return tuple(one for one in self._of(broker_id, self.orders_) if one.is_cancellable)

    async def enable(self, command: Command, broker_id: str) -> Account:
        self._once(command)
        account = self._change(broker_id, enabled=True)
        self._note("enable", command, broker_id)
        return account

    async def disable(
        self, command: Command, broker_id: str, policy: DisablePolicy | None
    ) -> Account:
        self._once(command)
        if policy is None and (await self.exposure(broker_id)).strategy_positions:
            raise ChoiceNeeded("Strategies hold positions there.")
        account = self._change(broker_id, enabled=False, drain=policy is DisablePolicy.EXITS_ONLY)
        self._note("disable", command, broker_id, policy)
        return account

    async def disconnect(self, command: Command, broker_id: str) -> Account:
        self._once(command)
        account = self._get(broker_id)
        if account.is_default and len(self.by_id) > 1:
            raise UserError("Name another default account first.")
        del self.by_id[broker_id]
        self.secrets.pop(broker_id, None)
        self._note("disconnect", command, broker_id)
        return account

    # --- modes ---

    async def global_mode(self) -> TradingMode:
        return self.mode

    async def set_mode(
        self, command: Command, mode: TradingMode, broker_id: str | None
    ) -> ModeChange:
        self._once(command)
        if broker_id is None:
            old, self.mode = self.mode, mode
        else:
            old = self._get(broker_id).trading_mode
            self._change(broker_id, trading_mode=mode)
        self._note("set_mode", command, mode, broker_id)
        concerned = self._of(broker_id, list(self.by_id.values()))
        is_paused = mode is TradingMode.PAUSED
        return ModeChange(
            broker_id=broker_id,
            old=old,
            new=mode,
            effective={one.broker_id: self._effective(one) for one in concerned},
            working=() if mode is TradingMode.NORMAL else self._working(broker_id),
            unprotected=len(self._of(broker_id, self.positions_)) if is_paused else 0,
        )

    def _effective(self, account: Account) -> TradingMode:
        return stricter(self.mode, account.trading_mode)

    async def drain(self) -> tuple[DrainView, ...]:
        return tuple(
            DrainView(
                account=one,
                positions=self._of(one.broker_id, self.positions_),
                holdings=tuple(self.holdings_.get(one.broker_id, ())),
                working=self._working(one.broker_id),
                value=Decimal("123456.78"),
            )
            for one in await self.accounts()
            if self._effective(one) is TradingMode.EXIT_ONLY
        )

    # --- logins ---

    async def login_offer(self, broker_id: str) -> LoginOffer:
        self._fail()
        account = self._get(broker_id)
        if self.public_url:
            return LoginOffer(account, f"{self.public_url}/login/{broker_id}-link", None)
        self.offers += 1
        return LoginOffer(account, None, f"https://broker.example/login?fresh={self.offers}")

    async def accounts_needing_login(self) -> tuple[Account, ...]:
        return tuple(one for one in await self.accounts() if one.needs_login)

    async def paste_login(self, command: Command, text: str, broker_id: str | None) -> Account:
        self._once(command)
        if "_token=" not in text and "auth_code=" not in text:
            raise LoginRefused(LoginFault.MALFORMED)
        waiting = await self.accounts_needing_login()
        wanted = broker_id or (waiting[0].broker_id if waiting else "")
        account = self._change(
            wanted, token_status=TokenStatus.VALID, token_generated_at=AT, user_name="Asha"
        )
        self._note("paste_login", command, wanted)
        return account

    async def dismiss_warning(self, command: Command) -> None:
        self._once(command)
        self._note("dismiss_warning", command)

    async def readiness(self) -> tuple[Readiness, ...]:
        return tuple(
            Readiness(one, not one.needs_login, Decimal(250000), True, "")
            for one in await self.accounts()
        )

    async def start_morning_round(self, command: Command) -> tuple[Account, ...]:
        self._once(command)
        self._note("start_morning_round", command)
        return await self.accounts_needing_login()

    # --- views ---

    async def dashboard(self, broker_id: str, *, fresh: bool = False) -> DashboardView:
        self._fail()
        self.fresh_reads += fresh
        account = self._get(broker_id)
        return DashboardView(
            account=account,
            effective_mode=self._effective(account),
            as_of=AT,
            funds=Funds(Decimal("123456.78"), Decimal(20000), Decimal("143456.78")),
            pnl=(await self.pnl(broker_id))[0],
            positions=self._of(broker_id, self.positions_),
            working=self._working(broker_id),
            trades=tuple(one for one in self.trades_ if one.account_label == account.label),
            holdings=tuple(self.holdings_.get(broker_id, ())),
            incomplete=("The login of this account has expired.",) if account.needs_login else (),
        )

    async def positions(self, broker_id: str | None) -> tuple[PositionView, ...]:
        self._fail()
        return self._of(broker_id, self.positions_)

    async def orders(self, broker_id: str | None) -> tuple[OrderView, ...]:
        self._fail()
        return self._of(broker_id, self.orders_)

    async def order(self, client_order_id: str) -> OrderView:
        for one in self.orders_:
            if one.key == client_order_id:
                return one
        raise NotFound("That order is not in the journal.")

    async def trades(self, broker_id: str | None) -> tuple[TradeView, ...]:
        if broker_id is None:
            return tuple(self.trades_)
        label = self._get(broker_id).label
        return tuple(one for one in self.trades_ if one.account_label == label)

    async def pnl(self, broker_id: str | None) -> tuple[PnlView, ...]:
        chosen = self._of(broker_id, list(await self.accounts()))
        return tuple(
            PnlView(one.broker_id, one.label, None, None)
            if one.needs_login
            else PnlView(one.broker_id, one.label, Decimal(1000), Decimal("250.50"))
            for one in chosen
        )

    # --- a person's own orders ---

    async def close_position(
        self, command: Command, broker_id: str, position_key: str, *, despite_pause: bool = False
    ) -> SimpleNamespace:
        self._once(command)
        account = self._get(broker_id)
        if self._effective(account) is TradingMode.PAUSED and not despite_pause:
            raise ChoiceNeeded("This account is PAUSED. Close the position all the same?")
        for position in self.positions_:
            if (position.broker_id, position.key) == (broker_id, position_key):
                order = an_order(
                    account,
                    key="SCLOSECLOSECLOSECLO2",
                    side=Side.of(-position.quantity),
                    order_type=OrderType.MARKET,
                    limit_price=None,
                    purpose=Purpose.EXIT,
                    strategy="manual",
                )
                self.orders_.append(order)
                self._note("close_position", command, broker_id, position_key, despite_pause)
                return SimpleNamespace(client_order_id=order.key)
        raise NotFound("That position is not open any more.")

    async def cancel_order(
        self, command: Command, broker_id: str, order_key: str
    ) -> SimpleNamespace:
        self._once(command)
        for at, one in enumerate(self.orders_):
            if (one.broker_id, one.key) == (broker_id, order_key):
                if not one.is_cancellable:
                    raise UserError("That order is final already.")
                changed = dataclasses.replace(
                    one, state=OrderState.PENDING_CANCEL, is_cancellable=False
                )
                self.orders_[at] = changed
                self._note("cancel_order", command, broker_id, order_key)
                return SimpleNamespace(client_order_id=changed.key)
        raise NotFound("That order is not among today's orders.")

    async def resolve_order(
        self, command: Command, client_order_id: str, *, was_placed: bool
    ) -> SimpleNamespace:
        self._once(command)
        order = await self.order(client_order_id)
        state = OrderState.ACCEPTED if was_placed else OrderState.NOT_PLACED
        changed = dataclasses.replace(order, state=state)
        self.orders_[self.orders_.index(order)] = changed
        self._note("resolve_order", command, client_order_id, was_placed)
        return SimpleNamespace(client_order_id=changed.key)

    # --- strategies ---

    async def strategies(self) -> tuple[StrategyView, ...]:
        return tuple(self.strategies_.values())

    async def strategy(self, name: str) -> StrategyView:
        if name not in self.strategies_:
            raise NotFound("That strategy is not installed.")
        return self.strategies_[name]

    async def set_strategy_enabled(self, command: Command, name: str, *, enabled: bool) -> None:
        self._once(command)
        changed = dataclasses.replace(await self.strategy(name), is_enabled=enabled)
        self.strategies_[name] = changed
        self._note("set_strategy_enabled", command, name, enabled)

    async def set_parameter(self, command: Command, name: str, parameter: str, text: str) -> None:
        self._once(command)
        strategy = await self.strategy(name)
        changed: list[tuple[Parameter, ParameterValue]] = [
            (one, one.check(text) if one.name == parameter else value)
            for one, value in strategy.parameters
        ]
        self.strategies_[name] = dataclasses.replace(strategy, parameters=tuple(changed))
        self._note("set_parameter", command, name, parameter, text)

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
        self._once(command)
        strategy = await self.strategy(name)
        wanted = {
            "is_on": is_on,
            "product": product,
            "size_kind": size_kind,
            "size_value": size_value,
            "multiplier": multiplier,
        }
        given: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
        changed = tuple(
            dataclasses.replace(one, **given) if one.broker_id == broker_id else one
            for one in strategy.assignments
        )
        self.strategies_[name] = dataclasses.replace(strategy, assignments=changed)
        self._note("set_assignment", command, name, broker_id, given)

    async def run_now(self, command: Command, name: str) -> str:
        self._once(command)
        self._note("run_now", command, name)
        return f"{name}@now"

    async def run(self, run_id: str) -> RunView:
        if run_id not in self.runs:
            raise NotFound("That run is not kept any more.")
        return self.runs[run_id]

    # --- the house ---

    async def health(self) -> HealthView:
        return HealthView(
            started_at=datetime(2026, 11, 23, 3, 0, tzinfo=UTC),
            now=AT,
            market_now=AT,
            session_note="open until 15:30",
            store_kind="MongoDB",
            data_account="Zerodha - Main",
            outbox_waiting=0,
            accounts=tuple(AccountHealth(one, AT, "", 0) for one in await self.accounts()),
            troubles=(),
        )

    async def settings(self) -> Mapping[str, str]:
        return dict(self.settings_)

    async def set_setting(self, command: Command, name: str, text: str) -> None:
        self._once(command)
        if not text.strip().isdecimal():
            raise UserError(f"Found {text[:30]!r}; expected a whole number of seconds.")
        self.settings_[name] = text.strip()
        self._note("set_setting", command, name, text)
