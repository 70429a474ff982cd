"""Builds the bot and runs it: ``build_bot`` makes it, a supervisor awaits ``Bot.run``.

Updates: poller -> inbox (stored) -> queue -> turn in the chat -> authorization -> dispatch ->
handler. No decision is made here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from telegram import Update
from telegram.error import RetryAfter, TelegramError
from telegram.ext import Application, ApplicationBuilder, CallbackContext, TypeHandler

from bot.conversation.login_buttons import LoginButtons
from bot.conversation.nonces import Nonces
from bot.conversation.prompts import Prompts
from bot.conversation.services import ChatServices
from bot.edge.authorization import Authorization
from bot.edge.http import AiohttpRequest, PollRequest, Timeouts
from bot.edge.inbox import Inbox, InboxQueue
from bot.edge.intake import Intake
from bot.edge.limiter import ChatLimiter, seconds_of
from bot.edge.menu import Menu
from bot.edge.pairing import Pairing
from bot.edge.polling import Poller, PollerHealth
from bot.edge.processing import ChatProcessor
from bot.edge.turns import Turns
from bot.notices.lookups import Lookups
from bot.notices.notifier import Api, TelegramNotifier
from bot.parameters import BotParameters
from bot.registry import command_help
from bot.update_router import UpdateRouter, is_urgent, starts_at_once
from core.engine.control.control import Control
from core.errors import StoreError
from core.ports.clock import Clock
from core.ports.store import Store
from core.ports.vault import Vault

__all__ = ["Bot", "build_bot"]

_STOP_WITHIN_S = 8.0
_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 30.0
_REQUEST_TIMEOUT_S = 10.0
_POOL = 32
_log = logging.getLogger(__name__)

App = Application[Any, Any, Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _Parts:
    app: App
    api: Api
    gate: Authorization
    inbox: Inbox
    menu: Menu
    queue: InboxQueue
    poller: Poller
    notifier: TelegramNotifier
    clock: Clock


class Bot:
    """The running bot."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts
        self._is_started = False

    @property
    def notifier(self) -> TelegramNotifier:
        """The notifier port; works before ``start`` and while Telegram cannot be reached."""
        return self._parts.notifier

    def chat_url(self) -> str:
        """Return the address that leads to the bot's chat, or '' before Telegram has named it."""
        try:
            return f"https://t.me/{self._parts.api.username}"
        except RuntimeError:  # it was not asked yet
            return ""

    def health(self) -> PollerHealth:
        """Return the state of the connection to Telegram."""
        return self._parts.poller.health()

    async def start(self) -> None:
        """Connect to Telegram, however long that takes, then replay the unhandled updates."""
        if self._is_started:
            return
        app = self._parts.app
        await self._retry_until_done("initialize", app.initialize)
        await app.start()
        self._is_started = True
        await self._retry_until_done("replay", self._replay)
        await self._retry_until_done("set menus", self._set_menus)

    async def run(self) -> None:
        """Start, then poll until cancelled or a supervisor stops it."""
        await self.start()
        await self._parts.poller.run()

    async def stop(self) -> None:
        """Let running handlers finish within a time limit; queued updates are replayed later."""
        app = self._parts.app
        self._parts.queue.abandon()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                if app.running:
                    await app.stop()
        except TimeoutError:
            _log.warning("handlers were still busy at the stop; their updates are replayed")
        self._is_started = False
        try:
            await app.shutdown()
        except RuntimeError as error:
            # Raised while the library believes that it still runs, after the time-out above.
            _log.warning("the library did not shut down cleanly: %s", error)
            await self._parts.api.shutdown()

    async def _retry_until_done(
        self, what: str, act: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Call ``act`` until it succeeds: a start must survive an outage."""
        wait = _FIRST_RETRY_S
        while True:
            try:
                await act()
            except RetryAfter as error:
                await self._parts.clock.sleep(seconds_of(error))
            except (TelegramError, StoreError) as error:
                _log.warning("%s failed (%s), trying again", what, type(error).__name__)
                await self._parts.clock.sleep(wait)
                wait = min(wait * 1.5, _LONGEST_RETRY_S)
            else:
                return

    async def _replay(self) -> None:
        await self._parts.inbox.clean()
        for update in await self._parts.inbox.waiting(self._parts.api):
            self._parts.queue.replay(update)

    async def _set_menus(self) -> None:
        await self._parts.menu.clear_default()
        for user_id in sorted(await self._parts.gate.owners()):
            await self._parts.menu.ensure(user_id)


def build_bot(
    parameters: BotParameters,
    control: Control,
    store: Store,
    vault: Vault,
    clock: Clock,
    *,
    tell: Callable[[str], None] | None = None,
) -> Bot:
    """Return the bot, wired and not yet started; ``tell`` shows a line on the console."""
    _quiet_library_logs()
    polling = PollRequest(
        parameters.api_root, timeouts=Timeouts(connect=_REQUEST_TIMEOUT_S, pool=1.0)
    )
    inbox = Inbox(store, vault, clock, parameters.bot_id, polling.text_of)
    gate = Authorization(store, clock)
    pairing = Pairing(store, gate)
    queue = InboxQueue(inbox, starts_at_once)
    nonces = Nonces(store, clock)
    turns = Turns()
    order = ChatProcessor(inbox, queue, turns, is_urgent, nonces.settle)
    app = _application(parameters, clock, order, queue, polling)
    api: Api = app.bot
    intake = Intake(gate, pairing, api, clock, tell)
    poller = Poller(api, polling, intake, queue, clock, timeout_s=parameters.poll_timeout_s)
    logins = LoginButtons(control.logins, parameters)
    services = ChatServices(
        parameters=parameters,
        control=control,
        store=store,
        vault=vault,
        clock=clock,
        nonces=nonces,
        prompts=Prompts(store, clock),
        logins=logins,
        commands=command_help(),
        poller_health=poller.health,
    )
    menu = Menu(api, services.commands)
    router = UpdateRouter(services, gate, pairing, inbox, api, menu, turns)

    async def receive(update: Update, _: CallbackContext[Any, Any, Any, Any]) -> None:
        await router.receive(update)

    app.add_handler(TypeHandler(Update, receive))
    app.add_error_handler(_report)
    notifier = TelegramNotifier(api, Lookups(control, logins))
    return Bot(_Parts(app, api, gate, inbox, menu, queue, poller, notifier, clock))


def _application(
    parameters: BotParameters,
    clock: Clock,
    order: ChatProcessor,
    queue: InboxQueue,
    polling: PollRequest,
) -> App:
    root = parameters.api_root.rstrip("/")
    wait = _REQUEST_TIMEOUT_S
    request = AiohttpRequest(
        root,
        connections=_POOL,
        timeouts=Timeouts(connect=wait, pool=wait, read=wait, write=wait),
    )
    builder = (
        ApplicationBuilder()
        .token(parameters.token)
        .base_url(f"{root}/bot")
        .base_file_url(f"{root}/file/bot")
        .request(request)
        .get_updates_request(polling)
        .rate_limiter(ChatLimiter(clock))
        .concurrent_updates(order)
        .update_queue(queue)
        .updater(None)
        .job_queue(None)
    )
    return builder.build()


async def _report(_: object, context: CallbackContext[Any, Any, Any, Any]) -> None:
    """Log an exception that no handler caught: a failing store, or a bug."""
    _log.error("an update failed", exc_info=context.error)


def _quiet_library_logs() -> None:
    """Keep the token and what users type out of the libraries' logs.

    httpx logs every URL, and with it the token, at INFO. The Telegram library logs whole updates at
    DEBUG, and at ERROR an answer that is not JSON, with all that users typed.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("telegram").setLevel(logging.INFO)
    logging.getLogger("telegram.request").setLevel(logging.CRITICAL)
