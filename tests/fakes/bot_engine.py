"""The real control over a store and a scripted broker, for tests of what drives it.

Nothing of it is faked but the two ends: what a test puts there is in the store or at the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from cryptography.fernet import Fernet

from core.adapters.calendar import TradingCalendar
from core.adapters.mongo._transaction import COMMITS
from core.adapters.vault import FernetVault
from core.bootstrap.control import control_of
from core.bootstrap.foundation import Foundation
from core.bootstrap.wiring import Wiring
from core.config import Settings
from core.domain.account import Account, AccountDraft
from core.domain.broker import Position
from core.domain.broker_profile import BrokerProfile
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.order import Order, OrderRequest, OrderState
from core.domain.sessions import IST, trading_day
from core.domain.target import Strategy
from core.domain.views import OrderView, PositionView, RunView
from core.engine.accounts.documents import account_row
from core.engine.control.control import Control
from core.engine.orders.documents import order_row
from core.engine.orders.gate import add_gate, new_gate
from core.engine.orders.ledgers import ledger_row
from core.ports.store import ServedStore, Store
from strategy.registry import STRATEGIES
from tests.fakes.bot_api import Wall
from tests.fakes.brokers import MASTER, roots_at
from tests.fakes.deciding import InProcess
from tests.fakes.memory_store import MemoryStore
from tests.fakes.orders import entry_of
from tests.fakes.scripted_broker import ScriptedAccount, ScriptedBroker

__all__ = ["BotEngine", "QuickClock", "StumblingOnce"]

MARKET_BEGIN = datetime(2026, 9, 21, 10, 15, tzinfo=IST)
"""What the market's clock says, a Monday, when the wall's begins."""
_CODES = count()
COMMANDS = frozenset(
    [
        "add",
        "rename",
        "default",
        "switch",
        "renew",
        "disconnect",
        "mode",
        "paste",
        "dismiss",
        "round",
        "close",
        "cancel",
        "resolve",
        "strategy",
        "parameter",
        "assign",
        "run-now",
        "setting",
        "limit",
        "round-trip",
        "guard",
        "guard-confirm",
        "guard-keep",
        "guard-lock",
    ]
)
"""What the nonces of commands begin with."""


@dataclass
class QuickClock:
    """Real time is the simulator's wall; who sleeps lets it pass at once."""

    wall: Wall
    slept: list[float] = field(default_factory=list)
    ahead: timedelta = field(init=False)

    def __post_init__(self) -> None:
        self.ahead = MARKET_BEGIN - self.now()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall.seconds, UTC)

    def monotonic(self) -> float:
        return self.wall.seconds

    def market_now(self) -> datetime:
        return self.market_at(self.now())

    def real_at(self, market: datetime) -> datetime:
        return (market - self.ahead).astimezone(UTC)

    def market_at(self, real: datetime) -> datetime:
        return (real + self.ahead).astimezone(IST)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.wall.seconds += seconds
        await asyncio.sleep(0.005)


