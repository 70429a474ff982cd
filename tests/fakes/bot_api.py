"""The Telegram simulator on a loopback port, and a client that checks every answer.

`BotClient` validates each answer against the published description of the Bot API (an extract of
the one in aiogram's source, under ``tests/data/bot_api``), so no test can pass on an object that
the real service would not send.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.clock import MarketClock
from sandbox.faults import Faults
from sandbox.state import State
from sandbox.telegram import Simulator, build_app, control_routes
from tests.fakes.clock import noon_today

__all__ = ["TOKEN", "BotClient", "Telegram", "Wall", "png", "serve_telegram", "violations"]

TOKEN = "7000000001:a-simulated_token"
SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "bot_api" / "schema.json").read_text(encoding="utf-8")
)
_SCALARS: dict[str, Callable[[Any], bool]] = {
    "Integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "String": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
    "True": lambda value: value is True,
    "Float": lambda value: isinstance(value, int | float),
}


def violations(kind: str, value: Any, path: str = "result") -> list[str]:
    """List where a value departs from a type of the Bot API."""
    if " or " in kind:
        found = [violations(part, value, path) for part in kind.split(" or ")]
        return min(found, key=len)
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            return [f"{path}: no array"]
        inner = kind.removeprefix("Array of ")
        return [
            line
            for index, item in enumerate(value)
            for line in violations(inner, item, f"{path}[{index}]")
        ]
    if kind in _SCALARS:
        return [] if _SCALARS[kind](value) else [f"{path}: {value!r} is no {kind}"]
    if kind in SCHEMA["unions"]:
        return min((violations(part, value, path) for part in SCHEMA["unions"][kind]), key=len)
    return _object_violations(kind, value, path)


def _object_violations(kind: str, value: Any, path: str) -> list[str]:
    fields = SCHEMA["types"].get(kind)
    if fields is None:
        return [f"{path}: the extract of the schema lacks {kind}"]
    if not isinstance(value, dict):
        return [f"{path}: no {kind}"]
    found = [f"{path}.{name}: unknown in {kind}" for name in value if name not in fields]
    for name, (inner, is_required) in fields.items():
        if name in value:
            found += violations(inner, value[name], f"{path}.{name}")
        elif is_required:
            found.append(f"{path}.{name}: missing in {kind}")
    return found


def png(width: int = 4, height: int = 3) -> bytes:
    """Return a picture of one colour, which is its measures'."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\0" + bytes((width % 256, height % 256, 99)) * width
    rows = zlib.compress(row * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@dataclass
class Wall:
    """Real time that a test can let pass."""

    seconds: float = field(default_factory=lambda: noon_today().timestamp())

    def __call__(self) -> float:
        return self.seconds


@dataclass
class _World:
    faults: Faults
    state_dir: Path | None
    clock: MarketClock = field(default_factory=MarketClock)
    parts: dict[str, Any] = field(default_factory=dict)
    reset_hooks: list[Callable[[], None]] = field(default_factory=list)
    clock_hooks: list[Callable[[], None]] = field(default_factory=list)


@dataclass
class BotClient:
    """A bot that speaks raw HTTP."""

    root: str
    session: aiohttp.ClientSession
    token: str = TOKEN

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method with JSON and check the answer's shape."""
        url = f"{self.root}/bot{self.token}/{method}"
        async with self.session.post(url, json=parameters) as answer:
            body: dict[str, Any] = await answer.json()
            check(method, answer.status, body)
            return body

    async def ok(self, method: str, **parameters: Any) -> Any:
        """Call a method that must succeed and give its result."""
        body = await self.call(method, **parameters)
        assert body["ok"], body
        return body["result"]

    async def refused(self, method: str, **parameters: Any) -> str:
        """Call a method that must fail and give the description."""
        body = await self.call(method, **parameters)
        assert not body["ok"], body
        return str(body["description"])


def check(method: str, status: int, body: dict[str, Any]) -> None:
    """Fail on an answer that the description of the Bot API does not allow."""
    if body["ok"]:
        assert status == 200
        name = next(known for known in SCHEMA["returns"] if known.lower() == method.lower())
        found = violations(SCHEMA["returns"][name], body["result"])
        assert not found, found
        assert set(body) <= {"ok", "result", "description"}
    else:
        assert status == body["error_code"]
        assert set(body) <= {"ok", "error_code", "description", "parameters"}
        assert not violations("ResponseParameters", body.get("parameters", {}))


@dataclass
class Telegram:
    """A running simulator.

    Attributes:
        said: The id of the last message that each user sent through a ``Person``.
    """

    root: str
    sim: Simulator
    wall: Wall
    world: _World
    session: aiohttp.ClientSession
    said: dict[int, int] = field(default_factory=dict)

    def bot(self, token: str = TOKEN) -> BotClient:
        """Give a client of a bot."""
        return BotClient(self.root, self.session, token)

    async def control(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """Post to a control route."""
        async with self.session.post(f"{self.root}/telegram/{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def say(self, text: str, user_id: int = 1001, **body: Any) -> int:
        """Write as a user in their private chat and give the message's id."""
        wanted = {"chat_id": user_id, "user_id": user_id, "text": text, **body}
        status, answer = await self.control("send", **wanted)
        assert status == 200, answer
        return int(answer["message_id"])

    async def upload(self, **fields: Any) -> int:
        """Send files, (name, content, type) each, as user 1001; return the status of the answer."""
        form = aiohttp.FormData()
        for name, value in {"user_id": "1001", **fields}.items():
            if isinstance(value, tuple):
                form.add_field(name, value[1], filename=value[0], content_type=value[2])
            else:
                form.add_field(name, value)
        async with self.session.post(f"{self.root}/telegram/upload", data=form) as answer:
            return answer.status

    async def transcript(self, chat_id: int = 1001, **query: int) -> dict[str, Any]:
        """Read what the user sees."""
        url = f"{self.root}/telegram/transcript"
        async with self.session.get(url, params={"chat_id": chat_id, **query}) as answer:
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def serve_telegram(
    state_dir: Path | None = None, wall: Wall | None = None, market: MarketClock | None = None
) -> AsyncIterator[Telegram]:
    """Serve the simulator with its control routes on one free loopback port."""
    clock = wall or Wall()
    world = _World(Faults(State(None)), state_dir, market or MarketClock())
    sim = world.parts["telegram"] = Simulator(state_dir, clock, clock=market)
    world.clock_hooks.append(sim.publish_market)
    app = build_app(world)
    app.add_routes(control_routes(world))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield Telegram(root, sim, clock, world, session)
    finally:
        await runner.cleanup()
