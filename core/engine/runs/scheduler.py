"""The scheduler: what is due by calendar and market clock, each slot once (product.md D2, D7).

Something outside (``core.adapters.scheduling``) only wakes ``tick``. What is due is a pure function
of the schedule, the session and the newest slot handled, which is stored; the run's id is unique,
so a slot fires once, across restarts and ticks that overlap. Late entries are dropped and reported;
square-offs fire however late, as long as the market trades.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from core.domain.due import DueSlot, due_slots, next_slot
from core.domain.failures import own_words
from core.domain.instrument import Segment
from core.domain.notices.post import Post
from core.domain.notices.runs import RunFailed, SlotMissed
from core.domain.sessions import IST, Schedule, SessionWindow, trading_day
from core.domain.target import Strategy
from core.engine.outbox import Outbox
from core.engine.runs.plan import RunRequest
from core.engine.runs.runner import NEAR_S, Runner
from core.engine.runs.settings import StrategySettings
from core.engine.runs.square_off import SquareOff
from core.errors import AlreadyDone, StoreError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Scheduler", "Selection"]

_log = logging.getLogger(__name__)
_TICK_S = 0.5
_LOOK_AHEAD = timedelta(seconds=0.7)
"""A slot that is nearer, in real time, is waited for: a look comes each half second."""
_AHEAD = timedelta(minutes=10)
"""From how long before the open prices are pushed: the first minute is to be heard whole."""
_SAME = timedelta(seconds=1)
"""Of market time: within it a moment found by way of real time is the same."""
_WARM_AHEAD = timedelta(seconds=NEAR_S)
"""Real time. An idle connection lives for four seconds: two ticks ahead leave three to the slot."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One strategy, enabled or not, on one account (``saarthi live``, D5)."""

    strategy: str
    broker_id: str


