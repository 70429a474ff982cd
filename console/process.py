"""``saarthi run``: engine, bot and web server in one process, under one supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from bot.application import Bot, build_bot
from bot.edge.pairing import pairing_code
from bot.edge.polling_alarm import PollingAlarm
from bot.parameters import BotParameters
from console.limits import connections_of, raise_descriptor_limit, rate_loop_errors
from console.memory import keep_pauses_short
from console.service_manager import ServiceManager, sign_of_life
from core.bootstrap import (
    OFFERED,
    PROFILES,
    LoopWatch,
    System,
    build,
    open_system,
    strategy_processes,
)
from core.config import Settings
from core.engine.workers.supervisor import Service
from core.errors import ConfigurationError, LeaseLost, StoreError
from core.observability.logs import Redactor, set_up_logging
from core.ports.store import Store
from strategy.registry import REGISTRY, STRATEGIES
from webhooks.app import WebParts, build_app, serve
from webhooks.connections import ConnectionLimits

__all__ = ["run_controller", "services_until_stopped", "set_up_log", "show_pairing"]

_PATIENCE_S = 1.0
_log = logging.getLogger(__name__)


def set_up_log(settings: Settings) -> None:
    """Set up the log, with the secrets of the settings redacted."""
    redactor = Redactor()
    for secret in settings.secrets:
        redactor.learn(secret)
    set_up_logging(settings.log, redactor)


async def run_controller(settings: Settings, watch: LoopWatch) -> int:
    """Run until SIGINT or SIGTERM; return the exit code.

    Args:
        settings: Of the installation.
        watch: Watches the event loop that this runs in.

    Raises:
        SaarthiError: The start failed; the message is one line for the user.
    """
    set_up_log(settings)
    room = connections_of(raise_descriptor_limit())
    faulthandler.enable()  # the SIGABRT of a watchdog leaves in the log where the process hung
    parameters = bot_parameters(settings)
    manager = ServiceManager.of_environment()
    async with contextlib.AsyncExitStack() as stack:
        with manager.starting():
            foundation = await stack.enter_async_context(open_system(settings))
            rate_loop_errors(asyncio.get_running_loop(), foundation.clock)
            system = build(
                foundation,
                STRATEGIES,
                decisions=strategy_processes(REGISTRY),
                loop_lag=watch.lag,
            )
            await system.begin()
        await system.control.owners.settle(settings.owners)
        gc.freeze()  # modules and wiring stay: no collection has to look at them
        bot = build_bot(
            parameters,
            system.control,
            foundation.store,
            foundation.vault,
            foundation.clock,
            tell=_tell,
        )
        web = serve(build_app(_web_parts(system, bot, settings, room)), settings.listen)
        await show_pairing(foundation.store, _tell)
        try:
            await web.start()
            manager.ready()
            await services_until_stopped(system, _services(system, bot, manager))
        finally:
            manager.stopping()
            await web.stop()
            await bot.stop()
            await system.end()
    _tell("Saarthi has ended in order.")
    return 0


def bot_parameters(settings: Settings) -> BotParameters:
    """Return the bot's part of the settings; raises ``ConfigurationError``."""
    token = settings.telegram_token.get_secret_value()
    if not token:
        raise ConfigurationError(
            "SAARTHI_TELEGRAM_TOKEN is not set; expected the token that BotFather gives."
        )
    return BotParameters(
        token=token,
        api_root=settings.telegram_api,
        public_url=settings.public_url,
        redirect_root=settings.redirect_root,
        brokers=OFFERED,
        patience_s=_PATIENCE_S,
    )


def _web_parts(system: System, bot: Bot, settings: Settings, room: int) -> WebParts:
    async def is_healthy() -> bool:
        if bot.health().trouble or system.liveness.trouble():
            return False
        try:
            await system.foundation.store.ping()
        except StoreError:
            return False
        return True

    return WebParts(
        logins=system.logins,
        accounts=system.accounts,
        brokers=PROFILES,
        hint=system.hint,
        is_healthy=is_healthy,
        clock=system.foundation.clock,
        chat_url=lambda: settings.chat_url or bot.chat_url(),
        trusted_proxies=settings.trusted_proxies,
        connections=ConnectionLimits(most=room),
    )


def _services(system: System, bot: Bot, manager: ServiceManager) -> dict[str, Service]:
    post = partial(system.outbox.post, system.foundation.store)

    def is_trading() -> bool:
        now = system.foundation.clock.market_now()
        window = system.runner.session(now)
        return window is not None and window.contains(now)

    watched = sign_of_life(manager, system.liveness, system.foundation.clock)
    return {
        **system.services,
        **({"sign of life": watched} if manager.is_there else {}),
        "outbox": system.sender(bot.notifier),
        "bot": bot.run,
        "memory": partial(keep_pauses_short, system.foundation.clock, is_trading),
        "polling alarm": PollingAlarm(bot.health, post, system.foundation.clock).run,
    }


async def show_pairing(store: Store, tell: Callable[[str], None]) -> None:
    """Without an owner, print the pairing code: to the console, never to the log."""
    code = await pairing_code(store)
    if code is not None:
        tell(f"No owner yet. Send this to the bot in Telegram:  /pair {code}")


def _tell(line: str) -> None:
    """Show a line on the console."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def services_until_stopped(system: System, services: Mapping[str, Service]) -> None:
    """Keep the services running until a signal asks to stop.

    Raises:
        LeaseLost: Another controller took over.
    """
    async with _stop_signal() as stopped:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(system.supervisor.run(services), name="services")
                group.create_task(_end_when(stopped, system), name="stop signal")
        except* _StopAsked:
            _log.info("asked to stop")
        except* LeaseLost as lost:
            raise LeaseLost("another controller took over this store; this one stops") from lost


class _StopAsked(Exception):
    """A signal asked to stop; ends the task group of the services."""


async def _end_when(stopped: asyncio.Event, system: System) -> None:
    await stopped.wait()
    await system.finish()
    raise _StopAsked


@contextlib.asynccontextmanager
async def _stop_signal() -> AsyncIterator[asyncio.Event]:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
