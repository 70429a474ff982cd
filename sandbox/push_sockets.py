"""The open sockets on which the brokers push, what becomes of their frames, and their end.

That a broker closes a socket when its login ends is assumed: the facts only say that the next
handshake is refused. ``lose_frames`` is the fault that strikes here (``sandbox/faults.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSCloseCode, web

from sandbox.accounts import Accounts, Session
from sandbox.faults import STREAM_KINDS, Faults

__all__ = ["PushSocket", "PushSockets"]


@dataclass(eq=False)
class PushSocket:
    """One open socket.

    Attributes:
        request: Its handshake, which faults are matched against.
        wants: What the client has subscribed to: topics, or modes by token.
    """

    request: web.Request
    session: Session
    socket: web.WebSocketResponse
    wants: dict[Any, Any] = field(default_factory=dict)


class PushSockets:
    """All open sockets of all brokers."""

    def __init__(self, accounts: Accounts, faults: Faults) -> None:
        self._accounts = accounts
        self._faults = faults
        self._open: set[PushSocket] = set()

    async def open(self, request: web.Request, session: Session) -> PushSocket:
        """Complete a handshake."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        known = PushSocket(request, session, socket)
        self._open.add(known)
        return known

    def forget(self, known: PushSocket) -> None:
        """Take a socket that has ended off the list."""
        self._open.discard(known)

    def of_app(self, broker: str, api_key: str) -> list[PushSocket]:
        """Return the open sockets of an app."""
        return self._where(lambda one: (one.broker, one.api_key) == (broker, api_key))

    def of_user(self, broker: str, user_id: str) -> list[PushSocket]:
        """Return the open sockets of a user, of whatever app."""
        return self._where(lambda one: (one.broker, one.user_id) == (broker, user_id))

    def of_broker(self, broker: str) -> list[PushSocket]:
        """Return the open sockets of a broker."""
        return self._where(lambda one: one.broker == broker)

    def _where(self, fits: Callable[[Session], bool]) -> list[PushSocket]:
        return [known for known in self._open if fits(known.session)]

    async def send_order(self, known: PushSocket, frame: str) -> None:
        """Send a frame about an order, unless a fault loses it or the login has ended."""
        who = {"api_key": known.session.api_key, "user_id": known.session.user_id}
        if self._faults.take(known.session.broker, STREAM_KINDS, known.request, who) is None:
            await self.send(known, frame)

    async def send(self, known: PushSocket, frame: str | bytes) -> None:
        """Send a frame; close the socket instead when its login has ended."""
        if self._is_over(known.session):
            await known.socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return
        with contextlib.suppress(ConnectionError):
            if isinstance(frame, str):
                await known.socket.send_str(frame)
            else:
                await known.socket.send_bytes(frame)

    def _is_over(self, session: Session) -> bool:
        return self._accounts.session(session.broker, session.api_key, session.token) is None

    async def close_ended(self) -> None:
        """Close the sockets whose logins have ended."""
        for known in list(self._open):
            if self._is_over(known.session):
                await known.socket.close(code=WSCloseCode.POLICY_VIOLATION)

    def drop(self, broker: str | None = None, api_key: str | None = None) -> int:
        """Cut connections as a failing network does, and return how many."""
        found = [
            known
            for known in self._open
            if broker in {None, known.session.broker} and api_key in {None, known.session.api_key}
        ]
        for known in found:
            if known.request.transport is not None:
                known.request.transport.abort()
        return len(found)

    async def close_all(self, broker: str) -> None:
        """Close a broker's sockets, since its application ends."""
        for known in self._where(lambda one: one.broker == broker):
            await known.socket.close()
