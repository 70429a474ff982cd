"""``saarthi demo``: the sandbox and the controller as child processes, on loopback alone.

It chooses the directory and the clock, starts the two programs, registers the controller's
addresses at the simulated brokers, prints the address of the chat page, and waits. With
``--autoplay`` the scripted operator plays the story and the demo ends with its result. However it
ends, both programs are stopped.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx

from console.demo.actor import Actor
from console.demo.child import Child, DemoFailed
from console.demo.operator import Operator, StepFailed
from console.demo.options import DemoOptions
from console.demo.stage import Ports, Stage, set_stage
from console.demo.story import Story
from core.bootstrap import PROFILES

__all__ = ["main"]

E = TypeVar("E", bound=BaseException)

_START_S = 30.0
_LOOK_S = 0.1
_CONTROLLER_STOP_S = 6.0
_SANDBOX_STOP_S = 2.0
_SAVE_EVERY_S = 5.0
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
            return asyncio.run(_demo(stage, options))
        except DemoFailed as error:
            sys.stderr.write(f"saarthi demo: {error}\n")
            return 1


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
    async with (
        _running(
            "the sandbox", stage.sandbox_arguments(options), stage.environment(), stage
        ) as box,
    ):
        ports = Ports.parse(await box.line(_START_S))
        environment = stage.controller_environment(ports)
        async with (
            _running("the controller", ["console", "run"], environment, stage) as controller,
            httpx.AsyncClient(base_url=ports.url("control"), trust_env=False, timeout=15) as http,
            asyncio.TaskGroup() as group,
        ):
            await _until_ready(stage, controller)
            actors = await _register(http, stage)
            _show_guide(stage, ports, actors, is_watched=options.autoplay)
            group.create_task(box.watch())
            group.create_task(controller.watch())
            group.create_task(_save_regularly(stage))
            if options.autoplay:
                await _play(stage, http, actors)


@asynccontextmanager
async def _running(
    name: str, arguments: list[str], environment: dict[str, str], stage: Stage
) -> AsyncIterator[Child]:
    log = stage.log(name.rpartition(" ")[2])
    child = await Child.start(name, arguments, environment, log)
    try:
        yield child
    finally:
        is_controller = name.endswith("controller")
        await child.stop(_CONTROLLER_STOP_S if is_controller else _SANDBOX_STOP_S)


async def _until_ready(stage: Stage, controller: Child) -> None:
    """Wait until the controller says that it is healthy.

    Raises:
        ChildEnded: It ended instead.
        DemoFailed: It took too long.
    """
    try:
        async with asyncio.timeout(_START_S), httpx.AsyncClient(trust_env=False) as http:
            while not await _is_healthy(http, stage):
                if controller.has_ended:
                    raise controller.end_reason()
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        last = controller.last_line()
        raise DemoFailed(f"the controller was not ready within {_START_S:g} s: {last}") from None


async def _is_healthy(http: httpx.AsyncClient, stage: Stage) -> bool:
    try:
        answer = await http.get(f"{stage.public_url}/healthz")
    except httpx.HTTPError:
        return False
    return answer.status_code == HTTPStatus.OK


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


def _show_guide(stage: Stage, ports: Ports, actors: dict[str, Actor], *, is_watched: bool) -> None:
    lines = [f"chat: {ports.url('telegram')}/", ""]
    if is_watched:
        lines += ["The operator plays by itself; open the page to watch."]
    else:
        lines += [*_hints(actors), "", "Ctrl-C ends the demo."]
    clock = stage.clock
    lines += [f"The market's clock shows {clock.now():%d %b %H:%M} IST, at {clock.speed:g} x."]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def _hints(actors: dict[str, Actor]) -> list[str]:
    """Return what a user needs to play the story by hand."""
    return [
        "Open that page, tap START, and add accounts with /add. Keys of the simulated brokers:",
        *(
            f"  {one.type_label:<8} API key {one.api_key}   secret {one.api_secret}   "
            f"user id at login {one.user_id}"
            for one in actors.values()
        ),
        "Then log in, enable both under /brokers, and enable a strategy under /strategies.",
        'To see trades soon, give "Moving average crossover" 1 minute a bar, averages of 2 and 5.',
    ]
