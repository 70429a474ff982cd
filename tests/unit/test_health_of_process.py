"""Whether the process says that it works: a dead chat is no good health (rows G1, G4)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from bot.edge.polling import PollerHealth
from console.doctor.network import web_server
from console.process import _web_parts
from core.config import Settings
from core.errors import StoreUnavailable


def parts_of(*, chat: str = "", loop: str = "", store_is_away: bool = False) -> Any:
    """Return the web server's parts over a system in some trouble."""

    async def ping() -> None:
        if store_is_away:
            raise StoreUnavailable("away")

    bot: Any = SimpleNamespace(health=lambda: PollerHealth(None, chat))
    system: Any = SimpleNamespace(
        liveness=SimpleNamespace(trouble=lambda: loop),
        foundation=SimpleNamespace(store=SimpleNamespace(ping=ping), clock=None),
        logins=None,
        accounts=None,
        hint=None,
    )
    return _web_parts(system, bot, Settings(), 256)


@pytest.mark.parametrize(
    ("trouble", "healthy"),
    [
        ({}, True),
        ({"chat": "Telegram has not answered for 80 seconds."}, False),
        ({"loop": "stuck"}, False),
        ({"store_is_away": True}, False),
    ],
    ids=str,
)
async def test_health_is_that_of_store_loop_and_chat(
    trouble: dict[str, Any], healthy: bool
) -> None:
    """A poller that is dead or refused was good health before."""
    assert await parts_of(**trouble).is_healthy() is healthy


@pytest.mark.parametrize(
    ("status", "body", "level"),
    [(200, "ok", "ok"), (503, "unavailable", "warn"), (200, "hello", "fail"), (503, "x", "fail")],
)
async def test_doctor_tells_health_from_none(status: int, body: str, level: str) -> None:
    """Beside a running controller it says when that cannot work."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(body.encode()))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        (found,) = await web_server(Settings(listen="127.0.0.1:1"), http)
    assert found.level.value == level
