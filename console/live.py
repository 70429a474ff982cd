"""``saarthi live``: one strategy on one account from the console, through the same engine (D5).

Only the holder of the lease sends orders. When the lease is free, this process takes it, reads the
broker and then runs; notices stay in the outbox until the controller starts, and the console shows
the orders. When a controller holds the lease, the run is requested from it and its result is shown.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from bot.views.words import is_final, order_state
from console.process import set_up_log
from core.bootstrap import (
    PROFILES,
    Foundation,
    System,
    attach,
    build,
    open_system,
    strategy_processes,
)
from core.config import Settings
from core.domain.account import Account
from core.domain.order import LIVE_STATES, Purpose
from core.domain.sessions import IST
from core.domain.views import OrderView
from core.engine.accounts.accounts import Accounts
from core.engine.control.account_registration import BETA_STORE
from core.engine.runs.plan import RunRequest, requested_slot
from core.engine.runs.scheduler import Selection
from core.errors import (
    LeaseHeld,
    NotFound,
    SaarthiError,
    StoreError,
    StoreUnavailable,
    UserError,
)
from core.ports.store import StoreView
from strategy.registry import REGISTRY, STRATEGIES

__all__ = ["run_live"]

_log = logging.getLogger(__name__)
_READ_S = 30.0
_FOLLOW_S = 60.0
_TAKEN_S = 60.0
_QUIET_S = 3.0
_LOOK_S = 0.2


async def run_live(settings: Settings, *, strategy: str, broker_id: str, once: bool) -> int:
    """Run one strategy on one account; return the exit code.

    Args:
        settings: Of the installation.
        strategy: Its name or title; whether it is enabled for scheduled runs does not matter.
        broker_id: The account's id, or its name as the chat shows it.
        once: One run now, then end; else its scheduled slots until SIGINT or SIGTERM.

    Raises:
        SaarthiError: It cannot be done; the message is one line for the user.
    """
    set_up_log(settings)
    titles = {name: (one.title,) for name, one in STRATEGIES.items()}
    found = meant(strategy, titles)
    if found is None:
        raise NotFound(f"Found the strategy {strategy!r}; expected one of {', '.join(STRATEGIES)}.")
    with _cancelled_by_signals() as was_asked:
        try:
            await _live(settings, found, broker_id, once=once)
        except asyncio.CancelledError:
            if not was_asked():
                raise
            return 1 if once else 0
    return 0


async def _live(settings: Settings, strategy: str, account_name: str, *, once: bool) -> None:
    async with _foundation(settings) as foundation:
        account = await _checked_account(foundation, account_name)
        selection = Selection(strategy, account.broker_id)
        system = build(
            foundation,
            STRATEGIES,
            decisions=strategy_processes(REGISTRY),
            selection=selection,
        )
        try:
            try:
                await system.lease.wait_and_take()
            except LeaseHeld:
                await _hand_over(system, selection)
                return
            _refuse_beta_store(foundation)
            await _as_controller(system, selection, account, once=once)
        finally:
            await system.end()


@contextmanager
def _cancelled_by_signals() -> Iterator[Callable[[], bool]]:
    """Cancel the current task on SIGINT or SIGTERM; yield a check whether one came."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked = asyncio.Event()

    def stop() -> None:
        if task is not None and not asked.is_set():
            asked.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        yield asked.is_set
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _foundation(settings: Settings) -> AsyncIterator[Foundation]:
    """Attach to a store that runs; start the installation's own where none does."""
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    async with AsyncExitStack() as stack:
        try:
            found = await stack.enter_async_context(attach(settings, uri))
        except StoreUnavailable:
            if uri is not None:
                raise
            found = await stack.enter_async_context(open_system(settings))
        yield found


def meant(text: str, known: Mapping[str, Sequence[str]]) -> str | None:
    """Return what a person names by its id, or by a name that the chat shows, in any case.

    Args:
        text: What was typed.
        known: Other names by id; nothing is meant where two have the same.
    """
    if text in known:
        return text
    wanted = " ".join(text.casefold().split())
    found = [one for one, names in known.items() if wanted in {name.casefold() for name in names}]
    return found[0] if len(found) == 1 else None


async def _checked_account(foundation: Foundation, name: str) -> Account:
    """Return the account that is named by its id, or as the chat shows it."""
    stored = Accounts(foundation.store, foundation.vault, foundation.clock, PROFILES)
    accounts = {one.broker_id: one for one in await stored.all()}
    found = meant(name, {key: (one.label, one.display_name) for key, one in accounts.items()})
    if found is None:
        known = ", ".join(f"{key} ({one.label})" for key, one in accounts.items())
        raise NotFound(
            f"Found the account {name!r}; expected one of {known or 'none: add one first'}."
        )
    account = accounts[found]
    if not account.enabled:
        raise UserError(f"{account.label} is disabled; enable it in the chat under /brokers first.")
    return account


def _refuse_beta_store(foundation: Foundation) -> None:
    if not foundation.may_serve_live:
        raise UserError(BETA_STORE)


# --- holding the lease -------------------------------------------------------------------------


async def _as_controller(
    system: System, selection: Selection, account: Account, *, once: bool
) -> None:
    """Run the work while the services of this account run.

    Raises:
        SaarthiError: What ended the work; ``LeaseLost`` when another controller took over.
    """
    if account.needs_login:
        raise UserError(f"{account.label} needs a login; the chat has the button under /login.")
    try:
        async with asyncio.TaskGroup() as group:
            services = group.create_task(system.supervisor.run(system.services), name="services")
            try:
                if once:
                    await _run_once(system, selection, account)
                else:
                    await _run_slots(system, selection, account)
            finally:
                await system.finish()  # by a signal too: what is on its way is heard out
            services.cancel()
    except* SaarthiError as errors:
        raise _first(errors) from None


