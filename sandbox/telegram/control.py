"""The control routes: act as a user, read what a user sees, make groups, block the bot."""

from functools import wraps
from typing import Any

from aiohttp import web

from sandbox.telegram import user_actions
from sandbox.telegram.call_log import CallLog
from sandbox.telegram.errors import BotApiError
from sandbox.telegram.model import Conversation, Json
from sandbox.telegram.parameters import read_parameters
from sandbox.telegram.simulator import Simulator
from sandbox.telegram.transcript import transcript
from sandbox.telegram.user_actions import ActionRefused

__all__ = ["TelegramControl"]

_CHAT_TYPES = frozenset({"group", "supergroup", "forum", "channel"})


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ActionRefused(400, "the body must be a JSON object")
    return body


def _integer(body: Json, name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not str(value).lstrip("-").isdigit():
        raise ActionRefused(400, f"{name} must be a whole number, found {value!r}")
    return int(str(value))


def _optional(body: Json, name: str) -> int | None:
    return None if body.get(name) is None else _integer(body, name)


class TelegramControl:
    """Handlers of `/telegram/...` on the control port."""

    def __init__(self, sim: Simulator, call_log: CallLog) -> None:
        self._sim = sim
        self._call_log = call_log

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.post("/telegram/send", self._guarded(self._send)),
            web.post("/telegram/tap", self._guarded(self._tap)),
            web.post("/telegram/upload", self._guarded(self._upload)),
            web.get("/telegram/transcript", self._guarded(self._transcript)),
            web.post("/telegram/chats", self._guarded(self._chats)),
            web.get("/telegram/chats", self._guarded(self._list)),
            web.get("/telegram/calls", self._guarded(self._calls)),
            web.post("/telegram/guests", self._guarded(self._invite)),
            web.post("/telegram/banner", self._guarded(self._banner)),
            web.get("/telegram/visitors", self._guarded(self._visitors)),
        ]

    def _guarded(self, handler: Any) -> Any:
        @wraps(handler)
        async def guarded(request: web.Request) -> web.Response:
            try:
                return web.json_response(await handler(request))
            except ActionRefused as refusal:
                return web.json_response({"error": str(refusal)}, status=refusal.status)
            except BotApiError as error:
                return web.json_response({"error": error.description}, status=error.status)

        return guarded

    async def _send(self, request: web.Request) -> Json:
        """Write a message as a user."""
        body = await _body(request)
        message = user_actions.send_text(
            self._sim,
            chat_id=_integer(body, "chat_id"),
            user_id=_integer(body, "user_id"),
            text=str(body.get("text") or ""),
            reply_to=_optional(body, "reply_to"),
            bot_id=_optional(body, "bot_id"),
            name=body.get("name"),
        )
        return {"message_id": message.id}

    async def _upload(self, request: web.Request) -> Json:
        """Send the files of a form as a user."""
        sent = user_actions.send_form(self._sim, await read_parameters(request))
        return {"message_ids": [message.id for message in sent]}

    async def _tap(self, request: web.Request) -> Json:
        """Tap a button of a message, by its text or data."""
        body = await _body(request)
        conversation = user_actions.find_conversation(
            self._sim, _integer(body, "chat_id"), _optional(body, "bot_id")
        )
        callback = user_actions.tap(
            self._sim,
            conversation,
            user_id=_integer(body, "user_id"),
            message_id=_integer(body, "message_id"),
            text=body.get("text"),
            data=body.get("data"),
            is_forged=bool(body.get("forged")),
        )
        return {"callback_query_id": callback.id}

    async def _transcript(self, request: web.Request) -> Json:
        """Return a chat as its user sees it."""
        query = dict(request.query)
        chat_id = _integer(query, "chat_id")
        after = _optional(query, "after") or 0
        try:
            conversation = user_actions.find_conversation(
                self._sim, chat_id, _optional(query, "bot_id")
            )
        except ActionRefused:
            return {"chat": None, "messages": [], "toasts": []}
        return transcript(self._sim, conversation, after)

    async def _invite(self, request: web.Request) -> Json:
        """Let a bot share the private chats of another: it reads along and has its commands."""
        body = await _body(request)
        host = user_actions.find_bot(self._sim, _optional(body, "host"))
        guest = self._sim.bot(str(body.get("token")))
        if guest is host or host.host is not None:
            raise ActionRefused(400, "a bot is no guest of itself, nor of a guest")
        guest.host, guest.first_name = host.token, str(body.get("name") or guest.first_name)
        self._sim.save_bot(guest)
        return guest.as_user()

    async def _banner(self, request: web.Request) -> Json:
        """Set what the page's banner says besides market time."""
        self._sim.publish_market(str((await _body(request)).get("note") or ""))
        return {"note": self._sim.note}

    async def _visitors(self, _request: web.Request) -> Json:
        """Say how often somebody has opened the chat page, or written there."""
        return {"visitors": self._sim.visitors}

    async def _calls(self, request: web.Request) -> list[Json]:
        """List the calls of the Bot API in the order of arrival."""
        query = dict(request.query)
        return self._call_log.entries(_optional(query, "after") or 0, query.get("method"))

    async def _list(self, _request: web.Request) -> Json:
        """List the bots that have called, and the chats."""
        return {
            "bots": [bot.as_user() for bot in self._sim.bots.values()],
            "chats": [
                {**conversation.chat, "blocked": conversation.is_blocked}
                for conversation in self._sim.conversations.values()
            ],
        }

    async def _chats(self, request: web.Request) -> Json:
        """Make a group or channel, or block, unblock or deactivate in a chat that is there."""
        body = await _body(request)
        chat_id = _integer(body, "id")
        if body.get("type") in _CHAT_TYPES:
            conversation = self._make(body, chat_id)
        else:
            conversation = user_actions.find_conversation(
                self._sim, chat_id, _optional(body, "bot_id")
            )
        if "blocked" in body:
            user_actions.set_blocked(self._sim, conversation, is_blocked=bool(body["blocked"]))
        if "deactivated" in body:
            conversation.is_deactivated = bool(body["deactivated"])
            self._sim.save_conversation(conversation)
        return {**conversation.chat, "blocked": conversation.is_blocked}

    def _make(self, body: Json, chat_id: int) -> Conversation:
        if chat_id >= 0:
            raise ActionRefused(400, "the id of a group or channel is negative")
        kind = body["type"]
        chat: Json = {
            "id": chat_id,
            "type": "supergroup" if kind == "forum" else kind,
            "title": str(body.get("title") or f"Chat {chat_id}"),
        }
        if body.get("username"):
            chat["username"] = str(body["username"]).removeprefix("@")
        if kind == "forum":
            chat["is_forum"] = True
        members = [int(user_id) for user_id in body.get("members") or []]
        for user_id in members:
            self._sim.user(user_id)
        conversation = Conversation(f"chat:{chat_id}", chat, members=members)
        self._sim.save_conversation(conversation)
        return conversation