class Scheduler:
    """Finds what is due and has it run; with a ``selection``, that alone.

    A selection keeps its newest slot to itself: what it handled on its one account is not handled
    for the others.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        strategies: StrategySettings,
        runner: Runner,
        square_off: SquareOff,
        outbox: Outbox,
        selection: Selection | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._strategies = strategies
        self._runner = runner
        self._square_off = square_off
        self._outbox = outbox
        self._selection = selection
        self._selected_until = clock.market_now()
        self._warmed: dict[str, datetime] = {}
        self.last_tick_at: datetime | None = None

    async def tick(self) -> None:
        """Handle everything that is due now: square-offs first."""
        await self.tick_square_offs()
        await self.tick_slots()

    async def run(self) -> None:
        """Run slots when they are due, until cancelled; no strategy waits for another's run."""
        running: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for name, part in self._parts(waits=True):
                    task = running.get(name)
                    if task is None or task.done():
                        running[name] = group.create_task(self._survived(name, part))
                await self._clock.sleep(_TICK_S)

    async def tick_slots(self) -> None:
        """Run the slots that are due, strategies beside one another."""
        async with asyncio.TaskGroup() as group:
            for name, part in self._parts():
                group.create_task(self._guarded(name, part))

    def _parts(self, *, waits: bool = False) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Yield what each strategy has to do now, from a little before the open to the close.

        With ``waits`` a slot that comes before the next look is waited for.
        """
        now = self._clock.market_now()
        self.last_tick_at = self._clock.now()
        window = self._runner.session(now)
        is_near = window is not None and window.open_at - _AHEAD <= now < window.close_at
        for name, strategy in self._chosen():
            if window is None or not is_near:
                self._runner.dismiss(name)
            else:
                yield name, partial(self._slots, name, strategy, window, waits=waits)

    async def _survived(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Keep a failure that could not even be reported from the slots to come."""
        try:
            await self._guarded(name, part)
        # A boundary: what is due stays due, and is tried again.
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the slots of %s failed", name)

    async def tick_square_offs(self) -> None:
        """Begin the square-offs that are due; it waits for no market data."""
        only = self._selection
        await self._square_off.tick(
            strategy=only.strategy if only else None, broker_id=only.broker_id if only else None
        )

    def _chosen(self) -> list[tuple[str, Strategy]]:
        return [
            (name, strategy)
            for name, strategy in self._strategies.registry.items()
            if self._selection is None or name == self._selection.strategy
        ]

    async def _guarded(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Keep one strategy's failure from the others and from square-offs; report it once."""
        try:
            await part()
        except StoreError:
            _log.warning("strategy %s: the store is away", name)
        # A strategy is the user's own code, its schedule and parameters too.
        except Exception as error:  # noqa: BLE001 - see above
            _log.error("strategy %s failed", name, exc_info=error)
            notice = RunFailed(name, own_words(error))
            day = trading_day(self._clock.market_now())
            await self._post_once(f"failed:{name}|{day}|{type(error).__name__}", Post(notice))

    async def _post_once(self, nonce: str, post: Post) -> None:
        """Post a notice that this nonce has not posted before."""

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, post)

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return

    async def _slots(
        self, name: str, strategy: Strategy, window: SessionWindow, *, waits: bool
    ) -> None:
        only = self._selection.broker_id if self._selection else None
        row = await self._strategies.row(name)
        if not (row["enabled"] or only):
            self._runner.dismiss(name)
            return
        parameters = await self._strategies.parameters(name)
        schedule = strategy.schedule(parameters)
        self._runner.expect(strategy, parameters, window)
        marked = self._selected_until if only else row.get("last_slot_at")
        known = [one for one in (marked, row.get("schedule_since")) if one is not None]
        handled = max(known, default=None)
        now = self._clock.market_now()
        due = due_slots(schedule, window, now=now, handled=handled)
        if due is None:
            slot = next_slot(schedule, window, now)
            await self._warm(name, slot, only)
            # History has a bar a moment after its close; to the moment is for what is pushed.
            is_met = waits and self._runner.is_pushed(name)
            if not (is_met and await self._awaited(slot)):
                return
            now = self._clock.market_now()
            due = due_slots(schedule, window, now=now, handled=handled)
        if due is None:
            return
        if (due.missed or not due.may_enter) and self._have_come(due):
            await self._notify_missed(name, schedule, due, now)
        run_id = f"{name}|{due.slot_at:%Y-%m-%dT%H:%M}" + (f"|{only}" if only else "")
        request = RunRequest(
            run_id,
            name,
            due.slot_at,
            may_enter=due.may_enter,
            only=only,
            is_first=bool(row.get("tells_next_run")) and not only,
        )
        line = await self._runner.run(request)
        # Marked after the run: a crash in between runs the slot again, and the unique run id makes
        # that harmless. Marked before, the slot would be lost (D2).
        if only:
            self._selected_until = due.slot_at
        else:
            await self._strategies.mark_slot(name, due.slot_at)
        _log.info("run %s: %s", request.run_id, line)

    async def _awaited(self, slot: datetime | None) -> bool:
        """Wait for a slot that comes before the next look, so that it is met to the moment."""
        if slot is None:
            return False
        left = self._left(slot)
        if left > _LOOK_AHEAD:
            return False
        await self._clock.sleep(max(0.0, left / timedelta(seconds=1)))
        return True

    def _left(self, slot: datetime) -> timedelta:
        """Return how long it is until a slot, real time."""
        return self._clock.real_at(slot) - self._clock.now()

    async def _warm(self, name: str, slot: datetime | None, only: str | None) -> None:
        """Have connections to the brokers open for a slot that is near, once."""
        if slot is None or self._warmed.get(name) == slot:
            return
        # Market time may run faster, and no connection opens in less time for that.
        if self._left(slot) <= _WARM_AHEAD:
            self._warmed[name] = slot
            await self._runner.warm(name, only)

    def _have_come(self, due: DueSlot) -> bool:
        """Whether market time has passed through these slots.

        A simulated clock that somebody moved ahead went over some of them: there was nothing to
        miss, and whoever moved it knows.
        """
        slots = (*due.missed, due.slot_at)
        clock = self._clock
        return all(abs(clock.market_at(clock.real_at(one)) - one) < _SAME for one in slots)

    async def _notify_missed(
        self, name: str, schedule: Schedule, due: DueSlot, now: datetime
    ) -> None:
        slot, only = due.slot_at, self._selection.broker_id if self._selection else None
        late_s = int((now - slot).total_seconds())
        outlook = await self._runner.outlook(name, schedule, slot, only)
        notice = SlotMissed(
            name,
            slot,
            late_s,
            len(due.missed),
            due.may_enter,
            outlook.why,
            outlook.is_silent,
            *((due.missed[0], due.missed[-1]) if due.missed else ()),
        )
        await self._post_once(f"missed:{name}|{slot.isoformat()}", Post(notice))

    async def next_slot(self, name: str) -> datetime | None:
        """Return a strategy's next slot by its schedule, IST, whether it is enabled or not.

        None when the calendar ends.
        """
        strategy = self._strategies.strategy(name)
        schedule = strategy.schedule(await self._strategies.parameters(name))
        now = self._clock.market_now()
        window = self._runner.session(now)
        found = next_slot(schedule, window, now) if window else None
        if found is not None:
            return found
        try:
            after = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), IST)
            upcoming = self._calendar.next_session(after, Segment.CASH)
        except LookupError:
            return None
        return next_slot(schedule, upcoming, upcoming.open_at - timedelta(seconds=1))
