"""``saarthi demo``: the sandbox and the controller as child processes, on loopback alone.

It chooses the directory and the clock, starts the two programs, registers the controller's
addresses at the simulated brokers, prints the address of the chat page, and waits. With
``--autoplay`` the scripted operator plays the story and the demo ends with its result. Otherwise a
controller that ends is started again, and a card in the chat makes things happen. However the demo
ends, both programs are stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from console.demo.actor import Actor
from console.demo.child import Child, DemoFailed
from console.demo.events import Events
from console.demo.guest import Guest
from console.demo.guide import guide, report
from console.demo.keeper import Keeper
from console.demo.operator import Operator, StepFailed
from console.demo.options import DemoOptions
from console.demo.panel import Panel
from console.demo.stage import Ports, Stage, set_stage
from console.demo.story import Story
from core.bootstrap import PROFILES

__all__ = ["main"]

E = TypeVar("E", bound=BaseException)

_START_S = 120.0
_SANDBOX_STOP_S = 2.0
_SAVE_EVERY_S = 5.0
_LOOK_S = 0.3
_WAITS = "waits for you"
_NAMES = {"kite": "Main", "fyers": "Growth"}
"""What the story calls the first account of each broker that it plays with."""
_BROKERS = {broker.api_name: broker for broker in PROFILES}


class _Ended(Exception):
    """The demo is over."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code


def main(options: DemoOptions) -> int:
    """Run the demo; return the exit code (0 done or stopped, 1 a failure reported on stderr)."""
    with _directory(options.data) as directory:
        try:
            stage = set_stage(directory, options)
            code = asyncio.run(_demo(stage, options))
        except DemoFailed as error:
            sys.stderr.write(f"saarthi demo: {error}\n")
            return 1
        if not options.autoplay:
            sys.stdout.write(_goodbye(options.data))
        return code


def _goodbye(data: Path | None) -> str:
    if data is None:
        return "\nThe demo has ended in order; of its accounts, chat and day nothing is kept.\n"
    return f"\nThe demo has ended in order; it goes on from {data} the next time.\n"


@contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    """Yield the directory of the demo; one of its own is removed at the end."""
    if data is not None:
        chosen = data.expanduser().resolve()
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield chosen
        return
    with tempfile.TemporaryDirectory(prefix="saarthi-demo-") as made:
        yield Path(made)


async def _demo(stage: Stage, options: DemoOptions) -> int:
    """Run until the story ends, a signal comes, or a child ends."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_until_stopped(code=1 if options.autoplay else 0))
            group.create_task(_perform(stage, options))
    except* _Ended as found:
        ended = next(_leaves(found))
    except* DemoFailed as found:
        raise next(_leaves(found)) from None
    if str(ended):
        sys.stderr.write(f"{ended}\n")
    return ended.code


def _leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """Yield the exceptions of a group and of the groups inside it."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


async def _until_stopped(*, code: int) -> None:
    """Wait for Ctrl-C or SIGTERM; raises ``_Ended``."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    raise _Ended(code, "stopped before the story was over" if code else "")


async def _perform(stage: Stage, options: DemoOptions) -> None:
    """Start everything, show the guide, play or wait; raises ``_Ended`` or ``DemoFailed``."""
    async with AsyncExitStack() as stack:
        arguments = stage.sandbox_arguments(options)
        log = stage.log("sandbox")
        sys.stdout.write(
            "The exchange, the brokers, Telegram and Saarthi start: some seconds …\n\n"
        )
        sys.stdout.flush()
        box = await Child.start("the sandbox", arguments, stage.environment(), log)
        stack.push_async_callback(box.stop, _SANDBOX_STOP_S)
        ports = Ports.parse(await box.line(_START_S))
        http = await stack.enter_async_context(_client(ports, "control"))
        actors = await _register(http, stage)
        events = Events(http, list(actors.values()))

        tell = partial(report, events, stage)
        keeper = Keeper(stage, ports, http, tell, revives=not options.autoplay)
        stack.push_async_callback(keeper.stop)
        if stage.waits:
            await keeper.wait_for_user()
        await keeper.start()
        sys.stdout.write(guide(stage, ports, actors, is_watched=options.autoplay))
        sys.stdout.flush()
        guest = Guest(await stack.enter_async_context(_client(ports, "telegram", timeout_s=60)))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(box.watch())
        group.create_task(keeper.watch())
        group.create_task(_save_regularly(stage))
        if stage.waits:
            await events.note(_WAITS)
            group.create_task(_begin(events, keeper))
        if options.autoplay:
            group.create_task(_play(stage, http, actors))
        else:
            group.create_task(Panel(guest, http, events, keeper, stage).run())


def _client(ports: Ports, name: str, *, timeout_s: float = 60) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=ports.url(name), trust_env=False, timeout=timeout_s)


async def _register(http: httpx.AsyncClient, stage: Stage) -> dict[str, Actor]:
    """Give every simulated app the controller's addresses; return the first of each broker."""
    actors: dict[str, Actor] = {}
    for row in (await http.get("/accounts")).raise_for_status().json():
        actor = _actor(row, stage)
        addresses = {
            "redirect_url": actor.redirect_url,
            "postback_url": stage.public_url + _BROKERS[actor.broker].postback_path,
        }
        body = {name: row[name] for name in ("broker", "api_key", "user_id")} | addresses
        (await http.post("/accounts", json=body)).raise_for_status()
        actors.setdefault(actor.broker, actor)
    return {name: actors[name] for name in _BROKERS if name in actors}


def _actor(row: dict[str, Any], stage: Stage) -> Actor:
    broker = _BROKERS[row["broker"]]
    return Actor(
        broker=row["broker"],
        type_label=broker.label,
        name=_NAMES.get(row["broker"], broker.label),
        api_key=row["api_key"],
        api_secret=row["api_secret"],
        user_id=row["user_id"],
        redirect_url=stage.public_url + broker.callback_path,
    )


async def _save_regularly(stage: Stage) -> None:
    """Save the market time every few seconds."""
    while True:
        stage.save()
        await asyncio.sleep(_SAVE_EVERY_S)


async def _begin(events: Events, keeper: Keeper) -> None:
    """Let the market's day begin with the first look at the chat page."""
    with contextlib.suppress(httpx.HTTPError):  # a sandbox that is gone is said elsewhere
        while True:
            if await events.visitors():
                await keeper.begin()
                return
            await asyncio.sleep(_LOOK_S)


async def _play(stage: Stage, http: httpx.AsyncClient, actors: dict[str, Actor]) -> None:
    """Let the operator play; raises ``_Ended`` with the result."""
    operator = Operator(http, stage.clock.now)
    try:
        await Story(operator, actors["kite"], actors["fyers"]).play()
    except StepFailed as failed:
        sys.stdout.write(operator.transcript())
        raise _Ended(1, str(failed)) from failed
    sys.stdout.write(operator.transcript())
    sys.stdout.write(f"\n{len(operator.steps)} steps, all seen\n")
    sys.stdout.flush()
    raise _Ended(0)
