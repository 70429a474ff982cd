"""Notices in one message that Telegram does not take: each goes alone, in their order (E5, I8)."""

from __future__ import annotations

from typing import Any, cast

import pytest
from telegram.error import BadRequest, NetworkError, TelegramError

from bot.notices.notifier import Api, TelegramNotifier
from core.domain.notices.post import Post
from core.domain.notices.system import Started
from core.ports.notifier import Delivered, TryLater, Undeliverable
from tests.fakes.rendered import an_engine, lookups

pytestmark = [pytest.mark.row("E5"), pytest.mark.invariant("I8")]
POSTS = [Post(Started(number), chat_id=1) for number in (11, 22, 33)]
REFUSED = BadRequest("Can't parse entities")


class _Sent:
    message_id = 7


class _Api:
    """Answers each message with the next of these, and with a message when none is left."""

    def __init__(self, *answers: TelegramError | None) -> None:
        self.answers = list(answers)
        self.texts: list[str] = []

    async def send_message(self, _chat_id: int, text: str, **_more: Any) -> _Sent:
        self.texts.append(text)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return _Sent()


async def delivered(api: _Api) -> list[object]:
    notifier = TelegramNotifier(cast(Api, api), lookups(await an_engine()))
    return list(await notifier.deliver_together(1, POSTS, is_repeat=False))


async def test_one_message_holds_them() -> None:
    """All of them, in their order."""
    api = _Api()
    assert await delivered(api) == [Delivered(7)] * 3
    (text,) = api.texts
    assert text.index("11 ") < text.index("22 ") < text.index("33 ")


async def test_a_notice_that_is_refused_takes_no_other_with_it() -> None:
    """Neither with marks nor plain: each is sent alone, and the one to blame is a dead letter."""
    api = _Api(REFUSED, REFUSED, None, REFUSED, REFUSED)
    assert await delivered(api) == [Delivered(7), Undeliverable(str(REFUSED)), Delivered(7)]


async def test_what_is_behind_one_that_has_to_wait_waits_too() -> None:
    """Sent alone as well: the third before the second would be out of its order."""
    api = _Api(REFUSED, REFUSED, None, NetworkError("away"))
    first, second, third = await delivered(api)
    assert first == Delivered(7)
    assert isinstance(second, TryLater) and second.may_have_arrived
    assert isinstance(third, TryLater) and not third.may_have_arrived
    assert len(api.texts) == 4
