"""What Kite's sockets tell of prices: subscriptions, and a tape for each instrument that is wanted.

A client subscribes by ``{"a": "subscribe", "v": [tokens]}``, which gives the mode ``quote``, and
changes that by ``{"a": "mode", "v": [mode, [tokens]]}``; the newest print comes at once, and then
each that follows. At most 3,000 instruments fit on a connection (facts/kite.md 8.2); how more are
answered is not documented: here by an error frame, and by nothing about those.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.faults import TICK_KINDS
from sandbox.instruments import Instrument
from sandbox.kite.tick_packets import MODES, frame, packet
from sandbox.listing import find_token
from sandbox.push_sockets import PushSocket
from sandbox.tape import Print, Tape
from sandbox.world import World

__all__ = ["Ticker"]

_LOOK_S = 0.02
_LONGEST_LIST = 3000
_DELAY_S = 2.0
_HEARTBEAT = b"\x00"
_SUBSCRIBE, _UNSUBSCRIBE, _MODE = "subscribe", "unsubscribe", "mode"


@dataclass
class _Read:
    """An instrument's tape, and what it told at the last look."""

    instrument: Instrument
    tape: Tape
    news: Sequence[Print] = ()


class Ticker:
    """The prices of every socket; ``spawn`` begins a task that ends with the application."""

    def __init__(self, world: World, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._world = world
        self._spawn = spawn
        self._tapes: dict[int, _Read] = {}
        self._is_running = False

    async def hear(self, known: PushSocket, text: str) -> None:
        """Take what a client says; what cannot be read is answered with an error frame."""
        try:
            mode, tokens = _command(text)
        except (ValueError, TypeError, KeyError, IndexError):
            await self._complain(known, "Invalid message")
            return
        if mode == _UNSUBSCRIBE:
            for token in tokens:
                known.wants.pop(token, None)
        elif mode == _SUBSCRIBE:
            await self._subscribe(known, tokens, "quote")
        else:
            await self._subscribe(known, [t for t in tokens if t in known.wants], mode)

    async def _complain(self, known: PushSocket, words: str) -> None:
        await self._world.sockets.send(known, json.dumps({"type": "error", "data": words}))

    async def _subscribe(self, known: PushSocket, tokens: list[int], mode: str) -> None:
        new = [token for token in tokens if token not in known.wants]
        room = _LONGEST_LIST - len(known.wants)
        if len(new) > room:
            await self._complain(known, f"Maximum {_LONGEST_LIST} instruments allowed")
            tokens = [token for token in tokens if token not in new[room:]]
        known.wants.update(dict.fromkeys(tokens, mode))
        now = self._world.clock.now()
        read = [(token, self._tape(token, now)) for token in tokens]
        news = [
            packet(one.instrument, mode, one.tape.last, now) for _, one in read if one is not None
        ]
        await self._send(known, news)
        if not self._is_running:
            self._is_running = True
            self._spawn(self._run())

    def _tape(self, token: int, now: datetime) -> _Read | None:
        known = self._tapes.get(token)
        instrument = find_token(token)
        if instrument is None:
            return None
        if known is None or known.instrument != instrument or not known.tape.is_of(now):
            known = _Read(instrument, Tape(self._world.market, instrument, now))
            self._tapes[token] = known
        return known

    async def _run(self) -> None:
        """Tell the sockets what was printed, until nobody listens."""
        try:
            while sockets := self._world.sockets.of_broker("kite"):
                now = self._world.clock.now()
                wanted = {token for known in sockets for token in known.wants}
                self._tapes = {token: r for token, r in self._tapes.items() if token in wanted}
                for token in wanted:
                    if (read := self._tape(token, now)) is not None:
                        read.news = read.tape.read(now)
                for known in sockets:
                    await self._tell(known, now)
                await asyncio.sleep(_LOOK_S)
        finally:
            self._is_running = False
            self._tapes.clear()

    async def _tell(self, known: PushSocket, now: datetime) -> None:
        packets = [
            packet(read.instrument, mode, one, now)
            for token, mode in known.wants.items()
            if (read := self._tapes.get(token)) is not None
            for one in read.news
        ]
        await self._send(known, packets)

    async def _send(self, known: PushSocket, packets: list[bytes]) -> None:
        """Send ticks, unless a fault stops or delays them."""
        if not packets or known.socket.closed:
            return
        fault = self._world.faults.take("kite", TICK_KINDS, known.request, _who(known))
        if fault is None:
            await self._world.sockets.send(known, frame(packets))
        elif fault.kind == "delay_ticks":
            self._spawn(self._send_later(known, frame(packets), fault.seconds("delay_s", _DELAY_S)))

    async def _send_later(self, known: PushSocket, late: bytes, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not known.socket.closed:
            await self._world.sockets.send(known, late)

    async def beat(self, known: PushSocket) -> None:
        """Send a heartbeat, unless a fault stops every frame."""
        faults = self._world.faults
        if faults.take("kite", {"stop_frames"}, known.request, _who(known)) is None:
            await self._world.sockets.send(known, _HEARTBEAT)


def _command(text: str) -> tuple[str, list[int]]:
    """Return what a client asks for, a mode or the action itself, and of which instruments."""
    command = json.loads(text)
    action, values = command["a"], command["v"]
    if action == _MODE and values[0] in MODES:
        return values[0], [int(token) for token in values[1]]
    if action in {_SUBSCRIBE, _UNSUBSCRIBE}:
        return action, [int(token) for token in values]
    raise ValueError("no such action")


def _who(known: PushSocket) -> dict[str, str]:
    return {"api_key": known.session.api_key, "user_id": known.session.user_id}
