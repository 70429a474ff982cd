"""Kite's login: the login page, the token exchange, logout and profile."""

import hashlib
import html
import secrets
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from sandbox.accounts import App, Session, User
from sandbox.kite.middleware import APP, SESSION, identify
from sandbox.kite.responses import (
    BAD_CHECKSUM,
    BAD_REQUEST_TOKEN,
    BAD_TOKEN,
    KiteError,
    success,
)
from sandbox.world import World

__all__ = ["KiteLogin"]

_EXCHANGES = ["NSE", "NFO", "BFO", "CDS", "BSE", "MCX", "BCD", "MF"]
_PRODUCTS = ["CNC", "NRML", "MIS", "BO", "CO"]
_ORDER_TYPES = ["MARKET", "LIMIT", "SL", "SL-M"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Simulated Kite login</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; background: #f4f5f7; color: #333; margin: 0 }}
main {{ max-width: 22rem; margin: 12vh auto; padding: 2rem; background: #fff;
  border-radius: 6px; box-shadow: 0 1px 6px #0002 }}
h1 {{ font-size: 1.2rem; margin: 0 0 1rem }}
label {{ display: block; font-size: .9rem; color: #666 }}
input {{ width: 100%; box-sizing: border-box; font: inherit; padding: .6rem; margin: .3rem 0 1rem;
  border: 1px solid #ccc; border-radius: 4px }}
button {{ width: 100%; font: inherit; padding: .7rem; border: 0; border-radius: 4px;
  background: #e25f3d; color: #fff; cursor: pointer }}
button.deny {{ background: none; color: #666 }}
.error {{ color: #b00020 }}
small {{ color: #888 }}
</style></head><body><main>
<h1>Log in to simulated Kite</h1>
<p>The app <b>{app}</b> asks for access to your trading account.</p>
{error}
<form method="post">
<label for="user_id">User ID</label>
<input id="user_id" name="user_id" value="{user}" autocomplete="off" required>
<button name="action" value="allow">Allow</button>
<button name="action" value="deny" class="deny" formnovalidate>Deny</button>
</form>
<small>This is a simulator on your own machine. No password is asked for.</small>
</main></body></html>
"""


def _page(app: str, user: str, error: str = "", status: int = 200) -> web.Response:
    shown = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    text = _PAGE.format(app=html.escape(app), user=html.escape(user), error=shown)
    return web.Response(text=text, status=status, content_type="text/html")


def _error_page(message: str, status: int = 400) -> web.Response:
    text = f"<!doctype html><title>Kite</title><h1>{html.escape(message)}</h1>"
    return web.Response(text=text, status=status, content_type="text/html")


def _with_query(address: str, pairs: dict[str, str]) -> str:
    parts = urlsplit(address)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *pairs.items()]
    return urlunsplit(parts._replace(query=urlencode(query)))


class KiteLogin:
    """The login routes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._accounts = world.accounts

    async def page(self, request: web.Request) -> web.Response:
        """Show the form; the user id is filled in when the app has one user only."""
        app = self._accounts.app("kite", request.query.get("api_key", ""))
        if app is None:
            return _error_page("Invalid `api_key`.")
        return _page(app.api_key, app.users[0] if len(app.users) == 1 else "")

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Follow the user's decision and redirect back to the app."""
        app = self._accounts.app("kite", request.query.get("api_key", ""))
        if app is None:
            return _error_page("Invalid `api_key`.")
        form = await request.post()
        user_id = str(form.get("user_id", "")).strip()
        echoed = dict(parse_qsl(request.query.get("redirect_params", "")))
        if form.get("action") != "allow":
            return self._back(app, {"status": "error", "action": "login", "type": "login"} | echoed)
        user = self._accounts.user("kite", user_id) or self._accounts.user("kite", user_id.upper())
        if user is None:
            return _page(app.api_key, user_id, "Invalid user ID.", 400)
        known = await identify(request)
        if self._world.faults.take("kite", {"not_admitted"}, request, known):
            return _error_page("The user is not enabled for the app.", 403)
        other = self._world.faults.take("kite", {"other_user"}, request, known)
        if other:
            wanted = str(other.options.get("user_id", ""))
            user = self._accounts.user("kite", wanted) or self._other(user)
        elif user.user_id not in app.users:
            return _error_page("The user is not enabled for the app.", 403)
        token = self._accounts.issue_code(app, user.user_id)
        pairs = {"request_token": token, "action": "login", "type": "login", "status": "success"}
        return self._back(app, pairs | echoed)

    def _other(self, user: User) -> User:
        return self._accounts.other_user("kite", user.user_id) or user

    def _back(self, app: App, pairs: dict[str, str]) -> web.Response:
        address = _with_query(self._accounts.redirect_url(app), pairs)
        return web.Response(status=302, headers={"Location": address})

    async def exchange(self, request: web.Request) -> web.Response:
        """Turn a request token into an access token."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        for name in ("api_key", "request_token", "checksum"):
            if not form.get(name):
                raise KiteError("InputException", f"Missing `{name}`.")
        app = self._accounts.app("kite", form["api_key"])
        if app is None:
            raise KiteError("TokenException", "Invalid `api_key`.")
        text = app.api_key + form["request_token"] + app.api_secret
        expected = hashlib.sha256(text.encode()).hexdigest()
        if not secrets.compare_digest(expected, form["checksum"].lower()):
            raise KiteError("TokenException", BAD_CHECKSUM)
        user = self._accounts.redeem_code(app, form["request_token"])
        if user is None:
            raise KiteError("TokenException", BAD_REQUEST_TOKEN)
        session = self._accounts.open_session(app, user.user_id)
        return success(_session_data(user, session))

    async def logout(self, request: web.Request) -> web.Response:
        """Kill a session named in the query."""
        api_key, token = (request.query.get(k, "") for k in ("api_key", "access_token"))
        session = self._accounts.session("kite", api_key, token)
        if session is None:
            raise KiteError("TokenException", BAD_TOKEN)
        self._accounts.close(session)
        return success(data=True)

    async def profile(self, request: web.Request) -> web.Response:
        """Describe the user who is logged in."""
        session: Session = request[SESSION]
        user = self._accounts.user("kite", session.user_id)
        if user is None:
            raise KiteError("UserException", "Unknown user.")
        return success(_profile(user) | {"meta": {"demat_consent": "physical"}})

    async def refresh(self, request: web.Request) -> web.Response:
        """Refuse: refresh tokens are for approved platforms only."""
        app: App | None = request.get(APP)
        raise KiteError("PermissionException", f"Not enabled for {app.api_key if app else 'you'}.")


def _profile(user: User) -> dict[str, object]:
    return {
        "user_id": user.user_id,
        "user_type": "individual",
        "email": f"{user.user_id.lower()}@example.invalid",
        "user_name": user.user_name,
        "user_shortname": user.user_name.split()[0] if user.user_name else user.user_id,
        "broker": "ZERODHA",
        "exchanges": _EXCHANGES,
        "products": _PRODUCTS,
        "order_types": _ORDER_TYPES,
        "avatar_url": None,
    }


def _session_data(user: User, session: Session) -> dict[str, object]:
    login_time = datetime.fromisoformat(session.login_time)
    return _profile(user) | {
        "api_key": session.api_key,
        "access_token": session.token,
        "public_token": secrets.token_hex(16),
        "enctoken": secrets.token_urlsafe(64),
        "refresh_token": "",
        "silo": "",
        "login_time": f"{login_time:%Y-%m-%d %H:%M:%S}",
        "meta": {"demat_consent": "physical"},
    }
