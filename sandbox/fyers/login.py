"""The login: consent page, redirect with an auth code, exchange of the code for a token.

A wrong client id or redirect address cannot be answered with a redirect, so it gets a page; any
other error goes back to the registered address with `s=error`, a code, a message and the state.
"""

import json
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from aiohttp import web

from sandbox.accounts import App, User
from sandbox.fyers.login_pages import consent_page, failure_page
from sandbox.fyers.middleware import BROKER, app_of_hash, caller_of
from sandbox.fyers.responses import FyersError, ok
from sandbox.fyers.tokens import access_token, auth_code, refresh_token
from sandbox.world import World

__all__ = ["FyersLogin"]


class FyersLogin:
    """The handlers of the login and the logout."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.get("/api/v3/generate-authcode", self.show),
            web.post("/api/v3/generate-authcode", self.decide),
            web.post("/api/v3/validate-authcode", self.exchange),
            web.post("/api/v3/validate-refresh-token", self.refresh),
            web.post("/api/v3/logout", self.logout),
        ]

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show the consent page."""
        try:
            app, target = self._check(request)
        except FyersError as error:
            return _failure(error)
        if request.query.get("response_type") != "code":
            return _back(target, request, _error(-50, "Invalid response_type: use code"))
        user_id = app.users[0] if app.users else ""
        user = self._world.accounts.user(BROKER, user_id)
        name = f"{user.user_name}'s app" if user else app.api_key
        return _html(consent_page(name, app.api_key, user_id))

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """Take the user's decision and redirect the browser back to the app."""
        try:
            app, target = self._check(request)
            form = await request.post()
            user = self._user(str(form.get("user_id", "")))
        except FyersError as error:
            return _failure(error)
        if request.query.get("response_type") != "code":
            return _back(target, request, _error(-50, "Invalid response_type: use code"))
        if form.get("action") != "allow":
            return _back(target, request, _error(-1, "The user denied the request"))
        known = {"api_key": app.api_key, "user_id": user.user_id}
        barred = self._world.faults.take(BROKER, {"not_admitted"}, request, known)
        if barred or user.user_id not in app.users:
            return _back(target, request, _error(-373, "The user is not enabled for the app"))
        user = self._cookie_user(request, user, known)
        code = auth_code(app.api_key, user.user_id, self._world.clock.now())
        self._world.accounts.issue_code(app, user.user_id, code)
        return _back(target, request, {"s": "ok", "code": "200", "auth_code": code})

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        """Give a token for an auth code; each code serves once."""
        body = await _json_object(request)
        if body.get("grant_type") != "authorization_code":
            raise FyersError(-50, "Invalid grant_type: use authorization_code")
        app = app_of_hash(self._world.accounts, str(body.get("appIdHash", "")))
        if app is None:
            raise FyersError(-371, "Invalid app id hash")
        user = self._world.accounts.redeem_code(app, str(body.get("code", "")))
        if user is None:
            raise FyersError(-437, "invalid auth code")
        now = self._world.clock.now()
        token = access_token(user.user_id, user.user_name, now)
        self._world.accounts.open_session(app, user.user_id, token)
        answer = ok(access_token=token, refresh_token=refresh_token(user.user_id, now))
        return web.json_response(answer)

    async def refresh(self, request: web.Request) -> web.StreamResponse:
        """Refuse: refresh tokens are of no use since 1 April 2026."""
        await request.read()
        raise FyersError(-501, "Please provide valid refresh token")

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """End the session; the body is `null`."""
        await request.read()
        self._world.accounts.close(caller_of(request).session)
        return web.json_response(ok(message="you are successfully logged out"))

    def _check(self, request: web.Request) -> tuple[App, str]:
        client_id = request.query.get("client_id", "")
        app = self._world.accounts.app(BROKER, client_id)
        if app is None:
            raise FyersError(-352, "Please provide a valid client_id")
        target = request.query.get("redirect_uri", "")
        if not self._world.accounts.redirect_allowed(app, target):
            raise FyersError(-374, "The redirect_uri is not the one registered for the app")
        return app, target

    def _user(self, user_id: str) -> User:
        user = self._world.accounts.user(BROKER, user_id.strip().upper())
        user = user or self._world.accounts.user(BROKER, user_id.strip())
        if user is None:
            raise FyersError(-1012, "No such user id")
        return user

    def _cookie_user(self, request: web.Request, user: User, known: Mapping[str, str]) -> User:
        """Return the user whom the browser's cookie names instead, where a fault says so."""
        fault = self._world.faults.take(BROKER, {"other_user"}, request, known)
        if fault is None:
            return user
        wanted = fault.options.get("user_id")
        accounts = self._world.accounts
        named = accounts.user(BROKER, str(wanted)) if wanted else None
        return named or accounts.other_user(BROKER, user.user_id) or user


async def _json_object(request: web.Request) -> dict[str, object]:
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise FyersError(-50, "Invalid input: a JSON object is expected")
    return body


def _error(code: int, message: str) -> dict[str, str]:
    return {"s": "error", "code": str(code), "message": message}


def _back(target: str, request: web.Request, answer: Mapping[str, str]) -> web.Response:
    """Send the browser to the registered address, which keeps a query of its own."""
    fields = dict(answer)
    if "state" in request.query:
        fields["state"] = request.query["state"]
    parts = urlsplit(target)
    query = "&".join(filter(None, (parts.query, urlencode(fields))))
    return web.Response(status=302, headers={"Location": urlunsplit(parts._replace(query=query))})


def _failure(error: FyersError) -> web.Response:
    return _html(failure_page(error.code, error.message), status=error.status)


def _html(text: str, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
