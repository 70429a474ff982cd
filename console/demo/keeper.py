"""Keeps the demo's controller running: starts it again when it ends, moves its clock ahead.

A controller that is killed is the demo's best scene: it comes back with its journal, its logins and
its chat, and says what it found. One that cannot live ends the demo.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus

import httpx

from console.demo.child import Child, ChildEnded, DemoFailed
from console.demo.stage import Ports, Stage

__all__ = ["Keeper"]

Tell = Callable[[str, str], Awaitable[None]]

_START_S = 120.0
_LOOK_S = 0.1
_STOP_S = 6.0
_ENDS = 5
_WITHIN_S = 120.0
_STANDS_S = 3.0
_TIMES_LONGER = 2.0
_OF_STANDING = 0.8
_FOR_LONG_S = 30 * 86_400.0


class Keeper:
    """The controller as a child process that comes back.

    Args:
        stage: Where the demo takes place.
        ports: Of the simulators.
        http: Talks to the sandbox's control port.
        tell: Is told what happens to the controller: in a few words, empty when all is well, and
            in a sentence.
        revives: Whether one that has ended is started again; if not, that ends the demo.
        stands_s: How long a clock that is moved ahead stands at least: the time of a start.
    """

    def __init__(
        self,
        stage: Stage,
        ports: Ports,
        http: httpx.AsyncClient,
        tell: Tell,
        *,
        revives: bool,
        stands_s: float = _STANDS_S,
    ) -> None:
        self._stage = stage
        self._ports = ports
        self._http = http
        self._tell = tell
        self._revives = revives
        self._child: Child | None = None
        self._changing = asyncio.Lock()
        self._ready = asyncio.Condition()
        self._ready_pid: int | None = None
        self._ends: deque[float] = deque(maxlen=_ENDS)
        self._stands_s = stands_s

    @property
    def pid(self) -> int | None:
        """The process id of the controller that runs, if one does."""
        return None if self._child is None or self._child.has_ended else self._child.pid

    async def start(self, within_s: float = _START_S) -> None:
        """Start the controller, and wait until it says that it is healthy.

        Args:
            within_s: How long that may take.

        Raises:
            ChildEnded: It ended instead.
            DemoFailed: It took too long.
        """
        begun = asyncio.get_running_loop().time()
        environment = self._stage.controller_environment(self._ports)
        log = self._stage.log("controller")
        self._child = child = await Child.start(
            "the controller", ["console", "run"], environment, log
        )
        try:
            async with asyncio.timeout(within_s), httpx.AsyncClient(trust_env=False) as http:
                while not await _is_healthy(http, self._stage):
                    if child.has_ended:
                        raise child.end_reason()
                    await asyncio.sleep(_LOOK_S)
            took_s = asyncio.get_running_loop().time() - begun
            self._stands_s = max(self._stands_s, took_s * _TIMES_LONGER)
            async with self._ready:
                self._ready_pid = child.pid
                self._ready.notify_all()
        except TimeoutError:
            last = child.last_line()
            raise DemoFailed(
                f"the controller was not ready within {within_s:g} s: {last}"
            ) from None

    async def stop(self) -> None:
        """Stop the controller."""
        if self._child is not None:
            await self._child.stop(_STOP_S)

    def kill(self) -> None:
        """End the controller without a warning, as ``kill -9`` does."""
        if self._child is not None:
            self._child.kill()

    async def is_back(self, *, after: int | None) -> None:
        """Wait until a controller is ready that is another process than one before."""
        async with self._ready:
            await self._ready.wait_for(lambda: self._ready_pid != after)

    async def watch(self) -> None:
        """Start the controller again whenever it has ended.

        Raises:
            ChildEnded: It is not to come back, or it ended too often.
            DemoFailed: It did not come back.
        """
        while True:
            child = self._child
            if child is None:
                return
            try:
                await child.watch()
            except ChildEnded as ended:
                async with self._changing:
                    if self._child is child:  # else it was stopped to move the clock
                        await self._revive(ended)

    async def _revive(self, ended: ChildEnded) -> None:
        now = asyncio.get_running_loop().time()
        is_too_often = len(self._ends) == _ENDS and now - self._ends[0] < _WITHIN_S
        if not self._revives or is_too_often:
            raise ended
        self._ends.append(now)
        said = str(ended).rstrip(".").replace("the", "The", 1)
        await self._tell("Saarthi starts again", f"{said}. It is started again.")
        await self.start()
        await self._tell("", "The controller is back, with all that it knew.")

    async def move_to(self, market: datetime) -> None:
        """Move market time ahead while the controller is stopped: it follows the clock it is given.

        Market time stands there until the controller is back, for twice as long as a start took.
        When that is too short, the start is given up for another while the clock still stands.

        Raises:
            DemoFailed: It did not come back.
        """
        await self._go_on_from(
            "the clock moves ahead",
            f"The clock moves ahead to {market:%d %b %H:%M}; the controller restarts.",
            to=market.isoformat(),
        )

    async def wait_for_user(self) -> None:
        """Let market time stand, before the controller starts, until ``begin``."""
        await self._stand(_FOR_LONG_S, by=0)

    async def begin(self) -> None:
        """Let market time go on that stands: the controller learns of it as it is started again.

        Raises:
            DemoFailed: It did not come back.
        """
        self._stage.waits = False
        await self._go_on_from(
            "the market's day begins",
            "Somebody has opened the chat: the market's day begins.",
            by=0,
        )

    async def _go_on_from(self, note: str, sentence: str, **step: object) -> None:
        async with self._changing:
            await self._tell(note, sentence)
            await self.stop()
            stands_s = self._stands_s
            await self._stand(stands_s, **step)
            while stands_s < _START_S:
                try:
                    await self.start(self._stage.clock_stands_s * _OF_STANDING)
                    break
                except ChildEnded:
                    raise
                except DemoFailed:
                    stands_s *= 2
                    await self._stand(stands_s, by=0)
                    await self.stop()
            else:
                await self.start()
            await asyncio.sleep(self._stage.clock_stands_s)
            await self._tell("", "The controller is back.")

    async def _stand(self, stands_s: float, **step: object) -> None:
        """Step the sandbox's clock, let it stand, and have the next controller follow it."""
        answer = await self._http.post("/clock", json={**step, "stands_s": stands_s})
        told = answer.raise_for_status().json()
        self._stage.follow(told["clock"], told["stands_s"])


async def _is_healthy(http: httpx.AsyncClient, stage: Stage) -> bool:
    try:
        answer = await http.get(f"{stage.public_url}/healthz")
    except httpx.HTTPError:
        return False
    return answer.status_code == HTTPStatus.OK
