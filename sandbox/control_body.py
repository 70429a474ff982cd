"""Reading the JSON body of a control request."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

__all__ = ["json_body"]


async def json_body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request, empty when there is no body.

    Raises:
        HTTPBadRequest: The body is no JSON object.
    """
    if not request.can_read_body:
        return {}
    try:
        data = await request.json()
    except json.JSONDecodeError as error:
        raise web.HTTPBadRequest(text=f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise web.HTTPBadRequest(text="a JSON object is expected")
    return data
