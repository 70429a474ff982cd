"""Every call that reached the Bot API, those struck by a fault among them.

A call is listed from its arrival; `status` is None until it is answered, and stays so when the
connection was cut. Texts are left out: a call_log of calls is no place for secrets. It is kept in
memory only.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sandbox.telegram.api import identify
from sandbox.telegram.model import Json

__all__ = ["CallLog"]

_KEPT = 20_000
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CallLog:
    """The calls in the order of their arrival."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._count = 0
        self._entries: deque[Json] = deque(maxlen=_KEPT)

    def clear(self) -> None:
        """Forget all calls; the numbers go on."""
        self._entries.clear()

    def entries(self, after: int = 0, method: str | None = None) -> list[Json]:
        """List the calls after a number, of one method if it is named."""
        wanted = method.lower() if method else None
        return [
            entry
            for entry in self._entries
            if entry["seq"] > after and wanted in {None, entry["method"].lower()}
        ]

    def middleware(self) -> Any:
        """Give the aiohttp middleware that lists what comes; it goes before that of the faults."""

        @web.middleware
        async def listed(request: web.Request, handler: _Handler) -> web.StreamResponse:
            known = await identify(request)
            if "call" not in known:
                return await handler(request)
            self._count += 1
            entry: Json = {
                "seq": self._count,
                "at": self._now(),
                "bot_id": int(known["bot_id"]) if known["bot_id"].isdigit() else None,
                "method": known["call"],
                "chat_id": known.get("chat_id"),
                "status": None,
            }
            self._entries.append(entry)
            answer = await handler(request)
            transport = request.transport
            if transport is not None and not transport.is_closing():
                entry["status"] = answer.status
            return answer

        return listed
