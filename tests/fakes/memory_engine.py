"""The engine over a store in memory, scripted brokers and a clock that stands: nothing runs by itself.

Everything else is the product's own, put together by its own wiring; a test calls what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from urllib.parse import parse_qsl, urlsplit

from cryptography.fernet import Fernet

from core.adapters.calendar import TradingCalendar
from core.adapters.fyers import FYERS
from core.adapters.single_writer import SingleWriterStore
from core.adapters.vault import FernetVault
from core.adapters.zerodha import ZERODHA
from core.bootstrap.control import control_of
from core.bootstrap.foundation import Foundation
from core.bootstrap.wiring import Wiring
from core.config import Settings
from core.domain.account import Account, AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.notices.notice import Notice
from core.domain.notices.stored import from_document
from core.domain.order import Order
from core.domain.sessions import trading_day
from core.domain.target import Strategy
from core.engine.cards import card_id
from core.engine.control.control import Control
from core.engine.orders.documents import order_of, order_row
from core.engine.orders.ledgers import ledger_of, ledger_row
from core.ports.decisions import Decisions
from core.ports.masters import KeptMaster
from tests.fakes.brokers import roots_at
from tests.fakes.clock import ManualClock
from tests.fakes.deciding import InProcess
from tests.fakes.memory_store import MemoryStore
from tests.fakes.orders import entry_of
from tests.fakes.scripted_broker import ScriptedAccount, ScriptedBroker

__all__ = ["CHAT", "REAL_NOW", "MemoryEngine", "MemoryMasters", "market_clock"]

CHAT = 4711
REAL_NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


def market_clock(market: datetime) -> ManualClock:
    """Return a clock that stands at a market time, real time apart from it."""
    return ManualClock(REAL_NOW, market)


@dataclass
class MemoryMasters:
    """A ``MasterArchive``; given to a second engine it is what a restart finds."""

    kept: dict[BrokerProfile, KeptMaster] = field(default_factory=dict)

    async def recall(self, broker: BrokerProfile) -> KeptMaster | None:
        return self.kept.get(broker)

    async def keep(self, broker: BrokerProfile, master: KeptMaster) -> None:
        self.kept[broker] = master


@dataclass
class MemoryEngine:
    """One controller's engine. A second one with the same ``store`` is what a restart finds.

    Attributes:
        store: What is durable; a test puts into it what it needs.
        writer: The engine's store over it. Once it is held (``become_writer``), a test writes through it.
    """

    clock: ManualClock
    registry: Mapping[str, Strategy] = field(default_factory=dict)
    store: MemoryStore = field(default_factory=MemoryStore)
    settings: Settings = field(
        default_factory=lambda: Settings(
            public_url="https://saarthi.example",
            # Not the brokers' own, where an account is proved before it enters (F8).
            roots=roots_at(lambda name: f"https://{name}.example"),
        )
    )
    brokers: Mapping[BrokerProfile, ScriptedBroker] = field(
        default_factory=lambda: {one: ScriptedBroker(one) for one in (ZERODHA, FYERS)}
    )
    decisions: Decisions | None = None
    masters: MemoryMasters = field(default_factory=MemoryMasters)
    key: str = field(default_factory=lambda: Fernet.generate_key().decode())
    vault: FernetVault | None = None
    writer: SingleWriterStore = field(init=False)
    foundation: Foundation = field(init=False)
    wiring: Wiring = field(init=False)
    control: Control = field(init=False)
    _numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.writer = SingleWriterStore(self.store, self.clock)
        self.foundation = foundation = Foundation(
            settings=self.settings,
            store=self.writer,
            store_kind=self.store.server_kind(),
            running=None,
            vault=self.vault or FernetVault([self.key]),
            clock=self.clock,
            calendar=TradingCalendar(),
            masters=self.masters,
        )
        decisions = self.decisions or InProcess(self.registry)
        self.wiring = Wiring(foundation, self.registry, self.brokers, decisions)
        self.control = control_of(foundation, self.wiring)

    async def become_writer(self) -> None:
        """Let the engine be the only writer of its store, as a controller is after its start."""
        lease = {"_id": "controller", "fence": 0}
        await self.store.insert("lease", lease)
        await self.writer.hold("lease", lease)

    def command(self) -> Command:
        """Return a new wish of the owner."""
        return Command(f"command-{next(self._numbers)}", 1, CHAT)

    async def owned(self) -> MemoryEngine:
        """Let the chat have an owner, to whom notices go; return this engine."""
        await self.store.insert("users", {"_id": "1", "role": "owner", "chat_id": CHAT})
        return self

    async def connect(
        self,
        name: str = "Main",
        broker: BrokerProfile = ZERODHA,
        *,
        enabled: bool = True,
        logged_in: bool = True,
    ) -> Account:
        """Connect an account the way a user does."""
        draft = AccountDraft(broker, name, f"key{next(self._numbers)}", "a secret")
        account = await self.control.registration.add(self.command(), draft)
        if logged_in:
            await self.log_in(account)
        if enabled:
            await self.control.switch.enable(self.command(), account.broker_id)
        return await self.wiring.accounts.get(account.broker_id)

    async def log_in(self, account: Account) -> None:
        """Log an account in through its login page."""
        offer = await self.control.logins.offer(account.broker_id)
        address = await self.control.logins.start(str(offer.page_url).rpartition("/")[2])
        code = f"code{next(self._numbers)}"
        nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
        query = {account.broker.callback.nonce: nonce, account.broker.callback.code: code}
        await self.control.logins.callback(account.broker, query)

    def at_broker(self, account: Account) -> ScriptedAccount:
        """Return an account as it is at its broker."""
        return self.brokers[account.broker].accounts[account.broker_id]

    async def hold(self, ledger: Ledger) -> None:
        """Let a strategy hold something, by an entry that filled today.

        A ledger that names its day was filled on that day.
        """
        today = trading_day(self.clock.market_now())
        await self.store.insert("ledgers", ledger_row(replace(ledger, day=ledger.day or today)))
        if ledger.quantity and ledger.day in {"", today} and ledger.product is Product.MIS:
            entry = entry_of(ledger, f"held{next(self._numbers)}", today, self.clock.now())
            await self.store.insert("orders", order_row(entry))

    async def orders(self) -> list[Order]:
        """Return every order of the journal."""
        return [order_of(row) for row in await self.store.find("orders", {}, sort=[("_id", 1)])]

    async def ledgers(self) -> list[Ledger]:
        """Return every ledger."""
        return [ledger_of(row) for row in await self.store.find("ledgers", {}, sort=[("_id", 1)])]

    async def notices(self, *kinds: type[Notice]) -> list[Notice]:
        """Return what was posted to the owner, of these kinds or of all, oldest first."""
        rows = await self.store.find("outbox", {"chat_id": CHAT}, sort=[("seq", 1)])
        found = [from_document(row) for row in rows]
        return [one for one in found if not kinds or isinstance(one, kinds)]

    async def card(self, key: str) -> int | None:
        """Return the message in which a card of the owner's chat lives."""
        row = await self.store.get("cards", card_id(CHAT, key))
        return row["message_id"] if row else None
