"""The chat page's backend: a stream of events, and the user's actions.

The page asks for `/api/events` once and draws what comes: first a snapshot, then each change. It
acts as the user whose id is in its address.
"""

import asyncio
import json
from importlib.resources import files
from typing import Any

from aiohttp import web

from sandbox.telegram import user_actions
from sandbox.telegram.errors import BotApiError
from sandbox.telegram.media import PICTURES
from sandbox.telegram.model import Bot, Conversation, Json
from sandbox.telegram.parameters import read_parameters
from sandbox.telegram.simulator import Simulator
from sandbox.telegram.transcript import bot_view, message_view, snapshot
from sandbox.telegram.user_actions import ActionRefused

__all__ = ["ChatPage"]

_PAGE = files("sandbox.telegram") / "page"
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEARTBEAT_S = 15.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class ChatPage:
    """Handlers of the page."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self._static),
            web.get("/api/events", self._events),
            web.post("/api/send", self._act(self._send)),
            web.post("/api/tap", self._act(self._tap)),
            web.post("/api/upload", self._upload),
            web.get("/api/file/{file_id}", self._file),
        ]

    async def _index(self, _request: web.Request) -> web.Response:
        return _page_file("index.html")

    async def _static(self, request: web.Request) -> web.Response:
        return _page_file(request.match_info["name"])

    async def _file(self, request: web.Request) -> web.Response:
        file = self._sim.storage.file("id", request.match_info["file_id"])
        if file is None:
            raise web.HTTPNotFound
        is_picture = file.mime in PICTURES
        kind = file.mime if is_picture else "application/octet-stream"
        headers = {"Content-Disposition": "inline"} if is_picture else {}
        return web.Response(body=file.content, content_type=kind, headers={**_HEADERS, **headers})

    def _act(self, handler: Any) -> Any:
        async def act(request: web.Request) -> web.Response:
            try:
                return web.json_response(handler(await request.json()))
            except (ActionRefused, BotApiError) as refusal:
                return web.json_response({"error": str(refusal)}, status=refusal.status)
            except (KeyError, TypeError, ValueError):
                return web.json_response({"error": "not a request of the page"}, status=400)

        return act

    async def _upload(self, request: web.Request) -> web.Response:
        """Send the files of a form as the user of the page."""
        try:
            sent = user_actions.send_form(self._sim, await read_parameters(request))
        except (ActionRefused, BotApiError) as refusal:
            return web.json_response({"error": str(refusal)}, status=refusal.status)
        return web.json_response({"message_ids": [message.id for message in sent]})

    def _send(self, body: Json) -> Json:
        user_id = int(body["user"])
        self._sim.visitors += 1
        message = user_actions.send_text(
            self._sim,
            chat_id=int(body.get("chat") or user_id),
            user_id=user_id,
            text=str(body["text"]),
            reply_to=body.get("reply_to"),
            bot_id=body.get("bot"),
        )
        return {"message_id": message.id}

    def _tap(self, body: Json) -> Json:
        user_id = int(body["user"])
        conversation = user_actions.find_conversation(
            self._sim, int(body.get("chat") or user_id), body.get("bot")
        )
        callback = user_actions.tap(
            self._sim,
            conversation,
            user_id=user_id,
            message_id=int(body["message_id"]),
            data=str(body["data"]),
        )
        return {"callback_query_id": callback.id}

    async def _events(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await stream.prepare(request)
        self._sim.visitors += 1
        viewer = _Viewer(self._sim, request, stream)
        try:
            await viewer.run()
        except ConnectionResetError:
            return stream
        return stream


class _Viewer:
    """One open page: its user, its bot, its stream."""

    def __init__(self, sim: Simulator, request: web.Request, stream: web.StreamResponse) -> None:
        query = request.query
        self._sim = sim
        self._stream = stream
        self._user_id = _number(query.get("user")) or 1001
        self._chat_id = _number(query.get("chat")) or self._user_id
        self._bot_id = _number(query.get("bot"))
        self._name = query.get("name")

    async def run(self) -> None:
        while not self._sim.closing.is_set():
            bot = await self._wait_for_bot()
            if bot is None:
                return
            self._sim.user(self._user_id, self._name)
            key = self._key(bot)
            with self._sim.watch(key) as events:
                await self._write({"type": "snapshot", **self._snapshot(bot)})
                while True:
                    event = await self._next(events)
                    if event is None:
                        continue
                    if event["type"] == "closing":
                        return
                    if event["type"] == "reset":
                        await self._write(event)
                        break
                    await self._write(self._drawn(bot, event))

    async def _wait_for_bot(self) -> Bot | None:
        with self._sim.watch("bots") as events:
            is_told = False
            while not self._sim.closing.is_set():
                try:
                    return user_actions.find_bot(self._sim, self._bot_id)
                except ActionRefused:
                    if not is_told:
                        await self._write({"type": "waiting"})
                        is_told = True
                    await self._next(events)
        return None

    async def _next(self, events: Any) -> Json | None:
        """Wait for an event; None after a heartbeat, which also finds out a page that left."""
        try:
            async with asyncio.timeout(_HEARTBEAT_S):
                event: Json = await events.get()
                return event
        except TimeoutError:
            await self._stream.write(b": still here\n\n")
            return None

    def _key(self, bot: Bot) -> str:
        if self._chat_id < 0:
            return f"chat:{self._chat_id}"
        return self._sim.private_key(bot, self._user_id)

    def _conversation(self, bot: Bot) -> Conversation | None:
        return self._sim.conversations.get(self._key(bot))

    def _snapshot(self, bot: Bot) -> Json:
        return snapshot(self._sim, bot, self._conversation(bot), self._user_id)

    def _drawn(self, bot: Bot, event: Json) -> Json:
        conversation = self._conversation(bot)
        if event["type"] == "bot":
            return {"type": "bot", "bot": bot_view(self._sim, bot, conversation, self._user_id)}
        if event["type"] == "message" and conversation is not None:
            message = self._sim.messages[conversation.key][event["id"]]
            return {
                "type": "message",
                "message": message_view(self._sim, message),
                "pinned": [m.id for m in self._sim.pinned(conversation)],
            }
        return event

    async def _write(self, event: Json) -> None:
        await self._stream.write(f"data: {json.dumps(event)}\n\n".encode())


def _number(raw: str | None) -> int | None:
    return int(raw) if raw and raw.lstrip("-").isdigit() else None


def _page_file(name: str) -> web.Response:
    suffix = name.rpartition(".")[2]
    path = _PAGE / name
    if "/" in name or suffix not in _TYPES or not path.is_file():
        raise web.HTTPNotFound
    return web.Response(text=path.read_text("utf-8"), content_type=_TYPES[suffix], headers=_HEADERS)
