"""The Bot API over HTTP: `/bot<token>/<method>` and `/file/bot<token>/<path>`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from sandbox.telegram import (
    methods_chats,
    methods_media,
    methods_messages,
    methods_profile,
    methods_updates,
)
from sandbox.telegram.call import Call
from sandbox.telegram.errors import BotApiError
from sandbox.telegram.model import Bot, Json
from sandbox.telegram.parameters import Parameters, read_parameters
from sandbox.telegram.simulator import Simulator
from sandbox.telegram.tokens import bot_id_of

__all__ = ["BotApi", "identify"]

_METHODS: dict[str, Callable[[Call], Any]] = {
    name.lower(): method
    for methods in (
        methods_messages.METHODS,
        methods_chats.METHODS,
        methods_profile.METHODS,
        methods_media.METHODS,
        methods_updates.METHODS,
    )
    for name, method in methods.items()
}
_WEBHOOK_METHODS = frozenset({"setwebhook", "deletewebhook"})


async def identify(request: web.Request) -> dict[str, str]:
    """Give what a fault may match on besides method and path: `bot_id`, `call`, `chat_id`."""
    path = unquote(request.path)
    if not path.startswith("/bot"):
        return {}
    token, _, rest = path.removeprefix("/bot").partition("/")
    known = {"bot_id": token.partition(":")[0], "call": rest.removeprefix("test/")}
    try:
        chat_id = (await read_parameters(request)).text("chat_id")
    except BotApiError:
        return known
    return known if chat_id is None else {**known, "chat_id": chat_id}


class BotApi:
    """Dispatches requests to the methods."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    def routes(self) -> list[web.RouteDef]:
        """Give the routes of the API and its files."""
        return [
            web.route("*", "/bot{token:[^/]+}/test/{method:.*}", self._method),
            web.route("*", "/bot{token:[^/]+}/{method:.*}", self._method),
            web.get("/file/{path:.*}", self._file),
        ]

    async def execute(self, bot: Bot, method: str, values: Json) -> Any:
        """Run a method that a webhook's answer names; an error has no one to go to."""
        found = _METHODS.get(method.lower())
        if found is None:
            return None
        try:
            return found(Call(self._sim, bot, Parameters(values)))
        except BotApiError:
            return None

    async def _method(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except BotApiError as error:
            return _refused(error)

    async def _answer(self, request: web.Request) -> web.Response:
        token = unquote(request.match_info["token"])
        name = request.match_info["method"].strip("/").lower()
        bot_id_of(token)
        if not name:
            raise BotApiError(404, "Not Found")
        parameters = await read_parameters(request)
        if name == "getupdates":
            call = Call(self._sim, self._sim.bot(token), parameters)
            return _written(await methods_updates.get_updates(call))
        method = _METHODS.get(name)
        if method is None:
            raise BotApiError(404, "Not Found: method not found")
        result = method(Call(self._sim, self._sim.bot(token), parameters))
        if name in _WEBHOOK_METHODS:
            return _ok(True, description=result)
        return _ok(result)

    async def _file(self, request: web.Request) -> web.Response:
        """Serve a file; clients percent-encode the token's colon, so the path is decoded first."""
        token, _, path = unquote(request.match_info["path"]).removeprefix("bot").partition("/")
        file, bot = self._sim.storage.file("path", path), self._sim.bots.get(token)
        if bot is None or file is None or file.owner not in {None, bot.id}:
            return _refused(BotApiError(404, "Not Found"))
        disposition = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return web.Response(
            body=file.content,
            content_type="application/octet-stream",
            headers={"Content-Disposition": disposition},
        )


def _ok(result: Any, description: str | None = None) -> web.Response:
    body: Json = {"ok": True, "result": result}
    if description is not None:
        body["description"] = description
    return web.json_response(body)


def _written(parts: list[str]) -> web.Response:
    """Answer with a list whose parts are JSON already."""
    text = f'{{"ok": true, "result": [{", ".join(parts)}]}}'
    return web.Response(body=text.encode(), content_type="application/json", charset="utf-8")


def _refused(error: BotApiError) -> web.Response:
    body: Json = {"ok": False, "error_code": error.status, "description": error.description}
    headers: dict[str, str] = {}
    if error.parameters:
        body["parameters"] = error.parameters
        if "retry_after" in error.parameters:
            headers["Retry-After"] = str(error.parameters["retry_after"])
    return web.json_response(body, status=error.status, headers=headers)