class StumblingOnce:
    """The engine's store; one read of one collection fails, when a test asks for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures: dict[tuple[str, str], Exception] = {}

    def fail(self, method: str, collection: str, failure: Exception) -> None:
        """Let the next call of a method on a collection raise ``failure``."""
        self._failures[method, collection] = failure

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not any(method == name for method, _ in self._failures):
            return found

        def call(collection: str, *arguments: Any, **named: Any) -> Any:
            failure = self._failures.pop((name, collection), None)
            if failure is not None:
                raise failure
            return found(collection, *arguments, **named)

        return call


@dataclass(kw_only=True)
class BotEngine:
    """An engine of which only the accounts' workers run, and what a test gives it to begin with.

    Attributes:
        registry: The strategies that there are.
        store_kind: What the store is called.
        wiring: What the control of now stands on.
    """

    registry: Mapping[str, Strategy] = field(default_factory=lambda: STRATEGIES)
    store_kind: str = "a test's"
    store: Store = field(default_factory=MemoryStore)
    clock: QuickClock = field(default_factory=lambda: QuickClock(Wall()))
    vault: FernetVault = field(
        default_factory=lambda: FernetVault([Fernet.generate_key().decode()])
    )
    public_url: str | None = "https://saarthi.example"
    prove_accounts: bool = False
    brokers: dict[BrokerProfile, ScriptedBroker] = field(
        default_factory=lambda: {one: ScriptedBroker(one) for one in MASTER}
    )
    engine_store: StumblingOnce = field(init=False)
    wiring: Wiring = field(init=False)
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        self.engine_store = StumblingOnce(self.store)
        self.build_engine()

    def build_engine(self) -> None:
        """Put the engine together anew, as another process would; nothing of it runs."""
        foundation = Foundation(
            settings=Settings(
                public_url=self.public_url,
                roots=roots_at(lambda name: f"https://{name}.example"),
                prove_accounts=self.prove_accounts,
            ),
            store=cast(ServedStore, self.engine_store),
            store_kind=self.store_kind,
            running=None,
            vault=self.vault,
            clock=self.clock,
            calendar=TradingCalendar(),
        )
        self.wiring = Wiring(foundation, self.registry, self.brokers, InProcess(self.registry))
        self.control = control_of(foundation, self.wiring)

    async def have_read(self) -> bool:
        """Tell whether the worker of each account that is logged in has read its broker."""
        for account in await self.control.accounts.all():
            worker = self.wiring.pool.get(account.broker_id)
            if not account.needs_login and (worker is None or worker.snapshot.funds is None):
                return False
        return True

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let the accounts' workers run, and wait until each has read its broker."""
        work = asyncio.create_task(self.wiring.pool.run())
        try:
            while not await self.have_read():
                await asyncio.sleep(0.01)
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def log_in(self, account: Account) -> None:
        """Log an account in through its login page."""
        offer = await self.control.logins.offer(account.broker_id)
        address = await self.control.logins.start(str(offer.page_url).rpartition("/")[2])
        query = dict(parse_qsl(urlsplit(address).query)) | {"request_token": f"code{next(_CODES)}"}
        await self.control.logins.callback(account.broker, query)

    # What stands before the bot starts

    def at_broker(self, broker_id: str) -> ScriptedAccount:
        """Return an account as it is at its broker."""
        name = broker_id.partition("_")[0]
        return next(
            broker.accounts[broker_id]
            for profile, broker in self.brokers.items()
            if profile.name == name
        )

    async def connect(self, *accounts: Account) -> None:
        """Connect accounts as they are given."""
        now = self.clock.now()
        for one in accounts:
            draft = AccountDraft(one.broker, one.display_name, one.api_key, "a secret")
            row = account_row(one.broker_id, draft, now, self.vault.seal)
            token = None if one.needs_login else self.vault.seal("token")
            row |= {
                "is_default": one.is_default,
                "enabled": one.enabled,
                "trading_mode": one.trading_mode.value,
                "token_status": one.token_status.value,
                "token_generated_at": one.token_generated_at,
                "access_token": token,
                "user_id": one.user_id,
            }
            gate = new_gate(one.broker_id, TradingMode.NORMAL, fence=0, at=now, by="a test")
            mode = {"account_mode": one.trading_mode.value, "mode": one.trading_mode.value}
            await self.store.insert("broker_accounts", row)
            await add_gate(self.store, gate | mode | {"enabled": one.enabled})

    async def hold(self, view: PositionView) -> None:
        """Hold a position at the broker, and in the ledgers of the strategies that own it."""
        key = (view.instrument, view.product)
        self.at_broker(view.broker_id).position_list[key] = Position(
            *key,
            view.quantity,
            view.average_price,
            view.last_price,
            realised=view.realised,
            unrealised=view.unrealised,
        )
        now, today = self.clock.now(), trading_day(self.clock.market_now())
        for strategy, quantity in view.owners.items():
            ledger = Ledger(strategy, view.broker_id, *key, quantity, view.average_price, day=today)
            await self.store.insert("ledgers", ledger_row(ledger))
            entry = entry_of(ledger, f"{view.broker_id}{strategy}{view.key}", today, now)
            await self.store.insert("orders", order_row(entry))

    async def order(self, view: OrderView, run_id: str = "a run") -> str:
        """Put an order into the journal and at the broker; return the broker's id of it.

        One that is UNRESOLVED is not at the broker, and has no id there.
        """
        request = OrderRequest(
            view.key,
            view.instrument,
            view.side,
            view.quantity,
            view.order_type,
            view.product,
            limit_price=view.limit_price,
            trigger_price=view.trigger_price,
        )
        shown = None
        if view.state is not OrderState.UNRESOLVED:
            shown = self.at_broker(view.broker_id).show(request).broker_order_id
        now = self.clock.now()
        row = order_row(
            Order(
                request=request,
                broker_id=view.broker_id,
                strategy=view.strategy,
                run_id=run_id,
                purpose=view.purpose,
                state=view.state,
                day=trading_day(self.clock.market_now()),
                created_at=now,
                broker_order_id=shown,
                reason=view.reason,
                submitted_at=now,
                version=1,
            )
        )
        await self.store.insert("orders", row)
        return shown or ""

    async def ran(self, view: RunView) -> None:
        """Put a run into the journal."""
        row = {
            "_id": view.run_id,
            "strategy": view.strategy,
            "slot_at": view.slot_at,
            "targets": [],
            "notes": {line.broker_id: line.note for line in view.lines if line.note},
            "broker_ids": [line.broker_id for line in view.lines],
            "is_signal": True,
            "created_at": self.clock.now(),
        }
        await self.store.insert("runs", row)

    async def refresh(self, account: Account) -> None:
        """Have the account's worker read its broker now."""
        worker = self.wiring.pool.get(account.broker_id)
        assert worker is not None and await worker.refresh() == ""

    # What became of commands

    async def effects(self, *kinds: str) -> list[str]:
        """Return the commits of commands, of all kinds or of these: each took effect once."""
        rows = await self.store.find(COMMITS, {})
        names = {str(row["_id"]).partition(":")[0] for row in rows}
        wanted = set(kinds) or COMMANDS & names
        return [str(row["_id"]) for row in rows if str(row["_id"]).partition(":")[0] in wanted]
