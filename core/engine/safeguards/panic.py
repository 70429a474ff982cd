"""Panic: everything on the chosen accounts is cancelled and closed, until nothing is left (row R2).

A panic is a document, written in one transaction with EXIT_ONLY of its accounts. ``Panics.run``,
kept by the supervisor, pursues it with a task for each account, and brings the live message up to
date, at most once a second. It ends when every account is flat, or when a user ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace

from core.domain.command import Command
from core.domain.notices.post import panic_card, panic_over_card
from core.domain.panic import Line, Panic, PanicEnd, is_of_panic
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import live_ids
from core.engine.accounts.global_mode import hold_global_mode
from core.engine.accounts.modes import let_only_exit
from core.engine.orders.gate import touch_gate
from core.engine.orders.goals import goals_of
from core.engine.orders.hold_again import hold_again
from core.engine.outbox import Outbox
from core.engine.safeguards.panic_account import PanicPursuit, PursuitParts
from core.engine.safeguards.panics import (
    add_panic,
    end_panic,
    panic_at,
    put_lines,
    running_panic,
    widen_panic,
)
from core.errors import (
    AlreadyDone,
    DuplicateKey,
    NotFound,
    StoreError,
    TransactionConflict,
    UserError,
)
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Panics"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.25
_IDLE_S = 2.0
_STORE_PAUSE_S = 2.0
_CARD_EVERY_S = 1.0
_STARTS = 5


@dataclass
class _Run:
    """A panic that is pursued here, with a task for each account."""

    panic: Panic
    group: asyncio.TaskGroup
    pursuits: dict[str, PanicPursuit] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    shown: tuple[Line, ...] = ()
    shown_at: float | None = None

    def lines(self) -> tuple[Line, ...]:
        """Return how the accounts stand now."""
        return tuple(
            self.pursuits[line.broker_id].line if line.broker_id in self.pursuits else line
            for line in self.panic.lines
        )


class Panics:
    """Begins, pursues and ends panics; ``wake`` lets an account's worker take a turn."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        parts: PursuitParts,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._parts = parts
        self._wake = wake
        self._changed = asyncio.Event()

    # What a user does

    async def start(
        self, command: Command, broker_ids: Collection[str], *, with_holdings: bool
    ) -> Panic:
        """Begin a panic on these accounts, or add them to the one that runs.

        Raises:
            AlreadyDone: This command took effect before.
            UserError: None of the accounts is connected.
        """

        async def body(view: StoreView) -> Panic:
            return await self._begin(view, command, broker_ids, with_holdings=with_holdings)

        for _ in range(_STARTS):
            try:
                panic = await self._store.transaction(body, nonce=f"panic:{command.id}")
            except (DuplicateKey, TransactionConflict):
                # Another one began at this very moment, and this one is added to it; or the gates
                # were written by too many submissions.
                continue
            # The workers are woken when there is something for them to do: a turn before that would
            # stand in its way.
            self._changed.set()
            return panic
        raise UserError("The panic could not begin: too much else was written. Tap once more.")

    async def _begin(
        self,
        view: StoreView,
        command: Command,
        broker_ids: Collection[str],
        *,
        with_holdings: bool,
    ) -> Panic:
        now, by = self._clock.now(), str(command.user_id)
        # Written, so that an account that is being added at this moment is not forgotten.
        await hold_global_mode(view)
        connected = await live_ids(view)
        chosen = [one for one in connected if one in broker_ids]
        present = await running_panic(view)
        if not chosen:
            raise UserError("None of these accounts is connected; nothing was done.")
        before = present.broker_ids if present else ()
        new = [one for one in chosen if one not in before]
        is_global = set(connected) <= {*before, *chosen}
        await let_only_exit(view, new, everywhere=is_global, at=now, by=by)
        if present is None:
            panic = await add_panic(
                view,
                chosen,
                at=now,
                day=trading_day(self._clock.market_now()),
                by=by,
                with_holdings=with_holdings,
                is_global=is_global,
            )
        else:
            holdings = chosen if with_holdings else []
            panic = _widened(present, new, holdings, is_global=is_global)
            await widen_panic(view, panic)
        await self._outbox.post(view, panic_card(panic.panic_id, fresh=True))
        return panic

    async def stop(self, command: Command, panic_id: str) -> Panic:
        """End a panic that is not through: nothing more is cancelled or closed for it.

        What strategies still hold is theirs again, with the stop that made way for the exit; the
        modes stay as they are.

        Raises:
            AlreadyDone: It has ended, or this command took effect before.
        """
        by = str(command.user_id)

        async def body(view: StoreView) -> None:
            panic = await panic_at(view, panic_id)
            if panic is None:
                raise NotFound("That panic is not known.")
            if not await end_panic(view, panic_id, PanicEnd.STOPPED, at=self._clock.now(), by=by):
                raise AlreadyDone("That panic is over already.")
            for broker_id in panic.broker_ids:  # a flat one too: more may have come to it since
                # A pursuit that sets goals at this moment collides here (``hold_running``).
                await touch_gate(view, broker_id)
                await self._let_go(view, panic_id, broker_id)
            await self._tell_end(view, panic_id)

        await self._store.transaction(body, nonce=f"panic-stop:{command.id}")
        self._changed.set()
        panic = await panic_at(self._store, panic_id)
        if panic is None:
            raise NotFound("That panic is not known.")
        for broker_id in panic.broker_ids:
            self._wake(broker_id)
        return panic

    async def _let_go(self, view: StoreView, panic_id: str, broker_id: str) -> None:
        """Want what is held still, and nothing of what no strategy owns."""
        day = trading_day(self._clock.market_now())
        for goal in await goals_of(view, broker_id):
            if is_of_panic(goal.run_id, panic_id):
                await hold_again(view, goal, day=day, at=self._clock.now())

    async def _tell_end(self, view: StoreView, panic_id: str) -> None:
        await self._outbox.post(view, panic_over_card(panic_id))

    # The pursuit

    async def run(self) -> None:
        """Pursue whatever panic runs, for ever."""
        while True:
            try:
                panic = await running_panic(self._store)
                if panic is not None:
                    await self._pursue(panic)
            except StoreError as error:
                _log.warning("panic: %s", error)
                await self._clock.sleep(_STORE_PAUSE_S)
                continue
            await self._sleep(_IDLE_S)

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _pursue(self, panic: Panic) -> None:
        """Pursue a panic to its end, with a task for each account."""
        async with asyncio.TaskGroup() as group:
            run = _Run(panic, group)
            is_running = True
            while is_running:
                try:
                    is_running = await self._look(run)
                except StoreError as error:
                    # Here and not outside: the group would end the pursuits, whose requests are on
                    # their way, and raise an error of its own.
                    _log.warning("panic: %s", error)
                    await self._clock.sleep(_STORE_PAUSE_S)
                    continue
                # Once it has ended, nothing more is cancelled for it.
                if is_running:
                    await self._sleep(_LOOK_S)
            for task in run.tasks.values():
                task.cancel()

    async def _look(self, run: _Run) -> bool:
        """Keep a task for each account, and show what has changed; False when it has ended."""
        panic = await panic_at(self._store, run.panic.panic_id)
        if panic is None or not panic.is_running:
            return False
        more = set(panic.holdings) - set(run.panic.holdings)
        run.panic = panic
        for line in panic.lines:
            self._keep(run, line, is_more=line.broker_id in more)
        lines = run.lines()
        if all(line.is_over for line in lines):
            await self._end(run, lines)
            return False
        now = self._clock.monotonic()
        is_due = run.shown_at is None or now - run.shown_at >= _CARD_EVERY_S
        if lines != run.shown and is_due:
            await self._show(run, lines)
            run.shown, run.shown_at = lines, now
        return True

    def _keep(self, run: _Run, line: Line, *, is_more: bool) -> None:
        """Begin the pursuit of an account, and again when there is more to close there."""
        broker_id = line.broker_id
        task, pursuit = run.tasks.get(broker_id), run.pursuits.get(broker_id)
        if pursuit is not None and task is not None:
            if not (is_more and pursuit.line.is_over):
                return
            task.cancel()
        stands = Line(broker_id) if pursuit is not None else line
        found = PanicPursuit(self._parts, broker_id, lambda: run.panic, stands, self._changed.set)
        run.pursuits[broker_id] = found
        run.tasks[broker_id] = run.group.create_task(found.run(), name=f"panic {broker_id}")

    async def _show(self, run: _Run, lines: tuple[Line, ...]) -> None:
        async def body(view: StoreView) -> None:
            if await put_lines(view, run.panic.panic_id, lines):
                await self._outbox.post(view, panic_card(run.panic.panic_id))

        nonce = f"panic-lines:{run.panic.panic_id}|{self._clock.now().isoformat()}"
        with suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)

    async def _end(self, run: _Run, lines: tuple[Line, ...]) -> None:
        panic_id = run.panic.panic_id

        async def body(view: StoreView) -> None:
            present = await panic_at(view, panic_id)
            if present is None or _reach(present) != _reach(run.panic):
                return  # there is more to close since this moment
            if not await put_lines(view, panic_id, lines):
                return
            await end_panic(view, panic_id, PanicEnd.FLAT, at=self._clock.now())
            await self._tell_end(view, panic_id)

        nonce = f"panic-end:{panic_id}|{self._clock.now().isoformat()}"
        with suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)


def _reach(panic: Panic) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a panic is about."""
    return panic.broker_ids, panic.holdings


def _widened(
    panic: Panic, new: Collection[str], holdings: Collection[str], *, is_global: bool
) -> Panic:
    """Return a panic with more accounts, or with the holdings of some, which are looked at anew."""
    more = [one for one in holdings if one not in panic.holdings]
    lines = [
        replace(line, is_flat=False, flat_after_s=None) if line.broker_id in more else line
        for line in panic.lines
    ]
    return replace(
        panic,
        lines=(*lines, *(Line(broker_id) for broker_id in new)),
        holdings=(*panic.holdings, *more),
        is_global=panic.is_global or is_global,
    )
