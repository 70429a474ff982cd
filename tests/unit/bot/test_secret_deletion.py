"""A message with a secret goes, or its sender is told that it stands there (row A3)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from telegram.error import BadRequest, Forbidden, NetworkError, RetryAfter, TelegramError, TimedOut

from bot.conversation.visit import Visit
from bot.wizard.secret_message import delete_secret

pytestmark = pytest.mark.row("A3")

GONE = BadRequest("Message to delete not found")
REFUSED = BadRequest("Message can't be deleted")
BROKEN = NetworkError("Bad Gateway")


class Messenger:
    """Takes a deletion, or raises what a test says, once each; notes what is sent."""

    def __init__(self, *errors: TelegramError) -> None:
        self.errors = list(errors)
        self.asked: list[int] = []
        self.sent: list[str] = []

    async def delete_message(self, _chat_id: int, message_id: int) -> bool:
        self.asked.append(message_id)
        if self.errors:
            raise self.errors.pop(0)
        return True

    async def send_message(self, _chat_id: int, text: str, **_: object) -> Any:
        self.sent.append(text)
        return SimpleNamespace(message_id=9)


async def at_once(_seconds: float) -> None:
    """No second has to pass."""


async def told(messenger: Messenger) -> bool:
    """Delete the message of a secret; return whether its sender is asked to do it."""
    visit = Visit(
        services=SimpleNamespace(clock=SimpleNamespace(sleep=at_once)),  # type: ignore[arg-type]
        bot=messenger,  # type: ignore[arg-type]
        update_id=1,
        user_id=7,
        chat_id=7,
        name="Asha",
        message=SimpleNamespace(message_id=5),  # type: ignore[arg-type]
    )
    await delete_secret(visit)
    assert set(messenger.asked) == {5}
    return any("could not delete your message" in text for text in messenger.sent)


@pytest.mark.parametrize(
    "errors",
    [(), (GONE,), (BROKEN,), (TimedOut(), BROKEN), (TimedOut(), GONE)],
    ids=["deleted", "gone", "broken once", "broken twice", "deleted, but the answer was lost"],
)
async def test_what_is_deleted_needs_no_word(errors: tuple[TelegramError, ...]) -> None:
    """A deletion may be repeated, so an answer that was lost on the way is asked for again."""
    messenger = Messenger(*errors)
    assert not await told(messenger)
    assert messenger.sent == []


@pytest.mark.parametrize(
    "error",
    [REFUSED, Forbidden("Forbidden: bot can't"), BROKEN, TimedOut(), RetryAfter(40)],
    ids=str,
)
async def test_what_cannot_be_deleted_is_told(error: TelegramError) -> None:
    """Whatever the reason: the secret must not stand in the chat without a word."""
    messenger = Messenger(*[error] * 9)
    assert await told(messenger)
    assert len(messenger.asked) <= 3
