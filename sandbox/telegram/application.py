"""The application of the telegram port, and its part of the control port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from sandbox.clock import MarketClock
from sandbox.telegram.api import BotApi, identify
from sandbox.telegram.call_log import CallLog
from sandbox.telegram.chat_page import ChatPage
from sandbox.telegram.control import TelegramControl
from sandbox.telegram.simulator import Simulator
from sandbox.telegram.webhooks import WebhookDelivery

__all__ = ["TelegramWorld", "build_app", "control_routes", "simulator_of"]

_PART = "telegram"
_CALL_LOG = "telegram.calls"
_MAX_UPLOAD = 50 * 1024 * 1024


class _Faults(Protocol):
    def middleware(self, target: str, identify: Any = None) -> Any:
        """Give the middleware that strikes the faults of a target."""


class TelegramWorld(Protocol):
    """What this simulator needs of the shared world."""

    state_dir: Path | None
    clock: MarketClock
    parts: dict[str, Any]
    reset_hooks: list[Callable[[], None]]
    clock_hooks: list[Callable[[], None]]

    @property
    def faults(self) -> _Faults:
        """The faults that tests set."""


def simulator_of(world: TelegramWorld) -> Simulator:
    """Give the world's chat service, made at the first call."""
    if _PART not in world.parts:
        clock = world.clock if world.clock.is_simulated else None
        sim = Simulator(world.state_dir, clock=clock)
        world.parts[_PART] = sim
        world.clock_hooks.append(sim.publish_market)
        world.reset_hooks.append(sim.reset)
    found: Simulator = world.parts[_PART]
    return found


def _call_log_of(world: TelegramWorld) -> CallLog:
    if _CALL_LOG not in world.parts:
        call_log = CallLog(simulator_of(world).now)
        world.parts[_CALL_LOG] = call_log
        world.reset_hooks.append(call_log.clear)
    found: CallLog = world.parts[_CALL_LOG]
    return found


def build_app(world: TelegramWorld) -> web.Application:
    """Build the Bot API and the chat page."""
    sim = simulator_of(world)
    app = web.Application(
        middlewares=[
            _call_log_of(world).middleware(),
            world.faults.middleware("telegram", identify),
        ],
        client_max_size=_MAX_UPLOAD,
    )
    api = BotApi(sim)
    app.add_routes(api.routes())
    app.add_routes(ChatPage(sim).routes())
    app.cleanup_ctx.append(_delivering(sim, api))
    app.on_shutdown.append(_end_streams)
    app[_SIMULATOR] = sim
    return app


_SIMULATOR = web.AppKey("simulator", Simulator)


async def _end_streams(app: web.Application) -> None:
    app[_SIMULATOR].close()


def _delivering(sim: Simulator, api: BotApi) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(WebhookDelivery(sim, api.execute).run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        sim.storage.close()

    return context


def control_routes(world: TelegramWorld) -> list[web.RouteDef]:
    """Give the routes that the control port adds for this simulator."""
    return TelegramControl(simulator_of(world), _call_log_of(world)).routes()
