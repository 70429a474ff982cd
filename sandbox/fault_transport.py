"""Faults of the transport: what becomes of a request whose answer is delayed, cut or spoilt."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["Fault", "TransportFaults"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_EFFECT_BY_DEFAULT = frozenset({"reset_after", "malformed", "drip"})
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


@dataclass
class Fault:
    """One fault.

    Attributes:
        left: How often it still strikes, None for ever.
        set_real: Real time at which it was set.
    """

    id: str
    target: str
    kind: str
    match: dict[str, Any] = field(default_factory=dict)
    left: int | None = 1
    options: dict[str, Any] = field(default_factory=dict)
    set_real: float = 0.0

    @property
    def ends_real(self) -> float:
        """Real time from which it does not strike any more."""
        lasts = self.options.get("lasts_s")
        return math.inf if lasts is None else self.set_real + float(lasts)

    def seconds(self, name: str, default: float) -> float:
        """Return an option that is a duration in seconds."""
        value = self.options.get(name)
        return default if value is None else float(value)

    @property
    def has_effect(self) -> bool:
        """Whether the request takes effect although its answer is spoilt."""
        return bool(self.options.get("effect", self.kind in _EFFECT_BY_DEFAULT))


class TransportFaults:
    """Applies them; work that goes on after its client has gone is kept here."""

    def __init__(self) -> None:
        self._background: set[asyncio.Task[Any]] = set()

    async def apply(
        self, fault: Fault, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Answer a request as a fault wants it."""
        if fault.kind == "delay":
            return await _delayed(fault, request, handler)
        answer = await self._effect(fault, request, handler) if fault.has_effect else None
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds("delay_s", 3600.0))
            return _dropped(request)
        if fault.kind in {"reset_before", "reset_after"}:
            return _dropped(request)
        if fault.kind == "http":
            return _canned(fault)
        if fault.kind == "html":
            status = int(fault.options.get("status", 502))
            return web.Response(status=status, text=_HTML, content_type="text/html")
        if fault.kind == "malformed":
            return _truncated(answer)
        return await _dripped(fault, request, answer)

    async def _effect(
        self,
        fault: Fault,
        request: web.Request,
        handler: Handler,
    ) -> web.StreamResponse | None:
        later = fault.seconds("effect_delay_s", 0.0)
        if later <= 0:
            return await _answered(request, handler)

        async def act() -> None:
            await asyncio.sleep(later)
            await _answered(request, handler)

        task = asyncio.create_task(act())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return None


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as answer:
        return answer


async def _delayed(
    fault: Fault,
    request: web.Request,
    handler: Handler,
) -> web.StreamResponse:
    wait = fault.seconds("delay_s", 1.0)
    if fault.has_effect:
        answer = await _answered(request, handler)
        await asyncio.sleep(wait)
        return answer
    await asyncio.sleep(wait)
    return await handler(request)


def _dropped(request: web.Request) -> web.Response:
    """Cut the connection with a reset, as a crashed server or a firewall does."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


def _canned(fault: Fault) -> web.Response:
    status = int(fault.options.get("status", 500))
    headers = {str(key): str(value) for key, value in fault.options.get("headers", {}).items()}
    body = fault.options.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    data = text.ljust(int(fault.options.get("size", 0))).encode()
    if fault.options.get("gzip"):
        data, headers["Content-Encoding"] = gzip.compress(data), "gzip"
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "text/plain" if isinstance(body, str) else "application/json"
    return web.Response(status=status, headers=headers, body=data)


def _body_of(answer: web.StreamResponse | None) -> bytes:
    body = answer.body if isinstance(answer, web.Response) else None
    return body if isinstance(body, bytes) else b'{"status":"success","data":{}}'


def _truncated(answer: web.StreamResponse | None) -> web.Response:
    body = _body_of(answer)
    return web.Response(body=body[: max(1, len(body) // 2)], content_type="application/json")


async def _dripped(
    fault: Fault, request: web.Request, answer: web.StreamResponse | None
) -> web.StreamResponse:
    body = _body_of(answer)
    stream = web.StreamResponse(status=answer.status if answer else 200)
    stream.content_type = "application/json"
    stream.content_length = len(body)
    await stream.prepare(request)
    for index in range(len(body)):
        await asyncio.sleep(fault.seconds("delay_s", 0.5))
        await stream.write(body[index : index + 1])
    await stream.write_eof()
    return stream