def _first(group: BaseExceptionGroup[SaarthiError]) -> SaarthiError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, SaarthiError) else SaarthiError(str(error))


async def _run_once(system: System, selection: Selection, account: Account) -> None:
    await _until_read(system, account)
    request = _request(system, selection)
    await _show_result(system, request, await system.runner.run(request))


async def _until_read(system: System, account: Account) -> None:
    """Wait until the broker was read and the journal settled against it: the recovery."""
    clock = system.foundation.clock
    deadline = clock.monotonic() + _READ_S
    while True:
        worker = system.worker(account.broker_id)
        if worker is not None and worker.snapshot.orders_at is not None:
            return
        if clock.monotonic() >= deadline:
            trouble = worker.trouble if worker else "it was not started"
            raise UserError(f"{account.label} could not be read, nothing was run: {trouble}.")
        await clock.sleep(_LOOK_S)


async def _run_slots(system: System, selection: Selection, account: Account) -> None:
    upcoming = await system.scheduler.next_slot(selection.strategy)
    when = f"next run {upcoming.astimezone(IST):%d %b %H:%M} IST" if upcoming else "no next run"
    _say(f"Running {selection.strategy} on {account.label}, {when}. Ctrl-C ends it.")
    console = _Console()
    while True:
        try:
            orders = await system.control.views.orders(account.broker_id)
        except StoreError as error:
            _log.warning("the orders cannot be shown: %s", error)
        else:
            console.show(o for o in reversed(orders) if o.strategy == selection.strategy)
        await system.foundation.clock.sleep(_LOOK_S)


# --- another process holds the lease -----------------------------------------------------------


async def _hand_over(system: System, selection: Selection) -> None:
    """Request one run from the holder of the lease, and show its result."""
    request = _request(system, selection)

    async def body(view: StoreView) -> None:
        await system.run_requests.file(view, request)

    await system.foundation.store.transaction(body, nonce=f"live:{request.run_id}")
    _say("The controller runs: one run is filed with it.")
    try:
        result = await _poll(system, lambda: system.run_requests.result(request.run_id), _TAKEN_S)
        if result is None:
            if await system.run_requests.withdraw(request.run_id):
                raise UserError(
                    f"The controller did not take the run within {_TAKEN_S:.0f} s; "
                    "it was withdrawn."
                )
            result = await _poll(
                system, lambda: system.run_requests.result(request.run_id), _TAKEN_S
            )
    except asyncio.CancelledError:
        await system.run_requests.withdraw(request.run_id)
        raise
    if result is None:
        raise UserError("The controller began the run and did not finish it; see /strategies.")
    await _show_result(system, request, result)


async def _poll(
    system: System, ask: Callable[[], Awaitable[str | None]], within_s: float
) -> str | None:
    clock = system.foundation.clock
    deadline = clock.monotonic() + within_s
    while (found := await ask()) is None and clock.monotonic() < deadline:
        await clock.sleep(_LOOK_S)
    return found


# --- both --------------------------------------------------------------------------------------


def _request(system: System, selection: Selection) -> RunRequest:
    """Return a run for this moment; raises ``UserError`` when the market is closed."""
    now = system.foundation.clock.market_now()
    window = system.runner.session(now)
    if window is None or not window.contains(now):
        raise UserError("The market is closed now; a run needs a trading session.")
    run_id = f"{selection.strategy}|live|{secrets.token_hex(6)}"
    return RunRequest(run_id, selection.strategy, requested_slot(now), only=selection.broker_id)


async def _show_result(system: System, request: RunRequest, result: str) -> None:
    """Print a run's result line, and follow its orders until each is settled.

    Raises:
        UserError: The run failed, or an order is still open after a minute.
    """
    try:
        await system.control.views.run(request.run_id)
    except NotFound:
        raise UserError(f"{request.strategy}: {result}.") from None
    _say(f"{request.strategy}: {result}")
    console = _Console()
    clock = system.foundation.clock
    deadline = clock.monotonic() + _FOLLOW_S
    quiet_from = clock.monotonic()
    while True:
        lines = (await system.control.views.run(request.run_id)).lines
        orders = [order for line in lines for order in line.orders]
        if console.show(orders):
            quiet_from = clock.monotonic()
        pending = [order for order in orders if not _is_settled(order)]
        if not pending and clock.monotonic() - quiet_from >= _QUIET_S:
            break
        if clock.monotonic() >= deadline:
            raise UserError(f"{len(pending)} order(s) are still open after {_FOLLOW_S:.0f} s.")
        await clock.sleep(_LOOK_S)
    for line in lines:
        if line.note:
            _say(f"{line.account_label}: {line.note}")


def _is_settled(order: OrderView) -> bool:
    """Return whether an order is final, or a stop that rests at the broker, where it belongs."""
    return is_final(order) or (order.purpose is Purpose.STOP and order.state in LIVE_STATES)


class _Console:
    """Prints an order whenever its line changes."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def show(self, orders: Iterable[OrderView]) -> bool:
        """Print the lines that changed; return whether any did."""
        has_changed = False
        for order in orders:
            line = _order_line(order)
            if self._printed.get(order.key) != line:
                self._printed[order.key] = line
                _say(line)
                has_changed = True
        return has_changed


def _order_line(order: OrderView) -> str:
    return (
        f"{order.account_label}: {order.purpose.value} {order.side.value} {order.quantity} "
        f"{order.instrument} {order.product.value}: {order_state(order)}"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
