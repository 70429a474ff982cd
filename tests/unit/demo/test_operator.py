"""The scripted operator: what it reports when the chat shows something else, and what it keeps quiet."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from console.demo.operator import Operator, StepFailed
from core.domain.sessions import IST

pytestmark = pytest.mark.row("F2")

NOW = datetime(2026, 11, 20, 9, 31, 20, tzinfo=IST)


class ControlPort:
    """The chat part of the sandbox's control API, with one answer for everything."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.answer = "I do not know that command."
        self.deletes = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/telegram/transcript":
            return httpx.Response(200, json={"messages": self.messages})
        body = json.loads(request.content)
        if request.url.path == "/telegram/send":
            self._add("user", body["text"], deleted=self.deletes)
            self._add("bot", self.answer, keyboard=[[{"text": "Help", "data": "v1:help"}]])
            return httpx.Response(200, json={"message_id": self.messages[-2]["id"]})
        return httpx.Response(404, json={"error": "no such button"})

    def _add(self, who: str, text: str, **fields: Any) -> None:
        empty = {"keyboard": [], "deleted": False, "reply_to": None}
        message = {"id": len(self.messages) + 1, "from": who, "text": text}
        self.messages.append({**message, **empty, **fields})


@pytest.fixture
def port() -> ControlPort:
    return ControlPort()


@pytest.fixture
async def operator(port: ControlPort) -> AsyncIterator[Operator]:
    transport = httpx.MockTransport(port)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http:
        yield Operator(http, lambda: NOW, answer_s=1.0)


async def test_a_step_that_shows_something_else_fails(operator: Operator) -> None:
    """The failure names the step, what was expected and what the chat shows instead."""
    with pytest.raises(StepFailed) as failed:
        async with operator.step("the bot greets"):
            await operator.say("/start", "Namaste", button="Add account")
    said = str(failed.value)
    assert "step 1 (the bot greets) failed" in said
    assert "expected a message with 'Namaste' and [Add account] within 1 s" in said
    assert "user: /start" in said
    assert "bot: I do not know that command." in said
    assert operator.steps == []


async def test_a_button_that_is_not_there_fails(operator: Operator) -> None:
    """A missing button is named together with those that are there."""
    with pytest.raises(StepFailed, match=r"found no button 'Enable'; the buttons are 'Help'"):
        async with operator.step("a button is tapped"):
            await operator.tap(await operator.say("/start", "I do not know"), "Enable")


async def test_a_secret_that_stays_in_the_chat_fails(operator: Operator, port: ControlPort) -> None:
    """The bot must delete the message with a secret; the transcript never repeats it."""
    with pytest.raises(StepFailed, match="expected the secret's message to be deleted"):
        async with operator.step("the secret is sent"):
            await operator.sends_secret("s3cret-value", "I do not know")
    assert "s3cret-value" not in operator.transcript()
    port.deletes = True
    async with operator.step("the secret is sent again"):
        await operator.sends_secret("other-secret", "I do not know")
    assert "other-secret" not in operator.transcript()


async def test_the_transcript_tells_who_said_what(operator: Operator, port: ControlPort) -> None:
    """Each line has market time and a speaker; an edit is told as one."""
    async with operator.step("the bot greets"):
        await operator.say("/start", "I do not know")
        port.messages[1]["text"] = "Namaste"
        await operator.chat.look()
    told = operator.transcript()
    assert "--- Step 1: the bot greets" in told
    assert "09:31:20 user | /start" in told
    assert "09:31:20  bot | I do not know that command.\n" in told
    assert "09:31:20  bot | (edited) Namaste" in told
