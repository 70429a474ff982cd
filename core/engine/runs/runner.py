"""One run of a strategy: targets once, then goals and entries of every account in one commit.

Collection ``runs`` (``_id`` is the run id): ``strategy``, ``slot_at``, ``targets``, ``notes`` by
account, ``broker_ids``, ``is_signal``, ``created_at``. The run, its goals and its entry intents
commit together before the first send (reliability.md 2.3.1); a restart goes on with what was
committed and never computes targets again. Planning reads only the store, so no slow broker delays
another account's run (I7); the prices of entries are looked up before it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.domain.due import square_off_at
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.kept_out import entries_over
from core.domain.mode import TradingMode
from core.domain.notices.post import Post
from core.domain.notices.runs import DataMissing, RunFailed
from core.domain.order import Order, Side
from core.domain.sessions import Schedule, SessionWindow, trading_day
from core.domain.target import Context, ParameterValue, Strategy
from core.domain.views import AssignmentView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.orders.alarms import end_trouble, raise_trouble
from core.engine.orders.gate import gate_at
from core.engine.orders.gateway import Gateway
from core.engine.orders.journal import Journal
from core.engine.orders.lanes import Lane, TakeLanes, no_lanes
from core.engine.orders.ledgers import ledgers_of
from core.engine.orders.run_rows import newest_run
from core.engine.outbox import Outbox
from core.engine.runs.bars import BarReader
from core.engine.runs.decider import Decider, StrategyFailed
from core.engine.runs.departure import Departure
from core.engine.runs.entry_prices import Doubts, EntryPrices
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.outlook import Outlook, outlook_of
from core.engine.runs.pinned_bars import with_pinned
from core.engine.runs.plan import Decided, RunPlan, RunRequest
from core.engine.runs.planner import Planner
from core.engine.runs.run_orders import WrittenRun, closes
from core.engine.runs.settings import StrategySettings
from core.engine.runs.symbols import Symbols
from core.errors import AlreadyDone, BrokerReadError, StoreError
from core.long_lived import collect_later
from core.ports.calendar import Calendar
from core.ports.clock import Clock, clock_offset
from core.ports.store import Store, StoreView

__all__ = ["NEAR_S", "Runner"]

_log = logging.getLogger(__name__)
NEAR_S = 1.0
"""How long before a slot what it needs is made ready."""
_RUNS_WITH_LANES = 2
_LATE_LIST_S = 1.0
_SLOT_S = 0.3
"""In which a run is committed and its orders are answered, as a rule."""


class Runner:
    """Runs strategies.

    ``uncontended`` returns of some accounts those whose gates nobody else keeps locked; ``wake``
    lets an account's worker take a turn; ``wake_store`` has the store ready for the run's commit;
    ``stay_awake`` keeps the machine awake for some seconds; ``warm`` has connections to brokers
    open for orders that may come in a moment; ``look_ahead`` has an account's positions read for
    its exits; ``ran`` notes a run on accounts.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        strategies: StrategySettings,
        decider: Decider,
        market_data: MarketData,
        bars: BarReader,
        live: LivePrices,
        masters: Masters,
        symbols: Symbols,
        journal: Journal,
        outbox: Outbox,
        gateway: Gateway,
        lanes: TakeLanes = no_lanes,
        uncontended: Callable[[Iterable[str]], list[str]] = list,
        wake: Callable[[str], None],
        wake_store: Callable[[], None] = lambda: None,
        stay_awake: Callable[[float], None] = lambda _seconds: None,
        warm: Callable[[Iterable[str]], None],
        look_ahead: Callable[[str], None],
        ran: Callable[[Iterable[str], datetime], None],
        proof_address: Callable[[str], str | None] = lambda _broker_id: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._strategies = strategies
        self._market_data = market_data
        self._masters = masters
        self._symbols = symbols
        self._outbox = outbox
        self._wake = wake
        self._wake_store = wake_store
        self._stay_awake = stay_awake
        self._warm = warm
        self._look_ahead = look_ahead
        self._ran = ran
        self._decider = decider
        self._bars = bars
        self._entry_prices = EntryPrices(clock, market_data, live)
        self._planner = Planner(journal, outbox, gateway, proof_address)
        self._proof_address = proof_address
        self._gateway = gateway
        self._lanes = lanes
        self._uncontended = uncontended
        self._planning = asyncio.Lock()

    async def run(self, request: RunRequest) -> str:
        """Compute the targets, commit the run, wake the accounts; return one line on the result.

        The user is notified of every failure; a failed run changes nothing.
        """
        strategy = self._strategies.strategy(request.strategy)
        self._stay_awake(_SLOT_S)
        self._wake_store()  # while the strategy decides
        late = self._clock.market_now() - request.slot_at
        began = self._clock.monotonic()
        try:
            parameters = await self._strategies.parameters(request.strategy)
            decided = await self._decided(strategy, parameters, request)
        except NoData as error:
            notice = DataMissing(request.strategy, str(error))
            await self._notify(notice, request, await self._last_run(request))
            return f"no market data: {error}"
        except StrategyFailed as error:
            await self._notify(RunFailed(request.strategy, str(error)), request, str(error))
            return str(error)
        try:
            # What its data took counts as if it had begun so much later. In real seconds: in a
            # market that runs faster nothing takes less.
            grace_s = strategy.schedule(parameters).entry_grace_s
            left_s = grace_s - late / timedelta(seconds=1)
            if 0 <= left_s < self._clock.monotonic() - began:
                request = replace(request, may_enter=False)
            line = await self._commit(strategy, request, decided, parameters)
        except AlreadyDone:
            line = "this run was done already"
        await self._say_data(request.strategy)  # orders go before words
        return line

    async def _say_data(self, name: str) -> None:
        """Let the message about missing data say that they are there again."""
        how = "market data are there again"
        try:
            await end_trouble(self._store, self._outbox, f"data:{name}", how)
        except StoreError as error:
            # The run is committed and its orders are out: the next one says it.
            _log.warning("%s: that its data are there again was not said: %s", name, error)

    async def warm(self, name: str, only: str | None = None) -> None:
        """Have connections open and positions read that a strategy's slot, which is near, needs.

        An exit goes out after a look at what the broker holds. Made now, it does not hold back
        the exits of all accounts, each by a request, in the moment of the slot.
        """
        accounts = await self._assigned(name, only)
        self._stay_awake(NEAR_S + _SLOT_S)
        self._warm(account.broker_id for account, _ in accounts)
        for account, _ in accounts:
            ledgers = await ledgers_of(self._store, account.broker_id)
            if any(one.strategy == name and one.quantity for one in ledgers):
                self._look_ahead(account.broker_id)

    def expect(
        self, strategy: Strategy, parameters: Mapping[str, ParameterValue], window: SessionWindow
    ) -> None:
        """Have prices pushed, and bars at hand, of what a strategy's next runs will read."""
        instruments, need = strategy.instruments(parameters), strategy.data(parameters)
        self._bars.expect(strategy.name, instruments, need, window)

    def is_pushed(self, name: str) -> bool:
        """Whether prices of what a strategy's next runs will read are pushed."""
        return self._bars.is_pushed(name)

    def dismiss(self, name: str) -> None:
        """Expect no run of a strategy."""
        self._bars.dismiss(name)

    async def outlook(
        self, name: str, schedule: Schedule, slot_at: datetime, only: str | None = None
    ) -> Outlook:
        """Return what a run of a slot may do now, by the clock and on the accounts it reaches."""
        return await outlook_of(
            self._store,
            name,
            await self._assigned(name, only),
            by_clock=await self.by_clock(name, schedule, slot_at, only),
            day=trading_day(self._clock.market_now()),
            address_of=self._proof_address,
        )

    async def by_clock(
        self, name: str, schedule: Schedule, slot_at: datetime, only: str | None = None
    ) -> str:
        """Return why the clock lets a slot enter nothing on any account, a clause; or ''."""
        now = self._clock.market_now()
        begins = [
            self.square_off_begins(schedule, now.date(), one)
            for one in {account.broker for account, _ in await self._assigned(name, only)}
        ]
        window = self.session(slot_at)
        return entries_over(
            schedule,
            slot_at,
            is_closing=bool(begins) and all(one is not None and now >= one for one in begins),
            is_known_day=window is not None and not window.is_assumed,
        )

    async def _last_run(self, request: RunRequest) -> str:
        """Name the run after which data went missing: each slot may hear other words about it."""
        now = self._clock.market_now()
        return await newest_run(self._store, request.strategy, now) or ""

    async def _notify(
        self, notice: DataMissing | RunFailed, request: RunRequest, cause: str
    ) -> None:
        """Notify the user of a failed run, once a day for each cause."""
        day = trading_day(request.slot_at)

        async def body(view: StoreView) -> None:
            name = request.strategy
            if isinstance(notice, DataMissing) and not notice.others_run:
                await raise_trouble(view, self._outbox, notice, f"data:{name}", name)
            else:
                await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(
                body, nonce=f"{notice.kind}:{request.strategy}|{day}|{cause}"
            )
        except AlreadyDone:
            return

    async def _decided(
        self, strategy: Strategy, parameters: Mapping[str, ParameterValue], request: RunRequest
    ) -> Decided:
        window = self.session(request.slot_at)
        if window is None:
            raise StrategyFailed("the exchange is closed on this day")
        need = strategy.data(parameters)
        instruments = strategy.instruments(parameters)
        live = await self._bars.read(instruments, need, window, request.slot_at)
        await self._report_missing(request, [one for one in instruments if not live[one]])
        day = trading_day(request.slot_at)
        bars = await with_pinned(self._store, strategy.name, day, need.bar_minutes, live)
        context = Context(request.slot_at, window, bars, parameters)
        targets = await self._decider.decide(strategy.name, context, instruments, request.run_id)
        return Decided(targets, bars, need.bar_minutes)

    async def _report_missing(self, request: RunRequest, missing: Sequence[InstrumentId]) -> None:
        """Name the instruments without a bar, once a day; the others are run."""
        if missing:
            detail = await self._symbols.why_no_bars(missing)
            notice = DataMissing(request.strategy, detail, others_run=True)
            await self._notify(notice, request, ",".join(map(str, missing)))

    def session(self, moment: datetime) -> SessionWindow | None:
        """Return the cash session of a moment's day (``BarReader.session_of``)."""
        return self._bars.session_of(moment.date())

    async def _commit(
        self,
        strategy: Strategy,
        request: RunRequest,
        decided: Decided,
        parameters: Mapping[str, ParameterValue],
    ) -> str:
        collect_later(_SLOT_S)
        accounts = await self._assigned(strategy.name, request.only)
        # All that needs a request or a file is read before the transaction, which may run again.
        brokers = {account.broker for account, _ in accounts}
        plan = self._plan(strategy.schedule(parameters), request, brokers)
        if request.may_enter and any(plan.is_fresh(target) for target in decided.targets):
            self._warm(account.broker_id for account, _ in accounts)  # while this is written
        doubts = await self._doubts(plan, decided)
        plan = replace(plan, doubts=doubts.entries, stop_doubts=doubts.stops)
        tables = await self._tables(brokers)
        instruments = {account.broker_id: tables[account.broker] for account, _ in accounts}
        written = await self._write(plan, decided, accounts, instruments)
        ids = [account.broker_id for account, _ in accounts]
        if written.is_signal:
            # A turn costs reads of the broker's rate: one for each slot would use it up. Before
            # anything else: what was committed can go out now. Whose order leaves by a lane is
            # woken when it has left.
            leaving = {one.broker_id for one in written.born.values()}
            for broker_id in ids:
                if broker_id not in leaving:
                    self._wake(broker_id)
            await asyncio.sleep(0)
        self._ran(ids, self._clock.market_now())
        if not written.is_signal:
            return f"nothing to change on {len(accounts)} account(s)"
        return f"{len(written.entries)} entry order(s) on {len(accounts)} account(s)"

    async def _write(
        self,
        plan: RunPlan,
        decided: Decided,
        accounts: Sequence[tuple[Account, AssignmentView]],
        instruments: Mapping[str, Mapping[InstrumentId, Instrument]],
    ) -> WrittenRun:
        """Commit the run, and send at once what was born SUBMITTED in it."""
        request = plan.request
        lanes = await self._take_lanes(plan, decided, accounts)
        born: dict[str, Order] = {}
        departure = Departure(lanes)
        runs = itertools.count(1)

        async def body(view: StoreView) -> WrittenRun:
            self._gateway.forget(born)
            born.clear()
            departure.put_off()
            number = next(runs)
            # One after another: of two plans for the same accounts that go on by turns, the second
            # would always be made again.
            async with self._planning:
                written = await self._planner.write(
                    view,
                    plan,
                    decided,
                    accounts,
                    instruments,
                    # One account's locked gate would hold up all: each then passes its own.
                    {one: lanes[one] for one in self._uncontended(lanes)}
                    if number <= _RUNS_WITH_LANES
                    else {},
                    pauses=number == 1,  # what was changed in one must not happen for ever
                )
            born.update(written.born)
            # Before the commit, as for every submission: a reconciliation leaves them alone.
            self._gateway.in_flight.update(born)
            departure.is_near(born.values())
            return written

        try:
            written = await self._store.transaction(body, nonce=f"run:{request.run_id}")
        except BaseException:
            self._gateway.forget(born)
            departure.cancel()
            raise
        departure.go(born.values())
        return written

    async def _take_lanes(
        self,
        plan: RunPlan,
        decided: Decided,
        accounts: Sequence[tuple[Account, AssignmentView]],
    ) -> Mapping[str, Lane]:
        """Take the lanes of accounts on which an order may be decided."""
        # A controller that ends leaves entries as intents: the next one sends them in time.
        if self._gateway.ending.has_begun:
            return {}
        if plan.request.may_enter and any(map(plan.is_fresh, decided.targets)):
            return self._lanes(one.broker_id for one, _ in accounts)
        # Whose lane was taken is read after it: not each holder at each slot, nor each that is
        # paused and so holds against its signal.
        closing = [
            account.broker_id
            for account, assignment in accounts
            if closes(
                assignment,
                decided.targets,
                await ledgers_of(self._store, account.broker_id),
            )
            and not await self._is_paused(account.broker_id)
        ]
        return self._lanes(closing) if closing else {}

    async def _is_paused(self, broker_id: str) -> bool:
        gate = await gate_at(self._store, broker_id)
        return gate is None or gate.mode is TradingMode.PAUSED

    def _plan(
        self, schedule: Schedule, request: RunRequest, brokers: Iterable[BrokerProfile]
    ) -> RunPlan:
        now = self._clock.market_now()
        closing = [
            broker
            for broker in brokers
            if (begin := self.square_off_begins(schedule, now.date(), broker)) and now >= begin
        ]
        window = self.session(request.slot_at)
        return RunPlan(
            request,
            schedule.every_minutes,
            frozenset(closing),
            self._clock.now(),
            is_known_day=window is not None and not window.is_assumed,
            clock_offset=clock_offset(self._clock),
        )

    async def _doubts(self, plan: RunPlan, decided: Decided) -> Doubts:
        """Look up the prices of what may be entered; most runs enter nothing and ask nothing."""
        slot_at = plan.request.slot_at
        entered = {
            target.instrument: Side.of(int(target.direction))
            for target in decided.targets
            if target.direction and slot_at - target.signal_at < plan.fresh_for
        }
        return await self._entry_prices.doubts(
            entered if plan.request.may_enter else {},
            decided.bars,
            slot_at=slot_at,
            bar_minutes=decided.bar_minutes,
            stops=[one.instrument for one in decided.targets if one.stop_price is not None],
        )

    def square_off_begins(
        self, schedule: Schedule, day: date, broker: BrokerProfile
    ) -> datetime | None:
        """Return from when a strategy is squared off at a broker: nothing is entered then."""
        cut_off = self._calendar.square_off(day, broker, Segment.CASH, has_derivatives=True)
        return square_off_at(schedule, day, cut_off)

    async def _assigned(self, name: str, only: str | None) -> list[tuple[Account, AssignmentView]]:
        found = []
        every = await self._accounts.all()
        asked = [one for one in every if only in {None, one.broker_id}]
        assignments = await self._strategies.assignments(name, asked)
        for account, assignment in zip(asked, assignments, strict=True):
            # Switched off, but still holding: the run must be able to decide its exit (D4).
            if (account.enabled and assignment.is_on) or await self._holds(name, account):
                found.append((account, assignment))
        return found

    async def _holds(self, name: str, account: Account) -> bool:
        """An account that was switched off with "exits only" still gets the exits."""
        ledgers = await ledgers_of(self._store, account.broker_id)
        held = any(one.strategy == name and one.quantity for one in ledgers)
        return held and (account.enabled or account.drain)

    async def _tables(
        self, brokers: Collection[BrokerProfile]
    ) -> Mapping[BrokerProfile, Mapping[InstrumentId, Instrument]]:
        """Return each broker's instruments; one that hangs holds back no other's accounts (I7).

        Once one broker's are there, the others' are waited for a moment: where they are not known
        then, nothing is entered there, and exits need none.
        """
        found: dict[BrokerProfile, Mapping[InstrumentId, Instrument]] = {}

        async def load(broker: BrokerProfile) -> None:
            found[broker] = await self._instruments(broker)

        async with asyncio.TaskGroup() as group:
            late = {group.create_task(load(one)) for one in brokers}
            while late and not any(found.values()):
                _, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
            if late:
                _, late = await asyncio.wait(late, timeout=_LATE_LIST_S)
            for one in late:
                one.cancel()  # it is loaded by the keeper of the lists, for the next run
        return {one: found.get(one, self._masters.known(one)) for one in brokers}

    async def _instruments(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        try:
            return await self._masters.instruments(broker)
        except BrokerReadError as error:
            _log.warning("%s: %s", broker.label, error)
            return {}
