"""What the notifier does when Telegram refuses to edit a card (row H5)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.notices.lookups import Lookups
from bot.notices.notifier import Api, Result, TelegramNotifier
from core.domain.notices.post import Delivery, Post, run_card
from core.domain.notices.system import Text
from core.domain.views import RunView
from core.errors import NotFound
from core.ports.notifier import Blocked, Delivered, Dropped

CHAT = 4711
OLD = 10
CARD = Post(Text("filled <10>"), Delivery.EDIT, "order:1", CHAT)
RIGHT = Post(CARD.notice, Delivery.AMEND, CARD.key, CHAT)


@dataclass
class _Sent:
    message_id: int


@dataclass
class _Api:
    """A Bot API that shows what is sent, and refuses what a test names."""

    refused: dict[str, list[TelegramError | None]] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=lambda: {OLD: "working"})
    calls: list[str] = field(default_factory=list)

    def _call(self, name: str) -> None:
        self.calls.append(name)
        errors = self.refused.get(name)
        error = errors.pop(0) if errors else None
        if error is not None:
            raise error

    async def send_message(self, _chat_id: int, text: str, **_: Any) -> _Sent:
        self._call("send")
        number = OLD + len(self.calls)
        self.shown[number] = text
        return _Sent(number)

    async def edit_message_text(self, text: str, *, message_id: int, **_: Any) -> None:
        self._call("edit")
        self.shown[message_id] = text

    async def delete_message(self, _chat_id: int, message_id: int, **_: Any) -> None:
        self._call("delete")
        self.shown.pop(message_id, None)


async def _deliver(api: _Api, post: Post = CARD) -> Result:
    notifier = TelegramNotifier(cast(Api, api), cast(Lookups, None))
    return await notifier.deliver(
        CHAT, post, notice_id="NOTICE000123456", message_id=OLD, is_repeat=False
    )


@pytest.mark.row("H5")
@pytest.mark.parametrize(
    "refusal",
    [
        BadRequest("Message to edit not found"),
        BadRequest("Message can't be edited"),
        BadRequest("MESSAGE_EDIT_DISABLED_IN_REGION"),
        BadRequest("MESSAGE_ID_INVALID"),
        Forbidden("Forbidden: edits are off"),
    ],
)
async def test_a_refused_edit_becomes_a_new_message(refusal: TelegramError):
    """Whatever the reason is called, the card goes on in a new message and the old one is gone."""
    api = _Api({"edit": [refusal]})
    result = await _deliver(api)
    assert isinstance(result, Delivered) and result.message_id not in {None, OLD}
    (text,) = api.shown.values()
    assert "filled &lt;10&gt;" in text
    assert api.calls == ["edit", "send", "delete"]


@pytest.mark.row("H5")
async def test_an_old_card_that_cannot_be_deleted_does_not_send_the_new_one_twice():
    """The new message is what counts; the old one stays beside it."""
    errors: list[TelegramError | None] = [BadRequest("Message can't be deleted for everyone")]
    api = _Api({"edit": [BadRequest("MESSAGE_EDIT_FORBIDDEN")], "delete": errors})
    assert isinstance(await _deliver(api), Delivered)
    api = _Api({"edit": [BadRequest("x")], "delete": [TelegramError("away")]})
    assert isinstance(await _deliver(api), Delivered)
    assert api.calls == ["edit", "send", "delete"] and api.shown[OLD] == "working"


async def test_an_edit_that_changes_nothing_is_not_repeated():
    """'Message is not modified' means that the card shows it already."""
    api = _Api({"edit": [BadRequest("Message is not modified: specified new message content")]})
    assert await _deliver(api) == Delivered(OLD)
    assert api.calls == ["edit"]


async def test_an_edit_whose_content_is_refused_is_made_as_plain_text():
    """The card stays where it is when only its formatting was the trouble."""
    api = _Api({"edit": [BadRequest("Can't parse entities: unclosed tag"), None]})
    assert await _deliver(api) == Delivered(OLD)
    assert api.calls == ["edit", "edit"] and api.shown == {OLD: "filled <10>"}


async def test_a_chat_that_blocked_the_bot_is_still_a_dead_letter():
    """The message in place of the edit is refused as well, and that is the answer."""
    blocked = Forbidden("Forbidden: bot was blocked by the user")
    assert isinstance(await _deliver(_Api({"edit": [blocked], "send": [blocked]})), Blocked)
    gone = BadRequest("Chat not found")
    assert isinstance(await _deliver(_Api({"edit": [gone]})), Blocked)


@pytest.mark.row("E1")
@pytest.mark.parametrize(
    "refusal",
    [
        BadRequest("Message to edit not found"),
        BadRequest("Message can't be edited"),
        Forbidden("Forbidden: bot was blocked by the user"),
    ],
)
async def test_what_puts_a_card_right_is_never_a_message(refusal: TelegramError):
    """Its card has been told: where it cannot be edited, it stays as it is."""
    api = _Api({"edit": [refusal]})
    assert isinstance(await _deliver(api, RIGHT), Dropped)
    assert api.calls == ["edit"] and api.shown == {OLD: "working"}
    done = _Api()
    assert await _deliver(done, RIGHT) == Delivered(OLD)
    assert done.calls == ["edit"] and done.shown == {OLD: "filled &lt;10&gt;"}


@dataclass
class _NothingKept:
    """A control that keeps no run any more."""

    @property
    def views(self) -> _NothingKept:
        return self

    async def run(self, run_id: str) -> RunView:
        raise NotFound(f"I do not keep {run_id} any longer.")

    @property
    def control(self) -> _NothingKept:
        return self


@pytest.mark.row("E1")
async def test_card_of_a_run_that_is_kept_no_longer_stays_as_it_is():
    """It says more than that the run is not known."""
    api = _Api()
    notifier = TelegramNotifier(cast(Api, api), cast(Lookups, _NothingKept()))
    post = replace(run_card("r"), delivery=Delivery.AMEND, chat_id=CHAT)
    done = await notifier.deliver(CHAT, post, notice_id="N", message_id=OLD, is_repeat=False)
    assert isinstance(done, Dropped) and api.calls == []
