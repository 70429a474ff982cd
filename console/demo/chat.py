"""The chat as a user uses it, over the sandbox's control API: read, write, tap.

Each reading of the chat is compared with the one before, so that the transcript of a demo shows
what appeared, what was edited and what was deleted, in the order in which a user saw it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

__all__ = ["Button", "Chat", "ChatError", "Event", "Message"]

T = TypeVar("T")

_LOOK_S = 0.1


class ChatError(Exception):
    """The user could not do this in the chat, or did not see what was expected."""


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a message: it calls the bot back, or opens ``url``."""

    text: str
    url: str = ""
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in its present form."""

    id: int
    is_mine: bool
    text: str
    buttons: tuple[Button, ...]
    is_deleted: bool
    reply_to: int | None = None

    def button(self, *words: str) -> Button | None:
        """Return the first button whose label holds every word, letter case aside."""
        for one in self.buttons:
            if all(word.casefold() in one.text.casefold() for word in words):
                return one
        return None

    def holds(self, *words: str) -> bool:
        """Return whether the text holds every word, letter case aside."""
        return all(word.casefold() in self.text.casefold() for word in words)


@dataclass(frozen=True, slots=True)
class Event:
    """What a user saw happen: ``kind`` is ``new``, ``changed``, ``deleted`` or ``tap``."""

    kind: str
    message: Message
    note: str = ""


class Chat:
    """One user's chat with the bot.

    Args:
        http: Talks to the sandbox's control port.
        chat_id: The user, and the private chat.
        on_event: Is called with each event, in order.
    """

    def __init__(
        self, http: httpx.AsyncClient, chat_id: int, on_event: Callable[[Event], None]
    ) -> None:
        self._http = http
        self._chat_id = chat_id
        self._on_event = on_event
        self._messages: dict[int, Message] = {}
        self._changes: dict[int, int] = {}
        self._look = 0

    async def send(self, text: str) -> int:
        """Write a message; return its id."""
        body = {"chat_id": self._chat_id, "user_id": self._chat_id, "text": text}
        answer = await self._post("/telegram/send", body)
        return int(answer["message_id"])

    async def tap(self, message: Message, *words: str) -> None:
        """Tap the button of a message whose label holds the words."""
        button = message.button(*words)
        if button is None:
            labels = ", ".join(repr(one.text) for one in message.buttons) or "none"
            raise ChatError(f"found no button {' '.join(words)!r}; the buttons are {labels}")
        self._on_event(Event("tap", message, button.text))
        body = {"chat_id": self._chat_id, "user_id": self._chat_id, "message_id": message.id}
        await self._post("/telegram/tap", body | {"text": button.text})

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self._http.post(path, json=body)
        if answer.status_code != HTTPStatus.OK:
            raise ChatError(f"{path} was answered {answer.status_code}: {answer.text[:200]}")
        return answer.json()

    async def look(self) -> None:
        """Read the chat and report what happened since the last reading."""
        answer = await self._http.get("/telegram/transcript", params={"chat_id": self._chat_id})
        self._look += 1
        # What another bot says there, such as the demo's own card, is no answer of this one.
        for raw in (one for one in answer.json()["messages"] if not one.get("guest")):
            self._notice(_message(raw))

    def _notice(self, message: Message) -> None:
        before = self._messages.get(message.id)
        if before == message:
            return
        self._messages[message.id] = message
        self._changes[message.id] = self._look
        if message.is_deleted:
            self._on_event(Event("deleted", before or message))
        elif before is None:
            self._on_event(Event("new", message))
        elif before.text != message.text:
            self._on_event(Event("changed", message))

    @property
    def mark(self) -> int:
        """This moment: what is seen later has changed since."""
        return self._look

    @property
    def newest(self) -> int:
        """The id of the newest message."""
        return max(self._messages, default=0)

    def shown(self, *, since: int = 0) -> list[Message]:
        """Return the bot's present messages, those changed since a mark, newest last."""
        return [
            message
            for number, message in sorted(self._messages.items())
            if self._changes[number] > since and not message.is_mine and not message.is_deleted
        ]

    def is_deleted(self, message_id: int) -> bool:
        """Return whether a message is gone."""
        message = self._messages.get(message_id)
        return message is not None and message.is_deleted

    def last(self, count: int) -> list[Message]:
        """Return the newest messages of both sides."""
        there = [message for _, message in sorted(self._messages.items())]
        return [message for message in there if not message.is_deleted][-count:]

    async def wait(self, ask: Callable[[], T], what: str, *, within_s: float) -> T:
        """Read the chat until ``ask`` returns something true; return that.

        Raises:
            ChatError: It did not in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    await self.look()
                    if found := ask():
                        return found
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise ChatError(f"expected {what} within {within_s:g} s") from None


def _message(raw: dict[str, Any]) -> Message:
    return Message(
        id=raw["id"],
        is_mine=raw["from"] == "user",
        text=raw["text"] or "",
        buttons=tuple(_buttons(raw["keyboard"] or ())),
        is_deleted=raw["deleted"],
        reply_to=raw["reply_to"],
    )


def _buttons(rows: Iterable[Iterable[dict[str, Any]]]) -> Iterable[Button]:
    for row in rows:
        for one in row:
            yield Button(one["text"], one.get("url", ""), one.get("copy_text", ""))
