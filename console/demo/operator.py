"""The scripted operator: acts as a user, waits for what must appear, keeps the transcript."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx

from console.demo.browser import log_in
from console.demo.chat import Chat, ChatError, Event, Message
from console.demo.stage import CHAT

__all__ = ["Operator", "StepFailed"]

T = TypeVar("T")

_ANSWER_S = 60.0
_PAUSE_S = 0.4
_LAST_MESSAGES = 5


class StepFailed(Exception):
    """A step did not show what it must; the text names it, and what was shown instead."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the transcript."""

    at: datetime
    who: str
    text: str


class Operator:
    """A user with a chat and a browser.

    Args:
        http: Talks to the sandbox's control port.
        market_now: Market time, which the chat's own texts show too.
        answer_s: How long an answer in the chat may take.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        market_now: Callable[[], datetime],
        *,
        answer_s: float = _ANSWER_S,
    ) -> None:
        self._http = http
        self._now = market_now
        self._answer_s = answer_s
        self._lines: list[_Line] = []
        self.chat = Chat(http, CHAT, self._record)
        self.steps: list[str] = []
        self._secrets: list[str] = []

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        """Take one step of the story.

        Raises:
            StepFailed: It did not show what it must.
        """
        number = len(self.steps) + 1
        self._lines.append(_Line(self._now(), "", f"Step {number}: {title}"))
        try:
            yield
        except (ChatError, httpx.HTTPError) as error:
            raise StepFailed(self._explain(number, title, error)) from error
        self.steps.append(title)
        sys.stdout.write(f"{self._now():%H:%M:%S}  seen {number:>2}: {title}\n")
        sys.stdout.flush()

    def _explain(self, number: int, title: str, error: Exception) -> str:
        said = str(error) or "no answer in time"
        lines = [f"step {number} ({title}) failed: {said}", "the last messages were:"]
        for message in self.chat.last(_LAST_MESSAGES):
            who = "user" if message.is_mine else "bot"
            lines.append(f"  {who}: " + message.text.replace("\n", "\n       "))
            labels = " ".join(f"[{one.text}]" for one in message.buttons)
            if labels:
                lines.append(f"       {labels}")
        return "\n".join(lines)

    # What a user does

    async def say(self, text: str, *words: str, button: str = "") -> Message:
        """Write a message and wait for the answer that holds the words, and the button."""
        await self.chat.look()
        mark = self.chat.mark
        await self.chat.send(text)
        return await self.sees(*words, since=mark, button=button)

    async def sends_secret(self, secret: str, *words: str) -> Message:
        """Write a secret, which the bot must delete at once; the transcript does not repeat it."""
        self._secrets.append(secret)
        await self.chat.look()
        mark = self.chat.mark
        sent = await self.chat.send(secret)
        answer = await self.sees(*words, since=mark)
        await self.waits(lambda: self.chat.is_deleted(sent), "the secret's message to be deleted")
        return answer

    async def tap(self, message: Message, label: str, *words: str, button: str = "") -> Message:
        """Tap a button and wait for what it must show: a changed message or a new one."""
        await self.chat.look()
        mark = self.chat.mark
        await self.chat.tap(message, *label.split("|"))
        return await self.sees(*words, since=mark, button=button)

    async def sees(
        self, *words: str, since: int, button: str = "", within_s: float | None = None
    ) -> Message:
        """Wait for a message, new or changed since a mark, with the words and the button."""

        def found() -> Message | None:
            for message in reversed(self.chat.shown(since=since)):
                if message.holds(*words) and (
                    not button or message.button(*button.split("|")) is not None
                ):
                    return message
            return None

        what = " and ".join([repr(word) for word in words] + ([f"[{button}]"] if button else []))
        message = await self.waits(found, f"a message with {what}", within_s=within_s)
        if not isinstance(message, Message):
            raise ChatError(f"expected a message with {what}")
        return message

    async def waits(
        self, ask: Callable[[], Any], what: str, *, within_s: float | None = None
    ) -> Any:
        """Wait until the chat shows something; as long as for an answer by default."""
        return await self.chat.wait(ask, what, within_s=within_s or self._answer_s)

    async def until(self, ask: Callable[[], Awaitable[T | None]], what: str, within_s: float) -> T:
        """Ask the sandbox until the answer is true, and return it; raises ``ChatError``."""
        try:
            async with asyncio.timeout(within_s):
                while not (answer := await ask()):
                    await self.pause()
                return answer
        except TimeoutError:
            raise ChatError(f"expected {what} within {within_s:g} s") from None

    async def logs_in(self, message: Message, account: str, user_id: str) -> None:
        """Open a message's login button in the browser and log in there."""
        button = message.button("Log in", account)
        if button is None or not button.url:
            raise ChatError(f"found no login button for {account}")
        await self.chat.look()
        mark = self.chat.mark
        text = await log_in(button.url, user_id)
        self.notes(f"browser: {text}")
        if account not in text or "connected" not in text.casefold():
            raise ChatError(f"expected a page that says {account} is connected, found {text!r}")
        await self.sees(account, "is logged in", since=mark)

    async def pause(self) -> None:
        """Wait as a user does before looking again."""
        await asyncio.sleep(_PAUSE_S)
        await self.chat.look()

    # The sandbox

    async def ask(self, path: str, **query: str) -> Any:
        """Read from the sandbox's control API."""
        answer = await self._http.get(path, params=query)
        answer.raise_for_status()
        return answer.json()

    async def order(self, path: str, body: dict[str, Any]) -> None:
        """Make something happen in the sandbox."""
        answer = await self._http.post(path, json=body)
        answer.raise_for_status()

    # The transcript

    def notes(self, text: str) -> None:
        """Add a line of what happened outside the chat."""
        self._lines.append(_Line(self._now(), "*", text))

    def _record(self, event: Event) -> None:
        who = "user" if event.message.is_mine else "bot"
        if event.kind == "tap":
            self._lines.append(_Line(self._now(), "user", f"taps [{event.note}]"))
        elif event.kind == "deleted":
            first = event.message.text.partition("\n")[0]
            shown = "a message of the user" if event.message.is_mine else repr(first)
            self._lines.append(_Line(self._now(), "*", f"deleted: {shown}"))
        else:
            text = event.message.text
            if labels := " ".join(f"[{one.text}]" for one in event.message.buttons):
                text += f"\n{labels}"
            edited = "(edited) " if event.kind == "changed" else ""
            self._lines.append(_Line(self._now(), who, edited + text))

    def transcript(self) -> str:
        """Return all messages and taps, with market time (IST)."""
        found = []
        for line in self._lines:
            if not line.who:
                found.append(f"\n--- {line.text}")
                continue
            head = f"{line.at:%H:%M:%S} {line.who:>4} | "
            blank = " " * (len(head) - 2) + "| "
            found.append(head + line.text.replace("\n", "\n" + blank))
        text = "\n".join(found) + "\n"
        for secret in self._secrets:
            text = text.replace(secret, "••••••••")
        return text
