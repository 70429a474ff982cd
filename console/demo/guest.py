"""A second bot in the chat: the demo's own, by the Bot API of the simulated Telegram.

It shares the chat of the product's bot as a guest (docs/sandbox.md), so that the demo can offer
buttons there while the product knows nothing of a demo, and while the controller is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = ["Guest", "Row", "button"]

Row = Sequence[dict[str, str]]

_TOKEN = "100000002:DEMO-bot-token-of-the-guest-00000000"  # noqa: S105 - any text is a bot there
_POLL_S = 25
_PAUSE_S = 1.0


def button(text: str, data: str, style: str = "") -> dict[str, str]:
    """Return a button that calls the guest back."""
    return {"text": text, "callback_data": data} | ({"style": style} if style else {})


@dataclass
class Guest:
    """The demo's bot.

    Attributes:
        http: Talks to the Bot API.
        offset: The update that comes next.
    """

    http: httpx.AsyncClient
    offset: int = 0

    async def join(self, control: httpx.AsyncClient, command: str, about: str) -> None:
        """Become a guest of the product's bot, with a command of its own in the menu."""
        answer = await control.post("/telegram/guests", json={"token": _TOKEN, "name": "🧪 Demo"})
        answer.raise_for_status()
        await self.call("setMyCommands", commands=[{"command": command, "description": about}])

    async def call(self, method: str, **parameters: Any) -> Any:
        """Call a method; None when it is refused, as an edit without a change is."""
        answer = await self.http.post(f"/bot{_TOKEN}/{method}", json=parameters)
        body = answer.json()
        return body.get("result") if body.get("ok") else None

    async def updates(self) -> list[dict[str, Any]]:
        """Wait for updates; none when there was nothing, or no connection."""
        try:
            found = await self.call("getUpdates", offset=self.offset, timeout=_POLL_S)
        except httpx.HTTPError:
            found = None
        if found is None:
            await asyncio.sleep(_PAUSE_S)
            return []
        if found:
            self.offset = found[-1]["update_id"] + 1
        return list(found)

    async def show(
        self, chat_id: int, text: str, rows: Sequence[Row], message_id: int | None = None
    ) -> int | None:
        """Send a message with buttons, or edit one; return its id."""
        body = {
            "chat_id": chat_id,
            "text": text,
            "parse_mode": "HTML",
            "reply_markup": {"inline_keyboard": [list(row) for row in rows]},
        }
        if message_id is not None:
            await self.call("editMessageText", message_id=message_id, **body)
            return message_id
        sent = await self.call("sendMessage", **body)
        return int(sent["message_id"]) if sent else None
