"""Description of order write requests for the ledger and the faults, before they are handled."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from sandbox.fyers.middleware import (
    BROKER,
    FyersMiddleware,
    app_key_of,
    app_of_hash,
    is_order_write,
)
from sandbox.fyers.position_service import DRAFTS, plan_exit
from sandbox.fyers.responses import FyersError
from sandbox.fyers.serializers import ORDER_TYPES
from sandbox.ledger import Draft
from sandbox.world import World

__all__ = ["WriteReader"]

_ACTIONS = {"POST": "place", "PATCH": "modify", "DELETE": "cancel"}


class WriteReader:
    """Reads requests for the ledger and for the faults; never refuses one."""

    def __init__(self, world: World, access: FyersMiddleware) -> None:
        self._world = world
        self._access = access

    async def describe(self, request: web.Request) -> Sequence[Draft]:
        """Return one draft for each order that a request would place, modify or cancel."""
        if not is_order_write(request):
            return []
        if DRAFTS not in request:
            request[DRAFTS] = self._drafts(request, await _body(request))
        drafts: list[Draft] = request[DRAFTS]
        return drafts

    def _drafts(self, request: web.Request, body: object) -> list[Draft]:
        if request.path == "/api/v3/positions":
            return self._describe_exit(request, body)
        rows = body if isinstance(body, list) else [body]
        return [_draft(request, row) for row in rows]

    async def identify(self, request: web.Request) -> Mapping[str, str]:
        """Return what a fault may match besides method and path."""
        caller = self._access.find_caller(request)
        known = {
            "api_key": app_key_of(request) or await self._login_key(request),
            "user_id": caller.user.user_id if caller else "",
        }
        drafts = await self.describe(request)
        if drafts:
            known["tag"] = drafts[0].get("tag") or ""
            known["symbol"] = drafts[0].get("symbol") or ""
        return known

    async def _login_key(self, request: web.Request) -> str:
        """Return the app that a request of the login names, in its query or by its hash."""
        if request.path != "/api/v3/validate-authcode":
            return request.query.get("client_id", "")
        body = await _body(request)
        given = body.get("appIdHash", "") if isinstance(body, dict) else ""
        app = app_of_hash(self._world.accounts, str(given))
        return app.api_key if app else ""

    def _describe_exit(self, request: web.Request, body: object) -> list[Draft]:
        caller = self._access.find_caller(request)
        empty = Draft(broker=BROKER, api_key=app_key_of(request), action="place")
        if caller is None or not isinstance(body, dict):
            return [empty]
        try:
            plan = plan_exit(self._world, caller, body)
        except FyersError:
            return [empty]
        return plan.drafts(caller.app.api_key) or [empty]


async def _body(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _draft(request: web.Request, row: object) -> Draft:
    fields: Mapping[str, Any] = row if isinstance(row, dict) else {}
    return Draft(
        broker=BROKER,
        api_key=app_key_of(request),
        action=_ACTIONS[request.method],
        tag=_text(fields.get("orderTag")),
        symbol=_text(fields.get("symbol")),
        side={"1": "BUY", "-1": "SELL"}.get(str(fields.get("side"))),
        quantity=_number(fields.get("qty")),
        order_type=ORDER_TYPES.get(_number(fields.get("type")) or 0),
        product=_text(fields.get("productType")),
        broker_order_id=_text(fields.get("id")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    try:
        return None if value is None else int(str(value))
    except ValueError:
        return None
