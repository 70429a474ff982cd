"""The world of a campaign in memory: what outlives a controller, and the controllers that live in it.

The engine is the product's own, put together by its own bootstrap; store, brokers, chat and time
are the campaign's. A controller ends as a killed one does: no call goes out or comes back any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from core.adapters.calendar import TradingCalendar
from core.adapters.fyers import FYERS
from core.adapters.mongo._transaction import COMMITS
from core.adapters.single_writer import SingleWriterStore
from core.adapters.vault import FernetVault
from core.adapters.zerodha import ZERODHA
from core.bootstrap import Foundation, System, build
from core.config import Settings
from core.domain.account import AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.mode import TradingMode
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.notices.post import Post
from core.domain.sessions import IST
from core.errors import AlreadyDone, DecisionFailed, StoreError, UserError
from tests.campaign.chat import Chat
from tests.campaign.client import CampaignBroker, CampaignClient
from tests.campaign.market import Market
from tests.campaign.paper import PaperSeat
from tests.campaign.scripted import WishingStrategy
from tests.campaign.troubles import Troubles
from tests.campaign.venue import Key, Venue
from tests.campaign.virtual import VirtualClock, VirtualLoop
from tests.fakes.brokers import roots_at
from tests.fakes.deciding import KILLED, InProcess
from tests.fakes.memory_store import MemoryDatabase, MemoryStore
from tests.faults.watch import (
    Rule,
    Watch,
    watched_base,
    watched_brokers,
    watched_decisions,
    watched_store,
)

__all__ = ["CHAT", "INFY", "SBIN", "Chat", "Dead", "Life", "World", "Written"]

T = TypeVar("T")
Act = Callable[[System, Command], Awaitable[object]]
CHAT = 4711
SBIN = InstrumentId("NSE", "SBIN")
INFY = InstrumentId("NSE", "INFY")
BASES = {SBIN: 815, INFY: 1490}
FREEZE = 40
HORIZON_S = 12.0
LAG_S = 7.0
WATCHED = ("orders", "outbox", "result_guards", "panics", "limits", "paper_orders")
_KEY = "dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdC0="


class Written(NamedTuple):
    """A document that a commit has changed; ``old`` is None for a new one."""

    collection: str
    key: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any]


class Dead(Exception):
    """The controller ended while something was asked of it."""


@dataclass
class Life:
    """One controller; nothing is asked of it before it has ``begun``, with the lease."""

    system: System
    watch: Watch
    task: asyncio.Task[None]
    begun: asyncio.Event


@dataclass
class World:
    """What outlives a controller.

    Attributes:
        pushes: Whether the brokers push order updates; else the product polls alone.
        latency_s: How long a request to a broker takes.
        kills: How many controllers were ended.
        died: How many decisions were to be ended in the middle; ``deaths`` are still to come.
        commands: What a person asked for, with what came of it.
        nonces: What was committed under a name, in order, world's seconds.
        effects: What a wish does to the world once it is committed, by the nonce of its transaction.
        listeners: Told of what each commit has changed.
        on_normal: Called when a wish has set an account to NORMAL.
        answered: How many orders of unknown fate a user settled, or found settled.
        cards: The document of each panic as its live message, or the end in its place, showed it last.
    """

    seed: int
    loop: VirtualLoop
    start: datetime
    strategies: Mapping[str, WishingStrategy]
    unrest: float = 0.0012
    pushes: bool = False
    latency_s: float = 0.04
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    accounts: list[str] = field(default_factory=list)
    seats: dict[str, PaperSeat] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    life: Life | None = None
    kills: int = 0
    store_outages: int = 0
    died: int = 0
    deaths: list[DecisionFailed] = field(default_factory=list)
    commands: list[tuple[str, str, str]] = field(default_factory=list)
    unjournalled: list[str] = field(default_factory=list)
    moments: int = 0
    wanted_modes: dict[str | None, TradingMode] = field(default_factory=dict)
    mode_wishes: list[tuple[Command, Act]] = field(default_factory=list)
    nonces: dict[str, float] = field(default_factory=dict)
    effects: dict[str, Callable[[], None]] = field(default_factory=dict)
    listeners: list[Callable[[list[Written]], None]] = field(default_factory=list)
    answered: int = 0
    on_normal: Callable[[str], None] = lambda _broker_id: None
    cards: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    log: list[tuple[float, str]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Write down what the day did, for its story."""
        self.log.append((self.loop.time(), what))

    def decision_dies(self) -> None:
        """Let the process of the next decision be killed in its middle."""
        self.note("a decision's process is killed")
        self.died += 1
        self.deaths.append(DecisionFailed(KILLED, was_ended=True))

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.start, self.loop)
        self.chance = random.Random(f"world {self.seed}")
        morning = self.start.astimezone(IST).replace(hour=9, minute=15)
        self.market = Market(self.seed, morning, BASES, self.unrest)
        self.vault = FernetVault([_KEY])
        self.settings = Settings(
            public_url="https://saarthi.example",
            horizon_s=HORIZON_S,
            accept_embedded_store_for_live=True,
            roots=roots_at(lambda name: f"https://{name}.example"),
        )
        self.chat = Chat(self.loop.time, look=self._shown)
        self.database.on_commit = self._committed
        self.brokers: Mapping[BrokerProfile, CampaignBroker] = {
            profile: CampaignBroker(profile, _master(), self._new_client)
            for profile in (ZERODHA, FYERS)
        }
        self._numbers = count(1)

    def _new_client(self, broker_id: str) -> CampaignClient:
        venue = Venue(
            self.market,
            self.loop.time,
            self.clock.market_now,
            random.Random(f"{self.seed} {broker_id[:6]}"),
            FREEZE,
            note=self.note,
        )
        pushes = random.Random(f"pushes {self.seed} {broker_id[:6]}") if self.pushes else None
        troubles = Troubles(self.loop.time, note=self.note)
        return CampaignClient(venue, troubles, LAG_S, pushes, self.latency_s)

    def _committed(self, base: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Take in a commit: what it was a wish for has taken effect from now on."""
        for nonce in made[COMMITS].keys() - base[COMMITS].keys():
            self.nonces[nonce] = self.loop.time()
            self.effects.get(nonce, lambda: None)()
        changed = [
            Written(name, key, base[name].get(key), row)
            for name in WATCHED
            if made[name] is not base[name]
            for key, row in made[name].items()
            if base[name].get(key) is not row
        ]
        for listener in self.listeners if changed else ():
            listener(changed)

    def _shown(self, post: Post) -> None:
        if isinstance(post.notice, PanicCard | PanicOver):
            panic_id = post.notice.panic_id
            self.cards[panic_id] = self.database.committed["panics"][panic_id]

    # Looking

    def seat(self, broker_id: str) -> CampaignClient | PaperSeat:
        """Return an account as it is at its broker, or at the paper exchange."""
        return self.seats.get(broker_id) or self.client(broker_id)

    def client(self, broker_id: str) -> CampaignClient:
        """Return an account as it is at its broker."""
        for broker in self.brokers.values():
            if broker_id in broker.clients:
                return broker.clients[broker_id]
        raise KeyError(broker_id)

    def venue(self, broker_id: str) -> Venue:
        """Return the truth of an account."""
        return self.seat(broker_id).venue

    def rows(self, collection: str) -> list[Mapping[str, Any]]:
        """Return what is committed; not to be changed."""
        return list(self.database.committed[collection].values())

    def is_asked_about(self, broker_id: str, key: Key) -> bool:
        """Whether the person was told that a position contradicts the fills, and is still asked."""
        asked = False
        for row in sorted(self.rows("outbox"), key=lambda row: str(row["_id"])):
            data = row["data"]
            if row["kind"] == "position_disputed" and (
                (data["broker_id"], data["instrument"], data["product"])
                == (broker_id, str(key[0]), key[1].value)
            ):
                asked = not data["is_over"]
        return asked

    @property
    def faults(self) -> int:
        """How many answers were spoilt, and how often somebody or something else acted."""
        clients = [self.seat(broker_id) for broker_id in self.accounts]
        bitten = sum(client.troubles.bitten.total() for client in clients)
        foreign = sum(len(client.venue.foreign) for client in clients)
        dead = self.died - len(self.deaths)
        return bitten + foreign + self.chat.bitten + self.store_outages + dead

    # Lives

    async def begin(self, rule: Rule | None = None) -> Life:
        """Start a controller, which dies at the moment that ``rule`` names."""
        watch = Watch(rule, witness=self._is_submitted, unjournalled=self.unjournalled)
        watch.act = watch.die
        foundation = Foundation(
            settings=self.settings,
            store=watched_store(
                SingleWriterStore(watched_base(MemoryStore(self.database), watch), self.clock),
                watch,
            ),
            store_kind="memory",
            running=None,
            vault=self.vault,
            clock=self.clock,
            calendar=TradingCalendar(),
        )
        strategies = dict(self.strategies)
        system = build(
            foundation,
            strategies,
            decisions=watched_decisions(InProcess(strategies, self.deaths), watch),
            brokers=watched_brokers(self.brokers, watch),
        )
        self.chat.watch = watch
        begun = asyncio.Event()
        task = self.loop.create_task(self._live(system, begun))
        self.life = Life(system, watch, task, begun)
        return self.life

    async def _live(self, system: System, begun: asyncio.Event) -> None:
        while True:
            try:
                await system.begin()
                break
            except StoreError:
                await asyncio.sleep(2.0)  # the service manager starts it again
        begun.set()
        services = {**system.services, "outbox": system.sender(self.chat)}
        await system.supervisor.run(services)

    async def _is_submitted(self, client_order_id: str) -> bool:
        row = self.database.committed["orders"].get(client_order_id)
        return row is not None and row["state"] == "SUBMITTED"

    async def kill(self) -> None:
        """End the controller now, as ``kill -9`` does."""
        life, self.life = self.life, None
        if life is None:
            return
        self.kills += 1
        self.note("the controller ends")
        life.watch.is_dead = True
        self.moments += len(life.watch.moments)
        mine = {asyncio.current_task(), *self._own_tasks()}
        for _ in range(5):
            left = [task for task in asyncio.all_tasks(self.loop) if task not in mine]
            for task in left:
                task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)

    def _own_tasks(self) -> set[asyncio.Task[Any]]:
        return {task for task in asyncio.all_tasks(self.loop) if task.get_name().startswith("w:")}

    async def restart(self, after_s: float, rule: Rule | None = None) -> None:
        """End the controller and start another one some seconds later."""
        await self.kill()
        await asyncio.sleep(after_s)
        if self.chance.random() < 0.7:  # it ended in a way that gave its lease back, or in time
            lease = self.database.committed["lease"]
            changed = {key: {**row, "holder": ""} for key, row in lease.items()}
            self.database.committed["lease"] = changed
        await self.begin(rule)

    # A person

    def command(self) -> Command:
        """Return a new wish of one of two users."""
        number = next(self._numbers)
        return Command(f"wish-{number}", 1 + number % 2, CHAT)

    async def set_mode(self, mode: TradingMode, broker_id: str | None) -> str:
        """Set a mode; what was committed last is what has to stand at the end (I9)."""

        async def act(system: System, command: Command) -> object:
            return await system.control.modes.set(command, mode, broker_id)

        def takes_effect() -> None:
            self.wanted_modes[broker_id] = mode
            if broker_id is not None and mode is TradingMode.NORMAL:
                self.on_normal(broker_id)

        command = self.command()
        self.mode_wishes.append((command, act))
        self.effects[f"mode:{command.id}"] = takes_effect
        self.note(f"mode {mode} for {broker_id}")
        return await self.ask("mode", act, command)

    async def panic(self, broker_ids: Collection[str], *, with_holdings: bool = False) -> str:
        """Begin a panic; from its commit on its accounts only exit, and all of them if all are in it."""
        command = self.command()

        def only_exit() -> None:
            running = [row for row in self.rows("panics") if not row["end"]]
            chosen = {*broker_ids, *(one["broker_id"] for row in running for one in row["lines"])}
            for who in {*chosen, *([None] if chosen >= {*self.accounts, *self.unjudged} else [])}:
                if self.wanted_modes.get(who) is not TradingMode.PAUSED:
                    self.wanted_modes[who] = TradingMode.EXIT_ONLY

        self.effects[f"panic:{command.id}"] = only_exit
        self.note(f"panic on {sorted(broker_ids)}, with holdings: {with_holdings}")
        return await self.ask(
            "panic",
            lambda system, asked: system.control.panic.start(
                asked, broker_ids, with_holdings=with_holdings
            ),
            command,
        )

    async def redeliver(self, which: int | None = None) -> None:
        """Bring an old wish again, as a messenger does that was not told that it arrived."""
        if self.mode_wishes:
            any_one = self.chance.randrange(len(self.mode_wishes))
            command, act = self.mode_wishes[any_one if which is None else which]
            await self.ask("again", act, command)

    async def ask(self, kind: str, act: Act, command: Command | None = None) -> str:
        """Have a wish carried out, asked again and again over ends of the process (I9).

        Returns:
            ``done``, or what the person was told instead.
        """
        command = command or self.command()
        while True:
            life = self.life
            if life is None or not life.begun.is_set():
                await asyncio.sleep(1.0 if life is None else 0.1)
                continue
            task = self.loop.create_task(_told(act(life.system, command)))
            while not task.done() and self.life is life:
                await asyncio.sleep(0.1)
            if not task.done():
                task.cancel()
                continue
            if task.cancelled():
                continue
            result = task.result()
            if result == "again":
                await asyncio.sleep(1.0)
                continue
            self.commands.append((command.id, kind, result))
            self.note(f"wish {command.id} {kind}: {result}")
            return result

    async def connect(self, profile: BrokerProfile, name: str, sizes: Mapping[str, int]) -> str:
        """Connect an account, log it in, and let strategies trade these sizes on it."""
        life = self.life
        assert life is not None
        control = life.system.control
        draft = AccountDraft(profile, name, f"key{next(self._numbers)}", "a secret")
        if profile.is_paper:
            draft = AccountDraft(profile, name, "", "")
        account = await control.registration.add(self.command(), draft)
        self.accounts.append(account.broker_id)
        if profile.is_paper:
            self.seats[account.broker_id] = PaperSeat(self, account.broker_id)
        else:
            self.brokers[profile].client(account.broker_id)
            await self.log_in(account.broker_id)
        await control.switch.enable(self.command(), account.broker_id)
        for strategy, units in sizes.items():
            await control.strategy_settings.assign(
                self.command(), strategy, account.broker_id, size_value=Decimal(units)
            )
        return account.broker_id

    async def connect_data(self) -> None:
        """Connect an account that gives prices and trades nothing; nobody judges it."""
        broker_id = await self.connect(ZERODHA, "Data", {})
        self.accounts.remove(broker_id)
        self.unjudged.append(broker_id)
        assert self.life is not None
        settings = self.life.system.control.strategy_settings
        for strategy in self.strategies:
            await settings.assign(self.command(), strategy, broker_id, is_on=False)

    async def log_in(self, broker_id: str) -> None:
        """Log an account in, however often it takes."""

        async def through(system: System, _command: Command) -> object:
            offer = await system.control.logins.offer(broker_id)
            address = await system.control.logins.start(str(offer.page_url).rpartition("/")[2])
            account = await system.accounts.get(broker_id)
            code = f"code{next(self._numbers)}"
            nonce = dict(parse_qsl(urlsplit(address).query))["nonce"]
            form = account.broker.callback
            query = {form.nonce: nonce, form.code: code, "status": "success", "s": "ok"}
            await system.control.logins.callback(account.broker, query)
            return None

        await self.ask("login", through)

    async def open(self) -> None:
        """Let the chat have an owner, and start the first controller."""
        store = MemoryStore(self.database)
        await store.insert("users", {"_id": str(CHAT), "role": "owner", "chat_id": CHAT})
        await self.begin()
        await asyncio.sleep(0.5)

    async def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something again and again; a task of this is the world's own."""
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                act()
                await asyncio.sleep(seconds)


async def _told(asked: Awaitable[object]) -> str:
    try:
        await asked
    except AlreadyDone:
        return "done"
    except StoreError:
        return "again"
    except UserError as error:
        return f"told: {error}"
    return "done"


def _master() -> list[Instrument]:
    return [
        Instrument(
            name,
            f"NSE:{name.symbol}-EQ",
            f"{n}",
            1,
            Decimal("0.05"),
            Segment.CASH,
            freeze_quantity=FREEZE,
        )
        for n, name in enumerate(BASES, 100001)
    ]
